"""
Content codings: bodies that a publisher has compressed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
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

# How many bytes a part of a result has: JSON of that size is read in some two milliseconds.
PART: Final = 16384

# zlib's name for a file of gzip with the largest window.
_GZIP_FORMAT: Final = 31


def undoCoding(contentEncoding: str, body: bytes, most: int) -> bytes:
    """
    Undo the content coding of a body, as L{undoneParts} does.

    @return: All of the result.
    """
    return b"".join(undoneParts(contentEncoding, body, most))


def undoneParts(contentEncoding: str, body: bytes, most: int) -> Iterator[bytes]:
    """
    Undo the content coding of a body in parts: a small body may become a large one, and
    what reads it may take long.

    @param contentEncoding: The value of C{Content-Encoding}.

    @param most: How many bytes the result may have.

    @return: The parts, of L{PART} bytes at most.

    @raise Unsupported: If the coding is not known, or there is more than one.

    @raise BadMessage: If the body is not in its coding.

    @raise TooLarge: If the result has more bytes than the limit.
    """
    coding = contentEncoding.strip(" \t").lower()
    if coding in _NONE:
        for start in range(0, len(body), PART):
            yield body[start : start + PART]
    elif coding in _GZIP:
        yield from _undoneGzip(body, most)
    else:
        raise Unsupported(
            f"the content coding {contentEncoding[:64]!r} is not supported; one of "
            f"{', '.join(CODINGS)} is, or none",
            CODINGS,
        )


def _undoneGzip(body: bytes, most: int) -> Iterator[bytes]:
    left, members, member = most, 0, None
    for start in range(0, len(body), PART):
        data, isFull = body[start : start + PART], False
        # Where a part is full, more of it may wait in the decompressor without more data.
        while data or isFull:
            if member is None:
                members += 1
                if members > MAX_MEMBERS:
                    raise BadMessage(f"the body is gzip of more than {MAX_MEMBERS} members")
                member = zlib.decompressobj(_GZIP_FORMAT)
            # One byte more than may be there shows that there is too much.
            bound = min(PART, left + 1)
            try:
                piece = member.decompress(data, bound)
            except zlib.error as error:
                raise BadMessage(f"the body is not gzip: {error}") from None
            if len(piece) > left:
                raise TooLarge(
                    f"the body has more than {most} bytes once its gzip is undone, the most that "
                    "the server takes"
                )
            left -= len(piece)
            if piece:
                yield piece
            if member.eof:
                data, isFull, member = member.unused_data, False, None
            else:
                data, isFull = member.unconsumed_tail, len(piece) == bound
    if member is not None or not members:
        raise BadMessage("the body is not gzip: it ends before its end")
