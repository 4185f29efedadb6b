"""
What an HTTP request asks for, as values: the transport, where to begin, how
long to wait, and how much to answer with.

Everything here depends on nothing but the head of the request, so that each
way of carrying HTTP that can make a L{RequestHead} is understood alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final

from attrs import frozen

from comet.errors import BadCursor, BadRequest
from comet.http.negotiation import chooseTransport
from comet.http.request import RequestHead, elements
from comet.model.cursors import parseCursor
from comet.model.positions import (
    At,
    Now,
    StartPosition,
    StartPositions,
    Unreadable,
    parseStartPosition,
)

# Seconds.  The default is below the half minute after which the most impatient
# proxies give up on a silent answer.
DEFAULT_WAIT: Final = 25.0
MAX_WAIT: Final = 300.0

# Messages in one poll body.
MAX_LIMIT: Final = 1000

# RFC 9110 8.8.3: an entity tag is quoted, and knows no escapes.  Some proxies
# that compress write -gzip after the quotes, some inside; people forget quotes.
_ENTITY_TAG = re.compile(r'(?:W/)?(?:"([^"]*)"(?:-gzip)?|([^\s,"]+))')
_WHOLE = re.compile(r"[0-9]+")
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}")


@frozen
class ReadRequest:
    """
    What a request to read asks for.

    @ivar transport: One of L{TRANSPORTS<comet.http.negotiation.TRANSPORTS>}.

    @ivar names: The channels and patterns.

    @ivar since: Where each of them begins.

    @ivar wait: For how many seconds an answer may be held.

    @ivar limit: How many messages an answer may have.

    @ivar time: Whether envelopes are to tell the time.

    @ivar envelope: Whether events are to carry envelopes.

    @ivar unnamed: Whether events are to have no names.

    @ivar probe: Whether the client wants to see if a proxy holds back what it
        is sent: then where it stands is told again soon after the beginning.

    @ivar tags: What the client has already, as L{entityTags} gives it.
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


def parseReadRequest(
    head: RequestHead, names: Sequence[str], epoch: str, transport: str | None = None
) -> ReadRequest:
    """
    Read all that a request to read asks for.

    @param names: The channels and patterns that its path names.

    @param epoch: The epoch of the bus.

    @param transport: The transport, where it is not the request that chooses.

    @raise BadRequest: If a parameter or a header cannot be read.

    @raise BadCursor: If it is a place to begin at that cannot be read.
    """
    return ReadRequest(
        transport=chooseTransport(head) if transport is None else transport,
        names=tuple(names),
        since=readSince(head, names, epoch),
        wait=readWait(head),
        limit=readLimit(head),
        time=readFlag(head, "time"),
        envelope=readFlag(head, "envelope"),
        unnamed=readFlag(head, "unnamed"),
        probe=readFlag(head, "probe"),
        tags=entityTags(head),
    )


class StartSource(IntEnum):
    """
    The parts of a request that may say where it begins to read.  The first of
    them, in this order, that is there and not empty decides.

    @cvar LAST_EVENT_ID: The header C{Last-Event-ID}.  It overrules also what
        the request says for single names, since an C{EventSource} that
        reconnects repeats the URL that it first began with.

    @cvar SINCE: The parameter C{since}.

    @cvar ENTITY_TAGS: The header C{If-None-Match}; without it reading begins
        now.
    """

    LAST_EVENT_ID = 1
    SINCE = 2
    ENTITY_TAGS = 3


def startSource(head: RequestHead) -> StartSource:
    """
    Tell which part of a request decides where it begins to read.

    A cursor that is added to the head counts if its source is not greater.
    """
    if head.header("Last-Event-ID"):
        return StartSource.LAST_EVENT_ID
    return StartSource.SINCE if head.parameters.get("since") else StartSource.ENTITY_TAGS


def readSince(head: RequestHead, names: Sequence[str], epoch: str) -> StartPositions:
    """
    Read where a request begins: by L{startSource}, and for single names by the
    parameter C{since.} and the name.  Of several cursors in C{If-None-Match}
    the lowest of this epoch counts.

    @param names: The names that are asked for; parameters for others are
        ignored.

    @param epoch: The epoch of the bus.  Cursors of others count in
        C{If-None-Match} only where there is none of this one.

    @raise BadCursor: If a parameter cannot be read.  C{Last-Event-ID} is
        L{Unreadable} then: no C{EventSource} would come back from an error.
    """
    source = startSource(head)
    if source is StartSource.LAST_EVENT_ID:
        try:
            return StartPositions(parseStartPosition(head.header("Last-Event-ID") or ""))
        except BadCursor:
            return StartPositions(Unreadable())
    byName = {
        name: parseStartPosition(text)
        for name in names
        if (text := head.parameters.get(f"since.{name}"))
    }
    if source is StartSource.SINCE:
        return StartPositions(parseStartPosition(head.parameters["since"]), byName)
    return StartPositions(_lowestCursor(entityTags(head), epoch), byName)


def readWait(head: RequestHead) -> float:
    """
    For how many seconds an answer may be held: what the parameter C{wait}
    says, else the preference C{wait}, else L{DEFAULT_WAIT}.

    @raise BadRequest: If the parameter is not a number from 0 to
        L{MAX_WAIT}.  A preference that is not good is no more than ignored,
        and one that is too high is cut.
    """
    text = head.parameters.get("wait")
    if text is not None:
        wait = float(text) if _DECIMAL.fullmatch(text) else -1.0
        if not 0 <= wait <= MAX_WAIT:
            raise BadRequest(
                f"wait is {text[:64]!r}, where a number of seconds from 0 to "
                f"{MAX_WAIT:.0f} is allowed"
            )
        return wait
    for preference in elements(head.header("Prefer") or ""):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            # RFC 7240 2: of several the first counts; its value may be quoted.
            seconds = value.strip().strip('"')
            return min(float(seconds), MAX_WAIT) if _WHOLE.fullmatch(seconds) else DEFAULT_WAIT
    return DEFAULT_WAIT


def readLimit(head: RequestHead) -> int:
    """
    How many messages an answer may have: the parameter C{limit}, at most
    L{MAX_LIMIT}, which is also the default.

    @raise BadRequest: If it is not a whole number of at least 1.
    """
    text = head.parameters.get("limit")
    if text is None:
        return MAX_LIMIT
    # A float, because thousands of digits are too many for an int.
    limit = min(float(text), MAX_LIMIT) if _WHOLE.fullmatch(text) else 0
    if limit < 1:
        raise BadRequest(f"limit is {text[:64]!r}, where a whole number of at least 1 is allowed")
    return int(limit)


def readFlag(head: RequestHead, name: str) -> bool:
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


def readAccount(head: RequestHead) -> str | None:
    """
    Under which name besides its transport's a request is to be counted, if
    under any: the parameter C{account}.

    @raise BadRequest: If it is not a name of 1 to 64 ASCII letters, digits,
        hyphens and underscores.
    """
    if b"account=" not in head.query:
        # So it is with nearly all.
        return None
    name = head.parameters.get("account")
    if name is not None and not _ACCOUNT.fullmatch(name):
        raise BadRequest(
            f"account is {name[:64]!r}, where 1 to 64 ASCII letters, digits, hyphens and "
            "underscores are allowed"
        )
    return name


def entityTags(head: RequestHead) -> frozenset[str]:
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


def _lowestCursor(tags: Iterable[str], epoch: str) -> StartPosition:
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
