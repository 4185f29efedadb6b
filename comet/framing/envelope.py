"""
The envelope: the JSON object of a message, a cursor, a gap or the end, alike on
every transport that carries JSON.

The payload of a message is JSON already, safe for every wire format, and is
copied as it is.
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
    Encode the envelope of one message.

    @param time: Whether the envelope has the time at which the message was
        stored, in seconds since 1970, to the millisecond.

    @param replay: Whether the envelope says that the message is replayed, so
        that the client does not adopt its cursor.
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


# Remembered, since message after message has the same few names.
_encodeName: Final = lru_cache(NAME_CACHE_SIZE)(strictjson.encode)


def encodeCursor(cursor: Cursor) -> bytes:
    """
    Encode the envelope that has only the cursor of the reader.
    """
    return strictjson.encode({"cursor": str(cursor)})


def encodeGap(cursor: Cursor, names: Sequence[str]) -> bytes:
    """
    Encode the envelope of a gap: these names lost messages after the cursor.

    @param names: The channels and patterns, as the client asked for them.
    """
    return strictjson.encode({"cursor": str(cursor), "gap": list(names)})


def encodeEnded(cursor: Cursor, names: Sequence[str], code: str) -> bytes:
    """
    Encode the envelope that tells a reader at this cursor which of its names have
    ended, and why.

    @param code: As that of the end of a reader.
    """
    ended = {"names": list(names), "code": code}
    return strictjson.encode({"cursor": str(cursor), "ended": ended})


def encodeClose(cursor: Cursor, close: Close) -> bytes:
    """
    Encode the envelope that tells a reader at this cursor why it is closed.
    """
    return strictjson.encode({"cursor": str(cursor), "close": closeValue(close)})


def closeValue(close: Close) -> dict[str, Any]:
    """
    Make the value of C{close} in an envelope or in a poll body.
    """
    return {"code": close.code, "message": close.message, "retry": close.retry}


def rawText(message: Message) -> str:
    """
    Get the data of a message as text: a string without the quotes and escapes
    of JSON, any other value as JSON.
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
    The base of the shapes in which each piece is an envelope.  A subclass
    overrides L{piece} to put its format around an envelope.

    @ivar time: As in L{encodeEnvelope}.
    """

    time: bool = False

    @property
    def prelude(self) -> bytes:
        """
        Nothing: the stream begins with its first envelope.
        """
        return b""

    @property
    def coda(self) -> bytes:
        """
        Nothing, unless the format has an end of its own.
        """
        return b""

    @property
    def adoptsReplay(self) -> bool:
        """
        No: an envelope says whether the client adopts its cursor.
        """
        return False

    def piece(self, envelope: bytes) -> bytes:
        """
        Put one envelope into the format, so that it is separate from the next.
        """
        return envelope

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        Make the piece of a message.
        """
        return self.piece(encodeEnvelope(message, self.time, replay))

    def cursor(self, cursor: Cursor, resume: Cursor | None = None) -> bytes:
        """
        Make the piece that has only the cursor.
        """
        return self.piece(encodeCursor(cursor))

    def gap(self, cursor: Cursor, names: Sequence[str], resume: Cursor | None = None) -> bytes:
        """
        Make the piece of a gap.
        """
        return self.piece(encodeGap(cursor, names))

    def ended(
        self, cursor: Cursor, names: Sequence[str], code: str, resume: Cursor | None = None
    ) -> bytes:
        """
        Make the piece that tells which names have ended, and why.
        """
        return self.piece(encodeEnded(cursor, names, code))

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        Make the piece that tells why the reader is closed.
        """
        return self.piece(encodeClose(cursor, close))

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        Join the pieces.
        """
        return b"".join(pieces)
