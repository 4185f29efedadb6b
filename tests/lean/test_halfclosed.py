"""
Tests of clients of the lean edge that close their writing side: what they have
sent before is carried out and answered, and what they read goes on.
"""

from __future__ import annotations

import json
from select import EPOLLIN
from typing import Any

from twisted.internet.defer import Deferred

from comet.fanout.polls import HALF_CLOSED
from tests.lean.case import UPGRADE, LeanTestCase, Peer, read, request

STREAMS = ("stream", "sse", "websocket", "tcp")


class HalfClosedTests(LeanTestCase):
    """
    Clients that have closed their writing side.
    """

    def setUp(self) -> None:
        """
        Let publications be under way until the test lets them go on.
        """
        super().setUp()
        self.waiting: list[tuple[Any, Deferred[Any]]] = []
        self.isSlow = False
        store = self.bus.publish

        def publish(publications: Any) -> Deferred[Any]:
            if not self.isSlow:
                return store(publications)
            stored: Deferred[Any] = Deferred()
            self.waiting.append((publications, stored))
            return stored

        self.patch(self.bus, "publish", publish)
        self._store = store

    def store(self) -> int:
        """
        Store what is under way.

        @return: How many publications that were.
        """
        waiting, self.waiting = self.waiting, []
        for publications, stored in waiting:
            self._store(publications).chainDeferred(stored)
        self.reactor.settle()
        return len(waiting)

    def ended(self, said: bytes, isTCP: bool = False) -> Peer:
        """
        Connect a client that sends some bytes, and closes its writing side.
        """
        peer = self.peer(said, isTCP=isTCP)
        peer.halfClose()
        self.reactor.settle()
        return peer

    def assertAllClosed(self) -> None:
        """
        Assert that the server holds no connection and no reader.
        """
        self.reactor.settle()
        self.assertEqual((self.connections, len(self.tcpPort._edge)), (0, 0))
        self.assertEqual(list(self.hub.fanout.readers), [])

    def test_goneBeforeItsTurn(self) -> None:
        """
        Where many close their writing side in one moment, those that are gone before
        that has its turn are left alone.
        """
        for transport in (*STREAMS, "longpoll"):
            peer = self.reader(transport)
            peer.halfClose()
            port = self.tcpPort if transport == "tcp" else self.port
            (connection,) = port._edge.connections.values()
            self.hub.turns.isCrowded = True
            connection.ready(EPOLLIN)
            self.hub.turns.isCrowded = False
            connection.close()
            self.assertAllClosed()
            self.assertEqual(self.flushLoggedErrors(), [], transport)

    def test_answersLines(self) -> None:
        """
        Lines of which many are under way are all answered, and then the connection
        is closed.
        """
        self.isSlow = True
        count = 200
        lines = [{"id": n, "publish": "open/a", "data": n} for n in range(count)]
        said = b"\n".join(json.dumps(line).encode() for line in lines)
        # The last line has no terminator.
        peer = self.ended(said, isTCP=True)
        stored = 0
        while stored < count:
            stored += self.store() or self.fail(f"only {stored} are stored")
        answers = peer.ends().splitlines()
        self.assertEqual([json.loads(line)["id"] for line in answers], list(range(count)))
        self.assertAllClosed()

    def test_tellsOfPartOfLine(self) -> None:
        """
        A part of a command is not carried out, and its client is told.
        """
        self.assertIn(b'"badMessage"', self.ended(b'{"publish":"open/a"', isTCP=True).ends())
        self.assertEqual(self.ended(b"", isTCP=True).ends(), b"")
        self.assertAllClosed()

    def test_answersWebSocket(self) -> None:
        """
        A WebSocket without names is closed once its commands are answered.
        """
        self.isSlow = True
        command = b'{"publish":"open/a","data":1}'
        masked = bytes((0x81, 0x80 | len(command))) + bytes(4) + command
        peer = self.ended(request("/socket", UPGRADE) + masked)
        self.assertNotIn(b'"ok"', peer.take())
        self.assertEqual(self.store(), 1)
        self.assertIn(b'"ok"', peer.ends())
        # The close frame, with status 1000.
        self.assertTrue(peer.said.endswith(b"\x88\x02\x03\xe8"), peer.said)
        silent = self.ended(request("/socket", UPGRADE))
        self.assertTrue(silent.ends().endswith(b"\x88\x02\x03\xe8"), silent.said)
        self.assertAllClosed()

    def test_answersRequests(self) -> None:
        """
        Publications are answered together, what follows them is answered then, and
        then the connection is closed.
        """
        self.isSlow = True
        publication = request("/channels/open/a", method="POST", body=b"1")
        peer = self.ended(publication * 2 + read("poll", "open/a") + publication)
        for number, stored in ((0, 2), (2, 1)):
            self.assertEqual(peer.take().count(b"201 Created"), number)
            self.assertEqual(self.store(), stored)
        self.assertEqual(peer.ends().count(b"201 Created"), 3)
        self.assertAllClosed()

    def test_answersManyRequests(self) -> None:
        """
        Many requests in a row are answered, and a part of one is not.
        """
        poll = read("poll")
        peer = self.ended(poll * 40 + poll[:-1])
        self.assertEqual(peer.ends().count(b"200 OK"), 40)
        for said in (b"", poll[:-1], request("/channels/open/a", method="POST", body=b"123")[:-1]):
            self.assertEqual(self.ended(said).ends(), b"")
        self.assertAllClosed()

    def test_answersSlowClient(self) -> None:
        """
        The connection is closed only after the client has taken all responses.
        """
        self.keepLittle()
        self.publish(1, filler="x" * 50_000)
        peer = self.peer(read("poll", more="&since=earliest") * 10, 4096)
        peer.halfClose()
        self.reactor.settle()
        self.assertEqual(self.connections, 1)
        self.assertEqual(peer.ends().count(b"200 OK"), 10)
        self.assertEqual(peer.said.count(b"x" * 50_000), 10)
        self.assertAllClosed()

    def test_pollHearsMessage(self) -> None:
        """
        A held poll is answered with a message that comes soon, or without one
        after a while, since its client has probably left.
        """
        peer, silent = (self.ended(read("longpoll", more="&wait=60")) for _ in range(2))
        self.reactor.advance(HALF_CLOSED - 1)
        self.publish(1)
        self.assertEqual(peer.ends().count(b"200 OK"), 1)
        self.assertEqual((peer.numbers, silent.numbers), ([1], [1]))
        silent = self.ended(read("longpoll", more="&wait=60"))
        self.reactor.advance(HALF_CLOSED - 0.2)
        self.reactor.settle()
        self.assertEqual(silent.take(), b"")
        self.reactor.advance(0.4)
        self.assertIn(b'"messages":[]', silent.ends())
        self.assertAllClosed()

    def test_streamsGoOn(self) -> None:
        """
        A client of an endless transport goes on being written to.  At once it gets
        a heartbeat: the system of one that has left answers with a reset.
        """
        for transport in STREAMS:
            peer = self.reader(transport)
            cursor = str(self.hub.end).encode()
            heard = peer.take().count(cursor)
            peer.halfClose()
            peer.hears(cursor, heard + 1)
            self.publish(1, 2)
            self.assertEqual(peer.upTo(2), [1, 2])
            self.reactor.advance(300)
            self.publish(3)
            self.assertEqual(peer.upTo(3), [1, 2, 3])
            turns = self.reactor.turns
            self.reactor.settle()
            self.assertLess(self.reactor.turns - turns, 5, "the end of input wakes the edge")
            peer.socket.close()
            self.publish(4)
            self.untilReaders(0)
        self.assertAllClosed()

    def test_handsOverEnd(self) -> None:
        """
        A request that Twisted's edge answers is answered, too.
        """
        peer = self.ended(read("poll") + request("/health") + read("poll"))
        self.assertEqual(peer.ends().count(b"200 OK"), 3)
        self.assertAllClosed()
