"""
Requests that were parsed already: a client that polls sends the same head again
and again, and many clients send the same.

Theory of operation
===================

To parse a head, read its parameters, check its origin and choose its plan takes
longer than all the rest of a poll.  So the result is cached, at three levels.
A request is looked up from the first level down:

  1. The whole head, with its cursors, to a L{ParsedRequest}.  Thousands of held
     polls that are answered with the same message come back with the same
     cursor, so all but the first are found here.

  2. The block of headers, to L{ParsedHeaders}.  Two values differ from request
     to request: the cursor in C{If-None-Match} and C{Sec-WebSocket-Key}.  They
     are cut out before the look-up, and put into the result.  Blocks that agree
     in the headers that mean something here (L{MEANT
     <comet.lean.parser.MEANT>}) share one L{HeaderProfile
     <comet.lean.plans.HeaderProfile>}, however much C{User-Agent} and the like
     differ.

  3. The request line, in that profile, to a L{Plan<comet.lean.plans.Plan>},
     which knows what is asked for and answers it.  The cursor in the parameter
     C{since} is cut out of the line, and put into the result.  A line that is
     not answered here has L{None} in the place of a plan.  A backend that publishes
     to many channels sends many lines: where only the channels differ, the plan is
     made like the newest one.

A value is cut out only where the rest would be parsed alike with and without
it: a cursor in its plainest form, alone in its header or first of its name in
the query.  Everything else is parsed as a whole.  The property test of this
module parses each request both ways.

Only what depends on the bytes alone is cached.  Which client sends a request, and
its rights, are asked for with each request.  Four things that do change empty the
cache: the epoch of the bus, on which it depends which cursor of several counts; the
origins that are trusted; the limits; and the access object, which may know clients by
the bytes of their credential or by more.

What a proxy tells of a request counts only if the proxy is trusted, which its bytes do
not show.  So requests that come from trusted proxies have a cache of their own.

All levels are bounded together, by the bytes that they take: a plan is measured
when it is made, and its size does not follow from that of its line.  When headers
and plans take too much the whole cache is emptied.  When whole heads do, those of
readers go first: each message makes new ones, with its cursor, and the old ones
hardly come again, while a publisher sends the same head with each message.  Entries
in use are back at once, and a request need not note which entry it has used.  A
held poll keeps its plan until it is answered.  Long lines and heads, and plans that
take much, are not cached, since a client could fill the cache with a few of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from comet.errors import CometError
from comet.http.credentials import Credential
from comet.http.forwarded import NOTHING, Forwarded, Proxies
from comet.http.origins import Origins
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.interfaces.access import IAccess
from comet.lean.footprint import footprint
from comet.lean.parser import MAX_FIELDS, meantValues, readFields
from comet.lean.plans import NO_START, HeaderProfile, ParsedHeaders, ParsedRequest, Plan
from comet.model.clients import Client

# How many bytes the cache takes at most, and how many of these are for whole heads.
MAX_BYTES: Final = 4 * 1024 * 1024
_HEADS_BYTES: Final = MAX_BYTES // 4
_PLANS_BYTES: Final = MAX_BYTES - _HEADS_BYTES

# What an entry takes in its table, in bytes: a place, the object that is its key
# without the bytes in it, and its part of the room for new entries.
_PLACE: Final = 100

# What a block of headers takes beside its place and its own bytes.
_HEADERS_SIZE: Final = 80

# What the address takes that a proxy has told.
_ADDRESS_SIZE: Final = 88

# What a whole head takes beside its place and its own bytes: a parsed request; if it
# reads, its start positions; and where these came in C{If-None-Match}, headers and
# tags.
_REQUEST_SIZE: Final = 75
_START_SIZE: Final = 120
_TAG_SIZE: Final = 530

# How many digits Content-Length may have.
_MAX_DIGITS: Final = 9

# The longest line that is cached, in bytes: a longer one will hardly come again.
MAX_LINE: Final = 1024

# How many bytes a plan may take.  A reader of a hundred channels takes less.
MAX_PLAN: Final = 16384

# How many bytes a block of headers may have in the cache, and a whole head.
MAX_BLOCK: Final = 4096
MAX_HEAD_BYTES: Final = 2048

# A cursor, alone in its header, or as a parameter.
_CURSOR: Final = rb"([A-Za-z0-9]{1,32}-(?:0|[1-9][0-9]{0,18}))"
_TAG: Final = re.compile(
    rb'(?im:^if-none-match):[ \t]*"' + _CURSOR + rb'(?:-gzip)?"[ \t]*\r\n',
)
_SINCE: Final = re.compile(rb"[^?]*\?(?:[^ ]*?&)?since=" + _CURSOR + rb"(?=[& ])")

# The key of a WebSocket, alone in its header.
_KEY: Final = re.compile(
    rb"(?im:^sec-websocket-key):[ \t]*([A-Za-z0-9+/]{22}==)[ \t]*\r\n",
)

_AND: Final = ord("&")


class RequestCache:
    """
    Parses requests, and remembers what came of it.

    @ivar proxies: Reads what proxies tell, if all requests come from trusted ones.

    @ivar clientOf: As L{Hub.clientOf}, for the request that was parsed last.
    """

    def __init__(
        self,
        hub: Hub,
        makePlan: Callable[[bytes, HeaderProfile], Plan | None],
        proxies: Proxies | None = None,
        isSecure: bool = False,
    ) -> None:
        """
        @param makePlan: Makes the plan of a request line and its headers.  It
            returns L{None}, or raises L{CometError}, if Twisted's edge is to
            answer.

        @param proxies: Reads what proxies tell, if all requests come from trusted
            ones.

        @param isSecure: Whether the requests come through TLS that ends here.
        """
        self.proxies = proxies
        self._isSecure = isSecure
        self._hub = hub
        self._makePlan = makePlan
        self._epoch = ""
        self._origins: Origins | None = None
        self._settings: Settings | None = None
        self._access: IAccess | None = None
        self.clientOf: Callable[[Credential | None], Client | None] | None = None
        self._profiles: dict[Sequence[bytes | None], HeaderProfile] = {}
        self.clear()

    def clear(self) -> None:
        """
        Forget everything.
        """
        for profile in self._profiles.values():
            # A plan of WebSockets refers to its headers.  The collector, which
            # runs seldom, should not have to find that out.
            profile.plans.clear()
            profile.published = None
        self._heads: dict[bytes, ParsedRequest] = {}
        self._blocks: dict[bytes, ParsedHeaders] = {}
        self._profiles = {}
        self._bytes = 0
        self._headsBytes = 0
        # The part of them that is for heads which do not read, as those of publishers.
        self._lastingBytes = 0

    @property
    def size(self) -> int:
        """
        How many bytes the cache takes, as far as it knows.
        """
        return self._bytes + self._headsBytes

    def parse(self, head: bytes) -> ParsedRequest | None:
        """
        Parse the head of a request.

        @param head: The head, with the empty line at its end.

        @return: L{None} if Twisted's edge is to answer.

        @raise CometError: If Twisted's edge is to answer with an error.
        """
        hub = self._hub
        if (
            hub.bus.end.epoch != self._epoch
            or hub.origins is not self._origins
            or hub.settings is not self._settings
            or hub.access is not self._access
        ):
            self._epoch, self._origins = hub.bus.end.epoch, hub.origins
            self._settings = hub.settings
            self._access, self.clientOf = hub.access, hub.clientOf
            self.clear()
        request = self._heads.get(head)
        if request is not None:
            return request
        first = head.index(b"\r\n")
        headers = self.parseHeaders(head[first + 2 : -2])
        request = None if headers is None else self.parseLine(head[:first], headers)
        if request is None or request.headers.key is not None:
            return request
        # A plan that is not cached would be kept by the head alone, and for each
        # head anew.
        if len(head) <= MAX_HEAD_BYTES and request.plan.isCached:
            self._keepHead(head, request)
        return request

    def _keepHead(self, head: bytes, request: ParsedRequest) -> None:
        """
        Cache a whole head, and forget others if they take too much.
        """
        size = _PLACE + len(head) + _REQUEST_SIZE
        if request.since is not NO_START:
            size += _START_SIZE
        if request.headers.tag is not None:
            size += _TAG_SIZE
        if self._headsBytes + size > _HEADS_BYTES:
            # Half of the room is free after that, so the walk is seldom.
            if self._lastingBytes <= _HEADS_BYTES // 2:
                heads = self._heads.items()
                self._heads = {each: known for each, known in heads if known.since is NO_START}
                self._headsBytes = self._lastingBytes
            else:
                self._heads.clear()
                self._headsBytes = self._lastingBytes = 0
        self._heads[head] = request
        self._headsBytes += size
        if request.since is NO_START:
            self._lastingBytes += size

    def isKnown(self, data: bytes) -> bool:
        """
        Return whether the head of a request, or one with the same headers, was parsed
        before; also if it has not come whole.  This is a look-up, and parses nothing, so
        what differs in its cursor or its key may be taken for unknown.

        @param data: The head, and what follows it.
        """
        first, end = data.find(b"\r\n") + 2, data.find(b"\r\n\r\n") + 2
        return end < 2 or data[first:end] in self._blocks

    def parseHeaders(self, block: bytes) -> ParsedHeaders | None:
        """
        Parse the headers of a request.

        @return: L{None} if Twisted's edge is to answer.
        """
        headers = self._blocks.get(block)
        if headers is not None:
            return headers
        found = _KEY.search(block)
        if found is not None:
            return self._parseWithoutKey(block, found)
        found = _TAG.search(block)
        if found is None:
            return self._parseBlock(block)
        rest = block[: found.start()] + block[found.end() :]
        headers = self._blocks.get(rest)
        if headers is None:
            fields = readFields(rest)
            if fields is None or b"if-none-match" in fields or len(fields) >= MAX_FIELDS:
                return self._parseBlock(block)
            headers = self._keep(rest, fields)
        elif headers.profile(b"if-none-match") or rest.count(b"\n") >= MAX_FIELDS:
            return self._parseBlock(block)
        return headers._replace(tag=found[1])

    def _parseWithoutKey(self, block: bytes, found: re.Match[bytes]) -> ParsedHeaders | None:
        """
        Parse headers without the key that was found in them.
        """
        rest = block[: found.start()] + block[found.end() :]
        headers = self.parseHeaders(rest)
        if headers is None or headers.key is not None or rest.count(b"\n") >= MAX_FIELDS:
            # The block has a second key, or a header too many; or its rest is for
            # Twisted's edge, so the whole block is.
            return None
        return headers._replace(key=found[1])

    def _parseBlock(self, block: bytes) -> ParsedHeaders | None:
        fields = readFields(block)
        return None if fields is None else self._keep(block, fields)

    def _keep(self, block: bytes, fields: Mapping[bytes, bytes]) -> ParsedHeaders:
        """
        Cache a block of headers, unless it is long.
        """
        if self._bytes > _PLANS_BYTES:
            self.clear()
        isShort = len(block) <= MAX_BLOCK
        address, told = NOTHING if self.proxies is None else _told(self.proxies, fields)
        isSecure = self._isSecure if told is None else told
        values = meantValues(fields)
        known = (*values, b"") if isSecure else values
        profile = self._profiles.get(known)
        if profile is None:
            profile = HeaderProfile(values, isShort, isSecure)
            if isShort:
                self._profiles[known] = profile
                self._bytes += footprint((known, profile))
        key = fields.get(b"sec-websocket-key")
        length = fields.get(b"content-length")
        size = None if length is None else _sizeOf(length)
        headers = ParsedHeaders(profile, size, key, None, address)
        if isShort and key is None:
            # A block with a key will not come again.
            self._blocks[block] = headers
            self._bytes += _PLACE + len(block) + _HEADERS_SIZE
            if address is not None:
                self._bytes += _ADDRESS_SIZE
        return headers

    def parseLine(self, line: bytes, headers: ParsedHeaders) -> ParsedRequest | None:
        """
        Parse a request line.

        @param line: The line, without its end.

        @param headers: The headers of the request.

        @return: L{None} if Twisted's edge is to answer.
        """
        profile = headers.profile
        found = None if line in profile.plans else _SINCE.match(line)
        if found is not None:
            plan = self._plan(_without(line, found), profile)
            if plan is not None and plan.takesSince:
                return plan.parsed(headers, found[1])
        plan = self._plan(line, profile)
        return None if plan is None else plan.parsed(headers, None)

    def _plan(self, line: bytes, profile: HeaderProfile) -> Plan | None:
        """
        Return the plan of a request line, and make it first if it is not cached.
        """
        plans = profile.plans
        if line in plans:
            return plans[line]
        try:
            plan = self._makePlan(line, profile)
        except CometError:
            # Twisted's edge finds the same error, and can tell it on every
            # transport.
            plan = None
        if len(line) <= MAX_LINE and profile.isCached:
            size = 0 if plan is None else plan.size(MAX_PLAN)
            if size <= MAX_PLAN:
                self._addPlan(line, plan, profile, _PLACE + len(line) + size)
        return plan

    def _addPlan(self, line: bytes, plan: Plan | None, profile: HeaderProfile, size: int) -> None:
        self._bytes += size
        if self._bytes > _PLANS_BYTES:
            self.clear()
            # The headers that this was called with are not cached any more.
            return
        profile.plans[line] = plan
        if plan is not None:
            plan.isCached = True
            if plan.hasBody:
                profile.published = line, plan


def _sizeOf(length: bytes) -> int:
    """
    Return the size of a body by the value of C{Content-Length}; -1 if Twisted's edge is
    to read it.
    """
    return int(length) if length.isdigit() and len(length) <= _MAX_DIGITS else -1


def _told(proxies: Proxies, fields: Mapping[bytes, bytes]) -> Forwarded:
    """
    Read what a trusted proxy tells of requests with these headers.
    """

    def valuesOf(name: bytes) -> Sequence[bytes]:
        value = fields.get(name.lower())
        return () if value is None else (value,)

    return proxies.read(valuesOf)


def _without(line: bytes, found: re.Match[bytes]) -> bytes:
    """
    Cut the parameter C{since} that was found out of a request line.
    """
    start, end = found.start(1) - len(b"since="), found.end(1)
    # The ampersand after it goes, too; else the ampersand or question mark before.
    return line[:start] + line[end + 1 :] if line[end] == _AND else line[: start - 1] + line[end:]
