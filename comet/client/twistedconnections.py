"""
The connections of the client for Twisted: how they are opened, bounded and closed.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import (
    IHandshakeListener,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.http import _DataLoss
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from comet.client.clientsteps import MAX_HEAD
from comet.client.failures import BadAnswer, ClientError, Lost, Silent, Untrusted

# Seconds to connect to one address.  Each wait has a shorter limit of its own.
_LONGEST = 3600.0


@implementer(IHandshakeListener)
class WatchedConnection(ProtocolWrapper):
    """
    A connection over which C{treq} sends requests.

    Twisted bounds the length of a line of a response's head, but not how many lines it has.
    """

    # Whether the head of a response is awaited, and how many bytes have come of it.
    _isHead = True
    _size = 0
    _isTooLarge = False

    factory: WatchingFactory
    transport: Any

    def makeConnection(self, transport: Any) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        super().makeConnection(transport)
        if not self.factory.attempt.isSecure:
            self.handshakeCompleted()

    def handshakeCompleted(self) -> None:
        """
        See L{IHandshakeListener}.
        """
        self.factory.attempt.isOpen = True
        self.transport.setTcpNoDelay(True)

    def write(self, data: bytes) -> None:
        """
        Send a part of a request.  The head of a response follows.
        """
        self._isHead, self._size = True, 0
        super().write(data)

    def writeSequence(self, data: Any) -> None:
        """
        As L{write}.
        """
        self.write(b"".join(data))

    def pauseProducing(self) -> None:
        """
        Stop reading.  Twisted's client calls this behind the head of a response, and
        resumes when the caller reads the body.
        """
        self._isHead = False
        self.transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        wasHead = self._isHead
        super().dataReceived(data)
        if wasHead and self._isHead:
            self._size += len(data)
            if self._size > MAX_HEAD:
                self._isTooLarge = True
                self.loseConnection()

    def loseConnection(self) -> None:
        """
        Close the connection at once: nothing that was written is still wanted.
        """
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        if self._isTooLarge:
            reason = Failure(BadAnswer(f"the head of the answer has more than {MAX_HEAD} bytes"))
        self.factory.connections.opened.discard(self)
        super().connectionLost(reason)


class WatchingFactory(WrappingFactory[WatchedConnection]):
    """
    Makes L{WatchedConnection}s.
    """

    protocol = WatchedConnection

    def __init__(self, factory: IProtocolFactory, attempt: Attempt, connections: Connections):
        super().__init__(factory)
        self.attempt = attempt
        self.connections = connections

    def registerProtocol(self, connection: WatchedConnection) -> None:
        """
        See C{WrappingFactory}.
        """
        super().registerProtocol(connection)
        self.connections.opened.add(connection)


@implementer(IStreamClientEndpoint)
class Attempt:
    """
    One attempt to send a request: an endpoint, which opens a connection if none is kept.

    @ivar isNew: Whether a connection had to be opened.

    @ivar isOpen: Whether that was opened: with TLS, whether the certificate is verified.
    """

    def __init__(self, connections: Connections, host: str, port: int, isSecure: bool) -> None:
        self._connections = connections
        self._host = host
        self._port = port
        self.isSecure = isSecure
        self.isNew = False
        self.isOpen = False

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """
        See L{IStreamClientEndpoint}.
        """
        self.isNew = True
        endpoint = self._connections.endpoint(self._host, self._port, self.isSecure)
        watching = WatchingFactory(factory, self, self._connections)
        connecting: Deferred[Any] = endpoint.connect(watching)
        return connecting.addCallback(lambda connection: connection.wrappedProtocol)

    @property
    def wasSent(self) -> bool:
        """
        Whether the request, or a part of it, was sent.
        """
        return self.isOpen or not self.isNew


@implementer(IAgentEndpointFactory)
class Connections:
    """
    The connections of one client.

    @ivar opened: Those that are open: protocols.

    @ivar attempt: The last one.
    """

    def __init__(self, reactor: Any, tls: Any) -> None:
        """
        @param tls: An L{IOpenSSLClientConnectionCreator
            <twisted.internet.interfaces.IOpenSSLClientConnectionCreator>}, or L{None}.
        """
        self._reactor = reactor
        self._tls = tls
        self.opened: set[Any] = set()
        self.attempt: Attempt | None = None

    def endpointForURI(self, uri: URI) -> Attempt:
        """
        See L{IAgentEndpointFactory}.
        """
        host = uri.host.decode("ascii")
        self.attempt = Attempt(self, host, uri.port, uri.scheme == b"https")
        return self.attempt

    def endpoint(self, host: str, port: int, isSecure: bool) -> Any:
        """
        Make an endpoint.

        @raise ValueError: If the host has a name that Twisted does not take.
        """
        endpoint: Any = HostnameEndpoint(self._reactor, host, port, _LONGEST)
        if not isSecure:
            return endpoint
        tls = self._tls
        if tls is None:
            from twisted.internet.ssl import optionsForClientTLS

            tls = optionsForClientTLS(host)
        return wrapClientTLS(tls, endpoint)

    def close(self) -> None:
        """
        Close all connections at once.  They are lost in the next turn.
        """
        for each in list(self.opened):
            each.transport.abortConnection()


# An ordinary or other end of a connection.
_ENDS = (ConnectionClosed, _DataLoss, CancelledError)


def asFailure(error: BaseException, host: str, wasSent: bool) -> ClientError:
    """
    Make of an error of Twisted one that the core knows.

    @param host: Where the request went: the host, and its port.

    @param wasSent: Whether it, or a part of it, was sent.
    """
    found = _cause(error)
    if isinstance(found, ClientError):
        return found
    text = str(found) or type(found).__name__
    module = type(found).__module__.partition(".")[0]
    if module == "service_identity" or "certificate verify failed" in text:
        return Untrusted(f"the certificate of {host}: {text}")
    if isinstance(found, (TimeoutError, ConnectTimeout)):
        if wasSent:
            return Silent("the server has sent nothing for too long", wasSent=True)
        return Silent(f"{host} does not answer", wasConnected=False)
    isConnecting = isinstance(found, (ConnectError, DNSLookupError)) or not wasSent
    if isConnecting:
        return Lost(f"no connection to {host}: {text}", wasConnected=False)
    if module == "OpenSSL" or isinstance(found, _ENDS):
        return Lost(f"the connection broke: {text}", wasSent=True)
    return BadAnswer(f"the server does not speak HTTP: {text}")


def valueOf(failure: Failure) -> BaseException:
    """
    Return the error of a failure.
    """
    return failure.value or ConnectionResetError("the connection is closed")


def _cause(error: BaseException) -> BaseException:
    """
    Find in what Twisted's agent fails with the reason that says most.
    """
    reasons = getattr(error, "reasons", None)
    if not reasons:
        return error
    found = [_cause(each.value) for each in reasons]
    return next((each for each in found if not isinstance(each, _ENDS)), found[0])
