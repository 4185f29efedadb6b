"""
The chunked coding of HTTP/1.1, for bodies whose length is not known in advance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# RFC 9112 7.1: a chunk of size 0, then a trailer section, here an empty one.
LAST_CHUNK: Final = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """
    Make one chunk of data.

    @return: The chunk; nothing if there is no data, since a chunk of size 0
        would end the body.
    """
    # RFC 9112 7.1: the size in hexadecimal digits, a line end, the data, a line
    # end.
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def frameBody(pieces: Sequence[bytes], chunked: bool) -> bytes:
    """
    Make the bytes of one write from pieces.

    @param chunked: Whether the body is chunked.  It is not for a client of
        HTTP/1.0, nor in HTTP/2.
    """
    joined = b"".join(pieces)
    return chunk(joined) if chunked else joined


def endBody(chunked: bool) -> bytes:
    """
    Return the bytes that end a body: nothing if it is not chunked, since the
    end of the connection, or a flag of HTTP/2, ends it.
    """
    return LAST_CHUNK if chunked else b""
