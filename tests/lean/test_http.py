"""
Tests of L{comet.lean.http}: requests as clients, good and bad, send them.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred

from comet.fanout.reader import Reader
from comet.lean.connection import READ_SIZE
from comet.lean.edge import GRACE_TIME
from comet.transports.detach import MAX_HELD_INPUT, UNSENT_TIMEOUT
from comet.web.site import IDLE_TIMEOUT
from tests.lean.case import LeanTestCase, Peer, read, request

POLL = read("poll")
OK = b"HTTP/1.1 200 OK\r\n"
CREATED = b"HTTP/1.1 201 Created\r\n"


def publishing(body: bytes, channel: str = "open/c") -> bytes:
    """
    A request to publish.
    """
    return request(f"/channels/{channel}", method="POST", body=body)


class OrderTests(LeanTestCase):
    """
    Requests one after the other.
    """

    def test_pipelined(self) -> None:
        """
        What is asked in one go is answered in order, whatever it is, and what
        an answer to one of them waits for, the next ones wait for.
        """
        said = POLL + publishing(b"one") + read("poll", "open/c", "&since=-1") + POLL
        peer = self.peer(said)
        answers = peer.hears(b"HTTP/1.1 ", 4).split(b"HTTP/1.1 ")[1:]
        self.assertEqual([each[:3] for each in answers], [b"200", b"201", b"200", b"200"])
        self.assertIn(b"one", answers[2])
        self.assertEqual(self.connections, 1)

    def test_many(self) -> None:
        """
        So are more of them than are read at once.
        """
        count = 1000
        peer = self.peer()
        peer.socket.setblocking(True)
        peer.socket.settimeout(5)
        for _ in range(10):
            peer.send(POLL * (count // 10))
            self.reactor.turn()
        peer.socket.setblocking(False)
        self.assertEqual(peer.hears(OK, count).count(OK), count)

    def test_bodyInPieces(self) -> None:
        """
        A body is waited for, however it comes, and what follows it is the next
        request.
        """
        said = publishing(b"x" * 3000) + POLL
        peer = self.peer()
        for start in range(0, len(said), 101):
            peer.send(said[start : start + 101])
            self.reactor.turn(1)
        peer.hears(OK)
        self.assertEqual(peer.said.count(CREATED), 1)
        self.assertLess(peer.said.index(CREATED), peer.said.index(OK))

    def test_largeBody(self) -> None:
        """
        A body may have as many bytes as a message, and comes whole.
        """
        most = self.settings.limits.maxMessage
        peer = self.peer()
        peer.socket.setblocking(True)
        said = publishing(b"x" * most)
        for start in range(0, len(said), 65536):
            peer.send(said[start : start + 65536])
            self.reactor.turn(1)
        peer.socket.setblocking(False)
        peer.hears(CREATED)
        peer = self.peer(read("poll", "open/c", "&since=-1"))
        self.assertEqual(peer.hears(OK).partition(b"\r\n\r\n")[0].count(b"Content-Length"), 1)
        self.reactor.until(lambda: peer.take().count(b"x") >= most)

    def test_whileItWaits(self) -> None:
        """
        A request behind a long poll is answered after it; and who sends more
        and more behind one is answered at once, and not remembered without
        end.
        """
        peer = self.reader("longpoll")
        peer.send(POLL)
        self.reactor.settle()
        self.assertEqual(peer.take(), b"")
        self.publish(1)
        peer.hears(OK, 2)
        self.assertEqual(peer.numbers, [1])
        peer = self.reader("longpoll")
        peer.send(POLL * (MAX_HELD_INPUT // len(POLL) + 1))
        peer.hears(OK, MAX_HELD_INPUT // len(POLL) + 2)
        self.assertEqual(list(self.hub.fanout.readers), [])


class TimeTests(LeanTestCase):
    """
    Clients that let the server wait.
    """

    def after(self, *pieces: tuple[float, bytes]) -> Peer:
        """
        A client that says pieces, each so many seconds after the one before.
        """
        peer = self.peer()
        self.reactor.turn(5)
        self.reactor.advance(GRACE_TIME + 0.1)
        for seconds, piece in pieces:
            self.reactor.advance(seconds)
            peer.send(piece)
            self.reactor.settle()
        return peer

    def assertClosed(self, peer: Peer) -> None:
        """
        It is closed, and nothing was said.
        """
        self.assertEqual(peer.ends(), b"")
        self.assertEqual(self.connections, 0)

    def test_silent(self) -> None:
        """
        Who says nothing is closed after a while, and not before.
        """
        peer = self.after((IDLE_TIMEOUT - 1, b""))
        self.assertFalse((peer.take(), peer.isOver)[1])
        self.reactor.advance(1.2)
        self.assertClosed(peer)

    def test_slowHead(self) -> None:
        """
        A head that comes byte by byte has no more time than one that does not
        come at all.
        """
        peer = self.after(*((10, POLL[n : n + 1]) for n in range(5)))
        self.reactor.advance(10.2)
        self.assertClosed(peer)

    def test_slowBody(self) -> None:
        """
        A body that comes to an end is taken, and one that does not is given up.
        """
        said = publishing(b"x" * 10)
        pieces = [(0, said[:-10]), *((IDLE_TIMEOUT - 5, b"x") for _ in range(10))]
        self.assertIn(CREATED, self.after(*pieces).take())
        peer = self.after(*pieces[:5])
        self.reactor.advance(IDLE_TIMEOUT + 0.2)
        self.assertEqual(peer.ends(), b"")

    def test_keptAlive(self) -> None:
        """
        Each answer gives the connection its time again; a poll that waits has
        its own.
        """
        peer = self.after(*((IDLE_TIMEOUT - 5, POLL) for _ in range(4)))
        self.assertEqual(peer.take().count(OK), 4)
        peer.send(read("longpoll", more="&wait=200"))
        self.reactor.settle()
        self.reactor.advance(199)
        self.reactor.settle()
        self.assertEqual(peer.take().count(OK), 4)
        self.reactor.advance(1.2)
        peer.hears(OK, 5)
        self.reactor.advance(IDLE_TIMEOUT - 1)
        self.assertEqual(self.connections, 1)
        self.reactor.advance(1.3)
        peer.ends()

    def test_dueWhileAnswered(self) -> None:
        """
        A poll whose time is over when it is about to be answered is not cut
        off; if it is not answered after all, it is in the end.
        """
        peer = self.peer(read("longpoll", more="&wait=5"))
        self.reactor.until(lambda: self.hub.fanout.readers)
        [reader] = self.hub.fanout.readers
        assert isinstance(reader, Reader)
        reader.ended()
        self.reactor.advance(5.3)
        self.reactor.settle()
        self.assertEqual((self.connections, peer.take()), (1, b""))
        self.reactor.advance(IDLE_TIMEOUT + 0.2)
        self.assertEqual(peer.ends(), b"")

    def test_aheadWhileAnswered(self) -> None:
        """
        Nor is more kept of what is said behind a poll that is about to be
        answered than of what is said behind anything else.
        """
        peer = self.peer(read("longpoll"))
        self.reactor.until(lambda: self.hub.fanout.readers)
        [reader] = self.hub.fanout.readers
        assert isinstance(reader, Reader)
        wire: Any = next(iter(self.port._edge.connections.values()))
        reader.ended()
        for _ in range(20):
            peer.send(POLL * 100)
            self.reactor.turn(1)
        self.assertGreater(len(wire.buffer), MAX_HELD_INPUT)
        self.assertLess(len(wire.buffer), MAX_HELD_INPUT + 2 * READ_SIZE)

    def test_unread(self) -> None:
        """
        Who asks, and takes no answer, is not asked for its next request; and
        is cut off in the end, with what waits for it.
        """
        self.keepLittle()
        for number in range(10):
            self.hub.publish("c", f"{number}" * 100_000)
        self.reactor.settle()
        peer = self.peer(read("poll", more="&since=earliest") * 20, 4096)
        self.reactor.settle()
        wire: Any
        (wire,) = self.port._edge.connections.values()
        self.assertGreater(len(wire.unsent), 0)
        self.assertLess(len(wire.unsent), 2_000_000)
        self.assertEqual(self.hub.metrics.of("poll").requests, 1)
        self.reactor.advance(UNSENT_TIMEOUT + 0.2)
        self.assertEqual(self.connections, 0)
        self.assertLess(len(peer.ends()), 1_000_000)

    def test_takenLate(self) -> None:
        """
        Who takes its answers late gets all of them whole.
        """
        self.keepLittle()
        for number in range(10):
            self.hub.publish("c", f"{number}" * 10_000)
        self.reactor.settle()
        peer = self.peer(read("poll", more="&since=earliest") * 5, 4096)
        self.reactor.settle()
        self.assertEqual(self.hub.metrics.of("poll").requests, 1)
        self.reactor.advance(UNSENT_TIMEOUT - 1)
        self.reactor.until(lambda: peer.take().count(b"9" * 10_000) == 5)
        bodies = [each.partition(b"\r\n\r\n")[2] for each in peer.hears(OK, 5).split(OK)[1:]]
        self.assertEqual(bodies, bodies[:1] * 5)
        self.assertEqual(len(json.loads(bodies[0])["messages"]), 10)


class SlowTests(LeanTestCase):
    """
    A bus that takes its time.
    """

    def test_poll(self) -> None:
        """
        A poll that does not wait for messages waits for those that there are,
        however long the bus takes to tell.
        """
        self.publish(1)
        asked: list[Deferred[None]] = []
        resolve = self.bus.resolve

        def later(names: Any) -> Any:
            asked.append(Deferred())
            return asked[-1].addCallback(lambda _: resolve(names))

        self.patch(self.bus, "resolve", later)
        wanted = (read("poll", more="&since=-1"), read("longpoll", more="&since=-1&wait=0"))
        peers = [self.peer(said) for said in wanted]
        self.untilReaders(len(wanted))
        self.reactor.advance(IDLE_TIMEOUT * 3)
        self.reactor.settle()
        self.assertEqual([peer.take() for peer in peers], [b"", b""])
        for each in asked:
            each.callback(None)
        for peer in peers:
            self.assertEqual(peer.upTo(1), [1])
        self.reactor.advance(IDLE_TIMEOUT + 0.2)
        self.assertEqual(self.connections, 0)


class EndTests(LeanTestCase):
    """
    Connections that end.
    """

    def test_halfClosed(self) -> None:
        """
        Who asks, and says that there will be nothing more, is answered what
        can be answered at once.
        """
        for said, found in ((POLL, OK), (publishing(b"x"), CREATED), (POLL * 5, OK)):
            peer = self.peer(said)
            peer.halfClose()
            self.assertEqual(peer.ends().count(found), said.count(b"Host:"))
        self.assertEqual(self.connections, 0)

    def test_resetBetween(self) -> None:
        """
        Polls that are answered all at once: those that were reset keep nothing
        from the others, and nothing is remembered of them.
        """
        peers = [self.reader("longpoll") for _ in range(12)]
        broken = (0, 5, 6, 11)
        for index in broken:
            peers[index].cut()
        self.publish(1)
        for index, peer in enumerate(peers):
            if index not in broken:
                peer.hears(OK)
                self.assertEqual(peer.numbers, [1])
        self.reactor.settle()
        self.assertEqual(self.connections, 8)
        self.assertEqual(list(self.hub.fanout.readers), [])

    def test_askAgain(self) -> None:
        """
        Polls that ask again as soon as they are answered, while others are
        answered and others leave, miss nothing.
        """
        peers = [self.reader("longpoll") for _ in range(10)]
        heard: dict[Peer, list[int]] = {peer: [] for peer in peers}
        for number in range(1, 31):
            self.publish(number)
            if number == 15:
                peers.pop().cut()
            for peer in peers:
                peer.hears(OK)
                peer.hears(b"}", 2)
                heard[peer] += peer.numbers
                cursor = json.loads(peer.said.partition(b"\r\n\r\n")[2])["cursor"]
                peer.said = b""
                peer.send(read("longpoll", more=f"&since={cursor}"))
        for peer in peers:
            self.assertEqual(heard[peer], list(range(1, 31)))

    def test_handedOver(self) -> None:
        """
        What is for the ordinary edge gets there with all that was read, and
        what was asked before is answered before.
        """
        peer = self.peer(POLL * 2 + request("/health") + POLL)
        answers = peer.hears(OK, 4)
        self.assertIn(b'{"cursor"', answers)
        self.assertEqual(self.connections, 0)
        peer.halfClose()
        peer.ends()
        self.assertEqual(self.reactor.writers, {})
