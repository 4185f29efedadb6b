"""
A connection of raw TCP of the client for Twisted.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.client.awaiting import Inbox
from comet.client.serverurl import ServerURL
from comet.client.twistedconnections import Connections, asFailure, valueOf
from comet.client.twistedwaiting import Arrivals, Waits


@implementer(IHandshakeListener)
class RawSocket(Protocol):
    """
    One connection.

    @ivar shaken: Fires when it is open: with TLS, once the certificate is verified.

    @ivar wasOpen: Whether it has.
    """

    status = 0
    transport: Any

    def __init__(self, connections: Connections, waits: Waits, url: ServerURL) -> None:
        self._connections = connections
        self._url = url
        self._inbox = Inbox()
        self._arrivals = Arrivals(waits)
        self._isLost = False
        self.wasOpen = False
        self.shaken: Deferred[None] = Deferred(lambda _: self.close())

    def header(self, name: str) -> None:
        """
        See L{Response<comet.client.clientsteps.Response>}.  There are none.
        """

    def connectionMade(self) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        self._connections.opened.add(self)
        if not self._url.isSecure:
            self.handshakeCompleted()

    def handshakeCompleted(self) -> None:
        """
        See L{IHandshakeListener}.
        """
        self.wasOpen = True
        self.transport.setTcpNoDelay(True)
        self.shaken.callback(None)

    def dataReceived(self, data: bytes) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        self._inbox.received(data)
        if self._inbox.isFull:
            self.transport.pauseProducing()
        self._arrivals.wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        self._connections.opened.discard(self)
        self._isLost = True
        error = asFailure(valueOf(reason), self._url.authority, self.wasOpen)
        if not self.shaken.called:
            self.shaken.errback(error)
        self._inbox.end(error)
        self._arrivals.wake()

    async def read(self, deadline: float) -> bytes:
        """
        Wait for bytes.

        @raise Lost: At the end.

        @raise TimeoutError: If the time is over.
        """
        while True:
            isFull = self._inbox.isFull
            data = self._inbox.take()
            if data is not None:
                if isFull and not self._isLost:
                    self.transport.resumeProducing()
                return data
            await self._arrivals.wait(deadline)

    def close(self) -> None:
        """
        See L{Response<comet.client.clientsteps.Response>}.
        """
        if not self._isLost:
            self.transport.abortConnection()


class RawFactory(Factory):
    """
    Makes one L{RawSocket} for an endpoint.
    """

    noisy = False

    def __init__(self, connections: Connections, waits: Waits, url: ServerURL) -> None:
        self._connections = connections
        self._waits = waits
        self._url = url

    def buildProtocol(self, addr: object) -> RawSocket:
        """
        See L{IProtocolFactory<twisted.internet.interfaces.IProtocolFactory>}.
        """
        return RawSocket(self._connections, self._waits, self._url)
