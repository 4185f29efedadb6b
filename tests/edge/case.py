"""
The base class of the tests with a server process.
"""

from __future__ import annotations

import atexit
import functools
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, TestCase

from tests.edge.clients import Client
from tests.edge.connections import Site
from tests.edge.envelopes import Message
from tests.edge.publisher import Published, publish
from tests.edge.server import CometProcess
from tests.edge.speakers import CLIENTS
from tests.edge.tls import Authority, authority
from tests.edge.ways import WAYS, Way

# The servers that tests share, by their options.
_shared: dict[tuple[str, ...], CometProcess] = {}


def _removeShared() -> None:
    for process in _shared.values():
        process.remove()
    _shared.clear()


atexit.register(_removeShared)


class EdgeTestCase(TestCase):
    """
    A test with a server process.

    @cvar options: The options of the server that the tests of this class
        share.

    @cvar isSecure: Whether that server speaks TLS on all ports.
    """

    timeout = 120
    isSecure = False
    options: Sequence[str] = ("--open", "open/**")

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self.servers: list[CometProcess] = []

    def run(self, result: Any = None) -> Any:
        """
        Run the test; if it fails, it tells what its servers have logged.
        """
        name = self._testMethodName
        # Not before: trial finds a single test by its method.
        setattr(self, name, self._telling(getattr(self, name)))
        try:
            return super().run(result)
        finally:
            # Both kinds of cases do this for a test that is of both.
            vars(self).pop(name, None)

    def _telling(self, method: Callable[[], object]) -> Callable[[], object]:
        """
        Make a failing test print the log of its servers.
        """

        @functools.wraps(method)
        def telling() -> object:
            try:
                result = method()
                if isinstance(result, Deferred):
                    # It looks for tracebacks, and tells, when it fires.
                    return result.addCallbacks(self._ended, self._failed)
                self._ended()
            except SkipTest:
                raise
            except Exception:
                self._failed(Failure())
            return None

        return telling

    def _ended(self, result: object = None) -> None:
        for server in self.servers:
            server.assertNoTracebacks()

    def _failed(self, failure: Failure) -> None:
        failure.trap(Exception)
        if failure.check(SkipTest):
            failure.raiseException()
        tails = [server.tail() for server in self.servers]
        raise self.failureException("\n".join([failure.getTraceback(), *tails])) from None

    def startServer(
        self,
        *options: str,
        listen: str = "tcp:{port}:interface=127.0.0.1",
        tls: ssl.SSLContext | None = None,
        secure: Authority | None = None,
    ) -> CometProcess:
        """
        Start a server for this test alone.
        """
        process = CometProcess(*options, listen=listen, tls=tls, secure=secure)
        self.addCleanup(process.remove)
        self.servers.append(process)
        return process

    def startTls(self, *options: str) -> CometProcess:
        """
        Start a server for this test alone that speaks TLS on both ports.
        """
        made = authority()
        given = ("--open", "open/**", *options)
        return self.startServer(*given, listen=made.endpoint, tls=made.context)

    @property
    def server(self) -> CometProcess:
        """
        The server that all tests with the same options share.
        """
        options, made = tuple(self.options), authority()
        key = (*options, "TLS") if self.isSecure else options
        process = _shared.get(key)
        if process is None or not process.isRunning:
            process = _shared[key] = (
                CometProcess(*options, listen=made.endpoint, tls=made.context, secure=made)
                if self.isSecure
                else CometProcess(*options, secure=made)
            )
        if process not in self.servers:
            self.servers.append(process)
        return process

    @property
    def site(self) -> Site:
        """
        The address of the shared server.
        """
        return self.server.site

    def channel(self, name: str, of: str = "") -> str:
        """
        Return the name of a channel that no other test uses.
        """
        return f"open/{type(self).__name__}.{self._testMethodName}{of}/{name}"

    def publish(self, channel: str, count: int, first: int = 1) -> list[Published]:
        """
        Publish messages C{{"n": number}} to the shared server.
        """
        return [publish(self.site, channel, {"n": n}) for n in range(first, first + count)]

    def client(self, kind: str, site: Site | None = None, **settings: int) -> Client:
        """
        Make a client that is closed when the test is over.
        """
        client = CLIENTS[kind](site or self.site, **settings)
        self.addCleanup(client.close)
        return client

    def each(self, *without: str) -> Iterator[Client]:
        """
        Yield a client for each way to use each transport.  No two of them have
        both C{name} and C{variant} in common.
        """
        for way in WAYS:
            if way.name not in without:
                yield self.take(way)

    def take(self, way: Way, site: Site | None = None, **settings: int) -> Client:
        """
        Make a client that uses one way, and is closed when the test is over.
        """
        client = way.client(site or self.site, **settings)
        self.addCleanup(client.close)
        return client

    def assertHeard(self, heard: Sequence[Message], published: Sequence[Published]) -> None:
        """
        Check that the client heard exactly these messages, in this order.
        """
        expected: list[Any] = [tuple(one) for one in published]
        self.assertEqual([(one.channel, one.cursor, one.data) for one in heard], expected)
