"""
Tests of L{comet.lean.http}: requests as well-behaved clients and others send them.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred

from comet.errors import BadRequest
from comet.fanout.polls import BUS_SECONDS
from comet.transports.detach import MAX_HELD_INPUT
from comet.web.site import IDLE_TIMEOUT
from tests.lean.case import LeanTestCase, Peer, read, request

POLL = read("poll")
OK = b"HTTP/1.1 200 OK\r\n"
CREATED = b"HTTP/1.1 201 Created\r\n"


def publishing(body: bytes, channel: str = "open/c") -> bytes:
    """
    Make a request to publish.
    """
    return request(f"/channels/{channel}", method="POST", body=body)


class OrderTests(LeanTestCase):
    """
    Several requests on one connection.
    """

    def test_answersPipelinedRequestsInOrder(self) -> None:
        """
        Pipelined requests of all kinds are answered in order, and a request
        that has to wait holds up those behind it.
        """
        said = POLL + publishing(b"one") + read("poll", "open/c", "&since=-1") + POLL
        peer = self.peer(said)
        answers = peer.hears(b"HTTP/1.1 ", 4).split(b"HTTP/1.1 ")[1:]
        self.assertEqual([each[:3] for each in answers], [b"200", b"201", b"200", b"200"])
        self.assertIn(b"one", answers[2])
        self.assertEqual(self.connections, 1)

    def test_answersManyPipelinedRequests(self) -> None:
        """
        All pipelined requests are answered when they are more than fit into one
        read.
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

    def test_waitsForBodyInPieces(self) -> None:
        """
        A body may come in any pieces, and what follows it is the next request.
        """
        said = publishing(b"x" * 3000) + POLL
        peer = self.peer()
        for start in range(0, len(said), 101):
            peer.send(said[start : start + 101])
            self.reactor.turn(1)
        peer.hears(OK)
        self.assertEqual(peer.said.count(CREATED), 1)
        self.assertLess(peer.said.index(CREATED), peer.said.index(OK))

    def test_takesLargestBody(self) -> None:
        """
        A body may have as many bytes as a message may have, and is stored
        whole.
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

    def test_requestBehindLongPoll(self) -> None:
        """
        A request behind a long poll is answered after it.  A client that sends
        more than is kept behind a long poll has it answered at once.
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


class NoHeadTests(LeanTestCase):
    """
    What looks like a request of the lean edge, and is none.
    """

    def test_refusesBrokenHead(self) -> None:
        """
        A head with bytes that no head has is refused with its first such byte,
        instead of being waited for.
        """
        for said in (
            POLL.replace(b"\r\n", b"\n"),
            POLL.replace(b"\r\n\r\n", b"\n\n"),
            POLL.replace(b"\r\n", b"\r"),
            POLL[:20] + b"\x00",
        ):
            peer = self.peer(said)
            peer.hears(b"HTTP/1.1 400 ")
            peer.socket.close()

    def test_refusesOtherLines(self) -> None:
        """
        A line that is neither a request line nor a header is refused when it is
        complete, as Twisted's edge does; also one that came in pieces.
        """
        first, headers = POLL.split(b"\r\n", 1)
        for said in (
            b"GET /channels/c?Host: localhost\r\n",
            first.replace(b"HTTP", b"HTP") + b"\r\n" + headers[:5],
            first + b"\r\nH\xa5st: x\r\nA: b\r\n",
            first + b"\r\nHost : localhost\r\nA: b\r\n",
            first + b"\r\nContent-Length: 2%\r\nA: b\r\n",
            first + b"\r\nContent-Length: 2\r\ncontent-length:3\r\nA: b\r\n",
            first + b"\r\nTransfer-Encoding: x\r\nA: b\r\n",
        ):
            whole = self.peer(said)
            cut = self.peer(said[:-3])
            self.reactor.settle()
            cut.send(said[-3:])
            for peer in (whole, cut):
                peer.hears(b"HTTP/1.1 400 ")
                peer.socket.close()

    def test_waitsForRestOfHead(self) -> None:
        """
        A head that is cut anywhere is waited for.
        """
        for at in (5, POLL.index(b"\r"), POLL.index(b"\n"), POLL.index(b"\n") + 1, -9, -4, -3, -1):
            peer = self.peer(POLL[:at])
            self.reactor.settle()
            self.assertEqual((self.connections, peer.take()), (1, b""))
            peer.send(POLL[at:])
            peer.hears(OK)
            peer.socket.close()
            self.reactor.until(lambda: not self.connections)


class FaultyTests(LeanTestCase):
    """
    Requests with a fault that is found late, or not at all.
    """

    def test_publishesWithAnyParameters(self) -> None:
        """
        To publish, no parameter has to be readable: the cursor beside it is left
        where it is.
        """
        for query in ("since=e-1&a=%ff", "a=%ff&since=e-1", "since=e-1" + "&a" * 300):
            for target in (f"/channels/open/c?{query}", f"/publish?{query}"):
                line = b'{"channel":"open/c","data":1}'
                kind = "Content-Type: application/x-ndjson\r\n"
                self.peer(request(target, kind, "POST", line)).hears(CREATED)
        self.assertEqual(self.connections, 6)

    def test_handsOverWhereParsingFails(self) -> None:
        """
        If any part of a request raises one of comet's errors, the request is
        left to Twisted's edge, and the log says nothing.
        """

        def parse(head: bytes) -> None:
            raise BadRequest("a lazy part cannot be read")

        # Any: an edge of HTTP has more than an edge.
        edge: Any = self.port._edge
        self.patch(edge.requests, "parse", parse)
        self.peer(POLL).hears(OK)
        self.assertEqual(self.connections, 0)

    def test_peerOfClientThatHasLeft(self) -> None:
        """
        The address of a client that has left is not known to the system, which
        is no reason to fail.
        """
        peer = self.peer()
        self.reactor.until(lambda: self.connections)
        # Any: a connection of HTTP has more than a connection.
        connections: Any = self.port._edge.connections
        (connection,) = connections.values()
        host, port = peer.socket.getsockname()
        self.assertEqual(connection.getPeer(), IPv4Address("TCP", host, port))
        peer.cut()
        self.reactor.until(lambda: connection.getPeer() == IPv4Address("TCP", "", 0))
        self.reactor.until(lambda: not self.connections)
        self.assertEqual(connection.getPeer(), IPv4Address("TCP", "", 0))


class SlowTests(LeanTestCase):
    """
    A bus that takes its time.
    """

    def test_pollWaitsForBus(self) -> None:
        """
        A poll that does not wait for messages waits for the bus to read those
        that there are, for most of L{BUS_SECONDS} if it takes so long.
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
        self.reactor.advance(BUS_SECONDS - 0.5)
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

    def test_answersClientThatClosedWritingSide(self) -> None:
        """
        A client that sends requests and closes its writing side gets the
        responses that can be made at once.
        """
        for said, found in ((POLL, OK), (publishing(b"x"), CREATED), (POLL * 5, OK)):
            peer = self.peer(said)
            peer.halfClose()
            self.assertEqual(peer.ends().count(found), said.count(b"Host:"))
        self.assertEqual(self.connections, 0)

    def test_pollsResetBesideOthers(self) -> None:
        """
        Polls that were reset keep nothing from those that are answered with
        them, and leave no connection and no reader behind.
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

    def test_pollsThatComeBackMissNothing(self) -> None:
        """
        Polls that come back as soon as they are answered get every message
        once, while other polls leave.
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

    def test_handsOverAfterResponses(self) -> None:
        """
        A connection is handed over to Twisted's edge with all input that is not
        answered, after the responses to earlier requests.
        """
        peer = self.peer(POLL * 2 + request("/health") + POLL)
        answers = peer.hears(OK, 4)
        self.assertIn(b'{"cursor"', answers)
        self.assertEqual(self.connections, 0)
        peer.halfClose()
        peer.ends()
        self.assertEqual(self.reactor.writers, {})
