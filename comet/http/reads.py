"""
What a request to read asks for, as values: the transport, the start positions,
how long the server may hold the response, how many messages it may have.

All of it depends only on the L{RequestHead}, so that every edge reads requests
in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Final

from attrs import evolve, frozen

from comet.errors import BadCursor, BadRequest
from comet.http.negotiation import chooseTransport
from comet.http.request import RequestHead, elements
from comet.model.channels import parseChannel
from comet.model.cursors import Cursor, parseCursor
from comet.model.positions import (
    At,
    Now,
    StartPosition,
    StartPositions,
    Unreadable,
    parseStartPosition,
)
from comet.model.readerids import checkReaderID

# Seconds.  The default is below the half minute after which the least patient
# proxies time out.
DEFAULT_WAIT: Final = 25.0
MAX_WAIT: Final = 300.0

# Messages in one poll body.
MAX_LIMIT: Final = 1000

# Messages in one page of the past, unless the client asks for another number.
DEFAULT_PAGE: Final = 50

# RFC 9110 8.8.3: an entity tag is quoted, without escapes.  Some compressing
# proxies add -gzip after the quotes, others inside; some clients omit quotes.
_ENTITY_TAG = re.compile(r'(?:W/)?(?:"([^"]*)"(?:-gzip)?|([^\s,"]+))')
_WHOLE = re.compile(r"[0-9]+")
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}")

# Parameters that stand for the header Last-Event-ID, in the spellings of the
# replacements for EventSource that cannot set it.
LAST_EVENT_ID_PARAMETERS: Final = ("lastEventId", "lastEventID", "last_event_id", "Last-Event-ID")


@frozen
class ReadRequest:
    """
    What a request to read asks for.

    @ivar transport: One of L{TRANSPORTS<comet.http.negotiation.TRANSPORTS>}.

    @ivar names: The channels and patterns.

    @ivar since: Where each of them starts.

    @ivar wait: How many seconds the server may hold the response.

    @ivar limit: How many messages the response may have.

    @ivar time: Whether envelopes have the time of the message.

    @ivar envelope: Whether Server-Sent Events carry envelopes.

    @ivar unnamed: Whether Server-Sent Events have no names.

    @ivar probe: Whether the client wants to find out if a proxy buffers the
        response: then the server sends the cursor again soon after the start.

    @ivar tags: The tags in C{If-None-Match}, as L{entityTags} gives them.

    @ivar before: The cursor before which to read, or L{None} to read after C{since}.

    @ivar reader: The id that the client gives its readers, or L{None}.
    """

    transport: str
    names: tuple[str, ...]
    since: StartPositions
    wait: float
    limit: int
    time: bool
    envelope: bool
    unnamed: bool
    probe: bool
    tags: frozenset[str]
    before: Cursor | None = None
    reader: str | None = None

    def startingAt(self, starts: Mapping[str, StartPosition]) -> ReadRequest:
        """
        Return the same request, in which names of which the client has not said it start
        there.
        """
        return evolve(self, since=self.since.completed(starts)) if starts else self


def parseReadRequest(
    head: RequestHead, names: Sequence[str], epoch: str, transport: str | None = None
) -> ReadRequest:
    """
    Read everything that a request to read asks for.

    @param names: The channels and patterns in the path.

    @param epoch: The epoch of the bus.

    @param transport: The transport, if the URL decides it rather than the
        request.

    @raise BadRequest: If a parameter or a header is not valid.

    @raise BadCursor: If a start position, or the cursor before which to read, is not
        valid.

    @raise BadChannel: If the request reads before a cursor, and names a pattern.
    """
    chosen = chooseTransport(head) if transport is None else transport
    before = readBefore(head, names, chosen)
    return ReadRequest(
        transport=chosen,
        names=tuple(names),
        since=readSince(head, names, epoch),
        wait=readWait(head),
        limit=readLimit(head, MAX_LIMIT if before is None else DEFAULT_PAGE),
        time=readFlag(head, "time"),
        envelope=readFlag(head, "envelope"),
        unnamed=readFlag(head, "unnamed"),
        probe=readFlag(head, "probe"),
        tags=entityTags(head),
        before=before,
        reader=readReader(head),
    )


class StartSource(IntEnum):
    """
    The parts of a request that may have its start position.  The first one, in
    this order, that is there and not empty decides.

    @cvar LAST_EVENT_ID: The header C{Last-Event-ID}, else one of
        L{LAST_EVENT_ID_PARAMETERS}.  It overrules also the parameters for single
        names, since an C{EventSource} that reconnects repeats the URL with which
        it first connected.

    @cvar SINCE: The parameter C{since}.

    @cvar ENTITY_TAGS: The header C{If-None-Match}.  Without it the start
        position is now.
    """

    LAST_EVENT_ID = 1
    SINCE = 2
    ENTITY_TAGS = 3


def startSource(head: RequestHead) -> StartSource:
    """
    Find the part of a request that decides its start position.

    A cursor that was cut out of the request, or is added to it, decides if its
    source is not greater than this one.
    """
    if lastEventId(head):
        return StartSource.LAST_EVENT_ID
    return StartSource.SINCE if head.parameters.get("since") else StartSource.ENTITY_TAGS


def lastEventId(head: RequestHead) -> str:
    """
    Find the id of the last event that an C{EventSource} got: in the header
    C{Last-Event-ID}, else in the first of L{LAST_EVENT_ID_PARAMETERS} that is
    there.  A value that is empty counts as absent.

    @return: The id; empty if the request has none.
    """
    given = head.header("Last-Event-ID")
    if given:
        return given
    return next(filter(None, map(head.parameters.get, LAST_EVENT_ID_PARAMETERS)), "")


def readSince(head: RequestHead, names: Sequence[str], epoch: str) -> StartPositions:
    """
    Read the start positions of a request: by L{startSource}, and for single
    names by parameters C{since.} and the name.  Of several cursors in
    C{If-None-Match} the lowest of this epoch decides.

    @param names: The channels and patterns in the path.  Parameters for other
        names are ignored.

    @param epoch: The epoch of the bus.  A cursor of another epoch in
        C{If-None-Match} decides only if there is none of this epoch.

    @raise BadCursor: If a parameter is not valid.  An invalid L{lastEventId} is
        L{Unreadable} instead, since an C{EventSource} does not reconnect after
        an error.
    """
    source = startSource(head)
    if source is StartSource.LAST_EVENT_ID:
        try:
            return StartPositions(parseStartPosition(lastEventId(head)), isGiven=True)
        except BadCursor:
            return StartPositions(Unreadable())
    byName = {
        name: parseStartPosition(text)
        for name in names
        if (text := head.parameters.get(f"since.{name}"))
    }
    if source is StartSource.SINCE:
        default = parseStartPosition(head.parameters["since"])
        return StartPositions(default, byName, isGiven=True)
    return StartPositions(_lowestCursor(entityTags(head), epoch), byName)


def readBefore(head: RequestHead, names: Sequence[str], transport: str) -> Cursor | None:
    """
    Read the cursor before which a request reads: the parameter C{before}.

    @param names: The channels and patterns in the path.

    @param transport: The transport that the request asks for.

    @return: The cursor, or L{None} if the request reads on from a start position.

    @raise BadCursor: If it is not a cursor.

    @raise BadRequest: If the request cannot have one: it asks for another transport
        than C{poll}, for several names, or has a start position, too.

    @raise BadChannel: If it is for a pattern.
    """
    text = head.parameters.get("before")
    if text is None:
        return None
    if transport != "poll":
        raise BadRequest(f"before is for transport=poll only; this asks for {transport!r}")
    if len(names) != 1:
        raise BadRequest(f"before is for one channel only; this names {len(names)}")
    parseChannel(names[0])
    if startSource(head) is not StartSource.ENTITY_TAGS or head.parameters.get(f"since.{names[0]}"):
        raise BadRequest("before has no start position beside it: no since, no Last-Event-ID")
    try:
        return parseCursor(text)
    except BadCursor as error:
        raise BadCursor(f"before: {error.detail}") from None


def readReader(head: RequestHead) -> str | None:
    """
    Read the id that the client gives its readers: the parameter C{reader}.

    @return: L{None} if there is none.

    @raise BadRequest: If it is not valid.
    """
    text = head.parameters.get("reader")
    return None if text is None else checkReaderID(text)


def readStarts(head: RequestHead, epoch: str) -> dict[str, StartPosition]:
    """
    Read where a request starts that was refused before its names were read: by
    name where it says so for single names, and else by the empty name.  What
    cannot be read is L{Unreadable}.

    @param epoch: As for L{readSince}.
    """
    names = [key.removeprefix("since.") for key in head.parameters if key.startswith("since.")]
    try:
        since = readSince(head, names, epoch)
    except BadCursor:
        return {"": Unreadable()}
    return {**since.byName, "": since.default}


def readWait(head: RequestHead) -> float:
    """
    Read how many seconds the server may hold the response: the parameter
    C{wait}, else C{wait} in the header C{Prefer}, else L{DEFAULT_WAIT}.

    @raise BadRequest: If the parameter is not a number from 0 to L{MAX_WAIT}.
        An invalid preference is ignored, and one that is too high is reduced.
    """
    text = head.parameters.get("wait")
    if text is not None:
        wait = float(text) if _DECIMAL.fullmatch(text) else -1.0
        if not 0 <= wait <= MAX_WAIT:
            raise BadRequest(
                f"wait is {text[:64]!r}; a number of seconds from 0 to {MAX_WAIT:.0f} is allowed"
            )
        return wait
    for preference in elements(head.header("Prefer") or ""):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            # RFC 7240 2: the first of several counts; its value may be quoted.
            seconds = value.strip().strip('"')
            return min(float(seconds), MAX_WAIT) if _WHOLE.fullmatch(seconds) else DEFAULT_WAIT
    return DEFAULT_WAIT


def readLimit(head: RequestHead, default: int = MAX_LIMIT) -> int:
    """
    Read how many messages the response may have: the parameter C{limit}, at
    most L{MAX_LIMIT}.

    @raise BadRequest: If it is not a whole number of at least 1.
    """
    text = head.parameters.get("limit")
    if text is None:
        return default
    # A float, since Python refuses to make an int of thousands of digits.
    limit = min(float(text), MAX_LIMIT) if _WHOLE.fullmatch(text) else 0
    if limit < 1:
        raise BadRequest(f"limit is {text[:64]!r}; a whole number of at least 1 is allowed")
    return int(limit)


def readFlag(head: RequestHead, name: str) -> bool:
    """
    Read a parameter that means yes or no.  Without it the answer is no.

    @raise BadRequest: If it means neither.
    """
    text = head.parameters.get(name, "")
    if text in ("1", "true"):
        return True
    if text in ("", "0", "false"):
        return False
    raise BadRequest(f"{name} is {text[:64]!r}; '1', 'true', '0' and 'false' are allowed")


def readAccount(head: RequestHead) -> str | None:
    """
    Read the account that a request is counted for: the parameter C{account}.

    @return: The account, or L{None} if the request does not name one.

    @raise BadRequest: If the name is not 1 to 64 ASCII letters, digits,
        hyphens and underscores.
    """
    if b"account=" not in head.query:
        # The fast path of nearly all requests: the query is not parsed.
        return None
    name = head.parameters.get("account")
    if name is not None and not _ACCOUNT.fullmatch(name):
        raise BadRequest(
            f"account is {name[:64]!r}; 1 to 64 ASCII letters, digits, hyphens and underscores "
            "are allowed"
        )
    return name


def entityTags(head: RequestHead) -> frozenset[str]:
    """
    Read the entity tags in C{If-None-Match}: each without C{W/}, quotes, and the
    suffix of a compressing proxy.  A C{*} without quotes, which stands for any
    tag, is kept as C{*}.
    """
    tags = set()
    for quoted, bare in _ENTITY_TAG.findall(head.header("If-None-Match") or ""):
        if quoted != "*":
            tags.add((quoted or bare).removesuffix("-gzip"))
    return frozenset(tags - {""})


def _lowestCursor(tags: Iterable[str], epoch: str) -> StartPosition:
    cursors = []
    for tag in tags:
        try:
            cursors.append(parseCursor(tag))
        except BadCursor:
            # Not a tag of this server: one of a cache between, for instance.
            continue
    if not cursors:
        return Now()
    return At(min([cursor for cursor in cursors if cursor.epoch == epoch] or cursors))
