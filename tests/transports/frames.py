"""
WebSocket frames as a client sends and reads them, made after RFC 6455.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.transports.case import HubTestCase, get
from tests.transports.wire import Wire

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
# The example in RFC 6455 1.3.
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {KEY}",
)


class Frame(NamedTuple):
    """
    One frame that a server sent.
    """

    opcode: int
    payload: bytes

    @property
    def json(self) -> Any:
        """
        Return a text frame's payload as JSON.
        """
        assert self.opcode == TEXT, self
        return json.loads(self.payload)

    @property
    def status(self) -> int:
        """
        Return the status in a close frame.
        """
        assert self.opcode == CLOSE, self
        self.payload[2:].decode("utf-8")
        return int.from_bytes(self.payload[:2], "big")


def readFrames(data: bytes) -> list[Frame]:
    """
    Parse whole frames.
    """
    frames = []
    at = 0
    while at < len(data):
        first, length = data[at], data[at + 1]
        assert first & 0xF0 == 0x80, "a whole message, no extension"
        assert length < 0x80, "a server does not mask"
        at += 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        assert len(data) >= at + length, "cut"
        frames.append(Frame(first & 0x0F, data[at : at + length]))
        at += length
    return frames


def frame(
    opcode: int,
    payload: bytes = b"",
    fin: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x01\x02\x03\x04",
    length: int | None = None,
) -> bytes:
    """
    Make a frame as a client sends it.

    @param length: The length that the frame declares, if that is wrong.
    """
    length = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    masked = 0x80 if mask is not None else 0
    if length < 126:
        head += bytes([masked | length])
    elif length < 0x10000:
        head += bytes([masked | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([masked | 127]) + length.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))


def text(value: Any) -> bytes:
    """
    Make a text message with JSON.
    """
    return frame(TEXT, json.dumps(value).encode())


def close(status: int | None = 1000, reason: bytes = b"") -> bytes:
    """
    Make a close frame.
    """
    return frame(CLOSE, b"" if status is None else status.to_bytes(2, "big") + reason)


class WebSocketTestCase(HubTestCase):
    """
    A client of a WebSocket.
    """

    def open(self, path: str = "/channels/news", *headers: str) -> Wire:
        """
        Do the handshake, and read the first message if there is one.
        """
        wire = self.connect()
        wire.send(get(path, *UPGRADE, *headers))
        self.turn()
        raw = wire.take()
        head, _, rest = raw.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 101 "), raw)
        if not path.startswith("/socket"):
            self.assertIn("cursor", readFrames(rest)[0].json)
        else:
            self.assertEqual(rest, b"")
        return wire

    def read(self, wire: Wire) -> list[Frame]:
        """
        Return the frames that have arrived.
        """
        return readFrames(wire.take())

    def say(self, wire: Wire, *frames: bytes) -> list[Frame]:
        """
        Send frames in one packet, and return the answers.
        """
        wire.send(b"".join(frames))
        self.turn()
        return self.read(wire)

    def assertFailed(self, frames: list[Frame], status: int) -> None:
        """
        Assert that the last frame closes the connection with a status.
        """
        self.assertEqual([f.opcode for f in frames].count(CLOSE), 1)
        self.assertEqual(frames[-1].status, status)
