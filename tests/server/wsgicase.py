"""
Requests to a WSGI application, and the reactor, of the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from queue import Queue
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.task import Clock
from twisted.test.proto_helpers import StringTransport
from twisted.web.test.requesthelper import DummyRequest

# In seconds: no test waits for so long unless it fails.
PATIENCE = 60.0


class Calls(Clock):
    """
    A reactor whose thread is that of the test: it calls what other threads give it
    when the test says so.
    """

    def __init__(self) -> None:
        super().__init__()
        self._calls: Queue[Callable[[], object]] = Queue()

    def callFromThread(self, call: Callable[..., object], *args: object) -> None:
        """
        Keep a call for the test.
        """
        self._calls.put(lambda: call(*args))

    def next(self) -> None:
        """
        Wait for a call of another thread, and make it.
        """
        self._calls.get(timeout=PATIENCE)()

    def until(self, isDone: Callable[[], bool]) -> None:
        """
        Make the calls of other threads until a condition holds.
        """
        while not isDone():
            self.next()


class Slow(StringTransport):
    """
    A transport that has bytes left, which the test takes.
    """

    def __init__(self, left: int) -> None:
        super().__init__()
        self.dataBuffer = bytes(left)


class OnConnection:
    """
    What a request knows of its connection.

    @ivar transport: Its transport; L{None} for a stream of HTTP/2.
    """

    def __init__(self, transport: Any = None) -> None:
        self.transport = transport


class Asked(DummyRequest):
    """
    A request for a path, whose producer is the test's.
    """

    clientproto = b"HTTP/1.1"
    producer: Any = None
    isLost = False

    def __init__(self, *path: bytes) -> None:
        super().__init__(list(path))
        self.content = BytesIO()
        self.uri = b"/" + b"/".join(path)
        self.channel = OnConnection()
        # Those of a UNIX socket.
        self.client = self.host = UNIXAddress(None)

    def isSecure(self) -> bool:
        """
        A UNIX socket speaks no TLS.
        """
        return False

    def getClientAddress(self) -> Any:
        """
        As a request of Twisted's does.
        """
        return self.client

    def getHost(self) -> Any:
        """
        Likewise.
        """
        return self.host

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Keep the producer.
        """
        assert self.producer is None and streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        """
        Forget the producer.
        """
        assert self.producer is not None
        self.producer = None

    def loseConnection(self) -> None:
        """
        Note that it was called.
        """
        self.isLost = True

    def finish(self) -> None:
        """
        Twisted logs an error for a producer that is left.
        """
        assert self.producer is None
        super().finish()

    @property
    def body(self) -> bytes:
        """
        What was written.
        """
        return b"".join(self.written)
