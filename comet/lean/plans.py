"""
What requests ask for, remembered: clients that poll ask the same again and
again, and many clients ask the same.

Only what does not change is remembered.  Whether a client may have what it asks
for is asked of the hub each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from comet.answers import ENDLESS, Headers
from comet.channels import isPattern, parsePath
from comet.clients import Client
from comet.errors import CometError, Forbidden
from comet.fanout.polls import Spot
from comet.framing.ndjson import NDJSONShape
from comet.framing.websocket import WebSocketShape
from comet.heads import Head
from comet.hub import Hub
from comet.lean.heads import MEANT, readFields, readLine
from comet.messages import At
from comet.requests import Ask, readAccount, readAsk
from comet.transports.polls import AnswerShape, ResponseShape
from comet.transports.sse import shapeOf

# How many plans are remembered, and how many bytes of headers.
MOST_PLANS: Final = 4096
MOST_BYTES: Final = 4 * 1024 * 1024

# What the paths begin with that are served here.
CHANNELS: Final = b"/channels/"
PUBLISH: Final = b"/publish"
SOCKET: Final = b"/socket"

ENDLESS_TYPES: Final = {"stream": b"application/x-ndjson", "sse": b"text/event-stream"}
POLLS: Final = frozenset({"poll", "longpoll"})


class Profile:
    """
    The headers of a request, as far as they say what it asks for.

    @ivar plans: What is asked for, by the first line.
    """

    __slots__ = ("_values", "plans")

    def __init__(self, values: Sequence[bytes | None]) -> None:
        """
        @param values: Of each of L{MEANT}, in that order.
        """
        self._values = {
            name: (value,) for name, value in zip(MEANT, values, strict=True) if value is not None
        }
        self.plans: dict[bytes, Plan | None] = {}

    def __call__(self, name: bytes) -> Sequence[bytes]:
        """
        The values of a header, as L{Head} asks for them.
        """
        return self._values.get(name.lower(), ())


class Known(NamedTuple):
    """
    A block of headers.

    @ivar profile: What they have in common with those of other requests.

    @ivar length: The value of C{Content-Length}, or L{None}.

    @ivar key: The value of C{Sec-WebSocket-Key}, or L{None}.
    """

    profile: Profile
    length: bytes | None
    key: bytes | None


class Plan:
    """
    What a request asks for, and how it is answered.

    @ivar kind: C{poll}, C{endless}, C{websocket}, C{publish} or C{batch}.

    @ivar transport: Under which name it is counted.

    @ivar account: As L{readAccount} gives it.

    @ivar head: The head of the request.

    @ivar names: The channels and patterns in its path.

    @ivar ask: What a request to read asks for.

    @ivar shape: How it is answered.

    @ivar own: Headers that the answer has for the page that asked.

    @ivar headers: What the head of an endless answer has.

    @ivar isBare: Whether it is a WebSocket that begins without names.

    @ivar spot: Where a poll begins that comes back.
    """

    __slots__ = (
        "account",
        "ask",
        "head",
        "headers",
        "isBare",
        "kind",
        "names",
        "own",
        "shape",
        "spot",
        "transport",
    )

    ask: Ask
    shape: Any

    def __init__(self, kind: str, head: Head, names: tuple[str, ...]) -> None:
        self.kind = kind
        self.transport = kind
        self.account = readAccount(head)
        self.head = head
        self.names = names
        self.own: Headers = ()
        self.headers: Headers = ()
        self.isBare = False
        self.spot: Spot | None = None

    @property
    def isPublishing(self) -> bool:
        """
        Whether its body is to be published.
        """
        return self.kind in ("publish", "batch")


class Plans:
    """
    Knows what requests ask for.
    """

    def __init__(self, hub: Hub, serves: Callable[[bytes], bool]) -> None:
        """
        @param serves: Tells whether what is at one of L{CHANNELS}, L{PUBLISH}
            and L{SOCKET}, or a transport, is what is served here.
        """
        self._hub = hub
        self._serves = serves
        self._epoch = ""
        self._origins: Any = None
        self.clear()

    def clear(self) -> None:
        """
        Forget everything.
        """
        self._blocks: dict[bytes, Known] = {}
        self._profiles: dict[Sequence[bytes | None], Profile] = {}
        self._bytes = 0
        self._count = 0

    def known(self, block: bytes) -> Known | None:
        """
        What some headers say.

        @return: L{None} if they are not for here.
        """
        known = self._blocks.get(block)
        if known is not None:
            return known
        fields = readFields(block)
        if fields is None:
            return None
        if self._bytes > MOST_BYTES:
            self.clear()
        values = tuple(map(fields.get, MEANT))
        profile = self._profiles.get(values)
        if profile is None:
            profile = self._profiles[values] = Profile(values)
            self._bytes += len(block)
        key = fields.get(b"sec-websocket-key")
        known = Known(profile, fields.get(b"content-length"), key)
        if key is None:
            # With a key it will not come again.
            self._blocks[block] = known
            self._bytes += len(block)
        return known

    def find(self, line: bytes, profile: Profile) -> Plan | None:
        """
        What a request asks for.

        @param line: Its first line.

        @return: L{None} if it is not answered here.
        """
        hub = self._hub
        if hub.bus.head.epoch != self._epoch or hub.origins is not self._origins:
            # Which cursor counts depends on the epoch.
            self._epoch, self._origins = hub.bus.head.epoch, hub.origins
            self.clear()
            profile.plans.clear()
        plans = profile.plans
        if line in plans:
            return plans[line]
        if self._count >= MOST_PLANS:
            self.clear()
            plans.clear()
        try:
            plan = self._make(line, profile)
        except CometError:
            # It is told by whoever can tell it in every form.
            plan = None
        plans[line] = plan
        self._count += 1
        self._bytes += len(line)
        return plan

    def _make(self, line: bytes, profile: Profile) -> Plan | None:
        read = readLine(line)
        if read is None:
            return None
        method, path, query = read
        isChannels = path.startswith(CHANNELS)
        place = CHANNELS if isChannels else path
        if not self._serves(place):
            return None
        segments = tuple(path.split(b"/")[2:])
        head = Head(method, segments, query, (1, 1), profile, False)
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
                answer = AnswerShape(plan.ask.limit, plan.ask.time)
                plan.shape = ResponseShape(answer, (1, 1), True, own)
        return plan

    def _names(self, segments: Sequence[bytes]) -> tuple[str, ...]:
        return parsePath(segments, self._hub.settings.limits.maxChannels)

    def _makeRead(self, head: Head, names: tuple[str, ...], place: bytes) -> Plan | None:
        if place == PUBLISH:
            return None
        isSocket = place == SOCKET
        given = "websocket" if isSocket else None
        ask = readAsk(head, names, self._hub.head.epoch, given)
        transport = ask.transport
        if not isSocket and not self._serves(transport.encode("ascii")):
            return None
        if transport in POLLS:
            plan = Plan("poll", head, names)
            if isinstance(ask.since.general, At) and not ask.since.particular:
                plan.spot = Spot(names, ask.since.general.cursor)
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
        return plan

    def _makePublish(self, head: Head, names: tuple[str, ...], place: bytes) -> Plan | None:
        if place == CHANNELS:
            if any(isPattern(name) for name in names):
                return None
            plan = Plan("publish", head, names)
        elif place == PUBLISH and head.method == b"POST":
            plan = Plan("batch", head, ())
        else:
            return None
        plan.transport = "publish"
        return plan

    def client(self, plan: Plan) -> Client:
        """
        Who asks.

        @raise CometError: If that is nobody.
        """
        return self._hub.access.identify(plan.head.header("Authorization"))
