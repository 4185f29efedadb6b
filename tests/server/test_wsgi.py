"""
Tests of L{comet.server.wsgi}: a WSGI application runs in threads, at the pace of its
clients.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.test.proto_helpers import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource, getChildForRequest
from twisted.web.server import Site

from comet.bus.memory.bus import MemoryBus
from comet.http.forwarded import Proxies
from comet.hub.hub import Hub
from comet.logging.accesslog import AccessLog
from comet.server import wsgipace
from comet.server.extension import findFunction
from comet.server.startfailure import CannotStart
from comet.server.wsgi import Visits, WSGILeaf, WSGIRoot
from comet.server.wsgilength import TooShort
from comet.settings.configuration import Configuration
from comet.transports.clientaddress import readForwarded
from comet.web.resources import CometResource
from comet.web.site import CometSite
from tests.server.test_extension import ServerCase
from tests.server.wsgicase import PATIENCE, Asked, Calls

_FEW: Any = {"wsgi-threads": 7}


class RootTests(SynchronousTestCase):
    """
    A site with an application at its root.
    """

    def setUp(self) -> None:
        """
        Make the site, with nothing in it.
        """
        self.reactor = Calls()
        self.environ: dict[str, Any] = {}
        self.comet: Any = Resource()
        self.closed: list[str] = []
        self.lines: list[str] = []
        self.hub = Hub(MemoryBus(self.reactor), self.reactor)
        self.visits = Visits(self.hub)

    def make(self, application: Any, threads: int = 2) -> WSGIRoot:
        """
        Serve an application.
        """
        leaf = WSGILeaf(
            application,
            self.publish,
            self.reactor,
            threads,
            self.visits.begun,
            lambda request: readForwarded(self.hub.proxies, request),
        )
        leaf.pool.start()

        def stop() -> None:
            if not leaf.pool.joined:
                leaf.pool.stop()

        self.addCleanup(stop)
        return WSGIRoot(leaf, self.comet)

    def publish(self, channel: str, data: object) -> str:
        """
        Publish nothing.
        """
        return f"{channel} {data}"

    def ask(self, root: WSGIRoot, *path: bytes) -> Asked:
        """
        Ask for a path, as a site does.
        """
        request = Asked(*path)
        getChildForRequest(root, request).render(request)
        return request

    def chunks(self, environ: dict[str, Any], startResponse: Any) -> Iterator[bytes]:
        """
        An application that yields three chunks, and tells when it is closed.
        """
        self.environ = environ
        startResponse("200 OK", [("Content-Type", "text/plain")])
        try:
            yield b"one "
            yield b"two "
            yield b"three"
        finally:
            self.closed.append(threading.current_thread().name)

    def test_answers(self) -> None:
        """
        The application has the whole path, and its answer goes out; it runs in a
        thread of the pool.
        """
        request = self.ask(self.make(self.chunks), b"a", b"b")
        self.reactor.until(lambda: bool(request.finished))
        self.assertEqual(request.body, b"one two three")
        self.assertEqual(request.responseHeaders.getRawHeaders("Content-Type"), ["text/plain"])
        self.assertEqual(self.environ["PATH_INFO"], "/a/b")
        self.assertEqual(self.environ["SCRIPT_NAME"], "")
        self.assertIs(self.environ["wsgi.input_terminated"], True)
        self.assertNotEqual(self.closed, [threading.current_thread().name])
        self.assertEqual(len(self.closed), 1)

    def see(self, request: Asked) -> None:
        """
        Have the application see a request.
        """
        getChildForRequest(self.make(self.chunks), request).render(request)
        self.reactor.until(lambda: bool(request.finished))

    def test_underscores(self) -> None:
        """
        A header with an underscore does not pass for the one with a hyphen, which a
        proxy has set.
        """
        request = Asked(b"")
        request.requestHeaders.addRawHeader(b"X-Forwarded-For", b"192.0.2.1")
        for name in (b"X_Forwarded_For", b"X-Forwarded_For", b"Remote_User"):
            request.requestHeaders.addRawHeader(name, b"root")
        getChildForRequest(self.make(self.chunks), request).render(request)
        self.reactor.until(lambda: bool(request.finished))
        self.assertEqual(self.environ["HTTP_X_FORWARDED_FOR"], "192.0.2.1")
        self.assertNotIn("HTTP_REMOTE_USER", self.environ)

    def test_publishes(self) -> None:
        """
        The environment has what publishes.
        """

        def application(environ: dict[str, Any], startResponse: Any) -> list[bytes]:
            startResponse("200 OK", [])
            return [environ["comet.publish"]("news", 1).encode()]

        request = self.ask(self.make(application), b"")
        self.reactor.until(lambda: bool(request.finished))
        self.assertEqual(request.body, b"news 1")

    def test_leavesCometItsPath(self) -> None:
        """
        What is below C{/comet} is no business of the application.
        """
        root = self.make(self.chunks)
        self.assertIs(root.getChildWithDefault(b"comet", Asked()), self.comet)

    def test_waits(self) -> None:
        """
        While so much is kept for a client as may be kept for one, the application is not
        asked for more.
        """
        self.patch(wsgipace, "RESPONSE_BYTES", 4)
        self._waits(self.make(self.chunks))

    def test_waitsForRoom(self) -> None:
        """
        While so much is kept for all clients as may be, the application is not asked either.
        """
        root = self.make(self.chunks)
        root.leaf._room.most = 4
        self._waits(root)
        self.assertEqual(root.leaf._room.kept, 0)

    def _waits(self, root: WSGIRoot) -> None:
        request = self.ask(root)
        self.reactor.next()
        request.producer.pauseProducing()
        self.reactor.next()
        # The thread has nothing to call until there is room.
        self.assertEqual(root.leaf._room.kept, 4)
        self.assertEqual(request.body, b"one ")
        request.producer.resumeProducing()
        self.reactor.until(lambda: bool(request.finished))
        self.assertEqual(request.body, b"one two three")

    def test_clientLeaves(self) -> None:
        """
        When a client leaves while the application waits for it, the application is
        closed, and its thread serves others.
        """
        self.patch(wsgipace, "RESPONSE_BYTES", 4)
        root = self.make(self.chunks, threads=1)
        request = self.ask(root)
        self.reactor.next()
        request.producer.pauseProducing()
        self.reactor.next()
        request.processingFailed(Failure(ConnectionError()))
        self.reactor.until(lambda: len(self.closed) == 1)
        other = self.ask(root)
        self.reactor.until(lambda: bool(other.finished))
        self.assertEqual((request.body, other.body), (b"one ", b"one two three"))
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(root.leaf._room.kept, 0)

    def test_keeps(self) -> None:
        """
        What a client has not taken is kept: the thread is free before the client has
        taken it, and the response ends when it has.
        """
        root = self.make(self.chunks, threads=1)
        request = self.ask(root)
        self.reactor.next()
        request.producer.pauseProducing()
        other = self.ask(root)
        self.reactor.until(lambda: bool(other.finished))
        self.assertEqual((request.body, request.finished), (b"one ", 0))
        self.assertEqual(root.leaf._room.kept, len("two three"))
        request.producer.resumeProducing()
        self.assertEqual((request.body, request.finished), (b"one two three", 1))
        self.assertEqual(root.leaf._room.kept, 0)

    def test_manySlowClients(self) -> None:
        """
        A thousand clients that take nothing hold no thread: all their requests are
        answered by two threads, and so is that of another client.
        """
        root = self.make(self.chunks)
        slow = [self.ask(root) for _ in range(1000)]
        for request in slow:
            request.producer.pauseProducing()
        other = self.ask(root)
        self.reactor.until(lambda: len(self.closed) == 1001 and bool(other.finished))
        self.assertEqual(other.body, b"one two three")
        self.assertEqual({(each.body, each.finished) for each in slow}, {(b"", 0)})
        self.assertEqual(root.leaf._room.kept, 1000 * len("one two three"))
        for request in slow[:500]:
            request.processingFailed(Failure(ConnectionError()))
        paces: list[Any] = [each.producer for each in slow[500:]]
        self.reactor.until(lambda: all(each._isFinished for each in paces))
        for request in slow[500:]:
            request.producer.resumeProducing()
        self.assertEqual({(each.body, each.finished) for each in slow[500:]}, {(other.body, 1)})
        self.assertEqual(root.leaf._room.kept, 0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_failsLate(self) -> None:
        """
        An application that raises in the middle has its connection closed, and what is
        kept is dropped.
        """

        def application(environ: dict[str, Any], startResponse: Any) -> Iterator[bytes]:
            startResponse("200 OK", [])
            yield b"one"
            yield b"two"
            raise ZeroDivisionError

        root = self.make(application)
        request = self.ask(root)
        request.producer.pauseProducing()
        self.reactor.until(lambda: request.isLost)
        self.assertEqual((request.body, request.producer), (b"", None))
        self.assertEqual(root.leaf._room.kept, 0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_ofProxy(self) -> None:
        """
        What a trusted proxy tells of a client is what the application sees; what others
        tell is not.
        """
        for address, told, expected in (
            ("10.0.0.1", "192.0.2.7", ("192.0.2.7", "0", "https")),
            ("10.0.0.1", "2001:db8::1", ("2001:db8::1", "0", "https")),
            ("10.0.0.2", "192.0.2.7", ("10.0.0.2", "5", "http")),
        ):
            self.hub.proxies = Proxies(["10.0.0.1"])
            request = Asked(b"")
            request.client = IPv4Address("TCP", address, 5)
            headers = request.requestHeaders
            headers.addRawHeader(b"X-Forwarded-For", told.encode())
            headers.addRawHeader(b"X-Forwarded-Proto", b"https")
            self.see(request)
            names = ("REMOTE_ADDR", "REMOTE_PORT", "wsgi.url_scheme")
            self.assertEqual(tuple(self.environ[name] for name in names), expected)

    def test_unixSocket(self) -> None:
        """
        A proxy that comes by a UNIX socket is believed likewise; without a word of it the client
        is at this machine.
        """
        for trusted, expected in (([], "127.0.0.1"), (["unix"], "192.0.2.7")):
            self.hub.proxies = Proxies(trusted)
            request = Asked(b"")
            request.requestHeaders.addRawHeader(b"X-Forwarded-For", b"192.0.2.7")
            self.see(request)
            self.assertEqual(self.environ["REMOTE_ADDR"], expected)
            self.assertEqual(self.environ["SERVER_PORT"], "0")

    def test_fails(self) -> None:
        """
        An application that raises before its answer began is answered for with 500,
        and its traceback is logged: it is the application's.
        """

        def application(environ: dict[str, Any], startResponse: Any) -> list[bytes]:
            raise ZeroDivisionError

        request = self.ask(self.make(application))
        self.reactor.until(lambda: bool(request.finished))
        self.assertEqual(request.responseCode, 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def visit(self, application: Any, head: bytes) -> tuple[Any, StringTransport]:
        """
        Ask for something over a connection of a site that keeps an access log.
        """
        self.lines = []
        self.hub.accessLog = AccessLog(self.lines.append)
        site = Site(self.make(application), reactor=self.reactor)
        client = IPv4Address("TCP", "10.0.0.1", 5)
        channel: Any = site.buildProtocol(client)
        transport = StringTransport(peerAddress=client)
        channel.makeConnection(transport)
        channel.dataReceived(head)
        return channel, transport

    def logged(self) -> list[tuple[Any, ...]]:
        """
        Return what each line of the access log says.
        """
        names = ("address", "transport", "method", "path", "status", "bytes")
        return [tuple(json.loads(line)[name] for name in names) for line in self.lines]

    def test_logsVisits(self) -> None:
        """
        The access log has a line for a request that is answered, without its query.
        """
        _, transport = self.visit(self.chunks, b"GET /a/b?token=secret HTTP/1.0\r\n\r\n")
        self.reactor.until(lambda: bool(self.lines))
        self.assertTrue(transport.value().endswith(b"one two three"))
        self.assertEqual(self.logged(), [("10.0.0.1", "wsgi", "GET", "/a/b", 200, 13)])
        self.assertNotIn("secret", self.lines[0])

    def test_logsVisitOfProxy(self) -> None:
        """
        It names the client that a trusted proxy tells of.
        """
        self.hub.proxies = Proxies(["10.0.0.1"])
        self.visit(self.chunks, b"GET / HTTP/1.0\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")
        self.reactor.until(lambda: bool(self.lines))
        self.assertEqual([each[0] for each in self.logged()], ["192.0.2.7"])

    def test_logsWhoLeaves(self) -> None:
        """
        It tells of a response that its client did not wait for, with what was sent.
        """
        channel, _ = self.visit(self.chunks, b"GET /a HTTP/1.0\r\n\r\n")
        self.reactor.next()
        channel.connectionLost(Failure(ConnectionError()))
        self.assertEqual(self.logged(), [("10.0.0.1", "wsgi", "GET", "/a", 200, 4)])
        self.reactor.until(lambda: len(self.closed) == 1)

    def test_refused(self) -> None:
        """
        What the site refuses is logged and counted, too.
        """
        self.comet = CometResource(self.hub)
        self.lines = []
        self.hub.accessLog = AccessLog(self.lines.append)
        site = CometSite(self.make(self.chunks), 65536, reactor=self.reactor)
        client = IPv4Address("TCP", "10.0.0.1", 5)
        channel: Any = site.buildProtocol(client)
        channel.makeConnection(StringTransport(peerAddress=client))
        channel.dataReceived(b"GET /a?secret HTTP/1.1\r\nno header\r\n\r\n")
        self.assertEqual(
            [each[:5] for each in self.logged()], [("10.0.0.1", "other", "GET", "/a", 400)]
        )
        self.assertEqual(self.hub.tally.refused["badRequest"], 1)
        channel.connectionLost(Failure(ConnectionError()))

    def test_writes(self) -> None:
        """
        An application that writes waits for its client as well.
        """

        def application(environ: dict[str, Any], startResponse: Any) -> list[bytes]:
            write = startResponse("200 OK", [])
            write(b"one ")
            write(b"two")
            return []

        self.patch(wsgipace, "RESPONSE_BYTES", 3)
        request = self.ask(self.make(application))
        self.reactor.next()
        request.producer.pauseProducing()
        self.reactor.next()
        self.assertEqual(request.body, b"one ")
        request.producer.resumeProducing()
        self.reactor.until(lambda: bool(request.finished))
        self.assertEqual(request.body, b"one two")

    def sized(self, length: int, *chunks: bytes) -> Any:
        """
        Make an application whose response tells a length and has some chunks.
        """

        def application(environ: dict[str, Any], startResponse: Any) -> Iterator[bytes]:
            startResponse("200 OK", [("Content-Length", str(length))])
            yield from chunks
            self.closed.append("all")

        return application

    def test_longer(self) -> None:
        """
        What a response has beyond the length that it tells does not go out: the client would
        take it for the next response of the connection.
        """
        logged: list[Any] = []
        observer: Any = logged.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        application = self.sized(5, b"one", b"two HTTP/1.1 200 OK", b"three")
        head = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"
        channel, transport = self.visit(application, head)
        self.reactor.until(lambda: bool(self.lines))
        self.assertTrue(transport.value().endswith(b"\r\n\r\nonetw"))
        self.assertEqual(self.closed, [])
        channel.dataReceived(head)
        self.reactor.until(lambda: len(self.lines) == 2)
        self.assertEqual(transport.value().count(b"200 OK"), 2)
        told = [each["log_format"] for each in logged if "told" in each]
        self.assertEqual(len(told), 2)

    def test_shorter(self) -> None:
        """
        The connection of a response that ends before its length is closed: its client would
        wait for the rest.
        """
        request = self.ask(self.make(self.sized(7, b"one")))
        self.reactor.until(lambda: request.isLost)
        self.assertEqual(request.body, b"one")
        self.assertEqual(len(self.flushLoggedErrors(TooShort)), 1)

    def test_nothingOfLength(self) -> None:
        """
        One of which nothing has come is a failure of the application's.
        """
        request = self.ask(self.make(self.sized(7)))
        self.reactor.until(lambda: bool(request.finished))
        self.assertEqual(request.responseCode, 500)
        self.assertEqual(len(self.flushLoggedErrors(TooShort)), 1)

    def test_headOfLength(self) -> None:
        """
        The response to HEAD has a length, and no body.
        """
        request = Asked(b"a")
        request.method = b"HEAD"
        getChildForRequest(self.make(self.sized(7)), request).render(request)
        self.reactor.until(lambda: bool(request.finished))
        self.assertEqual((request.responseCode, request.isLost), (200, False))

    def test_writesLonger(self) -> None:
        """
        An application that writes is held to its length, too.
        """

        def application(environ: dict[str, Any], startResponse: Any) -> list[bytes]:
            startResponse("200 OK", [("Content-Length", "2")])(b"long")
            return []

        request = self.ask(self.make(application))
        self.reactor.until(lambda: bool(request.finished))
        self.assertEqual(request.body, b"lo")

    @staticmethod
    def _hasSaid(transport: Any) -> bool:
        return bool(transport.value())

    def test_splits(self) -> None:
        """
        A status cannot forge headers, or a response.
        """
        for status in ("200 a\r\nX: y", "200 a\n\nb", "200 \0"):

            def application(environ: Any, startResponse: Any, status: str = status) -> list[bytes]:
                startResponse(status, [])
                return [b"body"]

            head = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"
            _, transport = self.visit(application, head)
            self.reactor.until(lambda: len(self.flushLoggedErrors(ValueError)) == 1)
            self.reactor.until(partial(self._hasSaid, transport))
            self.assertTrue(transport.value().startswith(b"HTTP/1.1 500 Internal Server Error\r\n"))
            self.assertNotIn(b"X: y", transport.value())

    def test_stops(self) -> None:
        """
        The threads end, and the reactor's thread does not wait for them.
        """
        held = threading.Event()

        def application(environ: dict[str, Any], startResponse: Any) -> list[bytes]:
            assert held.wait(PATIENCE)
            startResponse("200 OK", [])
            return [b"late"]

        root = self.make(application)
        request = self.ask(root)
        stopped: Deferred[None] = root.leaf.stop()
        self.assertNoResult(stopped)
        held.set()
        self.reactor.until(lambda: bool(request.finished) and bool(stopped.called))
        self.successResultOf(stopped)
        self.assertEqual(request.body, b"late")

    def test_stopsWithoutWaiting(self) -> None:
        """
        Who cancels waits no longer for a thread that does not return; that it does so
        later is no error.
        """
        held = threading.Event()

        def application(environ: dict[str, Any], startResponse: Any) -> list[bytes]:
            assert held.wait(PATIENCE)
            startResponse("200 OK", [])
            return []

        root = self.make(application)
        request = self.ask(root)
        stopped = root.leaf.stop()
        stopped.addErrback(lambda failure: None)
        stopped.cancel()
        self.successResultOf(stopped)
        held.set()
        self.reactor.until(lambda: bool(request.finished))
        # The threads have ended.
        self.reactor.next()


class ServerTests(ServerCase):
    """
    The option.
    """

    source = "def site(environ, start):\n    return []\n\ndef extend(server):\n    pass\n"

    def test_servesIt(self) -> None:
        """
        The application is at the root, with comet below C{/comet}.
        """
        server = self.make(self.source)
        module = server.configuration["app"].partition(":")[0]
        server = self.make(wsgi=f"{module}:site")
        self.assertIsInstance(server.root, WSGIRoot)
        self.assertIs(server.root.children[b"comet"], server.comet)
        self.assertIs(findFunction(f"{module}:site"), server.root.leaf.application)

    def test_isMissing(self) -> None:
        """
        An application that is not there is told by the name of the option.
        """
        error = self.assertRaises(CannotStart, self.make, wsgi="nowhere:site")
        self.assertIn("wsgi 'nowhere:site': there is no module 'nowhere'", str(error))

    def test_fails(self) -> None:
        """
        What goes wrong in the application's module is printed with its traceback, and the
        reason said in a line, as for C{--app}.
        """
        Path("appli_broken.py").write_text("import appli_missing\n")
        printed = StringIO()
        self.patch(sys, "stderr", printed)
        error = self.assertRaises(CannotStart, self.make, wsgi="appli_broken:site")
        self.assertIn("wsgi 'appli_broken:site' failed: ModuleNotFoundError", str(error))
        self.assertIn("Traceback", printed.getvalue())

    def test_rootOfBoth(self) -> None:
        """
        Two things cannot be at the root.
        """
        source = self.source.replace("    pass", "    server.root = object()")
        error = self.assertRaises(CannotStart, self.make, source, wsgi="json:loads")
        self.assertIn("server.root", str(error))

    def test_ends(self) -> None:
        """
        A request that is never answered is waited for as long as is left of the time to
        drain, and no longer than a second if nothing is.
        """
        server = self.make(wsgi="json:loads", drain=30)
        self.patch(server.root.leaf, "stop", Deferred)
        for left, waited in ((0.0, 1.0), (0.5, 1.0), (7.0, 7.0)):
            ended = server._ended(left)
            server.reactor.advance(waited - 0.1)
            self.assertNoResult(ended)
            server.reactor.advance(0.1)
            self.successResultOf(ended)
        self.assertEqual(server.reactor.getDelayedCalls(), [])

    def test_threads(self) -> None:
        """
        The option says how many requests are answered at once.
        """
        server = self.make(wsgi="json:loads", **_FEW)
        self.assertEqual(server.root.leaf.pool.max, 7)
        self.assertEqual(Configuration({})["wsgi-threads"], 20)
