"""
Content codings: bodies that a publisher has compressed.
"""

from __future__ import annotations

import zlib
from typing import Final

from comet.errors import BadMessage, TooLarge, Unsupported

# The content codings that are undone.
CODINGS: Final = ("gzip",)

# RFC 9110 8.4.1: names in any case; "x-gzip" is another name of "gzip", and
# "identity" is no coding.
_NONE: Final = frozenset({"", "identity"})
_GZIP: Final = frozenset({"gzip", "x-gzip"})

# How many members a gzip file may have.  An empty one has 20 bytes, so without a
# bound a small body could have very many.
MAX_MEMBERS: Final = 64

# zlib's name for a file of gzip with the largest window.
_GZIP_FORMAT: Final = 31


def undoCoding(contentEncoding: str, body: bytes, most: int) -> bytes:
    """
    Undo the content coding of a body.

    @param contentEncoding: The value of C{Content-Encoding}.

    @param most: How many bytes the result may have.

    @raise Unsupported: If the coding is not known, or there is more than one.

    @raise BadMessage: If the body is not in its coding.

    @raise TooLarge: If the result has more bytes than the limit.
    """
    coding = contentEncoding.strip(" \t").lower()
    if coding in _NONE:
        return body
    if coding not in _GZIP:
        raise Unsupported(
            f"the content coding {contentEncoding[:64]!r} is not supported; one of "
            f"{', '.join(CODINGS)} is, or none",
            CODINGS,
        )
    pieces: list[bytes] = []
    left = most
    for _ in range(MAX_MEMBERS):
        member = zlib.decompressobj(_GZIP_FORMAT)
        try:
            # One byte more than may be there shows that there is too much.
            piece = member.decompress(body, left + 1)
        except zlib.error as error:
            raise BadMessage(f"the body is not gzip: {error}") from None
        if len(piece) > left:
            raise TooLarge(
                f"the body has more than {most} bytes once its gzip is undone, the most that the "
                "server takes"
            )
        if not member.eof:
            raise BadMessage("the body is not gzip: it ends before its end")
        pieces.append(piece)
        left -= len(piece)
        body = member.unused_data
        if not body:
            return b"".join(pieces)
    raise BadMessage(f"the body is gzip of more than {MAX_MEMBERS} members")
