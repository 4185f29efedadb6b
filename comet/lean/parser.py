"""
The heads of requests, in a form narrower than HTTP/1.1: only what every
parser reads alike.  Whoever sends anything else is not refused, but handed over
to a parser that knows all of HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

# How many bytes a head has at most.
MOST_HEAD: Final = 8192

# How many headers there may be; Twisted takes more.
MOST_FIELDS: Final = 100

# The headers that say something about what is asked for.
MEANT: Final = (
    b"host",
    b"connection",
    b"origin",
    b"authorization",
    b"accept",
    b"upgrade",
    b"if-none-match",
    b"last-event-id",
    b"prefer",
    b"content-type",
    b"comet-event",
    b"idempotency-key",
    b"sec-websocket-version",
    b"sec-websocket-protocol",
)

# With these a request is for whoever knows all of HTTP.
_FOREIGN: Final = frozenset(
    {b"expect", b"transfer-encoding", b"content-encoding", b"te", b"trailer", b"http2-settings"}
)

# RFC 9112 3: a method, a target in origin form, and the version.
_LINE: Final = re.compile(rb"(GET|POST|PUT) (/[!\"$-~]*) HTTP/1\.1")

# RFC 9112 5: names are tokens, with nothing before the colon; of the values
# only ASCII without control characters; no folding.
_FIELDS: Final = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e]*\r\n)+")

# RFC 9110 7.6.1: what the connection may be said to be, besides absent.
_CONNECTIONS: Final = frozenset(
    {b"keep-alive", b"upgrade", b"keep-alive, upgrade", b"upgrade, keep-alive"}
)


def readLine(line: bytes) -> tuple[bytes, bytes, bytes] | None:
    """
    Read the first line of a request.

    @param line: Without the end of the line.

    @return: The method, the path and the query; or L{None}.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    path, _, query = found[2].partition(b"?")
    return found[1], path, query


def readFields(block: bytes) -> Mapping[bytes, bytes] | None:
    """
    Read the headers of a request.

    @param block: The lines, each with its end.

    @return: The values by the names in lower case; or L{None}, also where a
        name comes twice.
    """
    if _FIELDS.fullmatch(block) is None:
        return None
    lines = block.split(b"\r\n")
    # After the end of the last line.
    lines.pop()
    if len(lines) > MOST_FIELDS:
        return None
    fields = {}
    for line in lines:
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip(b" \t")
    if len(fields) != len(lines) or not _FOREIGN.isdisjoint(fields):
        return None
    connection = fields.get(b"connection")
    if connection is not None and connection.lower() not in _CONNECTIONS:
        return None
    return fields
