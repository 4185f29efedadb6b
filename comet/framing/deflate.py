"""
Blocks of DEFLATE (RFC 1951) and the file format of gzip (RFC 1952) around them, made so
that the same bytes serve every reader; and what clients have compressed, undone within
bounds.

A compressor is used for one message only.  So what one message contains changes neither
the bytes nor the length of another one: an attacker who can publish cannot find out a
secret in other messages by trying which texts make them shorter.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from struct import pack
from typing import Final

from comet.errors import BadMessage, TooLarge

# RFC 1951 2: how far back a block may refer, as a power of two.  What is smaller than a
# small window is compressed in one, which takes half the time.
MOST_WINDOW: Final = 15
SMALL_WINDOW: Final = 12

# zlib makes blocks for a window of 256 bytes only in some of its releases.
LEAST_WINDOW: Final = 9

_LEVEL: Final = 6
_MEMORY: Final = 8
_SMALL_MEMORY: Final = 5

# How many bytes are compressed at most: these take some 4 ms, in which the server does
# nothing else.
MOST_COMPRESSED: Final = 262144

# RFC 1951 3.2.4: a block that is stored has at most as many bytes.
_MOST_STORED: Final = 0xFFFF

# The empty stored block at the end of a flush.
FLUSHED: Final = b"\0\0\xff\xff"

# RFC 1952 2.3: the magic number, deflate, no flags, no time, no hint, and a system that
# is not known.
GZIP_HEAD: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"

# How many final blocks a message of a client may have.  RFC 7692 7.2.3.4 and 7.2.3.5
# have one or two; each costs a new decompressor.
MOST_FINAL_BLOCKS: Final = 16

# How many bytes a decompressor takes: its window, its tables, and what is around them.
INFLATER_BYTES: Final = 45056


def deflate(data: bytes, window: int = MOST_WINDOW) -> bytes:
    """
    Compress bytes into blocks that refer to nothing before them, and end on a whole byte
    with L{FLUSHED}.  A decompressor has all of the data then, and such blocks may follow
    one another in any order.

    @param window: How far back the blocks may refer, as a power of two from
        L{LEAST_WINDOW} to L{MOST_WINDOW}.
    """
    isSmall = len(data) <= 1 << SMALL_WINDOW
    bits = min(window, SMALL_WINDOW) if isSmall else window
    memory = _SMALL_MEMORY if isSmall else _MEMORY
    # A negative number stands for a window of as many bits without a head or a trailer.
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -bits, memory)
    return compressor.compress(data) + compressor.flush(zlib.Z_FULL_FLUSH)


def deflateIfShorter(data: bytes, window: int = MOST_WINDOW) -> bytes | None:
    """
    Compress bytes, as L{deflate} does.

    @return: L{None} if that does not make them shorter, or if there are more than
        L{MOST_COMPRESSED}.
    """
    if len(data) > MOST_COMPRESSED:
        return None
    blocks = deflate(data, window)
    return blocks if len(blocks) < len(data) else None


def store(data: bytes, isLast: bool = False) -> bytes:
    """
    Put bytes into blocks as they are.  They begin on a whole byte and end on one.

    @param isLast: Whether no block follows.
    """
    starts = range(0, max(1, len(data)), _MOST_STORED)
    blocks = []
    for start in starts:
        block = data[start : start + _MOST_STORED]
        isFinal = isLast and start == starts[-1]
        # RFC 1951 3.2.4: the kind of the block, its length, and the complement of that.
        blocks.append(pack("<BHH", isFinal, len(block), len(block) ^ 0xFFFF) + block)
    return b"".join(blocks)


def gzipFile(parts: Iterable[tuple[bytes, bytes | None]]) -> bytes:
    """
    Make a complete file of gzip.

    @param parts: The content, in parts; and with each what L{deflate} made of it, or
        L{None} to store it.
    """
    blocks = [GZIP_HEAD]
    checksum = size = 0
    for content, deflated in _joined(parts):
        checksum = zlib.crc32(content, checksum)
        size += len(content)
        blocks.append(store(content) if deflated is None else deflated)
    # RFC 1952 2.3.1: the size modulo 2^32.
    blocks += store(b"", isLast=True), pack("<II", checksum, size & 0xFFFFFFFF)
    return b"".join(blocks)


def _joined(parts: Iterable[tuple[bytes, bytes | None]]) -> Iterator[tuple[bytes, bytes | None]]:
    """
    Join neighbours that are stored, which share a block then: there may be thousands.
    """
    for isStored, some in groupby(parts, lambda part: part[1] is None):
        if isStored:
            yield b"".join(content for content, _ in some), None
        else:
            yield from some


class Inflater:
    """
    Undoes the compression of one message of RFC 7692 that comes in pieces.  After the last
    one it has to be given L{FLUSHED}.

    @ivar taken: How many compressed bytes have come.
    """

    __slots__ = ("_decompressor", "_finals", "_left", "_most", "taken")

    def __init__(self, most: int) -> None:
        """
        @param most: How many bytes the message may have.  No more than one byte beyond is
            ever made.
        """
        self.taken = 0
        self._most = self._left = most
        self._finals = 0
        self._decompressor = zlib.decompressobj(-MOST_WINDOW)

    def feed(self, data: bytes) -> bytes:
        """
        Undo the compression of the next piece.

        @raise TooLarge: If the message has more bytes than the limit.

        @raise BadMessage: If the data is not DEFLATE.
        """
        self.taken += len(data)
        pieces = []
        while True:
            decompressor = self._decompressor
            try:
                # One byte more than may be there shows that there is too much.
                piece = decompressor.decompress(data, self._left + 1)
            except zlib.error as error:
                raise BadMessage(f"the message is not DEFLATE: {error}") from None
            self._left -= len(piece)
            if self._left < 0:
                raise TooLarge(
                    f"the message has more than {self._most} bytes once its compression is "
                    "undone, the most that the server takes"
                )
            pieces.append(piece)
            if not decompressor.eof:
                return b"".join(pieces)
            # RFC 7692 7.2.3.4: a final block ends no message.
            self._finals += 1
            if self._finals > MOST_FINAL_BLOCKS:
                raise BadMessage(f"a message has at most {MOST_FINAL_BLOCKS} final blocks")
            data = decompressor.unused_data
            self._decompressor = zlib.decompressobj(-MOST_WINDOW)
            if not data:
                return b"".join(pieces)
