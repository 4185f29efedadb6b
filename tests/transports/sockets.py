"""
A plain TCP transport of Twisted's over a socket whose part the test plays.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from comet.interfaces.sinks import ISinkOwner
from comet.transports.sinks import BufferedSink, DirectSink, makeSink


class Descriptors:
    """
    A reactor that watches nothing, but keeps what it was asked to watch.
    """

    def __init__(self) -> None:
        self.writers: set[Any] = set()
        self.later: list[Any] = []

    def addReader(self, reader: object) -> None:
        """
        Ignore the reader.
        """

    removeReader = addReader

    def addWriter(self, writer: object) -> None:
        """
        Keep the writer.
        """
        self.writers.add(writer)

    def removeWriter(self, writer: object) -> None:
        """
        Forget the writer.
        """
        self.writers.discard(writer)

    def callLater(self, delay: float, call: Any, *arguments: Any) -> None:
        """
        Schedule a call on the test's clock.
        """
        self.later.append(lambda: call(*arguments))


class ScriptedSocket:
    """
    A socket that takes as much as the test says.

    @ivar room: How many bytes it takes.

    @ivar error: What it raises instead.
    """

    def __init__(self) -> None:
        self.taken = bytearray()
        self.sends = 0
        self.room = 1 << 30
        self.error: OSError | None = None

    def send(self, data: bytes) -> int:
        """
        Take as many bytes as there is room for.
        """
        self.sends += 1
        if self.error is not None:
            raise self.error
        if not self.room:
            raise BlockingIOError(errno.EAGAIN, "full")
        size = min(self.room, len(data))
        self.room -= size
        self.taken += data[:size]
        return size

    def getsockname(self) -> tuple[str, int]:
        """
        Return the server's address.
        """
        return ("127.0.0.1", 8080)

    def fileno(self) -> int:
        """
        Return no descriptor.
        """
        return -1

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


class Lost(Protocol):
    """
    A protocol that tells its sink when the connection is lost.
    """

    sink: DirectSink | BufferedSink | None = None

    def connectionLost(self, reason: object = None) -> None:
        """
        Tell the sink.
        """
        if self.sink is not None:
            self.sink.connectionLost()


def makeServer(kind: Any, ours: object, protocol: Protocol, reactor: Descriptors) -> Any:
    """
    Make a transport of some class, as the reactor does when a client connects.
    """
    return kind(ours, protocol, ("127.0.0.1", 1), None, 1, reactor)


@implementer(ISinkOwner)
class Owner:
    """
    The owner of a sink, which notes what it is told.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def sinkReady(self) -> None:
        """
        Note the call.
        """
        self.told.append("ready")

    def sinkLost(self) -> None:
        """
        Note the call.
        """
        self.told.append("lost")

    def inputEnded(self) -> None:
        """
        Note the call.
        """
        self.told.append("ended")


class SinkTestCase(SynchronousTestCase):
    """
    A plain TCP transport over a socket whose part the test plays.
    """

    def setUp(self) -> None:
        """
        Make the transport.
        """
        self.reactor = Descriptors()
        self.socket = ScriptedSocket()
        self.protocol = Lost()
        self.transport = self.makeServer(Server)
        self.protocol.makeConnection(self.transport)
        self.owner = Owner()

    def makeServer(self, kind: type[Server]) -> Any:
        """
        Make a transport of some class.
        """
        return makeServer(kind, self.socket, self.protocol, self.reactor)

    def makeSink(self) -> DirectSink:
        """
        Make a sink for the transport.
        """
        sink = makeSink(self.transport)
        assert isinstance(sink, DirectSink)
        sink.attach(self.owner)
        self.protocol.sink = sink
        return sink

    def turn(self) -> None:
        """
        Have the reactor find all writers writable, once.
        """
        for writer in list(self.reactor.writers):
            failed = writer.doWrite()
            if failed:
                writer.connectionLost(Failure(failed))
        later, self.reactor.later = self.reactor.later, []
        for call in later:
            call()
