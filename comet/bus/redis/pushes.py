"""
Reads what the scripts push, and checks every part of it.
"""

from __future__ import annotations

from comet.bus.redis.bodies import readBody
from comet.bus.redis.replies import BadReply, epochOf, isEpoch
from comet.framing.stored import NotOurs
from comet.model.cursors import Cursor
from comet.model.messages import Message


def readPushed(topic: bytes, data: bytes) -> Message:
    """
    Read a pushed message: the epoch and the position, and the body from the
    next line on.

    @param topic: The name of the channel, in UTF-8.

    @raise NotOurs: If no script of comet's can have pushed it.
    """
    first, _, body = data.partition(b"\n")
    epoch, _, position = first.partition(b" ")
    if not isEpoch(epoch) or not position.isdigit() or len(position) > 19:
        raise NotOurs("cursor", f"{first!r:.100} is not a cursor")
    try:
        channel = topic.decode()
    except UnicodeDecodeError:
        raise NotOurs("channel", f"{topic!r:.100} is not UTF-8") from None
    return readBody(channel, epoch.decode(), int(position), body)


def readEndMoved(data: bytes) -> tuple[Cursor, int]:
    """
    Read the push that tells where the log end has moved.

    @return: The end of the log, and the position from which it moved.
    """
    parts = data.split(b" ")
    if len(parts) == 3:
        epoch, before, end = parts
        if before.isdigit() and end.isdigit() and len(before) < 20 and len(end) < 20:
            return Cursor(epochOf(epoch), int(end)), int(before)
    raise BadReply(f"{data!r:.100} is not a move of the log end")
