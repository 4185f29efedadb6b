"""
How much a bus holds.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

# Of how many channels the messages are counted: it takes a millisecond or two.
MOST_COUNTED: Final = 10_000


@frozen
class Held:
    """
    How much a bus holds.

    @ivar channels: How many channels have messages.

    @ivar messages: How many messages there are; L{None} where to count them would take
        the bus too long.

    @ivar bytes: How many bytes they and their channels count for.
    """

    channels: int
    messages: int | None
    bytes: int
