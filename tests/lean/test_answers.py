"""
Tests of L{comet.lean.answers}: publications that are sent behind each other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import integers, lists, sampled_from
from twisted.internet.defer import Deferred

from comet.bus.memory.bus import MemoryBus
from comet.fanout import sending, streamdelivery
from comet.hub.bursts import MOST_TOGETHER
from comet.hub.waitingrequests import MOST_ASKED
from comet.lean.answers import MOST_BYTES, MOST_UNDER_WAY
from comet.lean.connection import READ_SIZE
from comet.lean.http import HTTPConnection
from comet.reactor.turns import SHARE
from tests.lean.case import UPGRADE, LeanTestCase, Peer, read, request
from tests.lean.handreactor import SteppingReactor

CREATED = b"HTTP/1.1 201 Created\r\n"
KEY = f"Authorization: Bearer {'k' * 16}\r\n"
NDJSON = "Content-Type: application/x-ndjson\r\n"

_LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]+)\r\n", re.IGNORECASE)


def post(channel: str = "open/c", body: bytes = b"1", headers: str = KEY) -> bytes:
    """
    Make a request that publishes.
    """
    return request(f"/channels/{channel}", headers, "POST", body)


# Requests of all kinds, and their responses in all kinds: stored, refused for their
# channel, their body or their key, of what reads, and of what Twisted's edge answers.
REQUESTS = (
    post(),
    post("open/c,open/d", b"two", KEY),
    post(headers=""),
    post("a", headers=""),
    post(body=b"{", headers="Content-Type: application/json\r\n"),
    post(body=b"1", headers=KEY + "Idempotency-Key: k\r\n"),
    post(body=b"2", headers=KEY + "Idempotency-Key: k\r\n"),
    post(headers="Authorization: Bearer wrong\r\n"),
    request("/channels/open/c", KEY, "PUT", b"put"),
    request("/publish", KEY + NDJSON, "POST", b'{"channel":"open/c","data":1}\n' * 3),
    request("/publish", NDJSON, "POST", b'{"channel":"a","data":1}\n'),
    read("poll", "open/c", "&since=-2"),
    request("/channels/open/c", method="HEAD"),
    request("/channels/open/c", KEY, "DELETE"),
    request("/nothing"),
)


def masked(command: bytes) -> bytes:
    """
    Make the frame of a client's text message of less than 126 bytes.
    """
    return bytes((0x81, 0x80 | len(command))) + bytes(4) + command


def readResponses(said: bytes, requests: Sequence[bytes]) -> list[tuple[bytes, Any]] | None:
    """
    Cut what a server has said into responses.

    @return: The first line and the body of each, without what differs from time to
        time; L{None} if they have not all come.
    """
    found = []
    for each in requests:
        head, end, said = said.partition(b"\r\n\r\n")
        if not end:
            return None
        length = _LENGTH.search(head + b"\r\n")
        size = int(length[1]) if length and not each.startswith(b"HEAD") else 0
        if len(said) < size:
            return None
        body, said = said[:size], said[size:]
        found.append((head.partition(b"\r\n")[0], json.loads(body) if body else None))
    assert not said, said
    return found


def outsideBodies(said: Sequence[bytes], cut: int) -> int:
    """
    Move a cut that is in the body of a request without a key to before the end of its
    head: the server refuses such a request at its head if its body is not there, and
    ends the connection.
    """
    start = 0
    for each in said:
        head = start + each.index(b"\r\n\r\n") + 4
        start += len(each)
        if head <= cut < start and KEY.encode() not in each:
            return head - 1
    return cut


class AnswersCase(LeanTestCase):
    """
    The base class of these tests.
    """

    def published(self, peer: Peer) -> list[int]:
        """
        The positions that a client was told, in their order.
        """
        return [int(each) for each in re.findall(rb'"cursor":"\w+-(\d+)"', peer.take())]

    def untilPublished(self, peer: Peer, *positions: int) -> None:
        """
        Turn the reactor until a client was told these positions, and no others.
        """
        self.reactor.until(lambda: len(self.published(peer)) >= len(positions))
        self.assertEqual(self.published(peer), list(positions))

    def countSends(self) -> list[int]:
        """
        @return: To how many readers each joined write goes, from now on.
        """
        counts: list[int] = []
        sendAll = sending.sendAll

        def counted(sockets: Any, data: bytes) -> Any:
            counts.append(len(sockets))
            return sendAll(sockets, data)

        self.patch(streamdelivery, "sendAll", counted)
        return counts

    def countResponses(self) -> list[int]:
        """
        @return: The size of each write to a client that publishes, from now on.
        """
        sizes: list[int] = []
        push = HTTPConnection.push

        def counted(connection: HTTPConnection, data: bytes) -> bool:
            sizes.append(len(data))
            return push(connection, data)

        self.patch(HTTPConnection, "push", counted)
        return sizes

    def countStores(self) -> list[int]:
        """
        @return: How many requests are stored by each call of the bus, from now on.
        """
        counts: list[int] = []
        storeNow = MemoryBus.storeNow

        def counted(bus: MemoryBus, requests: Any) -> Any:
            counts.append(len(requests))
            return storeNow(bus, requests)

        self.patch(MemoryBus, "storeNow", counted)
        return counts


class PipelinedTests(AnswersCase):
    """
    What is counted, and in which order the answers come.
    """

    def test_oneWriteForEachReader(self) -> None:
        """
        200 publications that are sent at once, more than is read at once, are stored
        by one call of the bus, go out as one write to each reader, and are answered
        by one write.
        """
        readers = [self.reader("stream"), self.reader("websocket"), self.reader("sse")]
        poll = self.reader("longpoll")
        peer = self.peer()
        self.reactor.until(lambda: self.connections == 5)
        said = b"".join(post("c", b"%d" % number) for number in range(200))
        self.assertGreater(len(said), 2 * READ_SIZE)
        sends, sizes, stores = self.countSends(), self.countResponses(), self.countStores()
        peer.send(said)
        peer.hears(CREATED, 200)
        self.assertEqual((stores, sends, len(sizes)), ([200], [1, 1, 1], 1))
        self.assertEqual(self.published(peer), list(range(1, 201)))
        for reader in readers:
            self.assertEqual(reader.upTo(199), list(range(200)))
        poll.hears(b"HTTP/1.1 200 OK")
        self.assertEqual(poll.numbers, list(range(200)))

    def test_manyConnections(self) -> None:
        """
        What hundred clients have sent is stored by one call of the bus, and goes out
        as one write.
        """
        reader = self.reader("stream")
        peers = [self.peer() for _ in range(100)]
        self.reactor.until(lambda: self.connections == 101)
        sends, stores = self.countSends(), self.countStores()
        for peer in peers:
            peer.send(post("c"))
        for peer in peers:
            peer.hears(CREATED)
        self.assertEqual((stores, sends), ([100], [1]))
        self.assertEqual(len(reader.upTo(1)), 100)

    def test_commands(self) -> None:
        """
        200 commands of one client, by WebSocket or raw TCP, are stored by few calls of
        the bus, go out as few writes to each reader, and are answered by few writes.
        Few: as often as the server reads from the client.
        """
        for isTCP in (False, True):
            reader = self.peer(read("stream", "open/c"))
            reader.hears(b'"cursor"')
            peer = self.peer(b"" if isTCP else request("/socket", UPGRADE), isTCP=isTCP)
            if not isTCP:
                peer.hears(b"101 Switching")
            self.reactor.settle()
            before = len(peer.take())
            commands = [b'{"id":%d,"publish":"open/c","data":%d}' % (n, n) for n in range(200)]
            said = b"".join(each + b"\n" if isTCP else masked(each) for each in commands)
            sends, stores = self.countSends(), self.countStores()
            peer.send(said)
            reads = -(-len(said) // READ_SIZE)
            answers = peer.hears(b'"ok"', 200)[before:]
            ids = [int(each) for each in re.findall(rb'"id":(\d+),"ok"', answers)]
            self.assertEqual(ids, list(range(200)))
            self.assertEqual(reader.upTo(199), list(range(200)))
            self.assertEqual(sum(stores), 200)
            self.assertTrue(len(stores) <= reads and len(sends) <= reads, (stores, sends))
            reader.socket.close()
            peer.socket.close()
            self.untilReaders(0)

    def test_readsBehindCommands(self) -> None:
        """
        A command that reads finds what the commands before it have published.
        """
        peer = self.peer(
            b'{"id":1,"publish":"open/c","data":1}\n{"id":2,"subscribe":["open/c"],"since":"-1"}\n'
            b'{"id":3,"publish":"open/c","data":2}\n',
            isTCP=True,
        )
        self.assertEqual(peer.upTo(2), [1, 2])

    def test_boundsUnderWay(self) -> None:
        """
        No more publications of one client are under way at once than may be.  All are
        answered in the end.
        """
        for body, most in ((b"1", MOST_UNDER_WAY), (b"x" * (MOST_BYTES // 2), 2)):
            stores = self.countStores()
            peer = self.peer()
            peer.socket.setblocking(True)
            peer.socket.settimeout(0.01)
            said, count = post(body=body) * (3 * most), 3 * most
            while said:
                try:
                    said = said[peer.socket.send(said) :]
                except TimeoutError:
                    pass
                self.reactor.turn()
            peer.socket.setblocking(False)
            peer.hears(CREATED, count)
            self.assertTrue(stores and max(stores) <= min(most, MOST_TOGETHER), stores)

    def test_waitsForNoOther(self) -> None:
        """
        A client that publishes once is stored before most of what others pipeline.
        """
        asked: list[tuple[Deferred[Any], Any]] = []
        store = self.bus.publish

        def publish(publications: Any) -> Deferred[Any]:
            answered: Deferred[Any] = Deferred()
            asked.append((answered, publications))
            return answered

        self.patch(self.bus, "publish", publish)
        count = MOST_UNDER_WAY
        pipelining = [self.peer(post() * count) for _ in range(5)]
        self.reactor.until(lambda: len(asked) == MOST_ASKED)
        other = self.peer(post("open/b"))
        for _ in range(20):
            self.reactor.turn()
        self.assertEqual(len(asked), MOST_ASKED)
        names = []
        while asked:
            answered, publications = asked.pop(0)
            names += publications[0].channels
            store(publications).chainDeferred(answered)
        self.assertLess(names.index("open/b"), MOST_ASKED + len(pipelining))
        other.hears(CREATED, 1)
        for peer in pipelining:
            self.assertEqual(peer.hears(CREATED, count).count(CREATED), count)

    def test_answersInOrder(self) -> None:
        """
        What is refused at once is answered at its place, and what reads finds what
        was published before it.
        """
        said = [
            post(body=b"first"),
            post("a", headers=""),
            post(body=b"{", headers=KEY + "Content-Type: application/json\r\n"),
            post(body=b"last"),
            read("poll", "open/c", "&since=earliest"),
            post(),
        ]
        peer = self.peer(b"".join(said))
        found = self.reactor.until(lambda: readResponses(peer.take(), said))
        statuses = [int(line.split()[1]) for line, _ in found]
        self.assertEqual(statuses, [201, 401, 400, 201, 200, 201])
        self.assertEqual([each["data"] for each in found[4][1]["messages"]], ["first", "last"])

    def test_othersBetween(self) -> None:
        """
        A client that pipelines thousands does not delay one that publishes once.
        """
        busy, other = self.peer(), self.peer()
        self.reactor.until(lambda: self.connections == 2)
        said = post() * 3000
        busy.socket.setblocking(True)
        busy.socket.settimeout(0.01)
        sent = 0
        while sent < len(said):
            try:
                sent += busy.socket.send(said[sent : sent + 100_000])
            except TimeoutError:
                pass
            if sent and not other.said:
                other.send(post("open/other"))
                self.reactor.turn()
                self.reactor.turn()
                self.assertIn(CREATED, other.take())
                self.assertLess(self.bus.end.position, 1000)
            self.reactor.turn()
        busy.socket.setblocking(False)
        busy.hears(CREATED, 3000)
        positions = self.published(busy)
        self.assertEqual(positions, sorted(positions))

    def test_clientLeaves(self) -> None:
        """
        What a client has published that has left is stored, and read by others.
        """
        reader = self.reader("stream", 0)
        peer = self.peer(post("c", b"1") * 20)
        peer.cut()
        self.assertEqual(len(self.reactor.until(lambda: reader.numbers)), 20)
        self.reactor.settle()
        self.assertEqual(self.connections, 1)
        self.assertEqual(self.hub.bursts.whenAnswered().called, True)

    def test_draining(self) -> None:
        """
        A server that drains says so in the last of the responses, and closes the
        connection after it.
        """
        peer = self.peer(post()[:-1])
        self.reactor.until(lambda: self.connections == 1)
        self.reactor.turn()
        self.hub.isDraining = self.hub.fanout.isDraining = True
        peer.send(post()[-1:] + post() * 3)
        said = peer.ends()
        self.assertEqual(said.count(CREATED), 4)
        self.assertEqual(said.count(b"Connection: close"), 1)
        self.assertGreater(said.index(b"Connection: close"), said.rindex(CREATED))

    def test_failureOfResponse(self) -> None:
        """
        If a response cannot be made, its connection is closed, and others live on.
        """
        from comet.lean import answers

        self.peer(post()).hears(CREATED)

        def broken(result: Any) -> Any:
            raise ZeroDivisionError

        self.patch(answers, "publishedBody", broken)
        peer = self.peer(post() * 3)
        self.assertEqual(peer.ends(), b"")
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))
        self.assertEqual(self.connections, 1)


class SlowTests(AnswersCase):
    """
    A bus that takes its time.
    """

    def setUp(self) -> None:
        """
        Have each request wait for the test.
        """
        super().setUp()
        self.asked: list[tuple[Any, Deferred[Any]]] = []
        self.storeNow = self.bus.publish

        def publish(publications: Any) -> Deferred[Any]:
            self.asked.append((publications, Deferred()))
            return self.asked[-1][1]

        self.patch(self.bus, "publish", publish)

    def answer(self, index: int) -> None:
        """
        Store a request, and let the turn end.
        """
        publications, stored = self.asked.pop(index)
        self.storeNow(publications).chainDeferred(stored)
        self.reactor.settle()

    def test_keepsOrder(self) -> None:
        """
        Answers that come in another order wait for their place.
        """
        peer = self.peer(post("open/a") + post("open/b"))
        self.reactor.until(lambda: len(self.asked) == 2)
        self.answer(1)
        self.assertEqual(peer.take(), b"")
        peer.send(post("open/c"))
        self.reactor.until(lambda: len(self.asked) == 2)
        self.answer(0)
        self.untilPublished(peer, 2, 1)
        self.assertEqual(re.findall(rb"open/(.)", peer.said), [b"a", b"b"])
        self.answer(0)
        self.untilPublished(peer, 2, 1, 3)
        self.assertEqual(re.findall(rb"open/(.)", peer.take()), [b"a", b"b", b"c"])

    def test_waitsAsLongAsTheBus(self) -> None:
        """
        A client is not cut off while the bus takes its time, and has its idle time
        from then on.
        """
        edge: Any = self.port._edge
        edge.idleTimeout = 10
        peer = self.peer(post() * 2)
        self.reactor.until(lambda: len(self.asked) == 2)
        self.reactor.advance(25)
        self.answer(0)
        self.untilPublished(peer, 1)
        self.reactor.advance(25)
        self.answer(0)
        self.untilPublished(peer, 1, 2)
        self.assertEqual(self.connections, 1)
        self.reactor.advance(1000)
        self.assertEqual(self.connections, 0)

    def test_boundsWhatWaits(self) -> None:
        """
        Behind publications that wait for the bus no more is kept than behind any
        other request; and it is read once they are stored.
        """
        peer = self.peer(post() + read("poll", "open/c"))
        self.reactor.until(lambda: len(self.asked) == 1)
        (connection,) = self.port._edge.connections.values()
        assert isinstance(connection, HTTPConnection)
        peer.send(read("poll") * 1000)
        self.reactor.settle()
        self.assertTrue(connection.isPaused)
        self.assertLess(len(connection.buffer), 4 * READ_SIZE)
        self.answer(0)
        peer.hears(b"200 OK", 1001)

    def test_halfClosed(self) -> None:
        """
        A client that sends nothing more gets all answers.
        """
        peer = self.peer(post() * 3)
        peer.halfClose()
        self.reactor.until(lambda: len(self.asked) == 3)
        for _ in range(3):
            self.answer(0)
        self.assertEqual(peer.ends().count(CREATED), 3)

    def test_bodyBehindOthers(self) -> None:
        """
        A body that has half come waits for those before it, and is then taken.
        """
        peer = self.peer(post() + post(body=b"x" * 1000)[:-1])
        self.reactor.until(lambda: len(self.asked) == 1)
        self.reactor.settle()
        self.answer(0)
        self.assertEqual(self.asked, [])
        peer.send(b"x")
        self.reactor.until(lambda: len(self.asked) == 1)
        self.answer(0)
        self.untilPublished(peer, 1, 2)


class SharesTests(AnswersCase):
    """
    Publications that take their time.
    """

    makeReactor = SteppingReactor

    def test_endsWithShare(self) -> None:
        """
        A burst ends when the share of its client is over, and goes on in the next
        turn.
        """
        peer = self.peer()
        self.reactor.until(lambda: self.connections == 1)
        stores = self.countStores()
        checkPublish = self.hub.checkPublish

        def slowly(*given: Any) -> None:
            self.reactor.rightNow += SHARE / 10
            checkPublish(*given)

        self.patch(self.hub, "checkPublish", slowly)
        peer.send(post() * 45)
        peer.hears(CREATED, 45)
        self.assertEqual(sum(stores), 45)
        self.assertTrue(9 <= max(stores) <= 11, stores)
        self.assertEqual(self.published(peer), list(range(1, 46)))


class AnyMixtureTests(AnswersCase):
    """
    Any requests in a row.
    """

    def ask(self, said: Sequence[bytes], cuts: Sequence[int]) -> Any:
        """
        Send requests to an empty log, in one row.

        @param cuts: Where the bytes are cut into pieces that are sent one by one.

        @return: What the client hears.
        """
        self.bus.renew()
        whole = b"".join(said)
        peer = self.peer()
        at = 0
        for cut in sorted(outsideBodies(said, each % (len(whole) + 1)) for each in cuts):
            peer.send(whole[at:cut])
            at = cut
            self.reactor.turn(1)
        peer.send(whole[at:])
        found = self.reactor.until(lambda: readResponses(peer.take(), said))
        peer.socket.close()
        return self.plain(found)

    def askEach(self, said: Sequence[bytes]) -> Any:
        """
        Send requests to an empty log, each after the response to the last.

        @return: What the client hears.
        """
        self.bus.renew()
        peer, found = self.peer(), []
        for each in said:
            before = len(peer.said)
            peer.send(each)
            found += self.reactor.until(partial(self.one, peer, before, each))
        peer.socket.close()
        return self.plain(found)

    def one(self, peer: Peer, before: int, asked: bytes) -> Any:
        """
        Read the response that follows some bytes, if it has come.
        """
        return readResponses(peer.take()[before:], [asked])

    def plain(self, found: Sequence[tuple[bytes, Any]]) -> str:
        """
        Leave out what differs: the epoch, and times.
        """
        return str(found).replace(self.bus.end.epoch, "EPOCH")

    @given(
        lists(sampled_from(REQUESTS), min_size=1, max_size=12),
        lists(integers(0, 4000), max_size=3),
    )
    @settings(max_examples=40, deadline=None)
    def test_sameAsOneByOne(self, said: list[bytes], cuts: list[int]) -> None:
        """
        Requests that are sent in one row, cut anywhere, get the same responses as
        those that each wait for the last.
        """
        self.assertEqual(self.ask(said, cuts), self.askEach(said))

    def test_eachCut(self) -> None:
        """
        Wherever the bytes are cut, all publications are stored, in order, and answered.
        """
        said = [post(body=b"1"), post("a", headers="", body=b"4444"), post(body=b"22")]
        expected = self.askEach(said)
        for cut in range(1, len(b"".join(said))):
            self.assertEqual(self.ask(said, [cut]), expected)
