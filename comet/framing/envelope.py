"""
The envelope: the one JSON object that a message, a gap or the end is on every
transport that carries JSON, and the shape of those that carry nothing else.

The payload of a message is JSON already, and safe; here it is only put in its
place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from attrs import frozen

from comet.framing import strictjson
from comet.model.channels import NAME_CACHE_SIZE
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message

_JSON: Final = json.JSONDecoder()


def encodeEnvelope(message: Message, time: bool = False, replay: bool = False) -> bytes:
    """
    The envelope of one message.

    @param time: Whether it says when the message was stored, in seconds since
        1970, to the millisecond.

    @param replay: Whether it says that the message is replayed, so that its
        cursor is not to be adopted.
    """
    parts = [
        b'{"channel":',
        _encodeName(message.channel),
        b',"cursor":"%b-%d"' % (message.epoch.encode("ascii"), message.position),
    ]
    if time:
        parts.append(b',"time":' + strictjson.encode(round(message.time, 3)))
    if message.event is not None:
        parts.append(b',"event":' + strictjson.encode(message.event))
    if message.encoding is not None:
        parts.append(b',"encoding":' + strictjson.encode(message.encoding))
    if replay:
        parts.append(b',"replay":true')
    parts += (b',"data":', message.payload, b"}")
    return b"".join(parts)


# The same few names come with message after message.
_encodeName: Final = lru_cache(NAME_CACHE_SIZE)(strictjson.encode)


def encodeStanding(cursor: Cursor) -> bytes:
    """
    The envelope that only says where the reader stands.
    """
    return strictjson.encode({"cursor": str(cursor)})


def encodeGap(cursor: Cursor, names: Sequence[str]) -> bytes:
    """
    The envelope that says that these names lost messages after the cursor.

    @param names: Channels and patterns, as they were asked for.
    """
    return strictjson.encode({"cursor": str(cursor), "gap": list(names)})


def encodeClose(cursor: Cursor, close: Close) -> bytes:
    """
    The envelope that says why the reader, who stands at the cursor, is sent
    away.
    """
    return strictjson.encode({"cursor": str(cursor), "close": closeValue(close)})


def closeValue(close: Close) -> dict[str, Any]:
    """
    The value of C{close} in an envelope or in a poll body.
    """
    return {"code": close.code, "message": close.message, "retry": close.retry}


def rawText(message: Message) -> str:
    """
    The data of a message as text: a string as it is, without the quotes and
    escapes of JSON; anything else as its JSON.
    """
    text = message.payload.decode("utf-8")
    if not text.startswith('"'):
        return text
    if "\\" not in text:
        return text[1:-1]
    string: str = _JSON.decode(text)
    return string


@frozen(cache_hash=True)
class EnvelopeShape:
    """
    What the shapes share in which each piece is an envelope: on its own they
    would be written one after the other.  A subclass says in L{piece} what is
    around each.

    @ivar time: As in L{encodeEnvelope}.
    """

    time: bool = False

    @property
    def prelude(self) -> bytes:
        """
        Nothing: such a stream begins with its first envelope.
        """
        return b""

    @property
    def coda(self) -> bytes:
        """
        Nothing, where the wire has no end of its own.
        """
        return b""

    @property
    def adoptsReplay(self) -> bool:
        """
        No: an envelope says whether its cursor is to be adopted.
        """
        return False

    def piece(self, envelope: bytes) -> bytes:
        """
        Put around one envelope what tells it from the next.
        """
        return envelope

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        The envelope of a message.
        """
        return self.piece(encodeEnvelope(message, self.time, replay))

    def standing(self, cursor: Cursor, resume: Cursor | None = None) -> bytes:
        """
        An envelope of only the cursor.
        """
        return self.piece(encodeStanding(cursor))

    def gap(self, cursor: Cursor, names: Sequence[str], resume: Cursor | None = None) -> bytes:
        """
        The envelope of a gap.
        """
        return self.piece(encodeGap(cursor, names))

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        The envelope of the end.
        """
        return self.piece(encodeClose(cursor, close))

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        The pieces one after the other.
        """
        return b"".join(pieces)
