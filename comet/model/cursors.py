"""
Cursors: an epoch and a position in it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from comet.errors import BadCursor

_CURSOR = re.compile(r"([A-Za-z0-9]{1,32})-(0|[1-9][0-9]{0,18})", re.ASCII)


class Cursor(NamedTuple):
    """
    A point in the log of the whole bus.  A reader with this cursor has received
    everything up to and including the position, in the names that it reads.

    @ivar epoch: The epoch of the position: a word of 1 to 32 ASCII letters and
        digits.

    @ivar position: 0 is before the first message.  Every other value is the
        position of a message, which may no longer be held.
    """

    epoch: str
    position: int

    def isKnownAt(self, end: Cursor) -> bool:
        """
        Tell whether a log whose newest message has the cursor C{end} can have
        given this cursor: in the same epoch, and not beyond its end.
        """
        return self.epoch == end.epoch and self.position <= end.position

    def __str__(self) -> str:
        return f"{self.epoch}-{self.position}"


# Makes the same cursor as the class does, of a pair, and takes a third of the time: each
# message has one.
cursorOf: Final[Callable[[tuple[str, int]], Cursor]] = partial[Any](tuple.__new__, Cursor)


def parseCursor(text: str) -> Cursor:
    """
    Read a cursor from its text on the wire.

    @raise BadCursor: If C{text} is not a cursor.
    """
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise BadCursor(
            f"{text[:64]!r} is not a cursor: an epoch of letters and digits, a "
            "hyphen, and a position without leading zeros"
        )
    return Cursor(found[1], int(found[2]))


def newEpoch() -> str:
    """
    Make up the name of a new epoch.
    """
    # 32^6 names: the chance that two epochs which one reader can remember are
    # called alike is one in a thousand million.
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(6))
