"""
Tests of L{comet.transports.throttle}: a client's input, for a share of each turn.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.framing.commands import readCommand
from comet.reactor.clientpace import QUICK
from comet.reactor.turns import MUCH, SHARE, TURN, Turns
from comet.transports import commandflow
from comet.transports.session import Session
from comet.transports.tcp import CometFactory
from comet.transports.throttle import PIECE, InputThrottle
from tests.fanout.doubles import TurnClock
from tests.reactor.test_turns import assertFair
from tests.transports.case import HubTestCase
from tests.transports.frames import PING, WebSocketTestCase, frame, text
from tests.transports.wire import Wire


class Producer:
    """
    Notes what it is told.

    @ivar told: The calls.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        """
        Note the call.
        """
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """
        Note the call.
        """
        self.told.append("resume")

    def getPeer(self) -> str:
        """
        Return the address of the client.
        """
        return "nowhere"

    def abortConnection(self) -> None:
        """
        Note the call.
        """
        self.told.append("abort")


class InputThrottleTests(SynchronousTestCase):
    """
    The pieces of a client's input.

    @cvar cost: For how many seconds of the clock a piece is dealt with.
    """

    cost = SHARE / 2

    def setUp(self) -> None:
        """
        Keep the pieces.
        """
        self.clock, self.producer = TurnClock(), Producer()
        self.pieces: list[bytes] = []
        self.throttle = InputThrottle(Turns(self.clock), self.producer, self.take)

    def take(self, piece: bytes) -> bool:
        """
        Keep a piece.
        """
        self.pieces.append(piece)
        self.clock.rightNow += self.cost
        return False

    def test_deliversLittleAtOnce(self) -> None:
        """
        Input of at most one piece is delivered at once, and the transport is
        not paused, however long it takes.
        """
        self.cost = 2 * SHARE
        little = b"x" * PIECE
        self.throttle.dataReceived(little)
        self.throttle.dataReceived(b"y")
        self.assertIs(self.pieces[0], little)
        self.assertEqual(self.pieces[1:], [b"y"])
        self.assertEqual((self.producer.told, len(self.throttle._turns)), ([], 0))

    def test_deliversForShare(self) -> None:
        """
        More input is delivered for a share of each turn.  The transport is paused
        from the first to the last of them, once.
        """
        data = bytes(range(256)) * (5 * PIECE // 256) + b"end"
        self.throttle.dataReceived(data)
        for count in (2, 4):
            self.assertEqual(len(self.pieces), count)
            self.assertEqual(self.producer.told, ["pause"])
            self.clock.turn()
        self.assertEqual(b"".join(self.pieces), data)
        self.assertEqual([len(piece) for piece in self.pieces], [PIECE] * 5 + [3])
        self.assertEqual(self.producer.told, ["pause", "resume"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_littleFirst(self) -> None:
        """
        While others wait, a client waits before those that have work left if it was served
        before, what it said last was quick, and it has sent little; else behind them.
        """
        turns = self.throttle._turns
        for cost, size, isFirst in (
            (None, 1, False),
            (QUICK * 0.9, MUCH, True),
            (QUICK * 0.9, MUCH + 1, False),
            (QUICK * 1.1, MUCH, False),
            (QUICK * 0.9, 1, True),
        ):
            if cost is not None:
                self.cost = cost
                self.throttle.dataReceived(b"before")
                self.clock.settle()
            self.cost, self.pieces = 0.0, []
            begun = self.clock.seconds()
            self.clock.rightNow += 2 * TURN
            turns.spend(begun)
            seen: list[int] = []

            def look(seen: list[int] = seen) -> None:
                seen.append(len(self.pieces))

            turns.later(look)
            self.throttle.dataReceived(b"x" * size)
            self.assertEqual(self.pieces, [])
            self.clock.settle()
            self.assertEqual((seen[0] > 0, b"".join(self.pieces)), (isFirst, b"x" * size))

    def test_littleGoesOn(self) -> None:
        """
        A client that asks for little waits before those that have work left for the rest of
        it, too, until that has taken long.
        """
        turns = self.throttle._turns
        self.throttle.dataReceived(b"before")
        self.clock.settle()
        left = [QUICK * 0.6, QUICK * 0.6, 0.0]

        def deliver(piece: bytes) -> bool:
            self.clock.rightNow += left.pop(0)
            return bool(left)

        self.throttle._deliver = deliver
        self.throttle.dataReceived(b"x")
        for isLight in (True, False):
            self.assertEqual((len(turns), len(turns._light) > 0), (1, isLight))
            self.clock.turn()
        self.assertEqual((left, len(turns)), ([], 0))

    def test_deliversAllIfThereIsTime(self) -> None:
        """
        All of the input is delivered at once if the share is not over.
        """
        self.cost = 0
        self.throttle.dataReceived(b"x" * (5 * PIECE))
        self.assertEqual((len(self.pieces), self.producer.told), (5, []))

    def test_keepsOrder(self) -> None:
        """
        Input that arrives while some is left is delivered after that.
        """
        self.cost = SHARE
        self.throttle.dataReceived(b"a" * (PIECE + 1))
        self.throttle.dataReceived(b"b")
        self.assertEqual(self.pieces, [b"a" * PIECE])
        self.clock.turn()
        self.assertEqual(self.pieces[1:], [b"ab"])

    def test_restOfPiece(self) -> None:
        """
        If the share is over within a piece, its rest comes first in the next turn:
        without bytes, since it was delivered already.
        """
        self.cost = 0
        left = [True, True, False, False]

        def take(piece: bytes) -> bool:
            self.take(piece)
            self.clock.rightNow += SHARE
            return left.pop(0)

        throttle = InputThrottle(Turns(self.clock), self.producer, take)
        throttle.dataReceived(b"ab")
        throttle.dataReceived(b"c")
        for expected in ([b"ab"], [b"ab", b""], [b"ab", b"", b""]):
            self.assertEqual(self.pieces, expected)
            self.assertEqual(self.producer.told, ["pause"])
            self.clock.turn()
        self.assertEqual(self.pieces, [b"ab", b"", b"", b"c"])
        self.assertEqual(self.producer.told, ["pause", "resume"])

    def test_pauses(self) -> None:
        """
        While the throttle is paused it delivers nothing and pauses the
        transport; then it delivers all, in order, in another turn.
        """
        self.throttle.pauseProducing()
        self.throttle.pauseProducing()
        self.throttle.dataReceived(b"a")
        self.throttle.dataReceived(b"b" * PIECE)
        self.clock.turn()
        self.assertEqual((self.pieces, self.producer.told), ([], ["pause"]))
        self.throttle.resumeProducing()
        self.assertEqual((self.pieces, self.producer.told), ([], ["pause"]))
        self.clock.turn()
        self.assertEqual(b"".join(self.pieces), b"a" + b"b" * PIECE)
        self.assertEqual(self.producer.told, ["pause", "resume"])

    def test_pausesWithinDelivery(self) -> None:
        """
        The throttle may be paused and resumed within a delivery, and delivers
        nothing more once it is paused.
        """
        given: list[int] = []

        def give(piece: bytes) -> bool:
            given.append(len(piece))
            throttle.pauseProducing()
            if len(given) == 1:
                throttle.resumeProducing()
            return False

        throttle = InputThrottle(Turns(self.clock), self.producer, give)
        throttle.dataReceived(b"x" * (3 * PIECE))
        self.assertEqual((given, self.producer.told), ([PIECE] * 2, ["pause"]))
        self.clock.turn()
        self.assertEqual((given, self.producer.told), ([PIECE] * 2, ["pause"]))
        throttle.resumeProducing()
        self.clock.turn()
        self.assertEqual(given, [PIECE] * 3)
        self.assertEqual(self.producer.told, ["pause"])
        throttle.resumeProducing()
        self.assertEqual(self.producer.told, ["pause", "resume"])

    def test_discardsAfterStop(self) -> None:
        """
        When the connection is lost, what is left is discarded.
        """
        self.throttle.dataReceived(b"x" * (5 * PIECE))
        self.throttle.stop()
        self.clock.turn()
        self.assertEqual(len(self.pieces), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failureCutsConnection(self) -> None:
        """
        A delivery that fails in a later turn cuts the connection.
        """
        self.throttle.dataReceived(b"x" * (3 * PIECE))
        self.pieces = ()  # type: ignore[assignment]
        self.clock.turn()
        self.assertEqual(self.producer.told, ["pause", "abort"])
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    @settings(deadline=None)
    @given(
        st.lists(
            st.one_of(st.integers(1, 3 * PIECE), st.sampled_from(["hold", "go on", "turn"])),
            max_size=20,
        )
    )
    def test_deliversAllInAnyOrderOfCalls(self, steps: list[int | str]) -> None:
        """
        After any calls in any order, all input was delivered once, in order, in
        pieces that are small enough, and no more in a turn than there is time for;
        and the transport is paused exactly while something is left.
        """
        self.setUp()
        sent = b""
        for step in [*steps, "go on", *["turn"] * 100]:
            count = len(self.pieces)
            if isinstance(step, int):
                data = bytes(number % 251 for number in range(len(sent), len(sent) + step))
                sent += data
                self.throttle.dataReceived(data)
            elif step == "hold":
                self.throttle.pauseProducing()
            elif step == "go on":
                self.throttle.resumeProducing()
            else:
                self.clock.turn()
            self.assertLessEqual(len(self.pieces), count + 2)
            if b"".join(self.pieces) != sent:
                self.assertEqual(self.producer.told[-1], "pause")
        self.assertEqual(b"".join(self.pieces), sent)
        self.assertLessEqual(max(map(len, self.pieces), default=0), PIECE)
        told = self.producer.told
        self.assertEqual(told, ["pause", "resume"] * (len(told) // 2))


class Slowly:
    """
    Lets each command take some milliseconds of a clock.
    """

    cost = 1.5 * SHARE

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, *given: Any) -> Any:
        """
        Read a command.
        """
        self._clock.rightNow += self.cost
        return readCommand(*given)


# How many such commands are begun in one share.
IN_SHARE = int(SHARE / Slowly.cost) + 1


class FloodTests(HubTestCase):
    """
    One client of raw TCP floods the server, another sends one command.
    """

    def setUp(self) -> None:
        """
        Let each command take some milliseconds.
        """
        super().setUp()
        self.patch(commandflow, "readCommand", Slowly(self.clock))

    def test_answersOtherClient(self) -> None:
        """
        The other client is answered at once, while most of the flood waits; all
        of the flood is answered in the end, in order.
        """
        factory = CometFactory(self.hub)
        flooding, asking = self.connect(factory), self.connect(factory)
        lines = [b'{"id":%d,"ping":0}\n' % number for number in range(1000)]
        flooding.send(b"".join(lines))
        asking.send(b'{"ping":"me"}\n')
        self.assertEqual(asking.take(), b'{"ok":{"pong":"me"}}\n')
        answered = flooding.take().count(b"\n")
        self.assertEqual(answered, IN_SHARE)
        self.assertFalse(flooding.transport.isReading)
        self.turn()
        ids = [json.loads(line)["id"] for line in flooding.take().splitlines()]
        self.assertEqual(ids, list(range(answered, len(lines))))
        self.assertTrue(flooding.transport.isReading)

    def test_muchWaits(self) -> None:
        """
        While a client waits, another one that sends much at once waits, too; one that
        asks for one thing does not.
        """
        factory = CometFactory(self.hub)
        wires = [self.connect(factory) for _ in range(3)]
        for wire, count in zip(wires, (300, 300, 1), strict=True):
            wire.send(b'{"ping":0}\n' * count)
        counts = [wire.take().count(b"\n") for wire in wires]
        self.assertEqual(counts, [IN_SHARE, 0, 1])
        self.assertFalse(wires[1].transport.isReading)
        self.turn()
        counts = [wire.take().count(b"\n") for wire in wires]
        self.assertEqual(counts, [300 - IN_SHARE, 300, 0])

    def test_sharesInTurn(self) -> None:
        """
        Clients that flood the server have their shares in turn.
        """
        heard: list[str] = []
        read = Slowly(self.clock)

        def noting(*given: Any) -> Any:
            command = read(*given)
            heard.append(command.json.decode())
            return command

        self.patch(commandflow, "readCommand", noting)
        factory = CometFactory(self.hub)
        for name in "abc":
            self.connect(factory).send(b'{"ping":"%b"}\n' % name.encode() * (3 * IN_SHARE))
        self.turn()
        self.assertEqual(len(heard), 9 * IN_SHARE)
        # The time of the first turn is spent when the third one comes.
        assertFair(self, heard, most=3)

    def test_lastLines(self) -> None:
        """
        A client that has closed its writing side gets the answers to all lines, also
        to the last, which has no end.
        """
        wire = self.connect(CometFactory(self.hub))
        wire.send(b'{"ping":0}\n' * 9 + b'{"ping":1}')
        wire.halfClose()
        self.turn()
        pongs = [json.loads(line)["ok"]["pong"] for line in wire.take().splitlines()]
        self.assertEqual(pongs, [0] * 9 + [1])
        self.assertFalse(wire.isOpen)

    def test_dropsFloodOfClientThatLeft(self) -> None:
        """
        Nothing more is carried out for a client that has left.
        """
        wire = self.connect(CometFactory(self.hub))
        wire.send(b'{"publish":"open/a","data":1}\n' * 2000)
        stored = self.hub.end.position
        wire.transport.lose(ZeroDivisionError())
        self.turn()
        self.assertEqual(self.hub.end.position, stored)
        self.assertEqual(stored, IN_SHARE)
        self.assertNothingLeft()


class WebSocketFloodTests(WebSocketTestCase):
    """
    One client of a WebSocket floods the server.
    """

    def setUp(self) -> None:
        """
        Let each command take some milliseconds.
        """
        super().setUp()
        self.patch(commandflow, "readCommand", Slowly(self.clock))

    def test_answersOtherClient(self) -> None:
        """
        The frames of a flood wait, and another client is answered at once; all of the
        flood is answered in the end, in order.
        """
        flooding, asking = self.open(), self.open()
        flooding.send(b"".join(text({"id": number, "ping": 0}) for number in range(1000)))
        asking.send(text({"ping": "me"}))
        self.assertEqual(self.read(asking)[0].json, {"ok": {"pong": "me"}})
        answered = len(self.read(flooding))
        self.assertEqual(answered, IN_SHARE)
        self.turn()
        ids = [each.json["id"] for each in self.read(flooding)]
        self.assertEqual(ids, list(range(answered, 1000)))

    def test_pings(self) -> None:
        """
        Frames without commands are answered as long as there is time.
        """
        wire = self.open()
        sendPong = Session.sendPong

        def slowly(own: Session, pong: bytes) -> None:
            self.clock.rightNow += SHARE / 10
            sendPong(own, pong)

        self.patch(Session, "sendPong", slowly)
        wire.send(frame(PING, b"") * 2000)
        self.assertTrue(10 <= len(self.read(wire)) <= 11)
        self.turn()
        self.assertTrue(1989 <= len(self.read(wire)) <= 1990)

    def test_messageInPieces(self) -> None:
        """
        A message that is larger than a piece is carried out at once.
        """
        wire = self.open()
        said = {"publish": "open/a", "data": "x" * 1000}
        wire.send(text({**said, "y": "y" * 4000}))
        self.assertEqual(self.hub.end.position, 1)
        self.assertTrue(wire.transport.isReading)

    def test_dropsFloodOfClientThatLeft(self) -> None:
        """
        A client that leaves in the middle of its input leaves nothing behind.
        """
        wire: Wire = self.open()
        wire.send(text({"ping": 0}) * 2000)
        wire.transport.lose(ZeroDivisionError())
        self.turn()
        self.assertNothingLeft()
