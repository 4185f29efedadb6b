"""
What the bus was asked to let be heard.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred


class Listening:
    """
    The bus was asked to let some names be heard.

    @ivar isEffective: Whether it has answered.

    @ivar waiting: Who is to be told when it answers.
    """

    __slots__ = ("isEffective", "waiting")

    def __init__(self) -> None:
        self.isEffective = False
        self.waiting: list[Deferred[None]] = []
