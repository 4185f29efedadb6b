"""
A plain TCP transport of Twisted's over a socket that the test plays.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from comet.interfaces import ISinkOwner
from comet.transports.sinks import BufferedSink, DirectSink, makeSink


class Descriptors:
    """
    A reactor that watches nothing, but knows what it was asked to watch.
    """

    def __init__(self) -> None:
        self.writers: set[Any] = set()
        self.later: list[Any] = []

    def addReader(self, reader: object) -> None:
        """
        Not watched.
        """

    removeReader = addReader

    def addWriter(self, writer: object) -> None:
        """
        Watch it.
        """
        self.writers.add(writer)

    def removeWriter(self, writer: object) -> None:
        """
        Watch it no more.
        """
        self.writers.discard(writer)

    def callLater(self, delay: float, call: Any, *arguments: Any) -> None:
        """
        Call it when the test says so.
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
        Take what there is room for.
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
        Where the server is.
        """
        return ("127.0.0.1", 8080)

    def fileno(self) -> int:
        """
        None that could be watched.
        """
        return -1

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


class Lost(Protocol):
    """
    A protocol that tells its sink of the end.
    """

    sink: DirectSink | BufferedSink | None = None

    def connectionLost(self, reason: object = None) -> None:
        """
        Tell it.
        """
        if self.sink is not None:
            self.sink.connectionLost()


def makeServer(kind: Any, ours: object, protocol: Protocol, reactor: Descriptors) -> Any:
    """
    A transport of some kind, as the reactor makes it when a client connects.
    """
    return kind(ours, protocol, ("127.0.0.1", 1), None, 1, reactor)


@implementer(ISinkOwner)
class Owner:
    """
    Whoever writes.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def sinkReady(self) -> None:
        """
        Keep it.
        """
        self.told.append("ready")

    def sinkLost(self) -> None:
        """
        Keep it.
        """
        self.told.append("lost")


class SinkTestCase(SynchronousTestCase):
    """
    A plain TCP transport over a socket of the test's.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.reactor = Descriptors()
        self.socket = ScriptedSocket()
        self.protocol = Lost()
        self.transport = self.makeServer(Server)
        self.protocol.makeConnection(self.transport)
        self.owner = Owner()

    def makeServer(self, kind: type[Server]) -> Any:
        """
        A transport of some kind.
        """
        return makeServer(kind, self.socket, self.protocol, self.reactor)

    def makeSink(self) -> DirectSink:
        """
        A sink for the transport.
        """
        sink = makeSink(self.transport)
        assert isinstance(sink, DirectSink)
        sink.attach(self.owner)
        self.protocol.sink = sink
        return sink

    def turn(self) -> None:
        """
        The reactor finds what it watches writable once.
        """
        for writer in list(self.reactor.writers):
            failed = writer.doWrite()
            if failed:
                writer.connectionLost(Failure(failed))
        later, self.reactor.later = self.reactor.later, []
        for call in later:
            call()
