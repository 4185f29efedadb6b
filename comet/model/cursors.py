"""
Cursors: an epoch of the log, and a position in it.
"""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple

from comet.errors import BadCursor

_CURSOR = re.compile(r"([A-Za-z0-9]{1,32})-(0|[1-9][0-9]{0,18})", re.ASCII)


class Cursor(NamedTuple):
    """
    A place in the log of the whole bus: everything up to and including this
    position, in the channels that were asked for, has arrived.

    @ivar epoch: The life of the log that the position belongs to: a word of 1
        to 32 ASCII letters and digits.

    @ivar position: 0 is before the first message; otherwise the position of a
        message that may be long gone.
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


def parseCursor(text: str) -> Cursor:
    """
    Read a cursor as it is written on the wire.

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
    Make up the name of a new life of the log.
    """
    # 32^6: two of the lives that a reader can remember are never called alike
    # but by one chance in a thousand million.
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(6))
