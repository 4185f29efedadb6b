"""
Reads what the scripts of state answer, and checks every part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from comet.bus.redis.replies import POSITION, BadReply, epochOf, fieldsOf, numberOf, rowsOf, wordOf
from comet.model.cursors import Cursor

_TIME: Final = re.compile(r"[0-9]{1,12}\.[0-9]{6}", re.ASCII)


def readStateChange(reply: Any) -> tuple[Cursor, float] | None:
    """
    Read the answer of C{keep}.

    @return: The cursor of the message that tells of the change, and its time; L{None} if
        nothing was changed.
    """
    if reply in ([b"FULL"], [b"ABSENT"]):
        return None
    _, epoch, position, stamp, *_ = fieldsOf(reply, 4)
    word, time = wordOf(position), wordOf(stamp)
    if not POSITION.fullmatch(word) or not _TIME.fullmatch(time):
        raise BadReply(f"a change of state was answered {reply!r:.100}")
    return Cursor(epochOf(epoch), int(word)), float(time)


def readKept(reply: Any) -> tuple[Cursor, str | None, Iterator[Sequence[Any]]]:
    """
    Read the answer of C{kept}.

    @return: The log end, the key after which to read on or L{None}, and each key with
        what is kept under it.
    """
    _, epoch, end, rest, *kept = fieldsOf(reply, 4)
    cursor = Cursor(epochOf(epoch), numberOf(end))
    return cursor, wordOf(rest) or None, rowsOf(kept, 2)
