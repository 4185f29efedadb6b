"""
The steps of the core that use the network, done with Twisted: HTTP by C{treq}, WebSockets by
Autobahn.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

try:
    from treq.client import HTTPClient
except ImportError:
    raise ImportError(
        "the Python clients need packages that are not installed: pip install 'comet-push[client]'"
    ) from None
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from comet.client.awaiting import Inbox
from comet.client.clientsteps import Connect, Read, Request, Texts, Upgrade
from comet.client.failures import ClientError, Lost
from comet.client.requester import KEPT, MOST_KEPT
from comet.client.serverurl import ServerURL
from comet.client.twistedconnections import Connections, asFailure, valueOf
from comet.client.twistedraw import RawFactory, RawSocket
from comet.client.twistedsocket import Socket, makeFactory
from comet.client.twistedwaiting import Arrivals, Waits

S = TypeVar("S", Socket, RawSocket)


class _Response(Protocol):
    """
    A response of C{treq}, and what has come of its body.
    """

    def __init__(self, response: Any, waits: Waits, host: str) -> None:
        self.status = int(response.code)
        self._headers: Headers = response.headers
        self._host = host
        self._inbox = Inbox()
        self._arrivals = Arrivals(waits)
        self._isOver = False

    def header(self, name: str) -> str | None:
        """
        See L{Response<comet.client.clientsteps.Response>}.
        """
        values = self._headers.getRawHeaders(name.encode("ascii"), [])
        return values[-1].decode("latin-1") if values else None

    def dataReceived(self, data: bytes) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        self._inbox.received(data)
        if self._inbox.isFull:
            self._transport.pauseProducing()
        self._arrivals.wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The body has ended.
        """
        self._isOver = True
        isWhole = reason.check(ResponseDone, PotentialDataLoss)
        self._inbox.end(None if isWhole else asFailure(valueOf(reason), self._host, True))
        self._arrivals.wake()

    @property
    def _transport(self) -> Any:
        return self.transport

    async def read(self, deadline: float) -> bytes:
        """
        Wait for bytes; none at the end.

        @raise TimeoutError: If the time is over.
        """
        while True:
            isFull = self._inbox.isFull
            data = self._inbox.take()
            if data is not None:
                if isFull and not self._isOver:
                    self._transport.resumeProducing()
                return data
            await self._arrivals.wait(deadline)

    def close(self) -> None:
        """
        See L{Response<comet.client.clientsteps.Response>}.
        """
        if not self._isOver:
            # The connection below aborts.
            self._transport.loseConnection()


@implementer(IBodyProducer)
class _Body:
    """
    The body of a request, which is sent at once.
    """

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        See L{IBodyProducer}.
        """
        consumer.write(self._body)
        return succeed(None)

    def stopProducing(self) -> None:
        """
        See L{IBodyProducer}.
        """

    pauseProducing = resumeProducing = stopProducing


@implementer(IAgent)
class _PlainAgent:
    """
    An agent that asks for no compressed bodies, and hides from C{treq} that one is: nothing would
    bound its size.  It hides cookies, too, which would be sent with other requests.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """
        See L{IAgent}.
        """
        if headers is not None:
            headers = headers.copy()
            headers.setRawHeaders(b"accept-encoding", [b"identity"])
        asked: Deferred[IResponse] = self._agent.request(method, uri, headers, bodyProducer)
        return asked.addCallback(self._strip)

    def _strip(self, response: IResponse) -> IResponse:
        for name in (b"set-cookie", b"content-encoding"):
            response.headers.removeHeader(name)
        return response


class Exchanges:
    """
    The connections of a client.
    """

    def __init__(self, reactor: Any, waits: Waits, tls: Any) -> None:
        self._reactor = reactor
        self._waits = waits
        self._connections = Connections(reactor, tls)
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = MOST_KEPT
        self._pool.cachedConnectionTimeout = int(KEPT)
        # The core does it, for publications, too.
        self._pool.retryAutomatically = False
        agent = Agent.usingEndpointFactory(reactor, self._connections, self._pool)
        self._http = HTTPClient(_PlainAgent(agent), data_to_body_producer=_Body)

    async def request(self, step: Request) -> _Response:
        """
        Send a request, and wait for the head of its response.
        """
        url = step.url
        try:
            asking = self._http.request(
                step.method,
                str(url),
                headers=Headers({name: [value] for name, value in step.headers.items()}),
                data=step.body or None,
                allow_redirects=False,
                unbuffered=True,
                reactor=self._reactor,
            )
        except ValueError as error:
            # A name with an underscore, say.
            raise Lost(f"no connection to {url.authority}: {error}", wasConnected=False) from error
        # treq has asked its agent for it just now.
        attempt = self._connections.attempt
        try:
            response = await self._waits.until(asking, step.deadline, self._dispose)
        except (CancelledError, ClientError):
            raise
        except Exception as error:
            wasSent = attempt is not None and attempt.wasSent
            raise asFailure(error, url.authority, wasSent) from error
        return self._deliver(response, url.authority)

    def _deliver(self, response: Any, host: str) -> _Response:
        made = _Response(response, self._waits, host)
        response.deliverBody(made)
        return made

    def _dispose(self, response: Any) -> None:
        self._deliver(response, "").close()

    async def read(self, step: Read) -> bytes:
        """
        Wait for bytes of a body.
        """
        assert isinstance(step.response, _Response | RawSocket)
        try:
            return await step.response.read(step.deadline)
        except TimeoutError as error:
            raise asFailure(error, "", True) from None

    async def upgrade(self, step: Upgrade) -> Socket:
        """
        Open a WebSocket.
        """
        url = step.url
        factory = makeFactory(self._reactor, self._connections, self._waits, url, step.headers)
        return await self._open(Socket, factory, url, step.deadline)

    async def connect(self, step: Connect) -> RawSocket:
        """
        Open a connection of raw TCP.
        """
        factory = RawFactory(self._connections, self._waits, step.url)
        socket = await self._open(RawSocket, factory, step.url, step.deadline)
        # A connection that is lost meanwhile drops it.
        socket.transport.write(step.data)
        return socket

    async def _open(self, kind: type[S], factory: Any, url: ServerURL, deadline: float) -> S:
        """
        Open a connection, and wait until it is shaken.

        @param kind: What the factory makes.
        """
        socket: S | None = None
        try:
            endpoint = self._connections.endpoint(url.host, url.port, url.isSecure)
            connecting: Deferred[S] = endpoint.connect(factory)
            socket = await self._waits.until(connecting, deadline, lambda late: late.close())
            await self._waits.until(socket.shaken, deadline)
        except (CancelledError, ClientError):
            if socket is not None:
                socket.close()
            raise
        except Exception as error:
            if socket is not None:
                socket.close()
            raise asFailure(error, url.authority, socket is not None and socket.wasOpen) from error
        return socket

    async def texts(self, step: Texts) -> list[bytes]:
        """
        Wait for messages.
        """
        try:
            return await cast("Socket", step.socket).take(step.deadline)
        except TimeoutError as error:
            raise asFailure(error, "", True) from None

    async def close(self) -> None:
        """
        Close all connections.
        """
        closing = self._pool.closeCachedConnections()
        self._connections.close()
        await closing
        while self._connections.opened:
            # They are lost in the next turn.
            await self._waits.turn()
