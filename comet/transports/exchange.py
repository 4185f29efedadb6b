"""
One request of HTTP and its answer, between Twisted and the hub.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import SEEK_END
from typing import Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString
from twisted.web.server import Request

from comet.errors import (
    CometError,
    Forbidden,
    NotFound,
    TooLarge,
    publicError,
)
from comet.http.origins import CORS
from comet.http.reads import ReadRequest, parseReadRequest, readAccount
from comet.http.request import RequestHead, checkHeaderValues
from comet.http.responses import Headers, Response, checkHeader, encodeResponse, problem
from comet.hub import Hub
from comet.metrics import Traffic
from comet.model.channels import parsePath
from comet.model.clients import Client
from comet.transports.detach import UnsentResponse, isDetachable
from comet.transports.sinks import sendNow

T = TypeVar("T")

VERSIONS: Final = {b"HTTP/1.0": (1, 0), b"HTTP/1.1": (1, 1), b"HTTP/2": (2, 0)}

# What whoever frames an answer sets; Twisted has set some of it already.
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

# What requests count for that belong to no transport.
OTHER: Final = "other"

_log = Logger()


def makeRequestHead(request: Request) -> RequestHead:
    """
    What of a request of Twisted's is its head, below the resource that it was
    routed to.
    """
    path, _, query = request.uri.partition(b"?")
    return RequestHead(
        method=request.method,
        # As they came: Twisted's own have lost what was escaped.
        segments=tuple(path.split(b"/")[1 + len(request.prepath or ()) :]),
        query=query,
        version=VERSIONS.get(request.clientproto, (1, 0)),
        headers=lambda name: request.requestHeaders.getRawHeaders(name) or (),
        isSecure=bool(request.isSecure()),
    )


def setHeaders(request: Request, headers: Headers) -> None:
    """
    Let Twisted send these headers, instead of any of the same names.
    """
    for name in {b"Server", *(name for name, _ in headers)}:
        request.responseHeaders.removeHeader(name)
    for name, value in headers:
        request.responseHeaders.addRawHeader(name, value)


def responseHeadSize(request: Request) -> int:
    """
    How many bytes the head of an answer has that Twisted has sent, as it would
    be in HTTP/1.
    """
    sent = request.responseHeaders.getAllRawHeaders()
    lines = sum(len(name) + len(value) + 4 for name, values in sent for value in values)
    return lines + len("HTTP/2 200 \r\n\r\n")


class Exchange:
    """
    A request that is being answered.

    @ivar hub: The hub.

    @ivar request: Twisted's request.

    @ivar head: Its head.

    @ivar cors: What the page that sent it may see.

    @ivar accountName: Under which name it is counted besides its transport's.

    @ivar isGone: Whether the client left.

    @ivar whenGone: Called when the client leaves.
    """

    __slots__ = ("_traffic", "accountName", "cors", "head", "hub", "isGone", "request", "whenGone")

    def __init__(self, hub: Hub, request: Request) -> None:
        self.hub = hub
        self.request = request
        self.head = makeRequestHead(request)
        self.cors = CORS(None, False, True)
        self.accountName: str | None = None
        self.isGone = False
        self.whenGone: Callable[[], None] | None = None
        self._traffic: Traffic | None = None
        request.notifyFinish().addErrback(self._clientLeft)

    def _clientLeft(self, reason: Failure) -> None:
        self.isGone = True
        if self.whenGone is not None:
            self.whenGone()

    def countAs(self, transport: str) -> Traffic:
        """
        Count the request for a transport.  Called once.

        @return: Where to count what is sent, if the answer ends.
        """
        self._traffic = traffic = self.trafficFor(transport)
        self.countRequest(traffic)
        return traffic

    def trafficFor(self, transport: str) -> Traffic:
        """
        Where what passes for this request is counted.
        """
        return self.hub.metrics.of(transport, self.accountName)

    def countRequest(self, traffic: Traffic) -> None:
        """
        Count what has come of the request.
        """
        request = self.request
        traffic.requests += 1
        # What was not counted when it came is as long as it would be if it
        # were written in the ordinary way.
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
        Count what was sent of the answer.
        """
        traffic = self.countAs(OTHER) if self._traffic is None else self._traffic
        traffic.headOut += head
        traffic.dataOut += data

    def check(self) -> None:
        """
        Check what is the same for every request.

        @raise CometError: If the request cannot be answered.
        """
        checkHeaderValues(self.rawHeaders())
        head, origins = self.head, self.hub.origins
        host = head.header("Host")
        origins.checkHost(host, head.version)
        self.cors = origins.verdict(head.header("Origin"), host, head.isSecure)
        self.accountName = readAccount(head)

    def rawHeaders(self) -> list[tuple[bytes, bytes]]:
        """
        All headers of the request, as they came.
        """
        headers = self.request.requestHeaders.getAllRawHeaders()
        return [(name, value) for name, values in headers for value in values]

    def checkOrigin(self) -> None:
        """
        Refuse what a page of another origin asks for.

        @raise Forbidden: If its origin is not allowed.
        """
        if not self.cors.isAllowed:
            origin = self.head.header("Origin") or ""
            raise Forbidden(
                f"the origin {origin[:64]!r} is not allowed: only the server's own are, which "
                "--public-url adds to, and those of --allow-origin"
            )

    @property
    def client(self) -> Client:
        """
        Who asks.

        @raise Unauthorized: If the credential is bad.
        """
        return self.hub.access.identify(self.head.header("Authorization"))

    @property
    def names(self) -> tuple[str, ...]:
        """
        The channels and patterns in the path.

        @raise BadChannel: If there is none, or one cannot be one.
        """
        return parsePath(self.head.segments, self.hub.settings.limits.maxChannels)

    def parseReadRequest(self, names: Sequence[str], transport: str | None = None) -> ReadRequest:
        """
        What a request to read asks for.
        """
        return parseReadRequest(self.head, names, self.hub.end.epoch, transport)

    def ownHeaders(self, besides: Headers) -> Headers:
        """
        The headers that this answer alone has: for the page that asked, and
        those that the application has set on Twisted's request.

        @param besides: The headers that the answer has in any case; of those
            that the application has set, none of the same names is taken.

        @raise ValueError: If the application has set what cannot be a header.
        """
        cors = self.hub.origins.headers(self.cors)
        taken = _FRAMING | {name.lower() for name, _ in (*besides, *cors)}
        given = self.request.responseHeaders.getAllRawHeaders()
        own = [(name, v) for name, values in given if name.lower() not in taken for v in values]
        cookies = [(b"Set-Cookie", cookie) for cookie in self.request.cookies]
        for header in (*own, *cookies):
            # Now, and not when a poll is to be answered with it.
            checkHeader(*header)
        return (*cors, *own, *cookies)

    def body(self) -> bytes:
        """
        The body of the request.

        @raise TooLarge: If it was larger than anything that is taken.
        """
        most = self.hub.settings.limits.maxBatchBytes
        content = self.request.content
        assert content is not None, "Twisted sets it before a request is rendered"
        if getattr(self.request, "isTooLarge", False) or content.seek(0, SEEK_END) > most:
            most = getattr(self.request, "most", most)
            raise TooLarge(f"the body has more than {most} bytes, which is all that is taken")
        content.seek(0)
        body: bytes = content.read()
        return body

    def respond(self, answer: Response) -> None:
        """
        Answer, if the client is still there.
        """
        if self.isGone:
            return
        request = self.request
        if isDetachable(request):
            own = [h for h in self.ownHeaders(answer.headers) if h not in answer.headers]
            headers = (*answer.headers, *own)
            persistent = bool(request.channel.persistent)
            version, date = self.head.version, datetimeToString()
            response = encodeResponse(
                version, answer.status, headers, answer.body, persistent, date
            )
            self.send(response, len(answer.body), answer.status)
            return
        request.setResponseCode(answer.status)
        own = [h for h in self.hub.origins.headers(self.cors) if h not in answer.headers]
        setHeaders(request, (*answer.headers, *own))
        # RFC 9110 8.6: on HEAD it would be the length of what GET is answered.
        isUnknown = request.method == b"HEAD" and not answer.body
        if answer.status not in (204, 304) and not isUnknown:
            request.setHeader(b"Content-Length", b"%d" % len(answer.body))
        request.write(answer.body)
        self.countResponse(responseHeadSize(request), len(answer.body))
        request.finish()

    def send(self, response: bytes, bodyBytes: int, status: int = 200) -> None:
        """
        Send all the bytes of a response of HTTP/1.

        @param bodyBytes: How many of them are the body.
        """
        request = self.request
        if request.method == b"HEAD":
            response, bodyBytes = response[: len(response) - bodyBytes], 0
            # RFC 9110 8.6: it would be the length of what GET is answered.
            response = response.replace(b"\r\nContent-Length: 0\r\n", b"\r\n", 1)
        self.countResponse(len(response) - bodyBytes, bodyBytes)
        # Twisted is to believe that it has written the response itself.
        request.startedWriting = 1
        request.setResponseCode(status)
        request.sentLength = bodyBytes
        rest = sendNow(request.channel.transport, response)
        if rest:
            UnsentResponse(request, self.hub.fanout.wheel).write(rest)
        else:
            request.finish()

    def refuse(self, error: CometError) -> None:
        """
        Answer with an error.
        """
        self.respond(problem(error))

    def respondWhen(self, asked: Deferred[T], makeAnswer: Callable[[T], Response]) -> None:
        """
        Answer when something is done.
        """
        asked.addCallback(makeAnswer).addCallbacks(self.respond, self.requestFailed)
        asked.addErrback(self.responseFailed)

    def responseFailed(self, failure: Failure) -> None:
        """
        The answer cannot be made: let the client not wait for it.
        """
        _log.failure(
            "the response to {peer} for {path} cannot be sent",
            failure=failure,
            peer=self.request.getClientAddress(),
            path=self.request.path,
        )
        if not self.isGone:
            self.request.loseConnection()

    def requestFailed(self, failure: Failure) -> None:
        """
        Answer with what went wrong.
        """
        self.refuse(publicError(failure.value, lambda: self._logFailure(failure)))

    def _logFailure(self, failure: Failure) -> None:
        _log.failure(
            "a request of {peer} for {path} failed",
            failure=failure,
            peer=self.request.getClientAddress(),
            path=self.request.path,
        )


def notFound(exchange: Exchange) -> NotFound:
    """
    The error of a request for what is not there.
    """
    path = exchange.request.path[:64].decode("utf-8", "replace")
    return NotFound(f"there is nothing at {path!r}: channels are below /channels/")
