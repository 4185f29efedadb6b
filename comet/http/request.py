"""
The head of an HTTP request as a value, for every edge that parses requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

from attrs import frozen

from comet.errors import BadRequest
from comet.model.percent import MAX_MALFORMED, unquoted

MAX_PARAMETERS: Final = 256

# How many ampersands a query may have, with those that separate nothing.  Each look at
# the parameters of a query with too many would split all of it again.
MAX_AMPERSANDS: Final = 4 * MAX_PARAMETERS

# Headers that are not lists.  A request with two of one could be read in two
# ways, so it is refused.
SINGLETONS: Final = frozenset(
    {
        "authorization",
        "comet-event",
        "comet-exclude",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "last-event-id",
        "origin",
        "referer",
    }
)

# The beginning of a request head: a method (RFC 9110 9.1), perhaps not all of it
# yet, and a space.  One empty line may be before it (RFC 9112 2.2).
_BEGINNING = re.compile(rb"(?:\r\n?)?(?:\Z|[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}(?:\Z| ))")

# RFC 9110 5.5, RFC 9112 2.2: NUL, and a CR or LF that is not a line end.
_BROKEN = re.compile(rb"\x00|\r(?!\n|\Z)|(?<!\r)\n")
_BROKEN_LINE = re.compile(rb"[\x00\r\n]")

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NEXT_LINE = re.compile(rb"\x85")
# No input makes this expression backtrack: each part may match nothing, or go
# on to the end.
_ELEMENT = re.compile(r'(?:[^,"]+|"(?:[^"\\]+|\\.?)*"?)+', re.DOTALL)


@frozen(slots=False)
class RequestHead:
    """
    The head of an HTTP request.

    @ivar method: The method, as it was sent.

    @ivar segments: The segments of the path below the resource, as they were
        sent: neither percent-decoded nor split at commas.

    @ivar query: The query without the question mark, as it was sent.

    @ivar version: The HTTP version, such as C{(1, 1)}.

    @ivar headers: Returns all values of a header, in their order, as they were
        sent; none if the header is absent.  The name may be in any case.

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
        Get the value of a header without white space around it.  Several
        values are joined by commas.  Bytes that are not UTF-8 are read as
        ISO 8859-1.

        @return: The value, or L{None} if the header is absent.

        @raise BadRequest: If the header is one of L{SINGLETONS} and came more
            than once.
        """
        values = self.headers(name.encode("ascii"))
        if not values:
            return None
        if len(values) > 1 and name.lower() in SINGLETONS:
            raise BadRequest(f"the header {name} came {len(values)} times; it is allowed once")
        return ", ".join(_decodeValue(value) for value in values)

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """
        The first value of each parameter in the query, by its key.  Keys and
        values are percent-decoded once, with a plus as a space.  A percent
        sign without two hexadecimal digits stands for itself, up to L{MAX_MALFORMED} in
        one of them.

        @raise BadRequest: If there are more than L{MAX_PARAMETERS}, or more than
            L{MAX_AMPERSANDS} between them, or one is not UTF-8.
        """
        ampersands = self.query.count(b"&")
        if ampersands > MAX_AMPERSANDS:
            raise BadRequest(f"the query has {ampersands} ampersands; {MAX_AMPERSANDS} are allowed")
        pieces = [piece for piece in self.query.split(b"&") if piece]
        if len(pieces) > MAX_PARAMETERS:
            raise BadRequest(
                f"the query has {len(pieces)} parameters; {MAX_PARAMETERS} are allowed"
            )
        found: dict[str, str] = {}
        for piece in pieces:
            key, _, value = piece.partition(b"=")
            name = _decodeParameter(key, f"{key[:64]!r} in the query")
            # Not the value itself, which may be a token.
            found.setdefault(name, _decodeParameter(value, f"the parameter {name[:64]!r}"))
        return found


def beginsHead(data: bytes) -> bool:
    """
    Whether a request head may begin with these bytes.  Whether it goes on well is
    not looked at.
    """
    return _BEGINNING.match(data) is not None


def isBrokenHead(data: bytes) -> bool:
    """
    Whether a part of a request head has a byte that no head may have: NUL, or a
    line end that is not CR LF.  A client that ends lines with LF alone would wait
    for a response that never comes.
    """
    return _BROKEN.search(data) is not None


def isBrokenLine(line: bytes) -> bool:
    """
    Whether a line of a request head, without its end, has a byte that no head may
    have, as L{isBrokenHead} finds it before the line is complete.
    """
    return _BROKEN_LINE.search(line) is not None


def checkHeaderValues(pairs: Iterable[tuple[bytes, bytes]], resplit: bool = False) -> None:
    """
    Refuse control characters in the values of headers.  A program that parses
    such a header again may take them for a line end, and the rest of the value
    for another header.

    @param pairs: Names and values.

    @param resplit: Whether another program may read the bytes as ISO 8859-1,
        in which 0x85 is a line end.  In UTF-8 it is a part of many letters.

    @raise BadRequest: If a value has a control character other than the tab.
    """
    for name, value in pairs:
        found = _CONTROL.search(value)
        if found is None and b"\x85" in value and (resplit or _hasNextLine(value)):
            found = _NEXT_LINE.search(value)
        if found is not None:
            raise BadRequest(
                f"the header {name[:64].decode('latin-1')!r} has the byte "
                f"0x{found[0].hex()}; of the control characters only the tab is allowed"
            )


def _hasNextLine(value: bytes) -> bool:
    """
    Whether a value has U+0085 in UTF-8 or, if it is not UTF-8, in ISO 8859-1.
    """
    try:
        return "\x85" in value.decode("utf-8")
    except UnicodeDecodeError:
        return True


def elements(text: str) -> Iterator[str]:
    """
    Split a header that is a list into its elements.
    """
    # RFC 9110 5.6.1: empty elements are ignored.  A comma within quotes does
    # not separate elements.
    return (element for found in _ELEMENT.findall(text) if (element := found.strip()))


def tokens(text: str | None) -> set[str]:
    """
    Get the elements of a header that is a list of names, in lower case.
    """
    return {token.lower() for token in elements(text or "")}


def _decodeValue(value: bytes) -> str:
    # RFC 9110 5.5 leaves the meaning of bytes beyond ASCII open.  Command line
    # tools send UTF-8, and a browser's fetch() sends ISO 8859-1.
    stripped = value.strip(b" \t")
    try:
        return stripped.decode("utf-8")
    except UnicodeDecodeError:
        return stripped.decode("latin-1")


def _decodeParameter(raw: bytes, what: str) -> str:
    try:
        return unquoted(raw.replace(b"+", b" "), MAX_MALFORMED).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(f"{what} is not percent-encoded UTF-8") from None
    except ValueError:
        raise BadRequest(
            f"{what} has more than {MAX_MALFORMED} percent signs without two hexadecimal digits"
        ) from None
