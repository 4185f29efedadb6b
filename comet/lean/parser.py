"""
Request heads, in a form narrower than HTTP/1.1: only what every parser reads
alike.  A client that sends anything else is not refused, but handed over to
Twisted's edge, which parses all of HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

# How many bytes a head may have.
MAX_HEAD: Final = 8192

# How many headers a request may have.  Twisted takes more.
MAX_FIELDS: Final = 100

# The headers that mean something here.
MEANT: Final = (
    b"host",
    b"connection",
    b"origin",
    b"authorization",
    b"accept",
    b"accept-encoding",
    b"upgrade",
    b"if-none-match",
    b"last-event-id",
    b"prefer",
    b"content-type",
    b"comet-event",
    b"comet-exclude",
    b"idempotency-key",
    b"sec-websocket-version",
    b"sec-websocket-protocol",
    b"sec-websocket-extensions",
    b"sec-fetch-site",
    b"referer",
)

# The part of a URL that says of which origin a page is (RFC 3986 3.2), and all that
# L{Origins.allowsScript<comet.http.origins.Origins.allowsScript>} looks at.
_PAGE_ORIGIN: Final = re.compile(rb"[^/?#]+://[^/?#]*")

# The headers that leave a request to Twisted's edge.
_FOREIGN: Final = frozenset(
    {b"expect", b"transfer-encoding", b"content-encoding", b"te", b"trailer", b"http2-settings"}
)

# A credential in a cookie: whether cookies count depends on headers that mean nothing
# else here.
_COOKIE: Final = b"comet_token="

# RFC 9112 3: a method, a target in origin form, and the version.
_LINE: Final = re.compile(rb"(GET|POST|PUT) (/[!\"$-~]*) HTTP/1\.1")

# RFC 9112 5: names are tokens, with nothing before the colon.  Values are ASCII
# without control characters here, and are not folded.
_FIELDS: Final = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e]*\r\n)+")

# The values of Content-Length; and a header that may say where the body ends, too.
_LENGTHS: Final = re.compile(rb"(?im)^content-length:([^\r]*)")
_CODED: Final = re.compile(rb"(?im)^transfer-encoding:")

# RFC 9110 7.6.1: the values of Connection that are understood, besides none.
_CONNECTIONS: Final = frozenset(
    {b"keep-alive", b"upgrade", b"keep-alive, upgrade", b"upgrade, keep-alive"}
)


def readLine(line: bytes) -> tuple[bytes, bytes, bytes] | None:
    """
    Parse a request line.

    @param line: The line, without its end.

    @return: The method, the path and the query; L{None} if Twisted's edge is to
        parse it.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    path, _, query = found[2].partition(b"?")
    return found[1], path, query


def mayBeHead(data: bytes) -> bool:
    """
    Tell whether a part of a request head, from its beginning, may be understood
    here once all of it has come.
    """
    line, end, rest = data.partition(b"\r\n")
    if not end:
        return True
    # What follows the last line end is the beginning of a line.
    block = rest[: rest.rfind(b"\n") + 1]
    # A head that comes byte by byte is looked at each time, so few lines are.
    if readLine(line) is None or block.count(b"\n") > MAX_FIELDS:
        return False
    if block and _FIELDS.fullmatch(block) is None:
        return False
    # Twisted's edge may refuse these before the head is complete.
    lengths = [length.strip(b" \t") for length in _LENGTHS.findall(block)]
    return len(lengths) < 2 and all(map(bytes.isdigit, lengths)) and _CODED.search(block) is None


def meantValues(fields: Mapping[bytes, bytes]) -> tuple[bytes | None, ...]:
    """
    Return the value of each of L{MEANT}, in that order, with L{None} for a header
    that is absent.  Of C{Referer} it is only the origin of the page, so that all pages
    of a site have equal values.

    @param fields: As L{readFields} returns them.
    """
    *values, referer = map(fields.get, MEANT)
    found = None if referer is None else _PAGE_ORIGIN.match(referer)
    return (*values, None if found is None else found[0])


def readFields(block: bytes) -> Mapping[bytes, bytes] | None:
    """
    Parse the headers of a request.

    @param block: The lines, each with its end.

    @return: The values, by names in lower case; L{None} if Twisted's edge is to
        parse them, as where a name comes twice.
    """
    if _FIELDS.fullmatch(block) is None:
        return None
    lines = block.split(b"\r\n")
    # The empty piece after the last line.
    lines.pop()
    if len(lines) > MAX_FIELDS:
        return None
    fields = {}
    for line in lines:
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip(b" \t")
    if len(fields) != len(lines) or not _FOREIGN.isdisjoint(fields):
        return None
    if _COOKIE in fields.get(b"cookie", b""):
        return None
    connection = fields.get(b"connection")
    if connection is not None and connection.lower() not in _CONNECTIONS:
        return None
    return fields
