"""
What a request asks for, as values, and the base of the plans that answer it.

A plan is all that requests with equal heads have in common, but for cursors and
WebSocket keys.  Each class of plans stands in the module that answers it:
L{PollPlan<comet.lean.polls.PollPlan>},
L{StreamPlan<comet.lean.streams.StreamPlan>},
L{WebSocketPlan<comet.lean.websocket.WebSocketPlan>},
L{PublishPlan<comet.lean.publishing.PublishPlan>}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from comet.errors import CometError
from comet.fanout.joinpoint import JoinPoint
from comet.fanout.polls import PollReader
from comet.fanout.reader import Opener, openReader
from comet.fanout.waiters import DirectWaiter
from comet.http.credentials import Credential
from comet.http.reads import ReadRequest, StartSource, readAccount, startSource
from comet.http.request import MAX_PARAMETERS, RequestHead
from comet.http.responses import Headers, Response
from comet.hub.hub import Hub
from comet.hub.requests import PublishRequest
from comet.interfaces.sockets import ClientSocket
from comet.lean.edge import Edge
from comet.lean.footprint import footprint
from comet.lean.parser import MEANT
from comet.metrics.traffic import Traffic
from comet.model.clients import Client
from comet.model.cursors import parseCursor
from comet.model.positions import At, StartPositions

# What a plan's begin returns instead of a size: the connection is released, or
# waits for a body; or Twisted's edge has to answer.
NOTHING_TAKEN: Final = 0
HAND_OVER: Final = -1

# The start positions of a request that reads nothing, and the tags of a client
# that has nothing.
NO_START: Final = StartPositions()
NO_TAGS: Final[frozenset[str]] = frozenset()


class HeaderProfile:
    """
    The headers that say what a request asks for.

    @ivar isSecure: Whether requests with these headers came through TLS: to the server or,
        as a trusted proxy tells, to that.

    @ivar plans: The plans of requests with these headers, by request line;
        L{None} for a line that is not answered here.

    @ivar published: The line and the plan of the newest cached request that publishes
        one message.  Those to other channels have nearly the same plan.

    @ivar isCached: Whether other requests may have these headers, too.
    """

    __slots__ = ("_values", "isCached", "isSecure", "plans", "published")

    def __init__(
        self, values: Sequence[bytes | None], isCached: bool, isSecure: bool = False
    ) -> None:
        """
        @param values: The value of each of L{MEANT}, in that order.
        """
        self.isCached = isCached
        self.isSecure = isSecure
        self._values = {
            name: (value,) for name, value in zip(MEANT, values, strict=True) if value is not None
        }
        self.plans: dict[bytes, Plan | None] = {}
        self.published: tuple[bytes, Plan] | None = None

    def __call__(self, name: bytes) -> Sequence[bytes]:
        """
        Return the values of a header, for L{RequestHead.headers}.
        """
        return self._values.get(name.lower(), ())


class ParsedHeaders(NamedTuple):
    """
    A block of headers.

    @ivar profile: The headers shared with other requests.

    @ivar length: How many bytes the body has by C{Content-Length}; -1 if Twisted's edge
        is to read it, L{None} without the header.

    @ivar key: The value of C{Sec-WebSocket-Key}, or L{None}.

    @ivar tag: The cursor in C{If-None-Match}, if the profile does not have it.

    @ivar address: The client's IP address, if a trusted proxy has told it.
    """

    profile: HeaderProfile
    length: int | None
    key: bytes | None
    tag: bytes | None
    address: str | None = None


class ParsedRequest(NamedTuple):
    """
    What one request asks for.

    @ivar plan: What it has in common with other requests.

    @ivar headers: Its headers.

    @ivar since: Where each of its names starts.

    @ivar tags: What the client has already, as L{ReadRequest.tags}.
    """

    plan: Plan
    headers: ParsedHeaders
    since: StartPositions
    tags: frozenset[str]


class Asked(NamedTuple):
    """
    A request to read that a plan is made of.  The plan keeps nothing but the
    C{request}: the rest may take much more than all that it means.

    @ivar head: The request head, without cursors and keys.

    @ivar request: What the request asks for, but for its cursors.

    @ivar host: The value of the header C{Host} if it is this server's, else L{None}.

    @ivar ownHeaders: Response headers for the page that asked.
    """

    head: RequestHead
    request: ReadRequest
    host: str | None
    ownHeaders: Headers


class RequestConnection(DirectWaiter, Protocol):
    """
    What a plan needs of the connection that it answers on.

    @ivar answered: The reader of the last poll, for the next one, if it has nothing under
        way: it has ended in L{DirectWaiter.pollsSent}, or L{was given the response of another
        one<PollReader.wasShared>}.
    """

    answered: PollReader[bytes] | None

    @property
    def edge(self) -> Edge:
        """
        The edge that the connection is on.
        """

    @property
    def buffer(self) -> bytes:
        """
        The input that is not answered: it begins with the head of the request.
        """

    @property
    def address(self) -> str:
        """
        See L{Peer.address<comet.limits.clientlimits.Peer.address>}.
        """

    @property
    def forwarded(self) -> str | None:
        """
        The client's IP address, if a trusted proxy has told it.
        """

    def hold(self, reader: PollReader[bytes], wait: float) -> None:
        """
        Hold the request until its poll is answered.

        @param wait: For how many seconds the poll may wait for a message; 0
            for a poll that waits for the bus alone.
        """

    def awaitBody(self, upload: Any, size: int) -> None:
        """
        Give an upload the body of the request as it comes, and have it stored
        then.

        @param upload: An L{Upload<comet.lean.publishing.Upload>}.

        @param size: How many bytes the head of the request has.
        """

    def respond(self, response: Response) -> None:
        """
        Answer the request.
        """

    def refuse(self, response: Response) -> None:
        """
        Answer a request of which not all has come, and end the connection.
        """

    def awaitStore(self, size: int, client: str, isBatch: bool) -> PublishRequest:
        """
        Wait until the body of the request is stored, for as long as the bus takes.
        Requests that follow may be begun meanwhile: see L{Plan.mayFollow}.

        @param size: How many bytes the body has.

        @param client: The name of the client.

        @param isBatch: Whether the cursor of each publication is told.

        @return: The request, which answers itself then.  The caller says what it
            publishes.
        """

    def release(self, size: int) -> tuple[ClientSocket, int, bytes]:
        """
        Give the socket to another connection, which the caller makes.

        @param size: How many bytes the head of the request has.

        @return: The socket, its descriptor, and the input after the head.
        """


class Plan:
    """
    What requests ask for that differ only in cursors and WebSocket keys.

    @cvar hasBody: True if the requests have a body.

    @cvar checksOrigin: True if pages of foreign origins are refused.  Other
        responses are safe, since the browser keeps them from such a page.

    @ivar takesSince: True if a parameter C{since} may be added to the request.

    @ivar comesBack: True if a client that is answered asks again at once, as all others do
        that waited for the same message.

    @ivar hub: The hub.

    @ivar transport: The name under which the requests are counted.

    @ivar account: As L{readAccount} returns it.

    @ivar credential: The credential of the requests, or L{None}; known where the
        hub's access object needs nothing else.

    @ivar names: The channels and patterns in the path.

    @ivar needsKey: Whether the requests are for another host, which only those of
        a key holder may be; Twisted's edge refuses all others.

    @ivar ownHeaders: Response headers for the client that asked.

    @ivar isCached: Whether other requests may have this plan, too.

    @ivar traffic: The counters of the requests, once they are looked up; L{None}
        for an account, which may be closed when idle.
    """

    hasBody: ClassVar[bool] = False
    checksOrigin: ClassVar[bool] = False
    takesSince: bool = False
    comesBack: bool = False

    __slots__ = (
        "account",
        "credential",
        "hub",
        "isCached",
        "method",
        "names",
        "needsKey",
        "ownHeaders",
        "traffic",
        "transport",
    )

    def __init__(
        self,
        hub: Hub,
        head: RequestHead,
        transport: str,
        names: Sequence[str],
        ownHeaders: Headers,
    ) -> None:
        """
        @param head: The request head, without cursors and keys.  The plan does
            not keep it: its parameters may take much more than all that they
            mean.
        """
        self.hub = hub
        self.transport = transport
        self.method = head.method.decode("latin-1")
        self.names = names
        self.ownHeaders = ownHeaders
        self.account = readAccount(head)
        self.credential: Credential | None = None
        self.needsKey = self.isCached = False
        self.traffic: Traffic | None = None

    def findTraffic(self) -> Traffic:
        """
        Return the counters of the requests.
        """
        traffic = self.hub.metrics.of(self.transport, self.account)
        if self.account is None:
            self.traffic = traffic
        return traffic

    @property
    def shared(self) -> Sequence[object]:
        """
        What the plan refers to, and the server keeps in any case.
        """
        return (self.hub, self.transport, self.traffic)

    def size(self, most: int) -> int:
        """
        Count the bytes that the plan takes.

        @param most: As for L{footprint}.
        """
        return footprint(self, self.shared, most)

    def parsed(self, headers: ParsedHeaders, since: bytes | None) -> ParsedRequest:
        """
        Make a request that has this plan.

        @param headers: The headers of the request.

        @param since: The cursor in the parameter C{since}, if that was cut out
            of the request line.
        """
        return ParsedRequest(self, headers, NO_START, NO_TAGS)

    def refused(
        self, connection: RequestConnection, request: ParsedRequest, size: int, error: CometError
    ) -> int:
        """
        Answer a request that L{begin} or the hub's access has refused; or leave
        it to Twisted's edge, which finds the same error, and can tell it on every
        transport.

        @param size: How many bytes the head of the request has.

        @return: As L{begin} does.
        """
        return HAND_OVER

    def mayFollow(self, request: ParsedRequest, come: int) -> bool:
        """
        Return whether a request may be begun while publications before it on its
        connection are still being stored.  One that reads may not: its client is to
        find what it has published.

        @param come: How many bytes have come behind the head.
        """
        return False

    def begin(
        self, connection: RequestConnection, request: ParsedRequest, client: Client, size: int
    ) -> int:
        """
        Begin to answer a request.  The response may be sent before this returns.

        @param size: How many bytes the head of the request has.

        @return: How many bytes the request has, if the connection goes on with
            the next one after the response; else L{NOTHING_TAKEN} or
            L{HAND_OVER}.

        @raise CometError: If the request has to be refused.  Nothing has
            happened then.
        """
        raise NotImplementedError


class ReadPlan(Plan):
    """
    A plan of requests to read.

    @ivar request: What the requests ask for, but for their cursors.

    @ivar joinPoint: The join point of all that ask for the same; L{None} if names have start
        positions of their own.

    @ivar opener: Opens the readers: at the join point of all that ask for the
        same, unless names have start positions of their own.
    """

    __slots__ = ("_startSource", "joinPoint", "opener", "request", "takesSince")

    def __init__(self, hub: Hub, asked: Asked) -> None:
        head, request = asked.head, asked.request
        super().__init__(hub, head, request.transport, request.names, asked.ownHeaders)
        self.request = request
        self.opener: Opener = openReader
        self.joinPoint: JoinPoint | None = None
        if request.names and not request.since.byName:
            self.joinPoint = JoinPoint(request.names)
            self.opener = self.joinPoint.open
        self._startSource = startSource(head)
        # Only a plan that reads has parsed the parameters: of a request that
        # publishes they may be anything.
        isFull = head.query.count(b"&") >= MAX_PARAMETERS - 2
        self.takesSince = "since" not in head.parameters and not isFull

    def parsed(self, headers: ParsedHeaders, since: bytes | None) -> ParsedRequest:
        """
        See L{Plan.parsed}.
        """
        asked, tag = self.request, headers.tag
        default, tags = asked.since.default, asked.tags
        given = tag if since is None else since
        source = StartSource.ENTITY_TAGS if since is None else StartSource.SINCE
        if given is not None and source <= self._startSource:
            default = At(parseCursor(given.decode("ascii")))
        if tag is not None:
            tags = frozenset({tag.decode("ascii")})
        starts = asked.since
        positions = StartPositions(default, starts.byName, isGiven=starts.isGiven)
        return ParsedRequest(self, headers, positions, tags)
