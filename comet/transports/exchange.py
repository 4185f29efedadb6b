"""
One HTTP request and its response, between Twisted and the hub.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from io import SEEK_END
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString
from twisted.web.server import Request

from comet.access.lookups import Lookup, hasPublishKey
from comet.errors import (
    CometError,
    Forbidden,
    NotFound,
    TooLarge,
    WrongHost,
    publicError,
)
from comet.fanout.polls import HALF_CLOSED
from comet.framing.codings import undoCoding
from comet.http.contentcoding import VARY
from comet.http.credentials import Credentials, cookiesCount, headCredential
from comet.http.forwarded import NOTHING, Forwarded, Proxies
from comet.http.http1 import checkHeader, encodeResponse, endConnection
from comet.http.origins import CORS
from comet.http.pace import SMALL
from comet.http.parameters import responseHeaders
from comet.http.reads import ReadRequest, parseReadRequest, readAccount
from comet.http.request import RequestHead, checkHeaderValues
from comet.http.responses import Headers, Response, problem
from comet.hub.hub import Hub
from comet.logging.accesslog import AccessLog
from comet.logging.clientlog import ClientLogger
from comet.metrics.traffic import Traffic
from comet.model.channels import parsePath
from comet.model.clients import Client
from comet.transports.detach import (
    HeldRequest,
    UnsentResponse,
    deliverHeld,
    giveTimeToRead,
    isDetachable,
)
from comet.transports.peers import certificateOf
from comet.transports.sinks import sendNow

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

T = TypeVar("T")

VERSIONS: Final = {b"HTTP/1.0": (1, 0), b"HTTP/1.1": (1, 1), b"HTTP/2": (2, 0)}

# Headers that the code which frames a response sets itself.  Twisted has set
# some of them already.
_FRAMING: Final = frozenset(
    {
        b"server",
        b"date",
        b"content-type",
        b"content-length",
        b"connection",
        b"transfer-encoding",
        b"set-cookie",
    }
)

# The transport under which requests are counted that belong to none.
OTHER: Final = "other"

_log = ClientLogger()


def readForwarded(proxies: Proxies | None, request: Request) -> Forwarded:
    """
    Read what trusted proxies tell of a request.
    """
    if proxies is None:
        return NOTHING
    peer = _peerOf(request)
    isUNIX = isinstance(peer, UNIXAddress)
    if not (proxies.trustsUNIX if isUNIX else proxies.trusts(str(getattr(peer, "host", "")))):
        return NOTHING
    return proxies.read(lambda name: request.requestHeaders.getRawHeaders(name) or ())


def addressOf(proxies: Proxies | None, request: Request) -> str:
    """
    Return the IP address of the client that has made a request: the one that a trusted
    proxy tells, or that of the connection; empty for a UNIX socket.
    """
    return readForwarded(proxies, request).address or _hostOf(request)


def _hostOf(request: Request) -> str:
    return str(getattr(_peerOf(request), "host", "") or "")


def _peerOf(request: Any) -> object:
    """
    Return the address from which a request came.
    """
    # Twisted sets the address when all of the request has come.
    return request.getClientAddress() or request.channel.getPeer()


def makeRequestHead(request: Request, isSecure: bool | None = None) -> RequestHead:
    """
    Make a request head of Twisted's request.  Its segments begin below the
    resource that Twisted has routed the request to.

    @param isSecure: Whether the request came through TLS, if a proxy has told that.
    """
    path, _, query = request.uri.partition(b"?")
    return RequestHead(
        method=request.method,
        # As the client sent them: in Twisted's own list escapes are decoded.
        segments=tuple(path.split(b"/")[1 + len(request.prepath or ()) :]),
        query=query,
        version=VERSIONS.get(request.clientproto, (1, 0)),
        headers=lambda name: request.requestHeaders.getRawHeaders(name) or (),
        isSecure=bool(request.isSecure()) if isSecure is None else isSecure,
    )


def setHeaders(request: Request, headers: Headers) -> None:
    """
    Set headers of the response.  They replace all headers of the same names,
    and Twisted's C{Server}.
    """
    for name in {b"Server", *(name for name, _ in headers)}:
        request.responseHeaders.removeHeader(name)
    for name, value in headers:
        request.responseHeaders.addRawHeader(name, value)


def responseHeadSize(request: Request) -> int:
    """
    Return how many bytes the head of a response would have in HTTP/1, for a
    response whose head Twisted has sent.
    """
    sent = request.responseHeaders.getAllRawHeaders()
    lines = sum(len(name) + len(value) + 4 for name, values in sent for value in values)
    return lines + len("HTTP/2 200 \r\n\r\n")


class Exchange:
    """
    A request that is being answered.

    @ivar hub: The hub.

    @ivar request: Twisted's request.

    @ivar head: The request head.

    @ivar forwarded: The client's IP address, if a trusted proxy has told it.

    @ivar host: The value of the header C{Host} if it is this server's, else
        L{None}; known after L{check}.

    @ivar cors: What the page that sent the request may see; known after
        L{check}.

    @ivar accountName: The name under which the request is counted besides its
        transport's, or L{None}.

    @ivar transport: The name under which the request is counted; known once the
        client is.

    @ivar isGone: Whether the client has left.

    @ivar whenGone: Called without arguments when the client leaves.

    @ivar whenInputEnds: Called without arguments when the client closes its
        writing side.
    """

    __slots__ = (
        "_isInputOver",
        "_traffic",
        "accountName",
        "cors",
        "forwarded",
        "head",
        "host",
        "hub",
        "isGone",
        "request",
        "transport",
        "whenGone",
        "whenInputEnds",
    )

    def __init__(self, hub: Hub, request: Request) -> None:
        self.hub = hub
        self.request = request
        self.forwarded, isSecure = readForwarded(hub.proxies, request)
        self.head = makeRequestHead(request, isSecure)
        self.host: str | None = None
        self.cors = CORS(None, False, True)
        self.accountName: str | None = None
        self.transport = OTHER
        self.isGone = False
        self._isInputOver = False
        self.whenGone: Callable[[], None] | None = None
        self.whenInputEnds: Callable[[], None] | None = None
        self._traffic: Traffic | None = None
        request.notifyFinish().addErrback(self._clientLeft)
        # Any: only comet's channel has this.
        channel: Any = request.channel
        if hasattr(channel, "exchange"):
            channel.exchange = self

    def _clientLeft(self, reason: Failure) -> None:
        self.isGone = True
        if self.whenGone is not None:
            self.whenGone()

    def inputEnded(self) -> None:
        """
        The client has closed its writing side, and waits for the response or has
        left.
        """
        self._isInputOver = True
        if self.whenInputEnds is not None:
            self.whenInputEnds()

    def countAs(self, transport: str) -> Traffic:
        """
        Count the request for a transport, and count the response there, too.
        To be called once, for a response that ends.

        @return: Where the response is counted.
        """
        self._traffic = traffic = self.trafficFor(transport)
        self.countRequest(traffic)
        return traffic

    def trafficFor(self, transport: str) -> Traffic:
        """
        Return where the traffic of this request is counted for a transport.
        """
        return self.hub.metrics.of(transport, self.accountName)

    def countRequest(self, traffic: Traffic) -> None:
        """
        Count the bytes that the client has sent for this request.
        """
        request = self.request
        traffic.requests += 1
        # Where the site did not count the head, take the length that it would
        # have in HTTP/1.
        headBytes = getattr(request, "headBytes", None)
        if headBytes is None:
            first = len(request.method) + len(request.uri) + len(request.clientproto) + 6
            headBytes = first + sum(len(n) + len(v) + 4 for n, v in self.rawHeaders())
        traffic.headIn += headBytes
        assert request.content is not None, "Twisted sets it before a request is rendered"
        traffic.dataIn += request.content.seek(0, SEEK_END)
        request.content.seek(0)

    def countResponse(self, head: int, data: int) -> None:
        """
        Count the bytes of the response.
        """
        traffic = self.countAs(OTHER) if self._traffic is None else self._traffic
        traffic.headOut += head
        traffic.dataOut += data
        if self.hub.accessLog is not None:
            self._logAccess(self.hub.accessLog, data)

    def _logAccess(self, log: AccessLog, size: int) -> None:
        request = self.request
        known: object = getattr(request, "identified", None)
        if isinstance(known, Lookup):
            known = known.client
        name = known.name if isinstance(known, Client) else ""
        path = request.path.decode("latin-1")
        method = request.method.decode("latin-1")
        log.answered(self.address, name, self.transport, method, path, request.code, size)

    def check(self, needsHost: bool = True) -> None:
        """
        Check what no request may get wrong: header values, host, origin,
        account.

        @param needsHost: Whether the host has to be one of this server's, unless
            the request has a key.

        @raise CometError: If the request cannot be answered.
        """
        head, origins = self.head, self.hub.origins
        origin = head.header("Origin")
        try:
            checkHeaderValues(self.rawHeaders())
            self.host = self._ownHost(needsHost)
        except CometError:
            # A page may read this error, too.  The host may be another's, so no
            # origin counts as this server's own.
            self.cors = origins.verdict(origin, None, head.isSecure)
            raise
        self.cors = origins.verdict(origin, self.host, head.isSecure)
        self.accountName = readAccount(head)

    def _ownHost(self, isNeeded: bool) -> str | None:
        """
        Return the host of the request if it is one of this server's.

        @raise CometError: If it is another's, and the request needs one of this
            server's.
        """
        head, origins = self.head, self.hub.origins
        host = head.header("Host")
        try:
            origins.checkHost(host, head.version)
        except WrongHost:
            if origins.isHost(host) and (self._hasKey() or not isNeeded):
                return None
            raise
        return host

    def _hasKey(self) -> bool:
        """
        Whether the header C{Authorization} has a key to publish anywhere, which no
        page has that lets a name point to this server.
        """
        head = self.head
        if head.header("Authorization") is None:
            return False
        try:
            return hasPublishKey(self.hub.access, headCredential(head))
        except CometError:
            return False

    def rawHeaders(self) -> list[tuple[bytes, bytes]]:
        """
        Return all headers of the request, as the client sent them.
        """
        headers = self.request.requestHeaders.getAllRawHeaders()
        return [(name, value) for name, values in headers for value in values]

    def checkOrigin(self) -> None:
        """
        Refuse a request from a page whose origin is not allowed.

        @raise Forbidden: If the origin is not allowed.
        """
        if not self.cors.isAllowed:
            raise originForbidden(self.head.header("Origin") or "")

    def identify(
        self, transport: str, getNames: Callable[[], Sequence[str]] | None = tuple
    ) -> Client | Lookup:
        """
        Find out which client sends the request.  The access object is asked once a
        request, however often this is called.

        @param transport: The name under which the request is counted.

        @param getNames: Returns the names that the request is for; L{None} if its URL does
            not tell.

        @return: The client, or a lookup that is not over.

        @raise CometError: If the request is refused.
        """
        self.transport = transport
        # Any: what was found when the head had come is kept with the request.
        request: Any = self.request
        known: Client | Lookup | CometError | None = getattr(request, "identified", None)
        if known is None:
            try:
                known = self.hub.identify(self._credentials(getNames))
            except CometError as error:
                known = error
            request.identified = known
        if isinstance(known, Lookup):
            client = known.result()
            if client is None:
                return known
            request.identified = known = client
        if isinstance(known, CometError):
            raise known
        return known

    def _credentials(self, getNames: Callable[[], Sequence[str]] | None) -> Credentials:
        head, transport = self.head, self.transport
        takesCookies = cookiesCount(head, self.cors, transport)
        return Credentials(
            transport,
            head,
            lambda: self.address,
            takesCookies,
            head.isSecure,
            getCertificate=self._certificate,
            getNames=getNames,
        )

    @property
    def address(self) -> str:
        """
        See L{Peer.address<comet.limits.clientlimits.Peer.address>}.
        """
        return self.forwarded or _hostOf(self.request)

    def _certificate(self) -> Certificate | None:
        """
        Return the certificate that the client has shown.
        """
        # Any: a stream of HTTP/2 has no transport, and is asked itself; a request that
        # is over has no channel.
        channel: Any = getattr(self.request, "channel", None)
        return certificateOf(getattr(channel, "transport", None) or channel)

    def wait(
        self,
        lookup: Lookup,
        found: Callable[[], object],
        failed: Callable[[CometError], object],
    ) -> None:
        """
        Wait until it is known which client sends the request.  The lookup ends when
        the client leaves.

        @param found: Called then.

        @param failed: Called with an error if the request is refused.
        """
        # Any: the request may lose its channel.
        request: Any = self.request
        channel = request.channel
        hold = HeldRequest(request, _nothing) if isDetachable(request) else None
        self.whenGone = lookup.abandon
        self.whenInputEnds = partial(lookup.hurry, HALF_CLOSED)

        def goOn(call: Callable[[], object]) -> None:
            self.whenGone = self.whenInputEnds = None
            if hold is None:
                call()
                return
            hold.release()
            call()
            if channel.transport is None:
                deliverHeld(channel, self._isInputOver)
            elif self._isInputOver:
                self.inputEnded()

        lookup.then(lambda _: goOn(found), lambda error: goOn(partial(failed, error)))

    @property
    def client(self) -> Client:
        """
        The client that sends the request.

        @raise RuntimeError: If it is not known yet: see
            L{HubResource.identifies<comet.transports.resource.HubResource>}.
        """
        known: Any = getattr(self.request, "identified", None)
        if isinstance(known, Lookup):
            known = known.client
        if not isinstance(known, Client):
            raise RuntimeError("the client is not known: the resource does not identify clients")
        return known

    @property
    def names(self) -> tuple[str, ...]:
        """
        The channels and patterns in the path.

        @raise BadChannel: If there is none, or one is malformed.
        """
        return parsePath(self.head.segments, self.hub.settings.limits.maxChannels)

    def parseReadRequest(self, names: Sequence[str], transport: str | None = None) -> ReadRequest:
        """
        Parse a request to read.

        @param names: The channels and patterns.

        @param transport: The transport that answers, or L{None} to choose it by
            the request.

        @raise CometError: If the request is malformed.
        """
        return parseReadRequest(self.head, names, self.hub.end.epoch, transport)

    def ownHeaders(self, besides: Headers) -> Headers:
        """
        Return the headers that only this response has: L{clientHeaders}, and the
        headers and cookies that the application has set on Twisted's request.

        @param besides: The headers that the response has in any case.  A header
            of the same name that the application has set is left out.

        @raise ValueError: If the application has set an impossible header.
        """
        added = self.clientHeaders
        taken = _FRAMING | {name.lower() for name, _ in (*besides, *added)}
        given = self.request.responseHeaders.getAllRawHeaders()
        own = [(name, v) for name, values in given if name.lower() not in taken for v in values]
        cookies = [(b"Set-Cookie", cookie) for cookie in self.request.cookies]
        for header in (*own, *cookies):
            # Checked now: a held poll would fail only when it is answered.
            checkHeader(*header)
        return (*added, *own, *cookies)

    @property
    def clientHeaders(self) -> Headers:
        """
        The headers of a response that depend on the client: those of CORS, and a
        warning about its parameters; and that it depends on the codings that the client
        takes, if it may.
        """
        headers = responseHeaders(self.head, self.hub.origins, self.cors)
        return headers if self.hub.settings.compression is None else headers + VARY

    def body(self, most: int | None = None) -> bytes:
        """
        Return the body of the request, with its content coding undone.

        @param most: How many bytes it may have; as many as the largest batch if
            it is L{None}.

        @raise TooLarge: If the body was larger than the server takes, or has
            more bytes once its coding is undone.

        @raise Unsupported: If the server does not know the coding.

        @raise BadMessage: If the body is not in its coding.
        """
        whole = self.hub.settings.limits.maxBatchBytes
        content = self.request.content
        assert content is not None, "Twisted sets it before a request is rendered"
        if getattr(self.request, "isTooLarge", False) or content.seek(0, SEEK_END) > whole:
            raise bodyTooLarge(getattr(self.request, "most", whole))
        content.seek(0)
        body: bytes = content.read()
        coding = self.head.header("Content-Encoding")
        return body if coding is None else undoCoding(coding, body, most or whole)

    @property
    def bodyReader(self) -> object:
        """
        What has read the body while it arrived, or L{None}: then L{body} has it.

        @raise TooLarge: If the body was larger than the server takes.
        """
        reader: object = getattr(self.request, "bodyReader", None)
        if reader is not None and getattr(self.request, "isTooLarge", False):
            raise bodyTooLarge(getattr(self.request, "most", 0))
        return reader

    def respond(self, response: Response) -> None:
        """
        Send a response, unless the client has left.
        """
        if self.isGone:
            return
        request = self.request
        if isDetachable(request):
            own = [h for h in self.ownHeaders(response.headers) if h not in response.headers]
            headers = (*response.headers, *own)
            persistent = bool(request.channel.persistent)
            version, date = self.head.version, datetimeToString()
            encoded = encodeResponse(
                version, response.status, headers, response.body, persistent, date
            )
            self.send(encoded, len(response.body), response.status)
            return
        request.setResponseCode(response.status)
        own = [h for h in self.clientHeaders if h not in response.headers]
        setHeaders(request, (*response.headers, *own))
        # RFC 9110 8.6: in a response to HEAD, Content-Length would be the
        # length that the response to GET has, which is unknown here.
        isUnknown = request.method == b"HEAD" and not response.body
        if response.status not in (204, 304) and not isUnknown:
            request.setHeader(b"Content-Length", b"%d" % len(response.body))
        request.write(response.body)
        self.countResponse(responseHeadSize(request), len(response.body))
        request.finish()

    def send(self, response: bytes, bodyBytes: int, status: int = 200) -> None:
        """
        Send a response of HTTP/1 that is encoded already.

        @param response: The head and the body.

        @param bodyBytes: How many bytes of the response are its body.
        """
        request = self.request
        if request.method == b"HEAD":
            response, bodyBytes = response[: len(response) - bodyBytes], 0
            # RFC 9110 8.6: it would be the length that the response to GET has.
            response = response.replace(b"\r\nContent-Length: 0\r\n", b"\r\n", 1)
        if self.hub.isDraining and request.channel.persistent:
            request.channel.persistent = False
            response = endConnection(response)
        # Twisted has to believe that it has written the response itself.
        request.startedWriting = 1
        request.setResponseCode(status)
        self.countResponse(len(response) - bodyBytes, bodyBytes)
        request.sentLength = bodyBytes
        if len(response) > SMALL:
            giveTimeToRead(request, len(response))
        rest = sendNow(request.channel.transport, response)
        if rest:
            UnsentResponse(request, self.hub.fanout).write(rest)
        else:
            request.finish()

    def refuse(self, error: CometError) -> None:
        """
        Respond with an error.
        """
        self.hub.fanout.tally.refused.add(error.code)
        self.respond(problem(error))

    def respondWhen(self, asked: Deferred[T], makeResponse: Callable[[T], Response]) -> None:
        """
        Respond when a result is there, or say why there is none.

        @param asked: Fires with the result.

        @param makeResponse: Called with the result; returns the response.
        """
        asked.addCallback(makeResponse).addCallbacks(self.respond, self.requestFailed)
        asked.addErrback(self.responseFailed)

    def responseFailed(self, failure: Failure) -> None:
        """
        A response cannot be made or sent: log it, and close the connection, or
        the client would wait for the response.
        """
        _log.failure(
            "the response to {peer} for {path} cannot be sent",
            failure=failure,
            peer=self.address,
            path=self.request.path,
        )
        if not self.isGone:
            self.request.loseConnection()

    def requestFailed(self, failure: Failure) -> None:
        """
        Respond with what went wrong.  An exception that is not comet's is
        logged, and told to the client as an internal error.
        """
        self.refuse(publicError(failure.value, lambda: self._logFailure(failure)))

    def _logFailure(self, failure: Failure) -> None:
        _log.failure(
            "a request of {peer} for {path} failed",
            failure=failure,
            peer=self.address,
            path=self.request.path,
        )


def _nothing() -> None:
    """
    Do nothing.
    """


def originForbidden(origin: str) -> Forbidden:
    """
    Return the error for a request from, or for, a page whose origin is not
    allowed.
    """
    return Forbidden(
        f"the origin {origin[:64]!r} is not allowed: allowed are the server's own, those of "
        "--public-url and those of --allow-origin"
    )


def bodyTooLarge(most: int) -> TooLarge:
    """
    Return the error for a request with a body that is too large.

    @param most: How many bytes the body may have.
    """
    return TooLarge(f"the body has more than {most} bytes, the most that the server takes")


def notFound(exchange: Exchange) -> NotFound:
    """
    Return the error for a request whose path leads nowhere.
    """
    path = exchange.request.path[:64].decode("utf-8", "replace")
    return NotFound(f"there is nothing at {path!r}: channels are below /channels/")
