"""
A client of HTTP/2 that sends any frames, also those that break the protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from comet.web.http2.frames import PREFACE
from tests.transports.wire import Wire

Fields = Sequence[tuple[bytes, bytes]]

SETTINGS: Final = SettingsFrame(0).serialize()


def frame(kind: int, ident: int = 0, body: bytes = b"", flags: int = 0) -> bytes:
    """
    Make a frame of any type.
    """
    head = len(body).to_bytes(3, "big") + bytes((kind, flags))
    return head + ident.to_bytes(4, "big") + body


def request(method: bytes = b"GET", path: bytes = b"/health", *more: tuple[bytes, bytes]) -> Fields:
    """
    Make the fields of a request.
    """
    return [
        (b":method", method),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", path),
        *more,
    ]


class RawClient:
    """
    The client.

    @ivar heads: The fields of the last head on each stream.

    @ivar statuses: The last status of each stream that got a response.

    @ivar bodies: What has arrived of the body of each stream.

    @ivar ended: The streams that the server has ended.

    @ivar resets: The code with which the server has reset each stream, first
        of all.

    @ivar goodbye: The code of the server's GOAWAY, or L{None}.

    @ivar received: How many bytes have arrived.

    @ivar opened: By how much the server has opened the window of the connection.
    """

    def __init__(self, wire: Wire, settings: bytes = SETTINGS) -> None:
        self.wire = wire
        self.heads: dict[int, dict[bytes, bytes]] = {}
        self.statuses: dict[int, int] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.goodbye: int | None = None
        self.received = 0
        self.opened = 0
        self.encoder = Encoder()
        self.decoder = Decoder()
        wire.send(PREFACE + settings)

    def send(self, *frames: bytes) -> None:
        """
        Send frames in one packet, and read what comes back.
        """
        self.wire.send(b"".join(frames))
        self.read()

    def headers(
        self, ident: int, fields: Iterable[tuple[bytes, bytes]], isEnd: bool = True
    ) -> bytes:
        """
        Make the frame of a field block.
        """
        made = HeadersFrame(ident, self.encoder.encode(fields), flags=("END_HEADERS",))
        if isEnd:
            made.flags.add("END_STREAM")
        return made.serialize()

    def data(self, ident: int, body: bytes, isEnd: bool = True) -> bytes:
        """
        Make a frame of DATA.
        """
        return DataFrame(ident, body, flags=("END_STREAM",) if isEnd else ()).serialize()

    def read(self) -> None:
        """
        Read all frames that have arrived.
        """
        data = self.wire.take()
        self.received += len(data)
        while data:
            found, size = Frame.parse_frame_header(memoryview(data[:9]))
            found.parse_body(memoryview(data[9 : 9 + size]))
            data = data[9 + size :]
            self._take(found)

    def _take(self, found: Frame) -> None:
        ident = found.stream_id
        if isinstance(found, HeadersFrame):
            fields = dict(self.decoder.decode(found.data, raw=True))
            self.heads[ident] = fields
            self.statuses[ident] = int(fields[b":status"])
        elif isinstance(found, DataFrame):
            self.bodies[ident] = self.bodies.get(ident, b"") + found.data
        elif isinstance(found, RstStreamFrame):
            self.resets.setdefault(ident, found.error_code)
        elif isinstance(found, GoAwayFrame):
            self.goodbye = found.error_code
        elif isinstance(found, WindowUpdateFrame) and not ident:
            self.opened += found.window_increment
        if "END_STREAM" in found.flags:
            self.ended.add(ident)
