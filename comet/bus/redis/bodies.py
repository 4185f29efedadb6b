"""
What is stored of a message: reads it, and writes it.
"""

from __future__ import annotations

from typing import Any

from comet.framing.stored import NotOurs, StoredMessage, checkStored, joinMarks
from comet.model.messages import Message, Publication


def readBody(channel: str, epoch: str, position: int, body: Any) -> Message:
    """
    Read a stored message.

    @raise NotOurs: If comet cannot have stored it.
    """
    return checkStored(*splitBody(channel, epoch, position, body))


def splitBody(channel: str, epoch: str, position: Any, body: Any) -> StoredMessage:
    """
    Split a stored message: the time, the event, the encoding and the payload, a line
    each.

    @raise NotOurs: If it has not the form of what comet stores.
    """
    parts = body.split(b"\n", 3) if isinstance(body, bytes) else ()
    if len(parts) != 4:
        raise NotOurs("body", f"{body!r:.100} does not have four lines")
    try:
        time = float(parts[0])
        event, encoding = parts[1].decode() or None, parts[2].decode() or None
    except ValueError:
        raise NotOurs("body", f"{body!r:.100} has a time, event or encoding of no form") from None
    return StoredMessage(channel, epoch, position, time, parts[3], event, encoding)


def writeBody(publication: Publication) -> bytes:
    """
    Write what is stored of a publication; the script adds the time before it.
    """
    if publication.event is publication.encoding is publication.exclude is None:
        return b"\n\n" + publication.payload
    event, marks = publication.event or "", publication.encoding or ""
    if publication.exclude is not None:
        marks = joinMarks(publication.encoding, publication.exclude) or ""
    return b"%b\n%b\n%b" % (event.encode(), marks.encode(), publication.payload)
