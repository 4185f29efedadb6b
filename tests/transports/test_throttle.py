"""
Tests of L{comet.transports.throttle}: a client's input, a little in each turn.
"""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.transports.tcp import CometFactory
from comet.transports.throttle import BYTES_PER_TURN, InputThrottle
from tests.fanout.doubles import TurnClock
from tests.transports.case import HubTestCase
from tests.transports.frames import PING, WebSocketTestCase, frame
from tests.transports.wire import FULL, Wire


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


class InputThrottleTests(SynchronousTestCase):
    """
    The pieces of a client's input.
    """

    def setUp(self) -> None:
        """
        Keep the pieces.
        """
        self.clock, self.producer = TurnClock(), Producer()
        self.pieces: list[bytes] = []
        self.throttle = InputThrottle(self.clock, self.producer, self.pieces.append)

    def test_deliversLittleAtOnce(self) -> None:
        """
        Input of at most one piece is delivered at once, and the transport is
        not paused.
        """
        little = b"x" * BYTES_PER_TURN
        self.throttle.dataReceived(little)
        self.throttle.dataReceived(b"y")
        self.assertIs(self.pieces[0], little)
        self.assertEqual(self.pieces[1:], [b"y"])
        self.assertEqual((self.producer.told, self.clock.getDelayedCalls()), ([], []))

    def test_deliversPieceATurn(self) -> None:
        """
        More input is delivered a piece a turn.  The transport is paused from
        the first to the last of them, once.
        """
        data = bytes(range(256)) * (3 * BYTES_PER_TURN // 256) + b"end"
        self.throttle.dataReceived(data)
        for count in (1, 2, 3):
            self.assertEqual(len(self.pieces), count)
            self.assertEqual(self.producer.told, ["pause"])
            self.clock.turn()
        self.assertEqual(b"".join(self.pieces), data)
        self.assertEqual(
            [len(piece) for piece in self.pieces],
            [BYTES_PER_TURN, BYTES_PER_TURN, BYTES_PER_TURN, 3],
        )
        self.assertEqual(self.producer.told, ["pause", "resume"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_keepsOrder(self) -> None:
        """
        Input that arrives while some is left is delivered after that.
        """
        self.throttle.dataReceived(b"a" * (BYTES_PER_TURN + 1))
        self.throttle.dataReceived(b"b")
        self.assertEqual(self.pieces, [b"a" * BYTES_PER_TURN])
        self.clock.turn()
        self.assertEqual(self.pieces[1:], [b"ab"])

    def test_pauses(self) -> None:
        """
        While the throttle is paused it delivers nothing and pauses the
        transport; then it delivers all, in order.
        """
        self.throttle.pauseProducing()
        self.throttle.pauseProducing()
        self.throttle.dataReceived(b"a")
        self.throttle.dataReceived(b"b" * BYTES_PER_TURN)
        self.clock.turn()
        self.assertEqual((self.pieces, self.producer.told), ([], ["pause"]))
        self.throttle.resumeProducing()
        self.assertEqual(self.producer.told, ["pause"])
        self.clock.turn()
        self.assertEqual(b"".join(self.pieces), b"a" + b"b" * BYTES_PER_TURN)
        self.assertEqual(self.producer.told, ["pause", "resume"])

    def test_pausesWithinDelivery(self) -> None:
        """
        The throttle may be paused and resumed within a delivery; no second
        piece is delivered in the same turn then.
        """
        given: list[int] = []

        def give(piece: bytes) -> None:
            given.append(len(piece))
            throttle.pauseProducing()
            if len(given) == 1:
                throttle.resumeProducing()

        throttle = InputThrottle(self.clock, self.producer, give)
        throttle.dataReceived(b"x" * (3 * BYTES_PER_TURN))
        self.assertEqual(given, [BYTES_PER_TURN])
        self.clock.turn()
        self.clock.turn()
        self.assertEqual((given, self.producer.told), ([BYTES_PER_TURN] * 2, ["pause"]))
        throttle.resumeProducing()
        self.assertEqual(given, [BYTES_PER_TURN] * 3)
        self.assertEqual(self.producer.told, ["pause"])
        throttle.resumeProducing()
        self.assertEqual(self.producer.told, ["pause", "resume"])

    def test_discardsAfterStop(self) -> None:
        """
        When the connection is lost, what is left is discarded.
        """
        self.throttle.dataReceived(b"x" * (3 * BYTES_PER_TURN))
        self.throttle.stop()
        self.clock.turn()
        self.assertEqual(len(self.pieces), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @settings(deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.integers(1, 3 * BYTES_PER_TURN), st.sampled_from(["hold", "go on", "turn"])
            ),
            max_size=20,
        )
    )
    def test_deliversAllInAnyOrderOfCalls(self, steps: list[int | str]) -> None:
        """
        After any calls in any order, all input was delivered once, in order, in
        pieces that are small enough, at most one of several in a turn; and the
        transport is paused exactly while something is left.
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
            self.assertLessEqual(len(self.pieces), count + 1)
            if b"".join(self.pieces) != sent:
                self.assertEqual(self.producer.told[-1], "pause")
        self.assertEqual(b"".join(self.pieces), sent)
        self.assertLessEqual(max(map(len, self.pieces), default=0), BYTES_PER_TURN)
        told = self.producer.told
        self.assertEqual(told, ["pause", "resume"] * (len(told) // 2))


class FloodTests(HubTestCase):
    """
    One client of raw TCP floods the server, another sends one command.
    """

    def test_answersOtherClient(self) -> None:
        """
        The other client is answered at once, while most of the flood waits; all
        of the flood is answered in the end, in order.
        """
        factory = CometFactory(self.hub)
        flooding, asking = self.connect(factory), self.connect(factory)
        lines = [b'{"id":%d,"ping":0}\n' % number for number in range(FULL // 18)]
        flooding.send(b"".join(lines))
        asking.send(b'{"ping":"me"}\n')
        self.assertEqual(asking.take(), b'{"ok":{"pong":"me"}}\n')
        answered = flooding.take().count(b"\n")
        self.assertLess(answered, 2 * BYTES_PER_TURN // 18)
        self.assertFalse(flooding.transport.isReading)
        self.turn()
        ids = [json.loads(line)["id"] for line in flooding.take().splitlines()]
        self.assertEqual(ids, list(range(answered, len(lines))))
        self.assertTrue(flooding.transport.isReading)

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
        self.assertLess(stored, 2000)
        self.assertNothingLeft()


class WebSocketFloodTests(WebSocketTestCase):
    """
    One client of a WebSocket floods the server.
    """

    def test_answersOtherClient(self) -> None:
        """
        The frames of a flood wait, and another client is answered at once.
        """
        flooding, asking = self.open(), self.open()
        ping = frame(PING, b"")
        count = FULL // len(ping)
        flooding.send(ping * count)
        asking.send(frame(PING, b"me"))
        self.assertEqual([each.payload for each in self.read(asking)], [b"me"])
        answered = len(self.read(flooding))
        self.assertLess(answered, 2 * BYTES_PER_TURN // len(ping))
        self.turn()
        self.assertEqual(answered + len(self.read(flooding)), count)

    def test_dropsFloodOfClientThatLeft(self) -> None:
        """
        A client that leaves in the middle of its input leaves nothing behind.
        """
        wire: Wire = self.open()
        wire.send(frame(PING, b"") * 2000)
        wire.transport.lose(ZeroDivisionError())
        self.turn()
        self.assertNothingLeft()
