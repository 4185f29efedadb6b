"""
The table of cases with C{permessage-deflate}: what a client offers, and the messages that
it sends, which an echo has to send back compressed.

The sections are 12 and 13 of the Autobahn testsuite: 12 sizes, contents and fragments; 13
the parameters of offers.  The cases themselves are made after RFC 7692.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from tests.rfc6455.wire import BINARY, CONTINUATION, TEXT, Heard, cut, frame

# RFC 7692 7.2.1
TAIL: Final = b"\0\0\xff\xff"

# RFC 7692 6: RSV1.
_RSV1: Final = 4

_SIZES: Final = (0, 1, 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072)


@frozen
class CompressionCase:
    """
    One case.

    @ivar name: Its section, and what is special about it.

    @ivar offer: The value of C{Sec-WebSocket-Extensions}.

    @ivar sent: The messages.

    @ivar fragment: How many bytes of a compressed message are in a frame; 0 for all.

    @ivar window: How far back the client's compressor looks, as a power of two.

    @ivar reads: The window with which the client undoes what it gets.

    @ivar isAgreed: Whether the server has to agree on one of the offers.
    """

    name: str
    offer: str
    sent: Sequence[Heard]
    fragment: int = 0
    window: int = 15
    reads: int = 15
    isAgreed: bool = True

    @property
    def section(self) -> str:
        """
        The first number of the name.
        """
        return self.name.partition(".")[0]

    @property
    def packets(self) -> list[bytes]:
        """
        The messages as the client sends them, each compressed alone.
        """
        packets = []
        for opcode, payload in self.sent:
            if self.isAgreed:
                compressor = zlib.compressobj(9, zlib.DEFLATED, -self.window)
                flushed = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
                payload = flushed.removesuffix(TAIL)
            rsv = _RSV1 if self.isAgreed else 0
            parts = cut(payload, self.fragment) if self.fragment else [payload]
            packets.append(
                b"".join(
                    frame(
                        CONTINUATION if number else opcode,
                        part,
                        number == len(parts) - 1,
                        0 if number else rsv,
                    )
                    for number, part in enumerate(parts)
                )
            )
        return packets

    def read(self, data: bytes) -> list[Heard]:
        """
        Read what the echo has sent, undoing the compression of each message alone.
        """
        heard = []
        while data:
            first, length, at = data[0], data[1], 2
            if length >= 126:
                at += {126: 2, 127: 8}[length]
                length = int.from_bytes(data[2:at], "big")
            payload, data = data[at : at + length], data[at + length :]
            assert first >> 4 == (0xC if self.isAgreed else 0x8), hex(first)
            if self.isAgreed:
                payload = zlib.decompressobj(-self.reads).decompress(payload + TAIL)
            heard.append(Heard(first & 0x0F, payload))
        return heard


def _contents(size: int) -> Iterator[tuple[str, int, bytes]]:
    """
    Yield payloads of about a size: their kind, their opcode, and themselves.
    """
    chance = random.Random(size)
    record = {"id": 17, "name": "a name", "price": 4.25, "tags": ["one", "two"]}
    rows = [{**record, "id": number} for number in range(size // 60 + 1)]
    yield "JSON", TEXT, json.dumps(rows).encode()[:size]
    text = "Fuchs, Gänse und der Zaun. Ein Igel sah es, 狐は見た。"
    yield "text", TEXT, (text * (size // 50 + 1)).encode()[:size].decode("utf-8", "ignore").encode()
    yield "zeros", BINARY, bytes(size)
    yield "random bytes", BINARY, chance.randbytes(size)


def _sizes() -> Iterator[CompressionCase]:
    offer = "permessage-deflate; client_max_window_bits"
    for size in _SIZES:
        for kind, opcode, payload in _contents(size):
            times = 100 if size <= 1024 else 4
            for fragment in (0, 256, 4096):
                if fragment == 0 or size > fragment:
                    how = f"in fragments of {fragment}" if fragment else "whole"
                    name = f"12.{opcode} {kind} of {size} bytes, {times} times, {how}"
                    yield CompressionCase(name, offer, [Heard(opcode, payload)] * times, fragment)


_PARAMETERS: Final = (
    # What is offered, the client's window, and that with which it reads.
    ("", 15, 15),
    ("client_no_context_takeover", 15, 15),
    ("server_no_context_takeover", 15, 15),
    ("client_max_window_bits", 15, 15),
    ("client_max_window_bits=9", 9, 15),
    ("client_max_window_bits=15", 15, 15),
    ("server_max_window_bits=9", 15, 9),
    ("server_max_window_bits=12", 15, 12),
    ("server_max_window_bits=15", 15, 15),
    ("server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9", 9, 9),
    ("client_no_context_takeover; server_no_context_takeover; server_max_window_bits=15", 15, 15),
)


def _parameters() -> Iterator[CompressionCase]:
    contents = [
        Heard(opcode, payload)
        for size in (16, 1024, 4096, 32768, 131072)
        for _, opcode, payload in _contents(size)
    ]
    for parameters, window, reads in _PARAMETERS:
        offer = f"permessage-deflate; {parameters}".removesuffix("; ")
        name = f"13.1 {parameters or 'no parameters'}"
        yield CompressionCase(name, offer, contents, 0, window, reads)
        yield CompressionCase(f"{name}, in fragments", offer, contents, 1000, window, reads)
        # RFC 7692 5.1: the client offers what it likes best first.
        several = f"permessage-deflate; server_max_window_bits=8, {offer}, permessage-deflate"
        yield CompressionCase(f"{name}, second of three", several, contents, 0, window, reads)
    for offer in (
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; unknown",
        "permessage-bzip2",
    ):
        yield CompressionCase(f"13.7 {offer}", offer, contents, isAgreed=False)


def compressionCases() -> Iterator[CompressionCase]:
    """
    Yield all cases.
    """
    yield from _sizes()
    yield from _parameters()
