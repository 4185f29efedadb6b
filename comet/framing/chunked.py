"""
The chunked coding of HTTP/1.1, in which a body has no length and yet an end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# RFC 9112 7.1: a chunk of size 0, then a trailer section, here an empty one.
LAST_CHUNK: Final = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """
    Make one chunk of data; nothing of no data, since a chunk of no data would
    be the last.
    """
    # RFC 9112 7.1: the size in hexadecimal digits, and a line end on both sides.
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def frameBody(pieces: Sequence[bytes], chunked: bool) -> bytes:
    """
    Make of pieces the bytes of one write.

    @param chunked: Whether the body is chunked; it is not to a client that
        knows only HTTP/1.0, nor in HTTP/2.
    """
    joined = b"".join(pieces)
    return chunk(joined) if chunked else joined


def endBody(chunked: bool) -> bytes:
    """
    What ends a body: nothing where the end of the connection does.
    """
    return LAST_CHUNK if chunked else b""
