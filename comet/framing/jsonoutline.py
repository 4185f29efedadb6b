"""
The outline of a JSON text: what is outside of its strings, found without decoding it.

A byte of a string costs a nanosecond or two to decode, and one outside of strings up to a
hundred: each number, list or object is made there.  So a reader of JSON looks at the outline
first, with a few passes of C{bytes}' own methods, and decodes only what it can afford.
"""

from __future__ import annotations

from typing import Final

# RFC 8259 2: what may surround a value.
_WHITE_SPACE: Final = b" \t\n\r"

_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_ALIKE: Final = bytes.maketrans(b"{}", b"[]")
_NOT_OF_OBJECTS: Final = bytes(set(range(256)) - set(b"{}:"))

# How often the innermost lists are taken out before a text is looked at peak by peak.  A
# list of many short lists has most peaks, and none afterwards.
_FLAT: Final = 2


def outline(raw: bytes) -> bytes:
    """
    Return a JSON text with all its strings empty.  If it is not JSON, this holds up to the
    place at which a decoder stops.
    """
    return _outline(_unescaped(raw))


def isBareLarger(raw: bytes, most: int) -> bool:
    """
    Tell whether a JSON text has more bytes outside of its strings than allowed.  Quotes
    count, and white space does not.
    """
    if len(raw) <= most:
        return False
    text = _unescaped(raw)
    # A list is made with an entry for each quote: not of too many.
    return text.count(b'"') > most or len(_outline(text).translate(None, _WHITE_SPACE)) > most


def isDeeper(raw: bytes, most: int) -> bool:
    """
    Tell whether a JSON text has more levels of lists and objects than allowed.

    A text whose brackets do not match is no JSON.  Of such a text this is true also if some
    that are never closed, and others that are, make more levels together.
    """
    brackets = outline(raw).translate(_ALIKE, _NOT_BRACKETS)
    # Each time the text loses one level.
    taken = min(_FLAT, most)
    for _ in range(taken):
        brackets = brackets.replace(b"[]", b"")
    depth = taken
    # A piece rises, and then falls.  The two brackets between pieces cancel out.
    for piece in brackets.split(b"]["):
        rising = piece.count(b"[")
        depth += rising
        if depth > most:
            return True
        depth += rising - len(piece)
    return False


def countMembers(raw: bytes) -> int:
    """
    Count the members that a JSON text writes in its outermost object, which is all of it.  A
    member that is written twice counts twice.
    """
    # Each member has a colon.
    inner = outline(raw).translate(None, _NOT_OF_OBJECTS)[1:-1]
    if b"{" not in inner:
        return len(inner)
    # There may be thousands of small objects in a list.
    inner = inner.replace(b"{}", b"").replace(b"{:}", b"")
    members, depth = 0, 0
    for piece in inner.split(b"}"):
        if not depth:
            own = piece.find(b"{")
            members += len(piece) if own < 0 else own
        depth += piece.count(b"{") - 1
    return members


def _unescaped(raw: bytes) -> bytes:
    """
    Return a JSON text without the characters of its strings that look like their ends.
    """
    if b"\\" not in raw:
        return raw
    # A run of backslashes begins within a string, so that pairs are found as a decoder
    # finds them.
    return raw.replace(b"\\\\", b"").replace(b'\\"', b"")


def _outline(text: bytes) -> bytes:
    return b'""'.join(text.split(b'"')[::2])
