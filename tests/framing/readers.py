"""
Readers of each wire format, written from the standards, without code of
L{comet}; and values and streams for the tests of shapes.  Each reader takes any
pieces of a stream with C{feed}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any, NamedTuple, Protocol

from hypothesis import strategies as st

from comet.framing import Shape, strictjson
from comet.framing.envelope import encodeClose, encodeCursor, encodeEnvelope, encodeGap
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message

CURSOR = Cursor("k3f9a2", 1042)

# Characters that may break a format: separators, and all that end a line
# anywhere.
AWKWARD = "\r\n\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\ufeff<>&\"'\\/: {}[]"
TEXTS = st.text(st.one_of(st.sampled_from(AWKWARD), st.characters(codec="utf-8")))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters=",*?#"),
    min_size=1,
    max_size=64,
)
CLOSES = st.builds(
    Close,
    st.sampled_from(["draining", "lagging", "internal"]),
    TEXTS,
    st.none() | st.floats(0, 3600),
)


def makeMessage(
    data: Any,
    channel: str = "news",
    event: str | None = None,
    encoding: str | None = None,
    time: float = 1700000000.1234,
) -> Message:
    """
    Make a message at L{CURSOR}.
    """
    payload = strictjson.encode(data)
    return Message(channel, *CURSOR, time, payload, event, encoding)


MESSAGES = st.builds(
    makeMessage,
    VALUES,
    NAMES,
    st.none() | NAMES,
    st.sampled_from([None, "base64"]),
    st.floats(1.6e9, 4e9),
)


def cut(stream: bytes, sizes: list[int]) -> Iterator[bytes]:
    """
    Cut a stream into pieces of these sizes, used in turn.
    """
    start = 0
    for size in cycle(sizes):
        if start >= len(stream):
            return
        yield stream[start : start + size]
        start += size


CUTS = st.lists(st.integers(1, 9), min_size=1, max_size=4)


def writeStream(
    shape: Shape, messages: Sequence[Message], names: Sequence[str], close: Close
) -> bytes:
    """
    Write a stream after its prelude in three frames: a cursor; replayed
    messages and a gap; the end.
    """
    pieces = [shape.message(message, replay=True) for message in messages]
    frames = (
        [shape.cursor(CURSOR)],
        [*pieces, shape.gap(CURSOR, names)],
        [shape.close(CURSOR, close)],
    )
    return b"".join(map(shape.frame, frames)) + shape.coda


def envelopesOf(messages: Sequence[Message], names: Sequence[str], close: Close) -> list[Any]:
    """
    The values of all envelopes in a stream of L{writeStream}.
    """
    envelopes = (
        encodeCursor(CURSOR),
        *(encodeEnvelope(message, replay=True) for message in messages),
        encodeGap(CURSOR, names),
        encodeClose(CURSOR, close),
    )
    return [json.loads(each) for each in envelopes]


class Reader(Protocol):
    """
    A reader of a stream in pieces.
    """

    def feed(self, data: bytes) -> None:
        """
        Take the next piece.
        """


def readAll(reader: Reader, stream: bytes, sizes: list[int]) -> None:
    """
    Give a reader a whole stream, cut into pieces.
    """
    for piece in cut(stream, sizes):
        reader.feed(piece)


class ChunkReader:
    """
    Reads the chunked coding of RFC 9112 7.1.

    @ivar body: The data of the chunks so far.

    @ivar sizes: The size of each chunk.

    @ivar ended: Whether the last chunk was there.
    """

    def __init__(self) -> None:
        self.body = b""
        self.sizes: list[int] = []
        self.ended = False
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """
        Take the next piece, which may not be beyond the end.
        """
        assert not self.ended
        self._rest += data
        while b"\r\n" in self._rest:
            size, rest = self._rest.split(b"\r\n", 1)
            assert size and not size.strip(b"0123456789abcdefABCDEF"), size
            length = int(size, 16)
            if len(rest) < length + 2:
                return
            assert rest[length : length + 2] == b"\r\n"
            self.body += rest[:length]
            self.sizes.append(length)
            self._rest = rest[length + 2 :]
            if length == 0:
                self.ended = True
                assert self._rest == b""


class LinesReader:
    """
    Reads lines of JSON.

    @ivar values: The values of the lines so far.

    @ivar rest: The bytes after the last line.
    """

    def __init__(self, terminator: bytes = b"\n") -> None:
        self.values: list[Any] = []
        self.rest = b""
        self._terminator = terminator

    def feed(self, data: bytes) -> None:
        """
        Take the next piece.
        """
        *lines, self.rest = (self.rest + data).split(self._terminator)
        self.values += [json.loads(line) for line in lines]


class FrameReader:
    """
    Reads the frames of RFC 6455 5.2 as a client does.

    @ivar texts: The text messages so far.

    @ivar rest: The bytes after the last frame.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.rest = b""

    def feed(self, data: bytes) -> None:
        """
        Take the next piece.
        """
        self.rest += data
        while self._readFrame():
            pass

    def _readFrame(self) -> bool:
        if len(self.rest) < 2:
            return False
        first, second = self.rest[:2]
        assert first == 0x81, "FIN and text, no extension"
        assert second < 0x80, "a server does not mask"
        extra = {126: 2, 127: 8}.get(second, 0)
        if len(self.rest) < 2 + extra:
            return False
        length = int.from_bytes(self.rest[2 : 2 + extra], "big") if extra else second
        # The shortest form must be used.
        assert length > {0: -1, 2: 125, 8: 0xFFFF}[extra]
        if len(self.rest) < 2 + extra + length:
            return False
        self.texts.append(self.rest[2 + extra :][:length].decode("utf-8"))
        self.rest = self.rest[2 + extra + length :]
        return True


class Event(NamedTuple):
    """
    An event as a listener in the page gets it.
    """

    type: str
    data: str
    lastEventID: str


class EventReader:
    """
    Reads an event stream by WHATWG HTML 9.2.6, in any pieces.

    @ivar events: The events that were dispatched.

    @ivar lastEventID: The id with which the client would reconnect.

    @ivar retry: After how many milliseconds the client would reconnect, if the
        stream said so.
    """

    def __init__(self, isForgetful: bool = False) -> None:
        """
        @param isForgetful: Whether to forget the id of an event without data,
            against 9.2.6, as Firefox and npm's C{eventsource} do.
        """
        self.events: list[Event] = []
        self._isForgetful = isForgetful
        self.lastEventID = ""
        self.retry: int | None = None
        self._raw = b""
        self._isFirst = True
        self._afterCR = False
        self._data = ""
        self._type = ""
        self._id = ""

    def feed(self, data: bytes) -> None:
        """
        Take the next piece.
        """
        for byte in data:
            if byte == 0x0A and self._afterCR:
                self._afterCR = False
                continue
            self._afterCR = byte == 0x0D
            if byte in (0x0A, 0x0D):
                line = self._raw.decode("utf-8")
                self._raw = b""
                self._line(line.removeprefix("\ufeff") if self._isFirst else line)
                self._isFirst = False
            else:
                self._raw += bytes((byte,))

    def _line(self, line: str) -> None:
        if line == "":
            self._dispatch()
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            self._field(name, value.removeprefix(" "))

    def _field(self, name: str, value: str) -> None:
        if name == "event":
            self._type = value
        elif name == "data":
            self._data += value + "\n"
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value and not value.strip("0123456789"):
            self.retry = int(value)

    def _dispatch(self) -> None:
        if self._data or not self._isForgetful:
            self.lastEventID = self._id
        if self._data:
            event = Event(self._type or "message", self._data[:-1], self.lastEventID)
            self.events.append(event)
        self._data = self._type = ""
