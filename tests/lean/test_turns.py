"""
Tests of the shares of time on the lean edge.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from comet.framing import publications, strictjson
from comet.lean.connection import READ_SIZE
from comet.lean.http import HTTPConnection
from comet.lean.port import LeanPort
from comet.reactor.turns import SHARE, TURN
from comet.transports.detach import MAX_HELD_INPUT
from tests.lean.case import LeanTestCase, Peer, read, request
from tests.lean.handreactor import SteppingReactor
from tests.reactor.test_turns import assertFair
from tests.slowpolls import COST, IN_SHARE, slowPolls

OK = b"HTTP/1.1 200 OK\r\n"


class TurnsCase(LeanTestCase):
    """
    A server on which each poll takes some milliseconds of the clock.
    """

    makeReactor = SteppingReactor

    def setUp(self) -> None:
        """
        Note the first name of each poll that is begun.
        """
        super().setUp()
        self.begun = slowPolls(self, self.hub, self.reactor)

    def connected(self, count: int = 1) -> list[Peer]:
        """
        Connect clients that the server has accepted.
        """
        peers = [self.peer() for _ in range(count)]
        self.reactor.until(lambda: self.connections >= count)
        return peers


class HTTPTests(TurnsCase):
    """
    Clients that send many requests at once.
    """

    def test_othersAreServedBetween(self) -> None:
        """
        A client that has sent a hundred requests makes another one wait for a share
        of them, not for all.  In the end all are answered, in order.
        """
        busy, other = self.connected(2)
        names = [f"a{number}" for number in range(100)]
        busy.send(b"".join(read("poll", name) for name in names))
        other.send(read("poll", "b"))
        self.reactor.turn(100)
        self.assertLess(self.begun.index("b"), 4)
        other.hears(OK)
        self.assertLess(len(self.begun), 10)
        other.send(read("poll", "b"))
        other.hears(OK, 2)
        self.assertLess(len(self.begun), 20)
        busy.hears(OK, 100)
        self.assertEqual([name for name in self.begun if name != "b"], names)

    def test_shareOfTurn(self) -> None:
        """
        A connection is dealt with until its share is over, and again in the next
        turn.  It is not read in between.
        """
        (busy,) = self.connected()
        busy.send(read("poll") * 9)
        self.reactor.turn(100)
        share = IN_SHARE
        connection: Any = next(iter(self.port._edge.connections.values()))
        # The turn of this reactor makes the calls that wait before and after the
        # events of the sockets.
        self.assertEqual(len(self.begun) % share, 0)
        self.assertTrue(connection.isPaused)
        self.assertEqual(busy.hears(OK, 9).count(OK), 9)
        self.assertFalse(connection.isPaused)

    def test_boundsWhatIsKept(self) -> None:
        """
        However much a client sends, no more is kept of it than was read at once.
        """
        (busy,) = self.connected()
        busy.socket.setblocking(True)
        busy.socket.settimeout(0.01)
        connection: Any = next(iter(self.port._edge.connections.values()))
        said = read("poll") * 1000
        sent = most = 0
        for _ in range(30):
            try:
                sent += busy.socket.send(said[sent:])
            except TimeoutError:
                pass
            self.reactor.turn()
            most = max(most, len(connection.buffer))
        self.assertEqual(sent, len(said))
        self.assertTrue(0 < most < READ_SIZE, most)

    def test_boundsWhatIsKeptForSlowBus(self) -> None:
        """
        No more is kept of a client either whose requests wait for the bus, or for a
        message, and it is noticed when the client leaves.  What waits for the bus is
        answered with what there is.
        """
        readLog = self.bus.read

        def later(*given: Any) -> Any:
            answer: Deferred[Any] = Deferred()
            self.reactor.callLater(0, lambda: readLog(*given).chainDeferred(answer))
            return answer

        self.patch(self.bus, "read", later)
        self.publish(1)
        count = 150
        for transport in ("poll", "longpoll"):
            (busy,) = self.connected()
            (connection,) = self.port._edge.connections.values()
            assert isinstance(connection, HTTPConnection)
            since = "&since=earliest" if transport == "poll" else ""
            target = f"/channels/c?transport={transport}{since}"
            said = request(target, f"X: {'x' * 1000}\r\n") * count
            sent = most = 0
            for _ in range(3 * count):
                try:
                    sent += busy.socket.send(said[sent:])
                except BlockingIOError:
                    pass
                self.reactor.turn()
                busy.take()
                most = max(most, len(connection.buffer))
            self.assertEqual(sent, len(said))
            self.assertLess(most, MAX_HELD_INPUT + 2 * READ_SIZE)
            if transport == "poll":
                busy.hears(b"HTTP/1.1 200 OK", count)
                self.assertEqual(busy.said.count(b'"data":1'), count)
            busy.cut()
            self.reactor.until(lambda: not self.connections)

    def test_dropsWorkOfClientThatLeft(self) -> None:
        """
        What a client has asked is not answered any more once it has left.
        """
        (busy,) = self.connected()
        busy.send(read("poll") * 90)
        self.reactor.until(lambda: self.begun)
        busy.take()
        busy.cut()
        self.reactor.until(lambda: not self.connections)
        begun = len(self.begun)
        self.reactor.settle()
        self.assertEqual((len(self.begun), len(self.hub.turns)), (begun, 0))
        self.assertLess(begun, 90)

    def test_muchWaits(self) -> None:
        """
        While a client waits, another one that sends much at once waits, too; one that
        asks for one thing does not.
        """
        first, second, third = self.connected(3)
        first.send(read("poll", "a") * 60)
        self.reactor.until(lambda: len(self.hub.turns))
        self.begun.clear()
        second.send(read("poll", "b") * 60)
        third.send(read("poll", "c"))
        third.hears(OK)
        self.assertEqual(self.begun[: self.begun.index("c")].count("b"), 0)
        first.hears(OK, 60)
        second.hears(OK, 60)

    def test_muchWaitsAmongOthers(self) -> None:
        """
        Of those that send something in the same moment, one that asks for one thing comes
        before all that send much, however many these are.
        """
        *busy, other = self.connected(9)
        for peer in busy:
            peer.send(read("poll", "a") * 60)
        other.send(read("poll", "b"))
        other.hears(OK)
        self.assertEqual(self.begun[0], "b")
        for peer in busy:
            peer.hears(OK, 60)

    def test_roundRobin(self) -> None:
        """
        Clients that have much to ask have their shares in turn.
        """
        busy = self.connected(3)
        for name, peer in zip("abc", busy, strict=True):
            peer.send(read("poll", name) * 20)
        for peer in busy:
            peer.hears(OK, 20)
        # One of them was read a turn later.
        assertFair(self, self.begun, 4)

    def test_halfClosed(self) -> None:
        """
        A client that has closed its writing side gets all answers, although most
        requests had to wait.
        """
        (peer,) = self.connected()
        peer.send(read("poll") * 9)
        peer.halfClose()
        self.assertEqual(peer.ends().count(OK), 9)

    def test_publishesBetween(self) -> None:
        """
        Requests that wait for the bus and those that wait for a turn are answered
        in their order.
        """
        publish = request("/channels/open/c", method="POST", body=b"x")
        (peer,) = self.connected()
        peer.send((read("poll", "open/c") * 3 + publish) * 5)
        peer.halfClose()
        answers = peer.ends().split(b"HTTP/1.1 ")[1:]
        self.assertEqual([each[:3] for each in answers], [b"200", b"200", b"200", b"201"] * 5)

    def test_streamBehindRequests(self) -> None:
        """
        A stream behind requests that had to wait hears its messages, and it is
        noticed when its client leaves.
        """
        for transport in ("sse", "websocket"):
            (peer,) = self.connected()
            peer.send(read("poll") * 9 + read(transport))
            self.untilReaders(1)
            self.publish(1)
            peer.upTo(1)
            peer.cut()
            self.untilReaders(0)

    def test_waitsForRestOfBody(self) -> None:
        """
        Requests that come together with the last byte of a body wait, too.
        """
        publish = request("/channels/open/c", method="POST", body=b"x" * 3000)
        busy, other = self.connected(2)
        busy.send(publish[:-1])
        self.reactor.settle()
        busy.send(publish[-1:] + read("poll", "a") * 200)
        other.send(read("poll", "b"))
        other.hears(OK)
        self.assertLess(self.begun.index("b"), 9)
        busy.hears(OK, 200)

    def test_partsOfBody(self) -> None:
        """
        A batch that comes at once is parsed for a share of each turn, and stored when
        all of it is there.
        """
        decode = strictjson.decode

        def slowly(*given: Any) -> Any:
            self.reactor.rightNow += 0.0001
            return decode(*given)

        self.patch(publications, "decode", slowly)
        busy, other = self.connected(2)
        lines = b'{"channel":"open/c","data":1}\n' * 900
        headers = "Content-Type: application/x-ndjson\r\n"
        busy.send(request("/publish", headers, "POST", lines) + read("poll", "a") * 3)
        other.send(read("poll", "b"))
        other.hears(OK)
        self.assertEqual(self.hub.end.position, 0)
        busy.hears(OK, 3)
        self.assertEqual(self.hub.end.position, 900)
        self.assertIn(b" 201 ", busy.said)

    def test_refusedBody(self) -> None:
        """
        A batch with a bad line is refused, and what follows it is answered, also if
        most of it had not been parsed.
        """
        busy, other = self.connected(2)
        lines = b"?\n" + b'{"channel":"open/c","data":1}\n' * 900
        headers = "Content-Type: application/x-ndjson\r\n"
        said = request("/publish", headers, "POST", lines)
        busy.send(said[:100])
        self.reactor.settle()
        busy.send(said[100:] + read("poll", "a"))
        busy.hears(b" 400 ")
        other.send(read("poll", "b"))
        other.hears(OK)

    def test_failureClosesConnection(self) -> None:
        """
        A request that fails after it has waited closes its connection alone.
        """
        busy, other = self.connected(2)
        busy.send(read("poll") * 5)
        self.reactor.until(lambda: len(self.hub.turns))
        openPoll = self.hub.openPoll
        self.patch(self.hub, "openPoll", lambda *given, **others: 1 // 0)
        busy.ends()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.patch(self.hub, "openPoll", openPoll)
        other.send(read("poll"))
        other.hears(OK)


class PortTests(TurnsCase):
    """
    The turn of a port as a whole.
    """

    def test_timersBetween(self) -> None:
        """
        When many clients ask at once, the port lets the reactor go on when its time
        is over, and deals with the others in the next turns, each once.
        """
        peers = self.connected(20)
        for number, peer in enumerate(peers):
            peer.send(read("poll", f"c{number}"))
        most = int(TURN / COST) + 1
        turns = 0
        while len(self.begun) < 20:
            before = len(self.begun)
            self.reactor.turn(100)
            turns += 1
            self.assertLessEqual(len(self.begun) - before, most)
        self.assertEqual(turns, -(-20 // most))
        self.assertEqual({*self.begun}, {f"c{number}" for number in range(20)})

    def test_eventsInTheirOrder(self) -> None:
        """
        Those for whom there was no time are first in the next turn: clients that ask
        again and again do not come before them.
        """
        peers = self.established(9)
        for number, peer in enumerate(peers):
            peer.send(read("poll", f"c{number}"))
        self.reactor.turn(100)
        first = [*self.begun]
        for name in first:
            peers[int(name[1:])].send(read("poll", "again"))
        self.reactor.until(lambda: len(self.begun) == 9 + len(first))
        self.assertEqual(self.begun[9:], ["again"] * len(first))

    def established(self, count: int) -> list[Peer]:
        """
        Connect clients that have asked before.
        """
        peers = self.connected(count)
        for peer in peers:
            peer.send(read("poll"))
            peer.hears(OK)
        self.begun.clear()
        return peers

    def beside(self, others: int, count: int) -> list[Peer]:
        """
        Connect clients beside some others.
        """
        peers = [self.peer() for _ in range(count)]
        self.reactor.until(lambda: self.connections == others + count)
        return peers

    def test_newBehindOthers(self) -> None:
        """
        Very many clients that come in one moment, each with something of its own to ask,
        do not make one wait that is there: not before they are read, and not after.
        """
        (other,) = self.established(1)
        crowd = self.beside(1, 40)
        for number, peer in enumerate(crowd):
            peer.send(request(f"/channels/n{number}?transport=poll", f"User-Agent: {number}\r\n"))
        other.send(read("poll", "other"))
        self.reactor.turn(100)
        self.assertIn("other", self.begun[:1])
        self.reactor.until(lambda: len(self.hub.turns) > 20)
        for count in range(2, 6):
            before = len(self.begun)
            other.send(read("poll", "other"))
            other.hears(OK, count + 1)
            self.assertLess(len(self.begun) - before, 12)
        for peer in crowd:
            peer.hears(OK)
        self.assertEqual(len({*self.begun}), 41)

    def test_lessWhileOthersWait(self) -> None:
        """
        While clients that came before wait for their turn, which they have in each turn,
        the port takes half as long for further ones.
        """
        crowd = self.connected(40)
        # Of each time that the port handles events: whether others wait, and of how many
        # clients it handles one.
        handled: list[tuple[bool, list[int]]] = []
        ready, handle = HTTPConnection.ready, LeanPort.handle

        def slowly(connection: HTTPConnection, events: int) -> None:
            handled[-1][1].append(connection.fd)
            self.reactor.rightNow += SHARE / 3.5
            ready(connection, events)

        def noting(port: LeanPort, *rest: Any) -> int:
            handled.append((len(self.hub.turns) > 0, []))
            return handle(port, *rest)

        self.patch(HTTPConnection, "ready", slowly)
        self.patch(LeanPort, "handle", noting)
        for number, peer in enumerate(crowd):
            peer.send(request(f"/channels/n{number}?transport=poll", f"User-Agent: {number}\r\n"))
        for peer in crowd:
            peer.hears(OK)
        counts = [(wait, len(clients)) for wait, clients in handled if clients]
        self.assertGreater(max(count for wait, count in counts if not wait), 6)
        self.assertEqual(max(count for wait, count in counts if wait), 4)

    def test_newAmongBusy(self) -> None:
        """
        A client that comes is served although those that are there ask without end.
        """
        peers = self.established(9)
        (new,) = self.beside(9, 1)
        new.send(read("poll", "new"))
        for _ in range(40):
            for peer in peers:
                peer.send(read("poll"))
            self.reactor.turn(100)
            if "new" in self.begun:
                break
        new.hears(OK)
        self.assertLess(len(self.begun), 40)

    def test_endsBehindOthers(self) -> None:
        """
        When very many clients leave in one moment, one that is there is served first, and
        what their leaving means to others waits for its turn; in the end all are gone.
        """
        (other,) = self.established(1)
        crowd = self.beside(1, 30)
        ended: list[float] = []
        gone = HTTPConnection.gone

        def slowly(connection: HTTPConnection) -> None:
            ended.append(self.reactor.rightNow)
            self.reactor.rightNow += COST
            gone(connection)

        self.patch(HTTPConnection, "gone", slowly)
        for peer in crowd:
            peer.cut()
        other.send(read("poll", "other"))
        self.reactor.turn(100)
        self.assertEqual((self.begun, len(ended) < 5), (["other"], True))
        self.reactor.until(lambda: len(ended) == 30)
        self.assertEqual(self.connections, 1)
        other.send(read("poll", "other"))
        other.hears(OK, 3)

    def test_toldOnce(self) -> None:
        """
        Of very many that leave in one moment, or come, the system tells about once, not in
        each turn; what waits for its turn is in the order in which it was told.
        """
        (other,) = self.established(1)
        told: list[int] = []
        handle = self.port.handle

        def counting(happened: Any, over: float) -> int:
            told.append(len(happened))
            return handle(happened, over)

        self.patch(self.port, "handle", counting)
        inputs: list[bytes] = []
        received = HTTPConnection.received

        def slowly(connection: HTTPConnection, data: bytes) -> None:
            inputs.append(data)
            self.reactor.rightNow += COST
            received(connection, data)

        self.patch(HTTPConnection, "received", slowly)
        crowd = self.beside(1, 60)
        told.clear()
        for number, peer in enumerate(crowd):
            peer.send(read("poll", f"n{number}"))
        self.reactor.until(lambda: len(inputs) == 60)
        self.assertLess(sum(told), 2 * 60)
        self.assertEqual(inputs, [read("poll", f"n{number}") for number in range(60)])
        self.reactor.until(lambda: len(self.begun) == 60)
        inputEnded = HTTPConnection.inputEnded

        def endsSlowly(connection: HTTPConnection) -> None:
            self.reactor.rightNow += COST
            inputEnded(connection)

        self.patch(HTTPConnection, "inputEnded", endsSlowly)
        told.clear()
        for peer in crowd:
            peer.socket.close()
        self.reactor.until(lambda: self.connections == 1)
        self.assertLess(sum(told), 2 * 60)
        self.reactor.settle()
        self.assertFalse(self.port.waiting)
        other.send(read("poll", "other"))
        other.hears(OK, 2)

    def test_newLinesBehindOthers(self) -> None:
        """
        On raw TCP, too, one that is there is served before very many that come.
        """
        openStream = self.hub.openStream

        def slowly(client: Any, names: Any, *rest: Any, **others: Any) -> Any:
            self.begun.append("")
            self.reactor.rightNow += COST
            return openStream(client, names, *rest, **others)

        self.patch(self.hub, "openStream", slowly)
        other = self.peer(b'{"id":1,"ping":0}\n', isTCP=True)
        other.hears(b"pong")
        self.begun.clear()
        crowd = [self.peer(isTCP=True) for _ in range(30)]
        self.reactor.settle()
        for number, peer in enumerate(crowd):
            peer.send(b'{"id":1,"subscribe":["n%d"]}\n' % number)
        for count in range(1, 4):
            before = len(self.begun)
            other.send(b'{"id":2,"ping":0}\n')
            other.hears(b"pong", count)
            self.assertLess(len(self.begun) - before, 8)
        for peer in crowd:
            peer.hears(b'"ok"')
        self.assertEqual(len(self.begun), 30)

    def test_acceptsAfterEvents(self) -> None:
        """
        A new client is accepted although the port has no time for all events.
        """
        peers = self.connected(9)
        for peer in peers:
            peer.send(read("poll"))
        new = self.peer(read("poll", "new"))
        self.reactor.until(lambda: self.connections == 10)
        new.hears(OK)
        self.assertEqual(len(self.begun), 10)

    def test_stopsWithEventsLeft(self) -> None:
        """
        The port may be closed while events are left.
        """
        peers = self.connected(9)
        for peer in peers:
            peer.send(read("poll"))
        self.reactor.turn(100)
        self.port.cutConnections()
        for peer in peers:
            peer.ends()
        self.reactor.settle()
        self.assertLess(len(self.begun), 9)
