"""
One HTTP request and its response, between Twisted and the hub.
"""

from __future__ import annotations

from collections.abc import Callable
from io import SEEK_END
from typing import Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString
from twisted.web.server import Request

from comet.access.lookups import Lookup
from comet.errors import CometError, NotFound, publicError
from comet.http.contentcoding import VARY
from comet.http.http1 import checkHeader, encodeResponse, endConnection
from comet.http.pace import SMALL
from comet.http.parameters import responseHeaders
from comet.http.responses import Headers, Response, problem
from comet.hub.hub import Hub
from comet.logging.accesslog import AccessLog
from comet.logging.clientlog import ClientLogger
from comet.metrics.traffic import Traffic
from comet.model.clients import Client
from comet.transports.clientrequest import OTHER, ClientRequest
from comet.transports.detach import UnsentResponse, giveTimeToRead, isDetachable
from comet.transports.sinks import sendNow
from comet.transports.twistedrequest import responseHeadSize, setHeaders

T = TypeVar("T")

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

_log = ClientLogger()


class Exchange(ClientRequest):
    """
    A request that is being answered.
    """

    __slots__ = ("_traffic",)

    def __init__(self, hub: Hub, request: Request) -> None:
        super().__init__(hub, request)
        self._traffic: Traffic | None = None

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


def notFound(exchange: Exchange, cure: str = "channels are below /channels/") -> NotFound:
    """
    Return the error for a request whose path leads nowhere.

    @param cure: Which path leads to something.
    """
    path = exchange.request.path[:64].decode("utf-8", "replace")
    return NotFound(f"there is nothing at {path!r}: {cure}")
