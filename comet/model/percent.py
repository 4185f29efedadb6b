"""
Percent-encoding (RFC 3986 2.1), undone in a time that a client cannot make long.

C{urllib.parse} makes an object for each percent sign: a request line of nothing else takes it
a tenth of a second.  A codec of Python's own does the same some fifty times as fast.
"""

from __future__ import annotations

import re
from typing import Final

# How many percent signs a parameter may have that no two hexadecimal digits follow.  To find
# one takes as long as to undo a dozen escapes.
MAX_MALFORMED: Final = 64

_MALFORMED: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def unquoted(raw: bytes, most: int | None = None) -> bytes:
    """
    Undo percent-encoding.  A percent sign without two hexadecimal digits stands for itself.

    @param most: How many of those there may be, or L{None} for any number: each takes time.

    @raise ValueError: If there are more.
    """
    if b"%" not in raw:
        return raw
    try:
        return _undo(raw)
    except UnicodeDecodeError:
        mended, count = _MALFORMED.subn(b"%25", raw, 0 if most is None else most + 1)
        if most is not None and count > most:
            raise ValueError(
                f"more than {most} percent signs are without two hexadecimal digits"
            ) from None
        return _undo(mended)


def isMalformed(raw: bytes) -> bool:
    """
    Tell whether a text has a percent sign without two hexadecimal digits.
    """
    if b"%" not in raw:
        return False
    try:
        _undo(raw)
    except UnicodeDecodeError:
        return True
    return False


def _undo(raw: bytes) -> bytes:
    # The codec knows the escape \xHH, and reads all other bytes as ISO 8859-1.
    escaped = raw.replace(b"\\", b"\\\\").replace(b"%", b"\\x")
    return escaped.decode("unicode_escape").encode("latin-1")
