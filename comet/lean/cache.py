"""
What requests ask for, remembered: clients that poll ask the same again and
again, and many clients ask the same.

Only what does not change is remembered.  Whether a client may have what it asks
for is asked of the hub each time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from comet.errors import CometError, Forbidden
from comet.fanout.joinpoint import JoinPoint
from comet.framing.ndjson import NDJSONShape
from comet.framing.websocket import WebSocketShape
from comet.http.polls import HTTP1PollShape, PollResponseShape
from comet.http.reads import parseReadRequest
from comet.http.request import RequestHead
from comet.http.responses import ENDLESS
from comet.hub import Hub
from comet.lean.parser import MEANT, MOST_FIELDS, readFields, readLine
from comet.lean.plans import HeaderProfile, ParsedHeaders, ParsedRequest, Plan
from comet.model.channels import isPattern, parsePath
from comet.transports.sse import shapeOf

# How many plans are remembered, and how many bytes of headers.
MOST_PLANS: Final = 4096
MOST_BYTES: Final = 4 * 1024 * 1024

# What a block of headers costs beside its bytes; and a plan, with what is read
# of each byte of its line.
_BLOCK_OVERHEAD: Final = 300
_PLAN_OVERHEAD: Final = 1000
_PLAN_FACTOR: Final = 8

# A line that is longer will hardly come again.
MOST_LINE: Final = 1024

# What the paths begin with that are served here.
CHANNELS: Final = b"/channels/"
PUBLISH: Final = b"/publish"
SOCKET: Final = b"/socket"

# The cursor of a client that comes back, which is another one each time: alone
# in its header, and as a parameter.
_CURSOR: Final = rb"([A-Za-z0-9]{1,32}-(?:0|[1-9][0-9]{0,18}))"
_TAG: Final = re.compile(rb'(?im:^if-none-match):[ \t]*"' + _CURSOR + rb'"[ \t]*\r\n')
_SINCE: Final = re.compile(rb"[^?]*\?(?:[^ ]*?&)?since=" + _CURSOR + rb"(?=[& ])")

# The key of a WebSocket, another one each time, alone in its header.
_KEY: Final = re.compile(
    rb"(?im:^sec-websocket-key):[ \t]*([A-Za-z0-9+/]{22}==)[ \t]*\r\n",
)

_AND: Final = ord("&")

# How many heads are remembered whole, with their cursors: many clients come back
# with the same; and how long one may be.
MOST_WHOLE: Final = 1024
LONGEST_WHOLE: Final = 2048

ENDLESS_TYPES: Final = {"stream": b"application/x-ndjson", "sse": b"text/event-stream"}
POLLS: Final = frozenset({"poll", "longpoll"})


class RequestCache:
    """
    Knows what requests ask for.
    """

    def __init__(
        self, hub: Hub, serves: Callable[[bytes], bool], mostBody: Callable[[bool], int]
    ) -> None:
        """
        @param serves: Tells whether what is at one of L{CHANNELS}, L{PUBLISH}
            and L{SOCKET}, or a transport, is what is served here.

        @param mostBody: Tells how many bytes the body of what is published may
            have, by whether it is a batch.
        """
        self._hub = hub
        self._serves = serves
        self._mostBody = mostBody
        self._epoch = ""
        self._origins: Any = None
        self.clear()

    def clear(self) -> None:
        """
        Forget everything.
        """
        self._blocks: dict[bytes, ParsedHeaders] = {}
        self._whole: dict[bytes, ParsedRequest] = {}
        self._profiles: dict[Sequence[bytes | None], HeaderProfile] = {}
        self._bytes = 0
        self._count = 0

    def of(self, head: bytes) -> ParsedRequest | None:
        """
        What a request asks for.

        @param head: All of it, up to the empty line and with it.

        @return: L{None} if it is not answered here.
        """
        hub = self._hub
        if hub.bus.end.epoch != self._epoch or hub.origins is not self._origins:
            # Which cursor counts depends on the epoch.
            self._epoch, self._origins = hub.bus.end.epoch, hub.origins
            self.clear()
        asked = self._whole.get(head)
        if asked is not None:
            return asked
        first = head.index(b"\r\n")
        known = self.known(head[first + 2 : -2])
        asked = None if known is None else self.find(head[:first], known)
        if asked is None or asked.known.key is not None:
            return asked
        # With a plan that is not remembered it would be larger by far.
        if len(head) <= LONGEST_WHOLE and first <= MOST_LINE:
            if len(self._whole) >= MOST_WHOLE:
                self._whole.clear()
            self._whole[head] = asked
        return asked

    def known(self, block: bytes) -> ParsedHeaders | None:
        """
        What some headers say.

        @return: L{None} if they are not for here.
        """
        known = self._blocks.get(block)
        if known is not None:
            return known
        found = _KEY.search(block)
        if found is not None:
            return self._knownWithout(block, found)
        found = _TAG.search(block)
        if found is None:
            return self._read(block)
        rest = block[: found.start()] + block[found.end() :]
        known = self._blocks.get(rest)
        if known is None:
            fields = readFields(rest)
            if fields is None or b"if-none-match" in fields or len(fields) >= MOST_FIELDS:
                return self._read(block)
            known = self._keep(rest, fields)
        elif known.profile(b"if-none-match"):
            return self._read(block)
        return known._replace(tag=found[1])

    def _knownWithout(self, block: bytes, found: re.Match[bytes]) -> ParsedHeaders | None:
        """
        What some headers say, by what they say without the key that was found.
        """
        rest = block[: found.start()] + block[found.end() :]
        known = self.known(rest)
        if known is None or known.key is not None or rest.count(b"\n") >= MOST_FIELDS:
            # Wherever the rest is not for here, the whole is not; nor with a
            # second key.
            return None
        return ParsedHeaders(known.profile, known.length, found[1], known.tag)

    def _read(self, block: bytes) -> ParsedHeaders | None:
        fields = readFields(block)
        return None if fields is None else self._keep(block, fields)

    def _keep(self, block: bytes, fields: Mapping[bytes, bytes]) -> ParsedHeaders:
        if self._bytes > MOST_BYTES:
            self.clear()
        values = tuple(map(fields.get, MEANT))
        profile = self._profiles.get(values)
        if profile is None:
            profile = self._profiles[values] = HeaderProfile(values)
            self._bytes += len(block) + _BLOCK_OVERHEAD
        key = fields.get(b"sec-websocket-key")
        known = ParsedHeaders(profile, fields.get(b"content-length"), key, None)
        if key is None:
            # With a key it will not come again.
            self._blocks[block] = known
            self._bytes += len(block) + _BLOCK_OVERHEAD
        return known

    def find(self, line: bytes, known: ParsedHeaders) -> ParsedRequest | None:
        """
        What a request asks for.

        @param line: Its first line.

        @param known: Its headers.

        @return: L{None} if it is not answered here.
        """
        profile = known.profile
        found = None if line in profile.plans else _SINCE.match(line)
        if found is not None:
            plan = self._plan(_without(line, found), profile)
            if plan is not None and plan.takesSince:
                return plan.asked(known, found[1])
        plan = self._plan(line, profile)
        return None if plan is None else plan.asked(known, None)

    def _plan(self, line: bytes, profile: HeaderProfile) -> Plan | None:
        plans = profile.plans
        if line in plans:
            return plans[line]
        if self._count >= MOST_PLANS or self._bytes > MOST_BYTES:
            self.clear()
            plans.clear()
        try:
            plan = self._make(line, profile)
        except CometError:
            # It is told by whoever can tell it in every form.
            plan = None
        if len(line) <= MOST_LINE:
            plans[line] = plan
            self._count += 1
            self._bytes += _PLAN_OVERHEAD + _PLAN_FACTOR * len(line)
        return plan

    def _make(self, line: bytes, profile: HeaderProfile) -> Plan | None:
        read = readLine(line)
        if read is None:
            return None
        method, path, query = read
        isChannels = path.startswith(CHANNELS)
        place = CHANNELS if isChannels else path
        if not self._serves(place):
            return None
        segments = tuple(path.split(b"/")[2:])
        head = RequestHead(method, segments, query, (1, 1), profile, False)
        origins, host = self._hub.origins, head.header("Host")
        origins.checkHost(host, head.version)
        cors = origins.verdict(head.header("Origin"), host, False)
        names = self._names(segments) if isChannels else ()
        if method == b"GET":
            plan = self._makeRead(head, names, place)
            isOpen = plan is None or plan.kind != "websocket"
        else:
            plan = self._makePublish(head, names, place)
            isOpen = False
        if not (isOpen or cors.isAllowed):
            raise Forbidden("the origin is not allowed")
        if plan is not None:
            plan.own = own = origins.headers(cors)
            plan.headers = (*plan.headers, *own)
            if plan.kind == "poll":
                answer = PollResponseShape(plan.ask.limit, plan.ask.time)
                plan.shape = HTTP1PollShape(answer, (1, 1), True, own)
        return plan

    def _names(self, segments: Sequence[bytes]) -> tuple[str, ...]:
        return parsePath(segments, self._hub.settings.limits.maxChannels)

    def _makeRead(self, head: RequestHead, names: tuple[str, ...], place: bytes) -> Plan | None:
        if place == PUBLISH:
            return None
        isSocket = place == SOCKET
        given = "websocket" if isSocket else None
        ask = parseReadRequest(head, names, self._hub.end.epoch, given)
        transport = ask.transport
        if not isSocket and not self._serves(transport.encode("ascii")):
            return None
        if transport in POLLS:
            plan = Plan("poll", head, names)
        elif transport in ENDLESS_TYPES:
            plan = Plan("endless", head, names)
            plan.headers = ((b"Content-Type", ENDLESS_TYPES[transport]), *ENDLESS)
            isSSE = transport == "sse"
            plan.shape = shapeOf(ask, True) if isSSE else NDJSONShape(ask.time, chunked=True)
        elif transport == "websocket":
            plan = Plan("websocket", head, names)
            plan.isBare = isSocket
            plan.shape = WebSocketShape(time=ask.time)
        else:
            return None
        plan.transport = transport
        plan.ask = ask
        if names and not ask.since.byName:
            plan.opener = JoinPoint(names).open
        return plan

    def _makePublish(self, head: RequestHead, names: tuple[str, ...], place: bytes) -> Plan | None:
        if place == CHANNELS:
            if any(isPattern(name) for name in names):
                return None
            plan = Plan("publish", head, names)
        elif place == PUBLISH and head.method == b"POST":
            plan = Plan("batch", head, ())
        else:
            return None
        plan.transport = "publish"
        plan.mostBody = self._mostBody(plan.kind == "batch")
        event, key = head.header("Comet-Event"), head.header("Idempotency-Key")
        plan.described = (head.header("Content-Type"), event, key)
        return plan


def _without(line: bytes, found: re.Match[bytes]) -> bytes:
    """
    The first line of a request without one of its parameters.
    """
    start, end = found.start(1) - len(b"since="), found.end(1)
    # What follows takes its place; or its own mark goes, too.
    return line[:start] + line[end + 1 :] if line[end] == _AND else line[: start - 1] + line[end:]
