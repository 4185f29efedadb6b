"""
Tests of the fan-out over a bus that answers later: ticks and interruptions.
"""

from __future__ import annotations

from comet.fanout.duereaders import MOST_DUE
from comet.fanout.reader import Reader
from comet.fanout.states import State
from comet.model.cursors import Cursor
from comet.model.positions import At
from comet.reactor.turns import SHARE
from tests.fanout.case import HubTestCase, Stream
from tests.fanout.doubles import LineShape


class TickTests(HubTestCase):
    """
    What happens within one turn.
    """

    def test_oneWriteATurn(self) -> None:
        """
        All that is published in one turn is written at its end, in one write.
        """
        stream = self.stream("a", "b")
        count = len(stream.sink.writes)
        for channel in "abab":
            self.publish(channel)
        self.assertEqual(len(stream.sink.writes), count)
        self.clock.turn()
        self.assertEqual(len(stream.sink.writes), count + 1)
        self.assertEqual(stream.positions, [1, 2, 3, 4])

    def test_answersPublishersLast(self) -> None:
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

    def test_receiverPublishes(self) -> None:
        """
        A message that a receiver publishes goes out in the next turn.
        """
        stream = self.stream("b")
        receiver, _ = self.subscribe("a", react=lambda heard: self.publish("b"))
        self.publish("a")
        self.clock.turn()
        self.assertEqual((receiver.positions, stream.positions), ([1], []))
        self.clock.turn()
        self.assertEqual(stream.positions, [2])

    def test_receiverClosesAnotherReader(self) -> None:
        """
        A receiver may close another reader while both are written to.
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

    def test_receiverOpensAReader(self) -> None:
        """
        A reader that is opened while others are written to gets each new
        message once.
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

    def test_cursorInTheMiddleOfATick(self) -> None:
        """
        In the middle of a tick, the cursor of a reader is right before and
        after the reader is written to.
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

    def test_closedInTheMiddleOfATick(self) -> None:
        """
        A reader that is closed right after it was written to is told the cursor
        of the last message that it got.
        """
        first = self.stream("a")
        self.subscribe("a", react=lambda heard: self.hub.drain(0.0))
        last = self.stream("a", "b")
        self.publish("a")
        self.clock.turn()
        self.assertEqual(first.sink.lines[-1][:3], ["close", self.inner.end.epoch, 1])
        self.assertEqual(last.sink.lines[-1][:3], ["close", self.inner.end.epoch, 0])
        self.assertEqual((first.positions, last.positions), ([1], []))

    def test_failedReadClosesOneReader(self) -> None:
        """
        A failure to read the log closes the reader that reads, and no other.
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

    def test_someDueReadersATurn(self) -> None:
        """
        Of many readers that must read the log again, L{MOST_DUE} do in each
        turn.
        """
        streams = [self.stream("a") for _ in range(MOST_DUE + 1)]
        self.fanout.interrupted()
        self.clock.turn()
        reading = [each for each in streams if each.reader.state is State.READING]
        self.assertEqual(len(reading), 1)
        self.clock.turn()
        self.assertIs(reading[0].reader.state, State.LIVE)

    def test_dueReadersTakeShare(self) -> None:
        """
        Readers that have more to read go on for a share of each turn, one at least,
        and each in its turn.
        """
        pumped: list[object] = []
        pump = Reader.pump

        def slowly(reader: Reader) -> None:
            pumped.append(reader)
            self.clock.rightNow += SHARE / 2
            pump(reader)

        streams = [self.stream("a") for _ in range(5)]
        self.patch(Reader, "pump", slowly)
        self.fanout.interrupted()
        for count in (2, 4, 5):
            self.clock.turn()
            self.assertEqual(len(pumped), count)
        self.assertEqual(pumped, [each.reader for each in streams])


class InterruptionTests(HubTestCase):
    """
    Interruptions of the bus, after which messages may have been missed.
    """

    isSlow = True

    def test_readsMissedMessagesFromTheLog(self) -> None:
        """
        After an interruption all readers read what was missed from the log, and
        get no message twice.
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

    def test_answersPublishersAfterAnInterruption(self) -> None:
        """
        A publisher whose message was heard, and not flushed before the
        interruption, is answered.
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

    def test_interruptedWhileReading(self) -> None:
        """
        A reader that was reading during the interruption gets what came after
        its result, too.
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
        In a new epoch all readers are told of a gap and get what is held; a
        message of the old epoch that is heard late goes to no reader that knows
        the new one.
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

    def test_resolvedInTheOldEpoch(self) -> None:
        """
        A name that was resolved in the old epoch, with a result that arrives in
        the new one, is resolved again.
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

    def test_closedReaderIsNotResolvedAgain(self) -> None:
        """
        A name of a reader that has left is not resolved again in a new epoch.
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

    def test_endMovesLiveReaders(self) -> None:
        """
        A live reader stands at the end that the bus reports, though no message
        came.
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
