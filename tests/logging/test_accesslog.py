"""
Tests of L{comet.logging.accesslog}: a line for each request and reader, on both edges.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from comet.access.rights import Access
from comet.http.forwarded import Proxies
from comet.logging.accesslog import MAX_NAMES, AccessLog
from comet.logging.clientlog import MAX_VALUE
from comet.server.served import Served
from comet.settings.configuration import Configuration
from comet.transports.tcp import CometFactory
from tests.lean.case import LeanTestCase
from tests.lean.case import request as leanRequest
from tests.test_tap import TapTestCase
from tests.transports.case import KEY, HubTestCase, get, post, request


class Lines:
    """
    The lines of an access log.
    """

    def __init__(self) -> None:
        self.written: list[str] = []

    def take(self) -> list[dict[str, Any]]:
        """
        Return what was written, without what differs from run to run.
        """
        told = []
        for line in self.written:
            assert line.isascii() and line.isprintable(), line
            fields = json.loads(line)
            assert fields.pop("time").endswith("Z"), line
            assert fields.pop("address") == "127.0.0.1", line
            told.append(fields)
        self.written.clear()
        return told


class LineTests(SynchronousTestCase):
    """
    One line.
    """

    def test_escapes(self) -> None:
        """
        What a client has chosen is shortened and escaped.
        """
        lines = Lines()
        log = AccessLog(lines.written.append, lambda: 1700000000.25)
        path = "/channels/\r\n\x1b[2J" + "x" * 9999
        log.answered("::1", "a\nb" * 999, "poll", "GET" * 99, path, 200, 7)
        (line,) = lines.written
        self.assertTrue(line.isascii() and line.isprintable())
        self.assertLess(len(line), 2 * MAX_VALUE + 400)
        told = json.loads(line)
        self.assertEqual(told["time"], "2023-11-14T22:13:20.250Z")
        self.assertEqual((told["address"], told["status"], told["bytes"]), ("::1", 200, 7))
        self.assertTrue(told["path"].startswith("/channels/\\r\\n"))


class TwistedTests(HubTestCase):
    """
    Twisted's edge.
    """

    def setUp(self) -> None:
        """
        Keep an access log.
        """
        super().setUp()
        self.lines = Lines()
        self.hub.accessLog = AccessLog(self.lines.written.append, seconds=self.clock.seconds)

    def test_requests(self) -> None:
        """
        Each request that is answered has a line, without its query.
        """
        self.ask(post("/channels/open/a", b"x"))
        self.ask(get("/channels/open/a?transport=poll&token=secret&since=earliest"))
        self.ask(get("/channels/open/a?transport=poll"))
        self.ask(request("POST", "/channels/closed?token=secret", body=b"x"))
        self.ask(get("/nowhere?x=secret", method="HEAD"))
        told = self.lines.take()
        shown = [(each["method"], each["path"], each["status"]) for each in told]
        self.assertEqual(
            shown,
            [
                ("POST", "/channels/open/a", 201),
                ("GET", "/channels/open/a", 401),
                ("GET", "/channels/open/a", 200),
                ("POST", "/channels/closed", 401),
                ("HEAD", "/nowhere", 404),
            ],
        )
        self.assertNotIn("secret", json.dumps(told))
        self.assertEqual(told[2]["transport"], "poll")
        self.assertGreater(told[2]["bytes"], 10)

    def test_refusedHeads(self) -> None:
        """
        So has a request that is refused before all of it has come, with what has come of its
        method and path.
        """
        long = b"x" * 200_000
        end = b"\r\nHost: localhost\r\n\r\n"
        for sent, expected in (
            (b"GET /a?secret HTTP/1.1\r\nX: " + long + end, ("GET", "/a", 431)),
            (b"GET /" + long + b" HTTP/1.1" + end, ("GET", "/" + "x" * 19, 414)),
            (b"GET /a?secret HTTP/1.1\r\nno header\r\n\r\n", ("GET", "/a", 400)),
            (b"\x16\x03\x01\x02", ("", "", 400)),
            (
                b"POST /channels/open/a?secret HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: 99999999\r\n\r\n",
                ("POST", "/channels/open/a", 413),
            ),
            (
                b"POST /channels/open/a HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: " + b"9" * 99 + b"\r\n\r\n",
                ("POST", "/channels/open/a", 413),
            ),
        ):
            wire = self.connect()
            wire.send(sent)
            self.turn()
            (told,) = self.lines.take()
            shown = (told["method"], told["path"][:20], told["status"])
            self.assertEqual(shown, expected, sent[:64])
            self.assertEqual(told["transport"], "other")
            self.assertGreater(told["bytes"], 10)

    def test_refusedBehindProxy(self) -> None:
        """
        It has the address of the client, where a trusted proxy has told it in the head: also
        if the body has not come yet.
        """
        self.hub.proxies = Proxies(["127.0.0.1"])
        end = b" HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.7\r\nContent-Length: "
        for path, rest, status in (
            (b"/channels/closed", b"1\r\n\r\nx", 401),
            (b"/channels/closed", b"1\r\n\r\n", 401),
            (b"/channels/open/a", b"99999999\r\n\r\n", 413),
        ):
            self.connect().send(b"POST " + path + end + rest)
            self.turn()
            told = json.loads(self.lines.written.pop())
            self.assertEqual((told["address"], told["status"]), ("192.0.2.7", status))

    def test_refusedAtOwnRoot(self) -> None:
        """
        So has a request to a root of the application's own, which knows of no hub.
        """
        served = Served(Configuration({}), self.hub, Resource(), self.clock)
        site: Any = served.factories()[0]
        self.hub.proxies = Proxies(["127.0.0.1"])
        for sent, address, status in (
            (b"GET /a HTTP/1.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", "127.0.0.1", 431),
            (b"GET /a HTTP/1.1\r\nno header\r\n\r\n", "127.0.0.1", 400),
            (
                b"POST /a HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.7\r\n"
                b"Content-Length: 99999999\r\n\r\n",
                "192.0.2.7",
                413,
            ),
        ):
            self.connect(site).send(sent)
            self.turn()
            (line,) = self.lines.written
            told = json.loads(line)
            shown = (told["address"], told["path"], told["status"])
            self.assertEqual(shown, (address, "/a", status))
            self.lines.written.clear()
        self.assertGreater(sum(self.hub.fanout.tally.refused.values()), 0)

    def test_streams(self) -> None:
        """
        A stream has a line when it has ended, with its names, and how long it was open.
        """
        wire = self.connect()
        wire.send(get("/channels/open/a,open/b?transport=sse&account=x"))
        self.turn()
        self.assertEqual(self.lines.take(), [])
        self.turn(12.5)
        wire.leave()
        self.turn()
        told = {"transport": "sse", "names": ["open/a", "open/b"], "seconds": 12.5}
        self.assertEqual(self.lines.take(), [told])

    def test_sessions(self) -> None:
        """
        A connection of raw TCP has one, too, with the names that it had at its end and
        the client that it was then; only so many names.
        """
        wire = self.connect(CometFactory(self.hub))
        names = [f"open/{number}" for number in range(MAX_NAMES + 2)]
        wire.send(json.dumps({"subscribe": names}).encode() + b"\n")
        self.turn()
        wire.leave()
        self.turn()
        (told,) = self.lines.take()
        self.assertEqual((told["transport"], told["more"]), ("tcp", 2))
        self.assertEqual(len(told["names"]), MAX_NAMES)

    def test_none(self) -> None:
        """
        The application's own readers have no line.
        """
        subscribed = self.hub.subscribe("a", "now", lambda message: None)
        self.successResultOf(subscribed).unsubscribe()
        self.assertEqual(self.lines.take(), [])


class LeanTests(LeanTestCase):
    """
    The lean edge.
    """

    def setUp(self) -> None:
        """
        Keep an access log.
        """
        super().setUp()
        self.lines = Lines()
        self.hub.accessLog = AccessLog(self.lines.written.append, seconds=self.reactor.seconds)
        self.hub.access = Access(KEY, ["c"])

    def test_requests(self) -> None:
        """
        Publications, several in one packet, and polls have a line each, also those that
        are answered all at once.
        """
        polls = [self.reader("longpoll") for _ in range(3)]
        publisher = self.peer(
            leanRequest("/channels/c", method="POST", body=b"1")
            + leanRequest("/channels/c", method="PUT", body=b"2")
            + leanRequest("/channels/d", method="POST", body=b"3")
        )
        publisher.hears(b"HTTP/1.1 ", 3)
        for poll in polls:
            poll.hears(b"HTTP/1.1 200")
        told = self.lines.take()
        words = ("transport", "method", "path", "status")
        shown = sorted(tuple(each[word] for word in words) for each in told)
        self.assertEqual(
            shown,
            [
                *[("longpoll", "GET", "/channels/c", 200)] * 3,
                ("publish", "POST", "/channels/c", 201),
                ("publish", "POST", "/channels/d", 401),
                ("publish", "PUT", "/channels/c", 201),
            ],
        )

    def test_streams(self) -> None:
        """
        Streams and two-way connections have a line when they have ended.
        """
        for transport in ("stream", "websocket"):
            peer = self.reader(transport)
            self.assertEqual(self.lines.take(), [])
            peer.cut()
            self.untilReaders(0)
            (told,) = self.lines.take()
            self.assertEqual((told["transport"], told["names"]), (transport, ["c"]))


class ServerTests(TapTestCase):
    """
    The option.
    """

    def test_writesFile(self) -> None:
        """
        The file is made at the start, and opened again when the configuration is read
        again.
        """
        service: Any = self.make("--access-log", "access.log")
        log = service.hub.accessLog
        log.answered("::1", "", "poll", "GET", "/a", 200, 7)
        Path("access.log").rename("access.log.1")
        service.reloader.reload()
        log.answered("::1", "", "poll", "GET", "/b", 200, 7)
        self.assertIn('"/a"', Path("access.log.1").read_text())
        self.assertIn('"/b"', Path("access.log").read_text())

    def test_refuses(self) -> None:
        """
        A file that cannot be made keeps the server from starting.
        """
        with self.assertRaises(SystemExit) as raised:
            self.make("--access-log", "nowhere/access.log")
        self.assertIn("the access log 'nowhere/access.log' cannot be", str(raised.exception))
