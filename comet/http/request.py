"""
The head of an HTTP request as a value, whoever has parsed it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final
from urllib.parse import unquote_to_bytes

from attrs import frozen

from comet.errors import BadRequest

MAX_PARAMETERS: Final = 256

# Headers that are no lists: with two of them nobody could say which is meant.
SINGLETONS: Final = frozenset(
    {
        "authorization",
        "comet-event",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "last-event-id",
        "origin",
    }
)

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NEXT_LINE = re.compile(rb"\x85")
# Every part may match nothing or go on to the end, so that no input makes it
# go back.
_ELEMENT = re.compile(r'(?:[^,"]+|"(?:[^"\\]+|\\.?)*"?)+', re.DOTALL)


@frozen(slots=False)
class RequestHead:
    """
    The head of an HTTP request.

    @ivar method: The method, as it came.

    @ivar segments: The segments of the path below the resource, as they came:
        neither percent-decoded nor split at commas.

    @ivar query: What follows the question mark, as it came.

    @ivar version: The version of HTTP, such as C{(1, 1)}.

    @ivar headers: Gives all values of a header, in their order, as they came;
        none where it is absent.  The name may be in any case.

    @ivar isSecure: Whether the request came through TLS that ends here.
    """

    method: bytes
    segments: tuple[bytes, ...]
    query: bytes
    version: tuple[int, int]
    headers: Callable[[bytes], Sequence[bytes]]
    isSecure: bool

    def header(self, name: str) -> str | None:
        """
        The value of a header, without white space around it; the values of a
        list joined by commas; L{None} where there is none.  Bytes that are not
        UTF-8 are read as ISO 8859-1.

        @raise BadRequest: If a header that is no list came more than once.
        """
        values = self.headers(name.encode("ascii"))
        if not values:
            return None
        if len(values) > 1 and name.lower() in SINGLETONS:
            raise BadRequest(f"the header {name} came {len(values)} times, where one is allowed")
        return ", ".join(_decodeValue(value) for value in values)

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """
        The first value of each parameter of the query, by its key.  Both are
        percent-decoded once, and a plus is a space; a percent sign that begins
        no escape stands for itself.

        @raise BadRequest: If there are more than L{MAX_PARAMETERS}, or one is
            not UTF-8.
        """
        pieces = [piece for piece in self.query.split(b"&") if piece]
        if len(pieces) > MAX_PARAMETERS:
            raise BadRequest(f"{len(pieces)} parameters, where {MAX_PARAMETERS} are allowed")
        found: dict[str, str] = {}
        for piece in pieces:
            key, _, value = piece.partition(b"=")
            found.setdefault(_decodeParameter(key), _decodeParameter(value))
        return found


def checkHeaderValues(pairs: Iterable[tuple[bytes, bytes]], resplit: bool = False) -> None:
    """
    Refuse control characters in the values of headers.  Whoever parses such a
    header again may take them for the end of a line, and what follows for
    another header.

    @param pairs: Names and values.

    @param resplit: Whether the bytes may be read as ISO 8859-1, where 0x85 is
        the end of a line, though in UTF-8 it is part of many letters.

    @raise BadRequest: If a value holds a control character other than a tab.
    """
    for name, value in pairs:
        found = _CONTROL.search(value)
        if found is None and b"\x85" in value and (resplit or _hasNextLine(value)):
            found = _NEXT_LINE.search(value)
        if found is not None:
            raise BadRequest(
                f"the header {name[:64].decode('latin-1')!r} holds the byte "
                f"0x{found[0].hex()}; of the control characters only the tab is allowed"
            )


def _hasNextLine(value: bytes) -> bool:
    """
    Whether a header's value holds U+0085, as UTF-8 or, where it is none, as
    ISO 8859-1.
    """
    try:
        return "\x85" in value.decode("utf-8")
    except UnicodeDecodeError:
        return True


def elements(text: str) -> Iterator[str]:
    """
    The elements of a header that is a list.
    """
    # RFC 9110 5.6.1: the elements of a list, none of them empty.  A comma
    # within quotes does not divide.
    return (element for found in _ELEMENT.findall(text) if (element := found.strip()))


def tokens(text: str | None) -> set[str]:
    """
    The elements of a header that is a list of names, in lower case.
    """
    return {token.lower() for token in elements(text or "")}


def _decodeValue(value: bytes) -> str:
    # RFC 9110 5.5 leaves the meaning of bytes beyond ASCII open.  Command line
    # tools send UTF-8, and what a browser's fetch() sends is ISO 8859-1.
    stripped = value.strip(b" \t")
    try:
        return stripped.decode("utf-8")
    except UnicodeDecodeError:
        return stripped.decode("latin-1")


def _decodeParameter(raw: bytes) -> str:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(f"{raw[:64]!r} in the query is not UTF-8 when decoded") from None
