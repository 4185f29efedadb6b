"""
What an HTTP request asks for, as values: the transport, where to begin, how
long to wait, and how much to answer with.

Everything here depends on nothing but the head of the request, so that each
way of carrying HTTP that can make a L{Head} is understood alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final
from urllib.parse import unquote_to_bytes

from attrs import frozen

from comet.errors import BadCursor, BadRequest
from comet.messages import At, Beginning, Now, Since, Unreadable, parseBeginning, parseCursor

TRANSPORTS: Final = (
    *("poll", "longpoll", "jsonp"),
    *("stream", "multipart", "sse", "iframe"),
    "websocket",
)

MOST_PARAMETERS: Final = 256

# Seconds.  The default is below the half minute after which the most impatient
# proxies give up on a silent answer.
DEFAULT_WAIT: Final = 25.0
MOST_WAIT: Final = 300.0

# Messages in one poll body.
MOST_LIMIT: Final = 1000

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

# What Accept may name, the most welcome first; a poll body is JSON.
_MEDIA_TYPES: Final = (
    ("sse", "text/event-stream"),
    ("stream", "application/x-ndjson"),
    ("multipart", "multipart/x-mixed-replace"),
    ("multipart", "multipart/mixed"),
    ("longpoll", "application/json"),
)

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NEXT_LINE = re.compile(rb"\x85")
# Every part may match nothing or go on to the end, so that no input makes it
# go back.
_ELEMENT = re.compile(r'(?:[^,"]+|"(?:[^"\\]+|\\.?)*"?)+', re.DOTALL)
# RFC 9110 8.8.3: an entity tag is quoted, and knows no escapes.  Some proxies
# that compress write -gzip after the quotes, some inside; people forget quotes.
_ENTITY_TAG = re.compile(r'(?:W/)?(?:"([^"]*)"(?:-gzip)?|([^\s,"]+))')
# RFC 9110 12.4.2
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_WHOLE = re.compile(r"[0-9]+")
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]+)?")


@frozen(slots=False)
class Head:
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

        @raise BadRequest: If there are more than L{MOST_PARAMETERS}, or one is
            not UTF-8.
        """
        pieces = [piece for piece in self.query.split(b"&") if piece]
        if len(pieces) > MOST_PARAMETERS:
            raise BadRequest(f"{len(pieces)} parameters, where {MOST_PARAMETERS} are allowed")
        found: dict[str, str] = {}
        for piece in pieces:
            key, _, value = piece.partition(b"=")
            found.setdefault(_decodeParameter(key), _decodeParameter(value))
        return found


@frozen
class Ask:
    """
    What a request to read asks for.

    @ivar transport: One of L{TRANSPORTS}.

    @ivar names: The channels and patterns.

    @ivar since: Where each of them begins.

    @ivar wait: For how many seconds an answer may be held.

    @ivar limit: How many messages an answer may have.

    @ivar time: Whether envelopes are to tell the time.

    @ivar envelope: Whether events are to carry envelopes.

    @ivar tags: What the client has already, as L{entityTags} gives it.
    """

    transport: str
    names: tuple[str, ...]
    since: Since
    wait: float
    limit: int
    time: bool
    envelope: bool
    tags: frozenset[str]


def readAsk(head: Head, names: Sequence[str], epoch: str, transport: str | None = None) -> Ask:
    """
    Read all that a request to read asks for.

    @param names: The channels and patterns that its path names.

    @param epoch: The epoch of the bus.

    @param transport: The transport, where it is not the request that chooses.

    @raise BadRequest: If a parameter or a header cannot be read.

    @raise BadCursor: If it is a place to begin at that cannot be read.
    """
    return Ask(
        transport=chooseTransport(head) if transport is None else transport,
        names=tuple(names),
        since=readSince(head, names, epoch),
        wait=readWait(head),
        limit=readLimit(head),
        time=readFlag(head, "time"),
        envelope=readFlag(head, "envelope"),
        tags=entityTags(head),
    )


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


def isWebSocketUpgrade(head: Head) -> bool:
    """
    Whether a request has what makes it a handshake for a WebSocket, apart from
    the WebSocket's own headers.
    """
    # RFC 6455 4.2.1
    return (
        head.method == b"GET"
        and _namesWebSocket(head)
        and "upgrade" in _tokens(head.header("Connection"))
    )


def chooseTransport(head: Head) -> str:
    """
    Which transport a request to read asks for: what the parameter
    C{transport} says, a WebSocket where that is what to upgrade to, JSONP
    where there is a C{callback}, or what C{Accept} likes best of those that it
    names.  A wildcard stands for a long poll, since a client that did not ask
    for an endless answer would wait for its end; only C{text/*}, which
    excludes JSON, can mean C{sse}.

    @raise BadRequest: If the parameter names no transport.
    """
    named = head.parameters.get("transport")
    if named is not None:
        if named not in TRANSPORTS:
            allowed = ", ".join(TRANSPORTS)
            raise BadRequest(f"{named[:64]!r} is not a transport: one of {allowed} is")
        return named
    # An upgrade that lacks its other half is not one, but is told so better by
    # who answers handshakes than by a long poll.
    if _namesWebSocket(head):
        return "websocket"
    if "callback" in head.parameters:
        return "jsonp"
    return _mostAccepted(head.header("Accept") or "")


def readSince(head: Head, names: Sequence[str], epoch: str) -> Since:
    """
    Where a request to read begins: what C{Last-Event-ID} says, else the
    parameter C{since}, else the lowest cursor of this epoch in
    C{If-None-Match}; and for single names C{since.} and the name.

    C{Last-Event-ID} overrules also what is for single names, since an
    C{EventSource} that comes back repeats the URL that it first began with.

    @param names: The names that are asked for; parameters for others are
        ignored.

    @param epoch: The epoch of the bus.  Cursors of others count in
        C{If-None-Match} only where there is none of this one.

    @raise BadCursor: If a parameter cannot be read.  C{Last-Event-ID} is
        L{Unreadable} then: no C{EventSource} would come back from an error.
    """
    last = head.header("Last-Event-ID")
    if last:
        try:
            return Since(parseBeginning(last))
        except BadCursor:
            return Since(Unreadable())
    particular = {
        name: parseBeginning(text)
        for name in names
        if (text := head.parameters.get(f"since.{name}"))
    }
    general = head.parameters.get("since")
    if general:
        return Since(parseBeginning(general), particular)
    return Since(_lowestCursor(entityTags(head), epoch), particular)


def readWait(head: Head) -> float:
    """
    For how many seconds an answer may be held: what the parameter C{wait}
    says, else the preference C{wait}, else L{DEFAULT_WAIT}.

    @raise BadRequest: If the parameter is not a number from 0 to
        L{MOST_WAIT}.  A preference that is not good is no more than ignored,
        and one that is too high is cut.
    """
    text = head.parameters.get("wait")
    if text is not None:
        wait = float(text) if _DECIMAL.fullmatch(text) else -1.0
        if not 0 <= wait <= MOST_WAIT:
            raise BadRequest(
                f"wait is {text[:64]!r}, where a number of seconds from 0 to "
                f"{MOST_WAIT:.0f} is allowed"
            )
        return wait
    for preference in _elements(head.header("Prefer") or ""):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            # RFC 7240 2: of several the first counts; its value may be quoted.
            seconds = value.strip().strip('"')
            return min(float(seconds), MOST_WAIT) if _WHOLE.fullmatch(seconds) else DEFAULT_WAIT
    return DEFAULT_WAIT


def readLimit(head: Head) -> int:
    """
    How many messages an answer may have: the parameter C{limit}, at most
    L{MOST_LIMIT}, which is also the default.

    @raise BadRequest: If it is not a whole number of at least 1.
    """
    text = head.parameters.get("limit")
    if text is None:
        return MOST_LIMIT
    # A float, because thousands of digits are too many for an int.
    limit = min(float(text), MOST_LIMIT) if _WHOLE.fullmatch(text) else 0
    if limit < 1:
        raise BadRequest(f"limit is {text[:64]!r}, where a whole number of at least 1 is allowed")
    return int(limit)


def readFlag(head: Head, name: str) -> bool:
    """
    Whether a parameter that means yes or no is there and means yes.

    @raise BadRequest: If it is neither.
    """
    text = head.parameters.get(name, "")
    if text in ("1", "true"):
        return True
    if text in ("", "0", "false"):
        return False
    raise BadRequest(f"{name} is {text[:64]!r}, where '1', 'true', '0' and 'false' are allowed")


def entityTags(head: Head) -> frozenset[str]:
    """
    What C{If-None-Match} names, each without the mark of a weak tag, quotes,
    and the ending that a compressing proxy adds; C{*} where it is there
    without quotes, which stands for whatever there is.
    """
    tags = set()
    for quoted, bare in _ENTITY_TAG.findall(head.header("If-None-Match") or ""):
        if quoted != "*":
            tags.add((quoted or bare).removesuffix("-gzip"))
    return frozenset(tags - {""})


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


def _elements(text: str) -> Iterator[str]:
    # RFC 9110 5.6.1: the elements of a list, none of them empty.  A comma
    # within quotes does not divide.
    return (element for found in _ELEMENT.findall(text) if (element := found.strip()))


def _tokens(text: str | None) -> set[str]:
    return {token.lower() for token in _elements(text or "")}


def _namesWebSocket(head: Head) -> bool:
    # RFC 9110 7.8: Upgrade is ignored in HTTP/1.0; RFC 9113 8.2.2: and is not
    # in HTTP/2.
    return (1, 1) <= head.version < (2, 0) and "websocket" in _tokens(head.header("Upgrade"))


def _mediaRanges(accept: str) -> dict[str, float]:
    """
    The qualities by media range.  Parameters other than C{q} are ignored, and
    so is an element whose C{q} is not a quality.
    """
    ranges: dict[str, float] = {}
    for element in _elements(accept):
        mediaRange, *parameters = element.lower().split(";")
        quality = "1"
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                quality = value.strip()
        if _QUALITY.fullmatch(quality):
            mediaRange = mediaRange.strip()
            ranges[mediaRange] = max(float(quality), ranges.get(mediaRange, 0.0))
    return ranges


def _mostAccepted(accept: str) -> str:
    ranges = _mediaRanges(accept)
    # The first of equals.
    transport, mediaType = max(_MEDIA_TYPES, key=lambda each: ranges.get(each[1], 0.0))
    if ranges.get(mediaType, 0.0) > 0:
        return transport
    # RFC 9110 12.5.1: the most specific range that fits a type decides on it.
    text = ranges.get("text/event-stream", ranges.get("text/*", 0.0))
    anything = ranges.get("*/*", 0.0)
    json = ranges.get("application/json", ranges.get("application/*", anything))
    return "sse" if text > json else "longpoll"


def _lowestCursor(tags: Iterable[str], epoch: str) -> Beginning:
    cursors = []
    for tag in tags:
        try:
            cursors.append(parseCursor(tag))
        except BadCursor:
            # A tag of somebody else's, such as a cache in between.
            continue
    if not cursors:
        return Now()
    return At(min([cursor for cursor in cursors if cursor.epoch == epoch] or cursors))
