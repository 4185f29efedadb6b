"""
Bytes that are UTF-8 and bytes that are not (RFC 3629), by what is odd about them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_GREETING: Final = "Hello-µ@ßöäüàá-UTF-8!!".encode()
_KOSME: Final = "κόσμε".encode()


def _raw(code: int, length: int) -> bytes:
    """
    Write a number in the pattern of UTF-8 with a number of bytes, allowed or not.
    """
    if length == 1:
        return bytes([code])
    tail = bytes(0x80 | code >> 6 * n & 0x3F for n in reversed(range(length - 1)))
    lead = (0xFF00 >> length & 0xFF) | code >> 6 * (length - 1)
    return bytes([lead]) + tail


# Each sample as (section of the table, bytes).
TEXTS: Final[Sequence[tuple[str, bytes]]] = (
    ("6.2", _GREETING),
    ("6.5", _KOSME),
    *(("6.6", _KOSME[:length]) for length in range(1, len(_KOSME) + 1)),
    *(("6.6", b"a" + _KOSME[:length]) for length in (1, 3, 4)),
    # The first and the last number of each length.
    *(("6.7", _raw(code, n)) for n, code in ((1, 0), (2, 0x80), (3, 0x800), (4, 0x10000))),
    *(("6.8", _raw(code, n)) for n, code in ((5, 0x200000), (6, 0x4000000))),
    *(("6.9", _raw(code, n)) for n, code in ((1, 0x7F), (2, 0x7FF), (3, 0xFFFF), (4, 0x10FFFF))),
    *(("6.10", _raw(code, n)) for n, code in ((4, 0x1FFFFF), (5, 0x3FFFFFF), (6, 0x7FFFFFFF))),
    # Beside the surrogates and the end.
    *(("6.11", _raw(code, 3)) for code in (0xD7FF, 0xE000, 0xFFFD)),
    *(("6.11", _raw(code, 4)) for code in (0x10FFFF, 0x110000)),
    # Continuation bytes after nothing.
    *(("6.12", bytes([byte])) for byte in (0x80, 0xBF)),
    *(("6.12", b"\x80\xbf" * n) for n in (1, 2, 3)),
    ("6.12", bytes(range(0x80, 0xC0))),
    # Lead bytes before something else.
    *(
        ("6.13", b"".join(bytes([byte, 0x20]) for byte in range(first, end)))
        for first, end in ((0xC0, 0xE0), (0xE0, 0xF0), (0xF0, 0xF8), (0xF8, 0xFC), (0xFC, 0xFE))
    ),
    # The last byte is missing.
    *(
        ("6.14", _raw(code, n)[:-1])
        for n, code in (
            (2, 0),
            (3, 0),
            (4, 0),
            (5, 0),
            (6, 0),
            (2, 0x7FF),
            (3, 0xFFFF),
            (4, 0x1FFFFF),
            (5, 0x3FFFFFF),
            (6, 0x7FFFFFFF),
        )
    ),
    ("6.15", b"".join(_raw(0, n)[:-1] for n in range(2, 7))),
    *(("6.16", each) for each in (b"\xfe", b"\xff", b"\xfe\xfe\xff\xff")),
    # Longer than needed: the slash, the largest number of each length, and zero.
    *(("6.17", _raw(0x2F, n)) for n in range(2, 7)),
    *(
        ("6.18", _raw(code, n))
        for n, code in ((2, 0x7F), (3, 0x7FF), (4, 0xFFFF), (5, 0x1FFFFF), (6, 0x3FFFFFF))
    ),
    *(("6.19", _raw(0, n)) for n in range(2, 7)),
    *(("6.20", _raw(code, 3)) for code in (0xD800, 0xDB7F, 0xDB80, 0xDBFF, 0xDC00, 0xDF80, 0xDFFF)),
    *(
        ("6.21", _raw(first, 3) + _raw(second, 3))
        for first in (0xD800, 0xDB7F, 0xDB80, 0xDBFF)
        for second in (0xDC00, 0xDFFF)
    ),
    # No characters, but UTF-8.
    *(("6.22", _raw(code, 3)) for code in (0xFFFE, 0xFFFF, 0xFDD0, 0xFDEF)),
    *(("6.22", _raw(plane << 16 | end, 4)) for plane in range(1, 17) for end in (0xFFFE, 0xFFFF)),
    *(("6.23", _raw(code, 3)) for code in range(0xFFF9, 0xFFFE)),
    ("6.23", b"\xef\xbb\xbf"),
)


_TAIL: Final = range(0x80, 0xC0)

# What follows each lead byte (RFC 3629, 4).  The second byte tells what is longer
# than needed, a surrogate, or past the end.
_TAILS: Final[Sequence[tuple[Sequence[int], Sequence[range]]]] = (
    (range(0xC2, 0xE0), (_TAIL,)),
    ((0xE0,), (range(0xA0, 0xC0), _TAIL)),
    ((0xED,), (range(0x80, 0xA0), _TAIL)),
    (range(0xE1, 0xF0), (_TAIL, _TAIL)),
    ((0xF0,), (range(0x90, 0xC0), _TAIL, _TAIL)),
    (range(0xF1, 0xF4), (_TAIL, _TAIL, _TAIL)),
    ((0xF4,), (range(0x80, 0x90), _TAIL, _TAIL)),
)


def firstWrong(data: bytes) -> int | None:
    """
    Return how many bytes there are up to the first that no UTF-8 has there (RFC 3629,
    4); L{None} if there is none, though the end may be missing.
    """
    following: list[range] = []
    for number, byte in enumerate(data, 1):
        if following:
            if byte not in following.pop(0):
                return number
        elif byte >= 0x80:
            found = [tail for leads, tail in _TAILS if byte in leads]
            if not found:
                return number
            following = [*found[0]]
    return None


def isUTF8(data: bytes) -> bool:
    """
    Tell whether bytes are UTF-8, to their end.
    """
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
