"""
Tests of the fan-out over a bus that answers later: ticks and interruptions.
"""

from __future__ import annotations

from comet.fanout.core import MOST_DUE
from comet.fanout.states import State
from comet.model.cursors import Cursor
from comet.model.positions import At
from tests.fanout.case import HubTestCase, Stream
from tests.fanout.doubles import LineShape


class TickTests(HubTestCase):
    """
    What happens within one turn.
    """

    def test_oneWrite(self) -> None:
        """
        What is published in one turn is written at its end, at once.
        """
        stream = self.stream("a", "b")
        count = len(stream.sink.writes)
        for channel in "abab":
            self.publish(channel)
        self.assertEqual(len(stream.sink.writes), count)
        self.clock.turn()
        self.assertEqual(len(stream.sink.writes), count + 1)
        self.assertEqual(stream.positions, [1, 2, 3, 4])

    def test_publishersLast(self) -> None:
        """
        Publishers are answered after the readers were written to.
        """
        stream = self.stream("a")
        seen: list[list[int]] = []
        for _ in range(2):
            self.publish("a").addCallback(lambda answers: seen.append(stream.positions))
        self.assertEqual(seen, [])
        self.clock.turn()
        self.assertEqual(seen, [[1, 2], [1, 2]])

    def test_publishWithin(self) -> None:
        """
        What a receiver publishes goes out in the next turn, to all.
        """
        stream = self.stream("b")
        receiver, _ = self.subscribe("a", react=lambda heard: self.publish("b"))
        self.publish("a")
        self.clock.turn()
        self.assertEqual((receiver.positions, stream.positions), ([1], []))
        self.clock.turn()
        self.assertEqual(stream.positions, [2])

    def test_leaveWithin(self) -> None:
        """
        A receiver may send away another reader while both are written to.
        """
        streams = [self.stream("a"), self.stream("*")]

        def react(heard: list[object]) -> None:
            for each in streams:
                each.sink.lose()

        self.subscribe("**", react=react)
        others = [self.stream("a"), self.stream("*"), self.stream("**")]
        self.publish("a", "a")
        self.clock.settle()
        for each in others:
            self.assertEqual(each.positions, [1, 2])
        for each in streams:
            self.assertIs(each.reader.state, State.CLOSED)

    def test_joinWithin(self) -> None:
        """
        A reader that comes while others are written to gets what is new to it,
        once.
        """
        opened: list[Stream] = []

        def react(heard: list[object]) -> None:
            if len(opened) < 2:
                opened.append(self.stream("a", begin="-1"))

        self.subscribe("a", react=react)
        self.publish("a", "a")
        self.clock.settle()
        self.publish("a")
        self.clock.settle()
        self.assertEqual([each.positions for each in opened], [[2, 3], [2, 3]])

    def test_standingWithin(self) -> None:
        """
        Where a reader stands is right also in the middle of a turn: before
        and after it is written to.
        """
        first = self.stream("a")
        seen: list[tuple[int, int]] = []
        _, subscription = self.subscribe(
            "*",
            react=lambda heard: seen.append(
                (first.reader.position.position, subscription.cursor.position)
            ),
        )
        last = self.stream("a", "b")
        self.publish("a", "b", "a")
        self.clock.settle()
        self.assertEqual(seen, [(3, 1), (3, 2), (3, 3)])
        self.assertEqual((first.positions, last.positions), ([1, 3], [1, 2, 3]))

    def test_closeWithin(self) -> None:
        """
        A reader that is sent away right after it was written to is told the
        cursor of the last message it got.
        """
        first = self.stream("a")
        self.subscribe("a", react=lambda heard: self.hub.drain(0.0))
        last = self.stream("a", "b")
        self.publish("a")
        self.clock.turn()
        self.assertEqual(first.sink.lines[-1][:3], ["close", self.inner.end.epoch, 1])
        self.assertEqual(last.sink.lines[-1][:3], ["close", self.inner.end.epoch, 0])
        self.assertEqual((first.positions, last.positions), ([1], []))

    def test_broken(self) -> None:
        """
        A fault in reading for one reader ends that reader, and nothing else.
        """
        stream = self.stream("a")
        self.inner.error = RuntimeError("broken")
        self.fanout.interrupted()
        published = self.publish("a")
        self.clock.turn()
        self.assertEqual(stream.sink.lines[-1][3], "internal")
        self.successResultOf(published)
        other = self.stream("a", begin="earliest")
        self.assertEqual(other.sink.lines[-1][3], "internal")
        self.inner.error = None
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_due(self) -> None:
        """
        Of many readers that have to read again, some do in each turn.
        """
        streams = [self.stream("a") for _ in range(MOST_DUE + 1)]
        self.fanout.interrupted()
        self.clock.turn()
        reading = [each for each in streams if each.reader.state is State.READING]
        self.assertEqual(len(reading), 1)
        self.clock.turn()
        self.assertIs(reading[0].reader.state, State.LIVE)


class InterruptionTests(HubTestCase):
    """
    When something may have been missed.
    """

    isSlow = True

    def test_missed(self) -> None:
        """
        What was missed is read from the log, for all, and nothing comes twice.
        """
        stream = self.stream("a")
        waiter, _ = self.poll("*")
        self.rest()
        self.publish("a")
        self.rest()
        self.slow.cut()
        published = self.publish("a")
        self.slow.answer()
        self.clock.settle()
        self.assertEqual(self.successResultOf(published), [2])
        self.assertEqual(stream.positions, [1])
        self.slow.mend()
        self.rest()
        self.assertEqual(stream.positions, [1, 2])
        self.assertEqual([m.position for m, _ in waiter.outcome.messages], [1])

    def test_publishers(self) -> None:
        """
        Publishers whose message was heard, but not given on before the
        interruption, are answered.
        """
        stream = self.stream("a")
        self.rest()
        published = self.publish("a")
        self.slow.do(0)
        self.slow.hear()
        self.slow.answer()
        self.slow.mend()
        self.slow.hear()
        self.assertNoResult(published)
        self.rest()
        self.assertEqual(self.successResultOf(published), [1])
        self.assertEqual(stream.positions, [1])

    def test_whileReading(self) -> None:
        """
        What was read before the interruption is followed by what came since.
        """
        self.publish("a")
        self.rest()
        stream = self.stream("a", begin=self.cursor(0))
        while self.slow.operations[0].kind != "read":
            self.slow.answer()
        self.slow.do(0)
        self.slow.cut()
        self.publish("a")
        self.slow.answer(-1)
        self.slow.mend()
        self.slow.hear()
        self.clock.settle()
        self.rest()
        self.assertEqual(stream.positions, [1, 2])

    def test_newEpoch(self) -> None:
        """
        After a change of epoch all are told of a gap and get what is held;
        messages of the old one that are heard late are not given to those who
        know of the new one.
        """
        stream = self.stream("a")
        self.rest()
        old = self.inner.end.epoch
        self.publish("a")
        self.slow.answer()
        self.inner.renew()
        self.publish("a")
        self.slow.answer()
        fresh = self.stream("a", begin="earliest", shape=LineShape(tag="other"))
        self.slow.answer()
        self.slow.answer()
        self.assertEqual(fresh.positions, [1])
        self.slow.hear()
        self.clock.settle()
        self.rest()
        new = self.inner.end.epoch
        self.assertEqual(
            stream.sink.lines[1:],
            [
                ["message", "a", old, 1, False],
                ["gap", new, 0, "a"],
                ["message", "a", new, 1, False],
            ],
        )
        self.assertEqual(fresh.kinds, ["standing", "message"])

    def test_locatedTooLate(self) -> None:
        """
        A name whose place was found in the old epoch, and is told in the new
        one, is looked for again.
        """
        self.publish("a", "a", "b")
        self.rest()
        stream = self.stream("a")
        self.rest()
        added = stream.reader.addNames({"b": At(Cursor(self.inner.end.epoch, 2))})
        self.slow.answer()
        self.slow.do(0)
        located = self.slow.operations.pop(0)
        self.inner.renew()
        self.publish("b")
        self.rest()
        located.answer()
        self.rest()
        self.assertEqual(self.successResultOf(added), ("b",))
        stream.reader.resume()
        self.rest()
        self.assertEqual(stream.sink.lines[-2][4:], [True])
        self.assertEqual(stream.positions, [1])

    def test_locatedForNobody(self) -> None:
        """
        For who has left meanwhile it is not looked for again.
        """
        stream = self.stream("a")
        self.slow.answer()
        self.slow.do(0)
        located = self.slow.operations.pop(0)
        self.inner.renew()
        self.rest()
        stream.sink.lose()
        located.answer()
        self.assertEqual(self.slow.operations, [])

    def test_heads(self) -> None:
        """
        A live reader stands where everything is heard, though nothing came.
        """
        stream = self.stream("a")
        self.rest()
        self.publish("d", "d")
        self.rest()
        self.slow.beat()
        self.rest()
        self.assertEqual(stream.reader.position.position, 2)
        self.clock.advance(25.1)
        self.assertEqual(stream.sink.lines[-1], ["standing", self.inner.end.epoch, 2])
