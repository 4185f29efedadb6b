"""
Tests of the shares of time on connections of HTTP/1 to Twisted's edge.
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from comet.framing import publications, strictjson
from comet.reactor.turns import SHARE, TURN
from comet.web.boundedrequest import BoundedRequest
from comet.web.resources import CometResource
from comet.web.sitechannel import READ_SIZE
from tests.reactor.test_turns import assertFair
from tests.slowpolls import COST, IN_SHARE, slowPolls
from tests.transports.case import HubTestCase, Response, get, post, readResponse
from tests.transports.frames import PING, UPGRADE, frame, readFrames
from tests.transports.wire import Wire


def poll(name: str) -> bytes:
    """
    Make a request for a poll.
    """
    return get(f"/channels/{name}?transport=poll")


class TurnsTests(HubTestCase):
    """
    Clients that send many requests at once.
    """

    def setUp(self) -> None:
        """
        Let each poll take some milliseconds of the clock, and note its name.
        """
        super().setUp()
        self.begun = slowPolls(self, self.hub, self.clock)

    def responses(self, wire: Wire) -> list[Response]:
        """
        Parse all responses that have come.
        """
        found, rest = [], wire.take()
        while rest:
            found.append(readResponse(rest))
            rest = found[-1].rest
        return found

    def test_othersAreServedBetween(self) -> None:
        """
        A client that has sent a hundred requests makes another one wait for a share
        of them.  In the end all are answered, in order.
        """
        busy, other = self.connect(), self.connect()
        names = [f"a{number}" for number in range(100)]
        busy.send(b"".join(map(poll, names)))
        self.assertEqual(self.begun, names[:IN_SHARE])
        self.assertFalse(busy.transport.isReading)
        other.send(poll("b"))
        self.assertEqual(self.begun[IN_SHARE:], ["b"])
        self.assertEqual(len(self.responses(other)), 1)
        self.turn()
        self.assertEqual([name for name in self.begun if name != "b"], names)
        self.assertEqual([each.status for each in self.responses(busy)], [200] * 100)
        self.assertTrue(busy.transport.isReading)

    def test_muchWaits(self) -> None:
        """
        While a client waits, another one that sends much at once waits, too; one that
        asks for one thing does not.
        """
        wires = [self.connect() for _ in range(3)]
        for wire, name, count in zip(wires, "abc", (60, 60, 1), strict=True):
            wire.send(poll(name) * count)
        self.assertEqual(self.begun, ["a"] * IN_SHARE + ["c"])
        self.assertFalse(wires[1].transport.isReading)
        self.turn()
        self.assertEqual([len(self.responses(wire)) for wire in wires], [60, 60, 1])
        self.assertTrue(wires[1].transport.isReading)

    def test_roundRobin(self) -> None:
        """
        Clients that have much to ask have their shares in turn.
        """
        wires = {name: self.connect() for name in "abc"}
        for name, wire in wires.items():
            wire.send(poll(name) * (4 * IN_SHARE))
        self.turn()
        self.assertEqual(len(self.begun), 12 * IN_SHARE)
        # The time of the first turn is spent when the third one comes.
        assertFair(self, self.begun, most=3)

    def test_knownBeforeMany(self) -> None:
        """
        A client that was served before and asks for one thing, as the time of the turn is
        spent, does not wait behind clients that have much to ask, or have just come.
        """
        known, *others = (self.connect() for _ in range(31))
        known.send(poll("known"))
        self.turn()
        for wire in others[:10]:
            wire.send(poll("much") * 10)
        for wire in others[10:]:
            wire.send(poll("new"))
        before = len(self.begun)
        known.send(poll("known"))
        self.assertFalse(known.transport.isReading)
        self.turn()
        self.assertEqual(self.begun[before], "known")
        self.assertEqual(len(self.begun), 1 + 10 * 10 + 20 + 1)

    def test_manyAtOnce(self) -> None:
        """
        Many clients that each ask for one thing in the same moment are no longer turn
        than a few: those for which there is no time wait, and are not read.
        """
        wires = [self.connect() for _ in range(40)]
        for wire in wires:
            wire.send(poll("a"))
        inTurn = int(TURN / COST) + 1
        self.assertEqual(len(self.begun), inTurn)
        self.assertFalse(wires[-1].transport.isReading)
        self.turn()
        self.assertEqual([len(self.responses(wire)) for wire in wires], [1] * 40)

    def test_readingsOfTLS(self) -> None:
        """
        TLS gives what it has decrypted piece after piece, also to a connection that
        is paused: all of it is answered, in order.
        """
        wire = self.connect()
        protocol = wire.transport.protocol
        said = poll("a") * 900
        for start in range(0, len(said), 16384):
            protocol.dataReceived(said[start : start + 16384])
        self.assertEqual(len(self.begun), IN_SHARE)
        self.assertLessEqual(len(protocol._buffer), len(said))
        self.turn()
        self.assertEqual([each.status for each in self.responses(wire)], [200] * 900)

    def test_publications(self) -> None:
        """
        Publications that a client sends one behind the other are stored in the turn in
        which they come, although Twisted deals with one at a time.
        """
        wire = self.connect()
        requests = [post("/channels/open/c", b"%d" % number) for number in range(200)]
        wire.transport.protocol.dataReceived(b"".join(requests))
        self.assertEqual(self.hub.end.position, 200)
        self.turn()
        answers = self.responses(wire)
        self.assertEqual([each.status for each in answers], [201] * 200)
        positions = [each.json["cursor"].rpartition("-")[2] for each in answers]
        self.assertEqual(positions, [str(number) for number in range(1, 201)])

    def test_bodies(self) -> None:
        """
        A batch is parsed for a share of each turn, and stored when all of it is
        there.
        """
        read = strictjson.decode

        def slowly(*given: Any) -> Any:
            self.clock.rightNow += SHARE / 20
            return read(*given)

        self.patch(publications, "decode", slowly)
        wire, other = self.connect(), self.connect()
        lines = b'{"channel":"open/c","data":1}\n' * 900
        said = post("/publish", lines, "Content-Type: application/x-ndjson") + poll("a")
        began = self.clock.seconds()
        wire.transport.protocol.dataReceived(said)
        self.assertLess(self.clock.seconds() - began, len(lines) / 30 * SHARE / 20 / 2)
        other.send(poll("b"))
        self.assertEqual((self.hub.end.position, self.begun), (0, ["b"]))
        self.turn()
        self.assertEqual(self.hub.end.position, 900)
        self.assertEqual([each.status for each in self.responses(wire)], [201, 200])

    def test_chunks(self) -> None:
        """
        A body in very many chunks is taken for a share of each turn, and it is whole in
        the end; so is what follows it.
        """
        take = BoundedRequest.handleContentChunk

        def slowly(own: BoundedRequest, data: bytes) -> None:
            self.clock.rightNow += 0.0001
            take(own, data)

        self.patch(BoundedRequest, "handleContentChunk", slowly)
        body = bytes(range(97, 123)) * 35
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        head = get("/channels/open/c", "Transfer-Encoding: chunked", method="POST")
        wire = self.connect()
        began = self.clock.seconds()
        wire.transport.protocol.dataReceived((head + chunks) * 2 + poll("a"))
        self.assertLess(self.clock.seconds() - began, 0.03)
        self.assertEqual(self.hub.end.position, 0)
        self.turn()
        self.assertEqual([each.status for each in self.responses(wire)], [201, 201, 200])
        held = self.ask(get("/channels/open/c?transport=poll&since=earliest")).json
        self.assertEqual([each["data"] for each in held["messages"]], [body.decode()] * 2)

    def test_shareEndsAnywhere(self) -> None:
        """
        Wherever shares of time end, and however the input is cut, pipelined requests
        are answered in their order, and no byte of their bodies moves.
        """
        lines = b"".join(b'{"channel":"open/c","data":%d}\n' % number for number in range(80))
        chunks = b"100\r\n%s\r\n" % (b"x" * 0x100) * 3 + b"0\r\n\r\n"
        said = (
            post("/publish", lines, "Content-Type: application/x-ndjson")
            + poll("a")
            + get("/channels/open/d", "Transfer-Encoding: chunked", method="POST")
            + chunks
            + get("/channels/a?transport=longpoll&wait=1")
            + post("/channels/open/d", b"y" * 900)
        ) * 2
        numbers = [*range(80)] * 2
        for seed in range(100):
            chance = Random(seed)

            def seconds(chance: Random = chance) -> float:
                if chance.random() < 0.2:
                    self.clock.rightNow += SHARE
                return self.clock.seconds()

            self.patch(self.hub.turns, "seconds", seconds)
            start = self.hub.end
            wire = self.connect()
            size = chance.choice((len(said), READ_SIZE, 2500, 700))
            for at in range(0, len(said), size):
                wire.transport.protocol.dataReceived(said[at : at + size])
                if chance.random() < 0.5:
                    self.turn()
            for _ in range(4):
                self.turn()
                self.clock.advance(1)
            self.turn()
            answers = [each.status for each in self.responses(wire)]
            self.assertEqual(answers, [201, 200, 201, 200, 201] * 2, seed)
            held = self.ask(get(f"/channels/open/*?transport=poll&since={start}")).json
            data = [each["data"] for each in held["messages"]]
            self.assertEqual([each for each in data if isinstance(each, int)], numbers, seed)
            texts = [each for each in data if isinstance(each, str)]
            self.assertEqual(texts, ["x" * 0x300, "y" * 900] * 2, seed)

    def test_upgradeBeforeMuch(self) -> None:
        """
        What follows an upgrade in the same input is the WebSocket's, however much it
        is, and the WebSocket is read then.
        """
        wire = self.connect()
        said = poll("a") * IN_SHARE + get("/socket", *UPGRADE)
        pings = frame(PING, b"x" * 100) * 400
        wire.transport.protocol.dataReceived(said + pings)
        self.turn()
        answers, _, rest = wire.take().rpartition(b"\r\n\r\n")
        self.assertIn(b" 101 ", answers)
        self.assertEqual(len(readFrames(rest)), 400)
        self.assertTrue(wire.transport.isReading)

    def test_longPollBeforeMuch(self) -> None:
        """
        A long poll that is answered while input behind it waits for another turn
        makes nothing of that input wait twice.
        """
        wire = self.connect()
        wire.transport.protocol.dataReceived(
            poll("b") * IN_SHARE + get("/channels/a?transport=longpoll") + poll("c") * 300
        )
        self.publish("a", 1)
        self.assertEqual([each.status for each in self.responses(wire)], [200] * (301 + IN_SHARE))
        self.assertEqual(self.begun.count("c"), 300)

    def test_pollsWaitForBus(self) -> None:
        """
        Polls that wait for the bus are answered with what it holds, however much the
        client has sent behind them.
        """
        readLog = self.bus.read

        def later(*given: Any) -> Any:
            answer: Deferred[Any] = Deferred()
            self.clock.callLater(0, lambda: readLog(*given).chainDeferred(answer))
            return answer

        self.patch(self.bus, "read", later)
        self.publish("a", 1)
        wire = self.connect()
        asked = get("/channels/a?transport=poll&since=earliest", f"X: {'x' * 1000}")
        wire.sendIn(READ_SIZE, asked * 60)
        self.assertLess(len(wire.transport.protocol._buffer), 2 * READ_SIZE)
        self.turn()
        counts = [len(each.json["messages"]) for each in self.responses(wire)]
        self.assertEqual(counts, [1] * 60)

    def test_keepsNoMoreThanWasRead(self) -> None:
        """
        A client sends publications without an end, TLS hands out as much as it has read,
        and each publication waits for the bus: the server keeps one reading, not all that
        comes.
        """
        store = self.bus.publish

        def later(*given: Any) -> Any:
            answer: Deferred[Any] = Deferred()
            self.clock.callLater(0, lambda: store(*given).chainDeferred(answer))
            return answer

        def seconds() -> float:
            # So the share is over while the first publication is under way.
            self.clock.rightNow += SHARE / 3
            return self.clock.seconds()

        self.patch(self.bus, "publish", later)
        self.patch(self.hub.turns, "seconds", seconds)
        wire = self.connect()
        protocol = wire.transport.protocol
        publication = post("/channels/open/c", b"1")
        reading = publication * (65536 // len(publication))
        for _ in range(300):
            # Between any two things that the server does, there may be more to read.
            if wire.transport.isReading:
                protocol.dataReceived(reading)
            self.clock.calls.sort(key=lambda each: each.getTime())
            call = self.clock.calls.pop(0)
            self.clock.rightNow = max(self.clock.rightNow, call.getTime())
            call.called = True
            call.func(*call.args, **call.kw)
            kept = len(protocol._buffer) + sum(map(len, protocol._dataBuffer))
            self.assertLess(kept, 2 * len(reading))
        self.assertGreater(self.hub.end.position, 50)

    def test_readsNoMoreWhileInputIsLeft(self) -> None:
        """
        While input waits, nothing is read, also when the transport has sent what it
        had.
        """
        wire = self.connect()
        wire.transport.isStuck = True
        wire.send(poll("a") * (READ_SIZE // len(poll("a"))))
        protocol = wire.transport.protocol
        protocol.pauseProducing()
        protocol.resumeProducing()
        self.assertFalse(wire.transport.isReading)
        wire.send(poll("b") * 99)
        self.assertLessEqual(len(protocol._buffer), READ_SIZE)
        wire.transport.isStuck = False
        self.turn()
        self.assertEqual(self.begun.count("b"), 99)

    def test_dropsWorkOfClientThatLeft(self) -> None:
        """
        What a client has asked is not answered any more once it has left.
        """
        wire = self.connect()
        wire.send(poll("a") * 90)
        wire.transport.lose(ZeroDivisionError())
        self.turn()
        self.assertEqual((len(self.begun), len(self.hub.turns)), (IN_SHARE, 0))
        self.assertNothingLeft()

    def test_halfClosed(self) -> None:
        """
        A client that has closed its writing side gets all answers, although most
        requests had to wait, and the connection ends.
        """
        wire = self.connect()
        wire.send(poll("a") * 9 + post("/channels/open/c", b"x") + poll("a") * 9 + b"GET /")
        wire.halfClose()
        self.turn()
        statuses = [each.status for each in self.responses(wire)]
        self.assertEqual(statuses, [200] * 9 + [201] + [200] * 9)
        self.assertFalse(wire.isOpen)

    def test_longPollBehindRequests(self) -> None:
        """
        A long poll behind requests that had to wait is held, and answered with the
        next message.
        """
        wire = self.connect()
        wire.send(poll("a") * 9 + get("/channels/a?transport=longpoll") + poll("a"))
        self.turn()
        self.assertEqual(len(self.responses(wire)), 9)
        self.publish("a", 1)
        self.assertEqual([each.status for each in self.responses(wire)], [200, 200])

    def test_streamBehindRequests(self) -> None:
        """
        A stream behind requests that had to wait hears its messages, and it is
        noticed when its client leaves.
        """
        wire = self.connect()
        wire.send(poll("a") * 9 + get("/channels/a?transport=sse"))
        self.turn()
        self.publish("a", 1)
        self.assertIn(b"data: 1\n", wire.take())
        self.assertTrue(wire.transport.isReading)
        self.assertNothingLeft()

    def test_socketOfHalfClosed(self) -> None:
        """
        A client that has closed its writing side, and has asked for a WebSocket behind
        requests that had to wait, gets their answers and that of the WebSocket, which
        then ends.
        """
        wire = self.connect()
        wire.send(poll("a") * 9 + get("/socket", *UPGRADE))
        wire.halfClose()
        self.turn()
        answers = wire.take()
        self.assertEqual((answers.count(b" 200 OK\r\n"), answers.count(b" 101 ")), (9, 1))
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()

    def test_manyAnswersAtOnce(self) -> None:
        """
        What clients have sent behind a request that is answered together with many
        others waits for another turn.
        """
        wires = [self.connect() for _ in range(5)]
        for wire in wires:
            wire.send(get("/channels/a?transport=longpoll") + poll("a") * 20)
            self.clock.advance(0)
        waiting: list[Any] = []
        self.patch(self.hub.turns, "later", lambda call, isLight: waiting.append(call))
        self.hub.publish("a", 1)
        self.clock.advance(0)
        self.assertEqual((len(self.begun), len(waiting)), (5, 5))
        waiting.pop(0)()
        self.assertEqual(len(self.begun), 5 + IN_SHARE)

    def test_failureCutsConnection(self) -> None:
        """
        A connection that fails after it has waited is cut.
        """
        wire = self.connect()
        wire.send(poll("a") * 9)
        wire.transport.protocol.lineReceived = lambda line: 1 // 0
        self.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(wire.transport.aborted)

    def test_applicationsTree(self) -> None:
        """
        A site whose root is an application's shares its time as well.
        """
        root = Resource()
        root.putChild(b"push", CometResource(self.hub))
        wire = self.connect(self.makeSite(root))
        wire.send(get("/push/channels/a?transport=poll") * 9)
        self.assertEqual(len(self.begun), IN_SHARE)
        self.turn()
        self.assertEqual(len(self.responses(wire)), 9)
