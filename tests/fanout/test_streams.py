"""
Tests of streams: the beginning, back-pressure, heartbeats.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from comet.fanout.logquestions import READ_BYTES
from comet.fanout.states import State
from comet.fanout.streams import STALL_CHECK, STALLED, StreamReader
from comet.interfaces.sinks import ISinkOwner
from comet.model.cursors import parseCursor
from comet.model.messages import Message
from comet.model.positions import At
from comet.reactor.turns import SHARE, TURN
from tests.fanout.case import HubTestCase, since
from tests.fanout.doubles import ANYONE, LineShape, MemorySink

BIG = b'"' + b"x" * 40000 + b'"'


class WideShape(LineShape):
    """
    A shape whose messages are as long as their payload.
    """

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        A long line.
        """
        return super().message(message, replay)[:-1] + b" " * len(message.payload) + b"\n"


@implementer(ISinkOwner)
class Owner:
    """
    Notes what it is told of a sink.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def sinkReady(self) -> None:
        """
        See L{ISinkOwner.sinkReady}.
        """
        self.told.append("ready")

    def sinkLost(self) -> None:
        """
        See L{ISinkOwner.sinkLost}.
        """
        self.told.append("lost")

    def inputEnded(self) -> None:
        """
        See L{ISinkOwner.inputEnded}.
        """
        self.told.append("ended")


class OpeningTests(HubTestCase):
    """
    What is written first.
    """

    def test_openingInOneWrite(self) -> None:
        """
        The opening, the prelude and the cursor are one write.
        """
        stream = self.stream("a", shape=LineShape(prelude=b"prelude "), opening=b"opening ")
        [write] = stream.sink.writes
        self.assertTrue(write.startswith(b'opening prelude ["standing", '), write)

    def test_gapInPlaceOfTheCursor(self) -> None:
        """
        A reader that starts with a gap is told of the gap first.
        """
        self.publish("a")
        stream = self.stream("a", "b", begin="other-7")
        self.rest()
        self.assertEqual(stream.kinds, ["gap", "message"])
        self.assertEqual(stream.sink.lines[0][2:], [0, "a", "b"])

    def test_withoutOpening(self) -> None:
        """
        Without an opening, nothing is written before the messages.
        """
        self.publish("a")
        stream = self.stream("a", begin="earliest", opening=None)
        self.assertEqual(stream.kinds, ["message"])

    def test_replayEndsWithACursor(self) -> None:
        """
        Replayed messages are flagged, and a bare cursor follows them.
        """
        self.publish("a", "b", "a")
        begin = {"a": self.cursor(0), "b": self.cursor(2)}
        plain = self.stream("a", "b", begin=begin)
        adopting = self.stream("a", "b", begin=begin, shape=LineShape(adoptsReplay=True))
        self.publish("a")
        self.rest()
        epoch = self.inner.end.epoch
        expected = [
            ["message", "a", epoch, 1, True],
            ["standing", epoch, 2],
            ["message", "a", epoch, 3, False],
            ["message", "a", epoch, 4, False],
        ]
        self.assertEqual(plain.sink.lines, [["standing", epoch, 2], *expected])
        self.assertEqual(adopting.sink.lines, [["standing", epoch, 0], *expected])

    def test_openingFillsTheSink(self) -> None:
        """
        If the client does not take all of the opening, the log is not read for
        it.
        """
        self.publish("a")
        sink = MemorySink()
        sink.fill()
        stream = self.stream("a", begin="earliest", sink=sink)
        self.rest()
        self.assertEqual((stream.kinds, stream.reader.state), (["standing"], State.BEHIND))
        sink.drain()
        self.assertEqual((stream.positions, stream.reader.state), ([1], State.LIVE))

    def test_openingFails(self) -> None:
        """
        A failure while a stream is opened closes it.
        """
        error = RuntimeError("broken")

        class BrokenSink(MemorySink):
            def write(self, data: bytes) -> bool:
                if b"close" not in data:
                    raise error
                return super().write(data)

        stream = self.stream("a", sink=BrokenSink())
        self.assertEqual(stream.sink.lines[-1][3], "internal")
        self.assertEqual(self.flushLoggedErrors(RuntimeError)[0].value, error)


class BackpressureTests(HubTestCase):
    """
    Clients that do not take what is written.
    """

    def test_readsOnFromItsPosition(self) -> None:
        """
        A client that is behind is written nothing; once it has taken all, its
        reader reads on from its position.
        """
        stream = self.stream("a")
        stream.sink.fill()
        self.publish("a")
        self.clock.settle()
        for _ in range(3):
            self.publish("a")
            self.clock.settle()
        self.assertEqual((stream.positions, stream.reader.state), ([1], State.BEHIND))
        stream.sink.drain()
        self.assertEqual(stream.positions, [1, 2, 3, 4])
        self.publish("a")
        self.clock.settle()
        self.assertEqual(stream.positions, [1, 2, 3, 4, 5])

    def test_catchesUpInSlices(self) -> None:
        """
        A reader that catches up is given about as much at once as a socket
        takes, and others have their turn.
        """
        for _ in range(3):
            self.publish(*["a"] * 3, payload=BIG)
        sink = MemorySink()
        sink.budget = 3
        stream = self.stream("a", begin="earliest", sink=sink)
        # The turn in which it asks has less for it.
        self.assertEqual(stream.positions, [1])
        self.clock.turn()
        self.assertEqual(stream.positions, [1, 2, 3, 4])
        self.clock.settle()
        self.assertEqual(stream.positions, [1, 2, 3, 4])
        sink.drain()
        self.assertEqual(stream.positions, [1, 2, 3, 4, 5, 6, 7])
        self.clock.settle()
        self.assertEqual(stream.positions, [1, 2, 3, 4, 5, 6, 7, 8, 9])

    def test_manyDrainAtOnce(self) -> None:
        """
        Readers whose clients take more in the same moment read on in several turns, once
        the time of this one is spent.
        """
        self.publish(*["a"] * 9, payload=BIG)
        readers = [self.stream("a", begin="earliest", sink=MemorySink()) for _ in range(9)]
        for stream in readers:
            stream.sink.budget = 2
        self.clock.settle()
        before = [len(stream.positions) for stream in readers]
        read = self.fanout.questions.read

        def slowly(*args: Any, **kwargs: Any) -> Any:
            self.clock.rightNow += SHARE
            return read(*args, **kwargs)

        self.patch(self.fanout.questions, "read", slowly)
        for stream in readers:
            stream.sink.drain()
        readOn = sum(
            len(stream.positions) > count for stream, count in zip(readers, before, strict=True)
        )
        self.assertEqual(readOn, int(TURN / SHARE) + 1)
        self.clock.settle()
        for stream in readers:
            while len(stream.positions) < 9:
                stream.sink.drain()
                self.clock.settle()

    def test_burstInParts(self) -> None:
        """
        A burst is written in parts of about L{READ_BYTES}; a client that does
        not take one part is not written the next.
        """
        stream = self.stream("a", shape=WideShape())
        slow = self.stream("a", shape=WideShape())
        slow.sink.fill(2)
        self.publish(*["a"] * 8, payload=BIG)
        self.clock.turn()
        parts = stream.sink.writes[1:]
        self.assertEqual(len(parts), 3)
        self.assertLessEqual(max(map(len, parts)), READ_BYTES)
        self.assertEqual(stream.positions, list(range(1, 9)))
        self.assertEqual(slow.positions, list(range(1, 7)))
        slow.sink.drain()
        self.clock.settle()
        self.assertEqual(slow.positions, list(range(1, 9)))

    def test_otherPiecesFillTheSink(self) -> None:
        """
        Pieces between messages can fill the sink, too.
        """
        stream = self.stream("a")
        self.publish("a")
        self.clock.settle()
        stream.sink.fill()
        stream.reader.say(b'["said"]\n')
        self.assertIs(stream.reader.state, State.BEHIND)
        stream.reader.say(b'["more"]\n')
        self.publish("a")
        self.clock.settle()
        stream.sink.drain()
        self.assertEqual(stream.kinds, ["standing", "message", "said", "more", "message"])
        stream.sink.lose()
        stream.reader.say(b'["late"]\n')
        self.assertEqual(stream.kinds[-1], "message")

    def test_cutsStalledClients(self) -> None:
        """
        The connection of a client that takes nothing for L{STALLED} seconds is
        cut, with no heartbeat before.
        """
        stream = self.stream("a")
        stream.sink.fill()
        self.publish("a")
        self.clock.settle()
        count = len(stream.sink.writes)
        self.clock.advance(STALLED - 1)
        self.assertFalse(stream.sink.isAborted)
        for _ in range(3):
            self.clock.advance(13.0)
        self.assertTrue(stream.sink.isAborted)
        self.assertEqual(len(stream.sink.writes), count)
        self.assertIs(stream.reader.state, State.CLOSED)
        stream.sink.lose()

    def test_tellsSinkOfStall(self) -> None:
        """
        The sink is told while its client takes nothing, however seldom heartbeats
        are, and once when the client takes it.
        """
        self.fanout.heartbeat = 100.0
        stream = self.stream("a")
        stream.sink.fill()
        self.publish("a")
        self.clock.settle()
        self.clock.advance(100.2)
        self.assertEqual(stream.sink.stalls, [True])
        self.clock.advance(STALL_CHECK + 0.2)
        self.assertEqual(stream.sink.stalls, [True, True])
        for _ in range(2):
            stream.sink.drain()
            self.clock.settle()
            self.assertEqual(stream.sink.stalls, [True, True, False])
            stream.sink.fill()
            self.publish("a")
            self.clock.settle()

    def test_tellsTheOtherOwner(self) -> None:
        """
        Another owner of the sink is told when it is ready, and once when it is
        lost.
        """
        owner, sink = Owner(), MemorySink()
        self.hub.openStream(
            ANYONE,
            ["a"],
            since("now"),
            lambda: StreamReader(self.fanout, LineShape(), sink, b"", owner),
        )
        sink.fill()
        self.publish("a")
        self.clock.settle()
        sink.drain()
        sink.lose()
        self.assertEqual(owner.told, ["ready", "lost"])


class HeartbeatTests(HubTestCase):
    """
    What a stream is told in a silence.
    """

    def beats(self, stream: object) -> int:
        """
        How many heartbeats there were.
        """
        sink = getattr(stream, "sink", None)
        assert isinstance(sink, MemorySink)
        return [line[0] for line in sink.lines].count("standing") - 1

    def test_beatsAfterSilence(self) -> None:
        """
        A heartbeat with the cursor of now comes after each interval without a
        write.
        """
        stream = self.stream("a")
        self.publish("d")
        self.stream("d")
        self.publish("d")
        self.clock.settle()
        self.clock.advance(24.8)
        self.assertEqual(self.beats(stream), 0)
        self.clock.advance(0.3)
        self.assertEqual(stream.sink.lines[-1], ["standing", self.inner.end.epoch, 2])
        self.clock.advance(24.8)
        self.assertEqual(self.beats(stream), 1)
        self.clock.advance(0.4)
        self.assertEqual(self.beats(stream), 2)

    def test_writesPutHeartbeatsOff(self) -> None:
        """
        A write to the group, or to the reader alone, puts the heartbeat off.
        """
        stream = self.stream("a")
        self.clock.advance(20.0)
        self.publish("a")
        self.clock.settle()
        self.clock.advance(20.0)
        stream.reader.say(b'["said"]\n')
        self.clock.advance(24.8)
        self.assertEqual(self.beats(stream), 0)
        self.clock.advance(0.4)
        self.assertEqual(self.beats(stream), 1)

    def test_heartbeatWithoutNames(self) -> None:
        """
        A reader without names gets heartbeats, too, with the cursor of now.
        """
        stream = self.stream(opening=None)
        self.publish("d")
        self.clock.advance(24.8)
        self.assertEqual(stream.sink.lines, [])
        self.clock.advance(0.4)
        self.assertEqual(stream.sink.lines, [["standing", self.inner.end.epoch, 1]])
        self.clock.advance(25.2)
        self.assertEqual(len(stream.sink.lines), 2)


class SlowHeartbeatTests(HubTestCase):
    """
    Heartbeats of readers that wait for the bus.
    """

    isSlow = True

    def test_heartbeatDuringAReplay(self) -> None:
        """
        During a replay, a bare cursor would say that it is over, so only
        clients that adopt replayed ids are told theirs.
        """
        self.publish("a", "b")
        self.rest()
        begin = {"a": self.cursor(0), "b": self.cursor(2)}
        plain = self.stream("a", "b", begin=begin)
        adopting = self.stream("a", "b", begin=begin, shape=LineShape(adoptsReplay=True))
        while self.slow.operations[0].kind != "read":
            self.slow.answer()
        self.clock.advance(26.0)
        self.assertEqual(plain.kinds, ["standing"])
        self.assertEqual(adopting.sink.lines[1:], [["standing", self.inner.end.epoch, 0]])

    def test_firstNamesOnTheirWay(self) -> None:
        """
        While a reader's first names are looked up, there is no heartbeat: the client
        would take its cursor for that of the names.
        """
        stream = self.stream(opening=None)
        self.publish("a")
        self.rest()
        added = stream.reader.addNames({"a": At(parseCursor(self.cursor(0)))})
        self.clock.advance(26.0)
        self.assertNoResult(added)
        self.assertEqual(stream.sink.lines, [])
        self.rest()
        self.successResultOf(added)
        stream.reader.resume()
        self.rest()
        self.clock.advance(26.0)
        self.assertEqual(stream.kinds[-1], "standing")
