"""
Tests of what goes wrong: last words that cannot be said, a bus that raises,
readings that are older than what was missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comet.fanout.registry import LINGER
from comet.fanout.states import State
from comet.fanout.streams import LAST_WORDS
from comet.framing.budget import CompressionBudget
from comet.http.polls import Outcome
from comet.model.cursors import Cursor
from comet.model.messages import Close
from comet.model.positions import Now
from tests.fanout.case import HubTestCase, Stream
from tests.fanout.doubles import LineShape, MemoryReceiver, MemorySink, OutcomeShape

CLOSE = Close("draining", "the server is going down", 1.5)


class BrokenSink(MemorySink):
    """
    A sink that cannot be written to, once it is broken.
    """

    isBroken = False

    def write(self, data: bytes) -> bool:
        """
        Fail.
        """
        if self.isBroken:
            raise RuntimeError("broken")
        return super().write(data)


class SpeechlessShape(LineShape):
    """
    A shape that cannot encode last words.
    """

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        Fail.
        """
        raise RuntimeError("broken")


class SpeechlessOutcomes(OutcomeShape):
    """
    A shape that cannot make responses.
    """

    def respond(self, outcome: Outcome, budget: CompressionBudget | None = None) -> Outcome:
        """
        Fail.
        """
        raise RuntimeError("broken")


class BrokenReplayShape(LineShape):
    """
    A shape that cannot frame more than one message.
    """

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        Fail, or not.
        """
        if len(pieces) > 1:
            raise RuntimeError("broken")
        return super().frame(pieces)


class LastWordsTests(HubTestCase):
    """
    Readers that are closed, and whose clients cannot be told so.
    """

    def broken(self, *names: str) -> list[Stream]:
        """
        Make readers whose clients cannot be told that they are closed.
        """
        sink = BrokenSink()
        streams = [self.stream(*names, sink=sink), self.stream(*names, shape=SpeechlessShape())]
        sink.isBroken = True
        return streams

    def logged(self) -> int:
        """
        How many failures were logged.
        """
        return len(self.flushLoggedErrors(RuntimeError))

    def test_closeCutsTheConnectionInTheEnd(self) -> None:
        """
        The caller of C{close} sees no failure; the connection is cut when the
        time for the last words is over.
        """
        for stream in self.broken("a"):
            stream.reader.close(CLOSE)
            self.assertIs(stream.reader.state, State.CLOSED)
            self.assertIn(stream.reader, self.fanout.leaving.readers)
            self.clock.advance(LAST_WORDS - 1)
            self.assertFalse(stream.sink.isAborted)
            self.clock.advance(1.2)
            self.assertTrue(stream.sink.isAborted)
            stream.sink.lose()
            self.assertNotIn(stream.reader, self.fanout.leaving.readers)
        self.assertEqual(self.logged(), 2)

    def test_brokenReaderHarmsNoOthers(self) -> None:
        """
        If a reader cannot be written to, nor told that it is closed, all others
        are written to in the same turn, and the publisher is answered.
        """
        first = self.stream("a")
        sink, speechless = BrokenSink(), self.stream("a", shape=SpeechlessShape())
        self.stream("a", sink=sink)
        sink.isBroken = True
        others = [self.stream("a"), self.stream("*"), self.stream("a", "b")]
        published = self.publish("a")
        self.clock.turn()
        for stream in (first, speechless, *others):
            self.assertEqual(stream.positions, [1])
        self.assertEqual(self.successResultOf(published), [1])
        self.assertEqual(self.logged(), 2)
        self.publish("a")
        self.clock.turn()
        self.assertEqual([stream.positions for stream in others], [[1, 2]] * 3)

    def test_brokenReaderDoesNotStopRereading(self) -> None:
        """
        When all streams must read the log again and that fails, a broken stream
        does not keep the next one from being told C{internal}.
        """
        self.broken("a")
        other = self.stream("a")
        self.inner.error = RuntimeError("broken")
        self.fanout.interrupted()
        self.clock.turn()
        self.inner.error = None
        self.assertEqual(other.sink.lines[-1][3], "internal")
        self.assertEqual(self.logged(), 5)

    def test_drainsPastBrokenReaders(self) -> None:
        """
        When the server drains, the clients of the other readers are told, and
        the broken ones are waited for as long as any.
        """
        broken = self.broken("a")
        waiter, _ = self.poll("a", shape=SpeechlessOutcomes())
        other, poll = self.stream("a"), self.poll("a")[0]
        drained = self.hub.drain(60.0)
        self.assertEqual(other.sink.lines[-1][3], "draining")
        self.assertIsNotNone(poll.outcome.close)
        self.assertFalse(waiter.isAnswered)
        other.sink.lose()
        self.assertNoResult(drained)
        self.clock.advance(LAST_WORDS + 0.2)
        for stream in broken:
            self.assertTrue(stream.sink.isAborted)
            stream.sink.lose()
        self.successResultOf(drained)
        self.assertEqual(self.logged(), 3)

    def test_closesWithTheCursorBeforeTheStep(self) -> None:
        """
        A client that could not be told what was read is closed with the cursor
        before that.
        """
        self.publish("a", "a", "a")
        stream = self.stream("a", begin=self.cursor(1), shape=BrokenReplayShape())
        self.assertEqual(stream.sink.lines[-1], ["close", self.inner.end.epoch, 1, "internal", 2.0])
        self.assertEqual(self.logged(), 1)

    def test_closesReplayWithTheLowestCursor(self) -> None:
        """
        A client that could not be told what was replayed is closed with a
        cursor with which it misses nothing.
        """
        self.publish("a", "a", "b", "a")
        for adopts in (False, True):
            shape = BrokenReplayShape(adoptsReplay=adopts)
            begin = {"a": self.cursor(0), "b": self.cursor(3)}
            stream = self.stream("a", "b", begin=begin, shape=shape)
            self.assertEqual(stream.sink.lines[-1][:3], ["close", self.inner.end.epoch, 0])
        self.assertEqual(self.logged(), 2)


class RaisingTests(HubTestCase):
    """
    A bus that raises, where it should return a Deferred that fails.
    """

    def breaks(self, method: str) -> None:
        """
        Let a method of the bus raise from now on.
        """

        def fail(*arguments: Any) -> Any:
            raise RuntimeError("broken")

        self.patch(self.inner, method, fail)

    def assertSentAway(self) -> None:
        """
        Each new client is told of an internal error, and forgotten.
        """
        stream, (poll, _), (passing, _) = (
            self.stream("new"),
            self.poll("new"),
            self.poll("new", wait=0.0),
        )
        receiver = self.hub.subscribe(["new"], "now", MemoryReceiver())
        self.failureResultOf(receiver, RuntimeError)
        self.assertEqual(stream.sink.lines[-1][3], "internal")
        self.assertTrue(stream.sink.isFinished)
        outcomes = [poll.outcome.close]
        if passing.outcomes:
            outcomes.append(passing.outcome.close)
        self.assertEqual([close and close.code for close in outcomes], ["internal"] * len(outcomes))
        stream.sink.lose()
        self.assertEqual((len(self.fanout.readers), len(self.fanout.leaving.readers)), (0, 0))
        self.assertTrue(self.flushLoggedErrors(RuntimeError))

    def test_listenRaises(self) -> None:
        """
        If C{listen} raises, new readers are closed, and no group is left.
        """
        self.breaks("listen")
        self.assertSentAway()
        self.assertEqual(len(self.fanout.registry), 0)

    def test_resolveRaises(self) -> None:
        """
        If C{resolve} raises, new readers are closed, and no group is left in
        the end.
        """
        self.breaks("resolve")
        self.assertSentAway()
        self.clock.advance(LINGER + 0.2)
        self.assertEqual(len(self.fanout.registry), 0)

    def test_addingRaises(self) -> None:
        """
        A reader that cannot have more names keeps those that it has.
        """
        for method in ("listen", "resolve"):
            stream = self.stream("a")
            kept = getattr(self.inner, method)
            self.breaks(method)
            self.failureResultOf(stream.reader.addNames({"b": Now()}), RuntimeError)
            setattr(self.inner, method, kept)
            (position,) = self.successResultOf(self.settled("a"))
            self.assertEqual((stream.reader.progress.names, stream.positions), (("a",), [position]))

    def settled(self, channel: str) -> Any:
        """
        Publish, and let it be written.
        """
        published = self.publish(channel)
        self.clock.settle()
        return published

    def test_readRaises(self) -> None:
        """
        If C{read} raises, streams and polls are told of an internal error.
        """
        self.publish("a")
        self.breaks("read")
        stream, (poll, _) = self.stream("a", begin="earliest"), self.poll("a", begin="earliest")
        passing, _ = self.poll("a", begin="earliest", wait=0.0)
        self.assertEqual(stream.sink.lines[-1][3], "internal")
        for waiter in (poll, passing):
            close = waiter.outcome.close
            assert close is not None
            self.assertEqual(close.code, "internal")
        stream.sink.lose()
        self.assertEqual((len(self.fanout.readers), len(self.fanout.leaving.readers)), (0, 0))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 3)


class StaleTests(HubTestCase):
    """
    Queries that are under way when messages are missed.
    """

    isSlow = True

    def test_readingFromBeforeIsNotShared(self) -> None:
        """
        A reading that was made before an interruption, and whose result arrives
        after it, is not shared by a reader that asks after it.
        """
        self.publish("a")
        self.rest()
        first = self.stream("a", begin=self.cursor(0))
        while self.slow.operations[0].kind != "read":
            self.slow.answer()
        self.slow.do(0)
        self.slow.cut()
        self.publish("a")
        self.slow.answer(-1)
        self.slow.mend()
        self.slow.hear()
        self.clock.turn()
        self.slow.asked.clear()
        second = self.stream("a", begin=self.cursor(0), shape=LineShape(tag="other"))
        while self.slow.operations[-1].kind != "read" or len(self.slow.operations) < 2:
            self.slow.answer(-1)
        self.assertEqual(self.slow.asked["read"], 1)
        # The old one is answered, to the first alone.
        self.slow.answer(0)
        self.assertEqual(second.positions, [])
        self.rest()
        self.assertEqual((first.positions, second.positions), ([1, 2], [1, 2]))
