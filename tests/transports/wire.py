"""
A connection in memory: the bytes that a client sends and gets, and a server's
transport that behaves as Twisted's for TCP does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPushProducer,
    ITCPTransport,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import classImplements

# The high-water mark of the transport, in bytes.
FULL = 65536


class Serving(Protocol):
    """
    A factory of the server's protocols.
    """

    def buildProtocol(self, addr: Any, /) -> Any:
        """
        Make a protocol.
        """


class MemoryTransport:
    """
    The server's side of a connection.

    @ivar sent: What has reached the client.

    @ivar unsent: What was written, and the client does not take.

    @ivar isStuck: Whether the client takes nothing.

    @ivar isReading: Whether the server reads.

    @ivar isInputOver: Whether the client has closed its writing side.

    @ivar negotiatedProtocol: What TLS has chosen.

    @ivar keepsAlive: Whether the system watches the connection.

    @ivar isHalfClosed: Whether the server has closed its writing side.
    """

    connected = True
    negotiatedProtocol: bytes | None = None
    disconnecting = False
    disconnected = False
    aborted = False
    keepsAlive = False
    isHalfClosed = False
    producer: Any = None
    streaming = False
    isPaused = False

    def __init__(self) -> None:
        self.protocol: Any = None
        self.sent = bytearray()
        self.unsent = bytearray()
        self.isStuck = False
        self.isReading = True
        self.isInputOver = False
        self.coming: list[bytes] = []

    @property
    def dataBuffer(self) -> bytes:
        """
        What Twisted's transport keeps of what was written.
        """
        return bytes(self.unsent)

    def write(self, data: bytes) -> None:
        """
        Keep the data until the client takes it.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"not bytes: {data!r}")
        if not self.connected:
            return
        if self.isHalfClosed:
            raise RuntimeError(f"written after the end: {data!r}")
        self.unsent += data
        if self.producer is not None and self.streaming and len(self.unsent) > FULL:
            self.isPaused = True
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Write all of the data.
        """
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        Close once all data is sent.
        """
        if self.connected:
            self.disconnecting = True
            self.isReading = False

    def abortConnection(self) -> None:
        """
        Close at once.
        """
        if self.connected:
            self.aborted = True

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Register a producer, which is paused at the high-water mark.
        """
        if self.producer is not None:
            raise RuntimeError("there is a producer already")
        self.producer, self.streaming = producer, streaming

    def unregisterProducer(self) -> None:
        """
        Unregister the producer.
        """
        self.producer = None

    def pauseProducing(self) -> None:
        """
        Stop reading.
        """
        self.isReading = False

    def resumeProducing(self) -> None:
        """
        Go on reading.
        """
        if self.connected and not self.disconnecting:
            self.isReading = True

    def stopProducing(self) -> None:
        """
        Stop reading for good.
        """
        self.loseConnection()

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        Note whether keepalive is on.
        """
        self.keepsAlive = enabled

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Ignore the option.
        """

    def getTcpKeepAlive(self) -> bool:
        """
        Return whether keepalive is on.
        """
        return self.keepsAlive

    def getTcpNoDelay(self) -> bool:
        """
        Return True: all data is sent without delay.
        """
        return True

    def loseWriteConnection(self) -> None:
        """
        Close the server's writing side.
        """
        if self.producer is not None:
            raise RuntimeError("the producer is told of a side that is closed")
        self.isHalfClosed = True

    def getPeer(self) -> IPv4Address:
        """
        Return the client's address.
        """
        return IPv4Address("TCP", "127.0.0.1", 54321)

    def getHost(self) -> IPv4Address:
        """
        Return the server's address.
        """
        return IPv4Address("TCP", "127.0.0.1", 8080)

    # -- What the network does

    def settle(self) -> None:
        """
        Let everything happen that would happen in the next turns.
        """
        while self._step():
            pass

    def _step(self) -> bool:
        if not self.connected:
            return False
        if self.aborted:
            self.lose(ConnectionLost())
        elif self.coming and self.isReading:
            self.protocol.dataReceived(self.coming.pop(0))
        elif self.isInputOver and self.isReading:
            self.isReading = False
            if IHalfCloseableProtocol.providedBy(self.protocol):
                self.protocol.readConnectionLost()
            else:
                self.lose(ConnectionDone())
        elif self.unsent and not self.isStuck:
            self.takes(len(self.unsent))
        elif self.disconnecting and not self.unsent:
            self.lose(ConnectionDone())
        else:
            return False
        return True

    def takes(self, size: int) -> None:
        """
        The client takes some of what was written, even if it is stuck.
        """
        self.sent += self.unsent[:size]
        del self.unsent[:size]
        if not self.unsent:
            if self.producer is not None and (self.isPaused or not self.streaming):
                self.isPaused = False
                self.producer.resumeProducing()

    def lose(self, reason: Exception) -> None:
        """
        The connection is lost.
        """
        self.connected, self.disconnected = False, True
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        self.protocol.connectionLost(Failure(reason))
        self.protocol = None


classImplements(MemoryTransport, ITCPTransport, IPushProducer, ITransport)


class Wire:
    """
    The client's side of a connection.
    """

    def __init__(self, factory: Serving, transport: MemoryTransport | None = None) -> None:
        self.transport = MemoryTransport() if transport is None else transport
        protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 54321))
        self.transport.protocol = protocol
        assert protocol is not None
        protocol.makeConnection(self.transport)

    @property
    def isOpen(self) -> bool:
        """
        Whether the connection is open.
        """
        return self.transport.connected

    def send(self, *data: bytes) -> None:
        """
        Send some pieces, each in a packet of its own.
        """
        self.transport.coming += data
        self.settle()

    def sendIn(self, size: int, data: bytes) -> None:
        """
        Send some bytes in packets of a size.
        """
        self.send(*(data[start : start + size] for start in range(0, len(data), size)))

    def settle(self) -> None:
        """
        Let everything happen that would happen in the next turns.
        """
        self.transport.settle()

    def take(self) -> bytes:
        """
        Return all bytes that have arrived.
        """
        self.settle()
        taken = bytes(self.transport.sent)
        self.transport.sent.clear()
        return taken

    def halfClose(self) -> None:
        """
        Close the client's writing side.
        """
        self.transport.isInputOver = True
        self.settle()

    def leave(self) -> None:
        """
        Close the connection.  The server notices only if it reads.
        """
        if self.transport.connected and self.transport.isReading:
            self.transport.lose(ConnectionDone())
