"""
The bytes of abusive clients, in each protocol.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen
from hpack import Encoder

# The types of frames of HTTP/2 (RFC 9113, section 6), and one that is none.
DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PING: Final = 6
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9
UNKNOWN: Final = 0xBB

# Flags of frames.
END_STREAM: Final = 1
_END_HEADERS: Final = 4

# The largest payload of a frame that each server takes.
_FRAME: Final = 16384

# The largest window: the server is never held back.
_WIDEST: Final = 2**31 - 1


@frozen
class Request:
    """
    A request in any version of HTTP.
    """

    target: str
    method: str = "GET"
    body: bytes = b""
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def publication(channel: str, body: bytes, **headers: str) -> Request:
    """
    Make a request that publishes.
    """
    given = tuple((name.replace("_", "-").lower(), value) for name, value in headers.items())
    return Request(f"/channels/{channel}", "POST", body, headers=given)


def batch(lines: Sequence[bytes]) -> Request:
    """
    Make a request that publishes many messages.
    """
    return Request("/publish", "POST", b"\n".join(lines), "application/x-ndjson")


def line(channel: str, data: object) -> bytes:
    """
    Write one line of a batch.
    """
    return json.dumps({"channel": channel, "data": data}).encode()


def poll(names: str, query: str = "&since=earliest") -> Request:
    """
    Make a request that polls.
    """
    return Request(f"/channels/{names}?transport=poll{query}")


def http1(request: Request) -> bytes:
    """
    Write a request as HTTP/1.1.
    """
    lines = [f"{request.method} {request.target} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.method == "POST":
        lines += [f"Content-Type: {request.kind}", f"Content-Length: {len(request.body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + request.body


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """
    Write a frame of HTTP/2.
    """
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """
    Read the frames of HTTP/2 that are whole: the type, the flags, the stream and the
    payload of each.
    """
    found, at = [], 0
    while len(data) >= (start := at + 9):
        end = start + int.from_bytes(data[at : at + 3], "big")
        if end > len(data):
            break
        ident = int.from_bytes(data[at + 5 : start], "big")
        found.append((data[at + 3], data[at + 4], ident, data[start:end]))
        at = end
    return found


def preface() -> bytes:
    """
    Write what a client of HTTP/2 sends first.
    """
    settings = (4).to_bytes(2, "big") + _WIDEST.to_bytes(4, "big")
    widening = frame(WINDOW_UPDATE, 0, 0, (_WIDEST - 65535).to_bytes(4, "big"))
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings) + widening


def fields(request: Request) -> bytes:
    """
    Compress the head of a request so that it can be sent on any stream.
    """
    encoder = Encoder()
    encoder.header_table_size = 0
    named = [
        (":method", request.method),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", request.target),
        *request.headers,
    ]
    if request.method == "POST":
        named += [("content-type", request.kind), ("content-length", str(len(request.body)))]
    encoded: bytes = encoder.encode(named)
    return encoded


def http2(request: Request, stream: int) -> bytes:
    """
    Write a request as HTTP/2.
    """
    end = 0 if request.body else END_STREAM
    pieces = [frame(HEADERS, _END_HEADERS | end, stream, fields(request))]
    for start in range(0, len(request.body), _FRAME):
        piece = request.body[start : start + _FRAME]
        isLast = start + _FRAME >= len(request.body)
        pieces.append(frame(DATA, END_STREAM if isLast else 0, stream, piece))
    return b"".join(pieces)


def streams() -> Iterator[int]:
    """
    Return the numbers of a client's streams.
    """
    return iter(range(1, 2**31, 2))


# The headers of a request for a WebSocket.
UPGRADING: Final = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
)

UPGRADE: Final = http1(Request("/socket", headers=UPGRADING))


def webSocket(payload: bytes, opcode: int = 1, isFinal: bool = True) -> bytes:
    """
    Write a frame of WebSocket, with a mask of zeros.
    """
    length = len(payload)
    head = bytes([opcode | (0x80 if isFinal else 0)])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 65536:
        head += bytes([0x80 | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + length.to_bytes(8, "big")
    return head + bytes(4) + payload


def command(**values: object) -> bytes:
    """
    Write a command.
    """
    return json.dumps(values).encode()
