"""
Tests of L{comet.fanout.busygroups}: flushes that take long, and go on in later turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from socket import socket
from typing import Any

from twisted.internet.defer import Deferred

from comet.fanout import flushrest
from comet.fanout.application import readerOf
from comet.fanout.flushrest import JOINED_BYTES, MESSAGE_BYTES, QUEUED_BYTES
from comet.fanout.polls import PollReader
from comet.model.cursors import Cursor
from comet.model.messages import Close, Publication
from tests.fanout.case import HubTestCase, Stream, since
from tests.fanout.doubles import ANYONE, DirectMemorySink, LineShape, MemorySink
from tests.fanout.slowbus import now
from tests.fanout.test_backlog import BytesShape, Waiter

MINE = "mine-0001"


class SlowWaiter:
    """
    Waits for the response to a poll, which is given to it alone.
    """

    direct: socket | None = None
    keepsTime = False
    isBehind = False

    def pollAnswered(self, response: bytes) -> None:
        """
        See L{Waiter.pollAnswered<comet.fanout.waiters.Waiter.pollAnswered>}.
        """

    def pollEmpty(self, cursor: Cursor) -> None:
        """
        See L{Waiter.pollEmpty<comet.fanout.waiters.Waiter.pollEmpty>}.
        """


class PartsCase(HubTestCase):
    """
    A hub that writes to one reader in each turn.
    """

    def setUp(self) -> None:
        """
        Make each flush take long.
        """
        super().setUp()
        parts = self.fanout.parts
        parts.most = parts.left = 0
        parts.seconds = 0.0
        parts.eachAtOnce = 1

    def streams(self, count: int, name: str = "a", isDirect: bool = True) -> list[Stream]:
        """
        Open some streams.
        """
        kind = DirectMemorySink if isDirect else MemorySink
        streams = [self.stream(name, sink=kind()) for _ in range(count)]
        self.rest()
        return streams

    def given(self, streams: Sequence[Any]) -> list[list[int]]:
        """
        What each was given.
        """
        return [stream.positions for stream in streams]


class OrderTests(PartsCase):
    """
    Who is written to, and when.
    """

    def check(self, isDirect: bool) -> None:
        """
        Check that one reader is written to in each turn.
        """
        streams = self.streams(3, isDirect=isDirect)
        published = self.publish("a")
        for count in (1, 2):
            self.clock.turn()
            self.assertEqual(self.given(streams), [[1]] * count + [[]] * (3 - count))
            self.assertNoResult(published)
        self.rest()
        self.assertEqual(self.given(streams), [[1]] * 3)
        self.assertEqual(self.successResultOf(published), [1])

    def test_direct(self) -> None:
        """
        The readers that are sent to directly are written to in several turns, and then the
        publisher is answered.
        """
        self.check(isDirect=True)

    def test_each(self) -> None:
        """
        The readers that take the messages by themselves are written to in several turns, and
        then the publisher is answered.
        """
        self.check(isDirect=False)

    def test_othersDoNotWait(self) -> None:
        """
        A publisher whose message goes to no busy group is answered before that group is
        written.
        """
        self.streams(4)
        (other,) = self.streams(1, "b")
        large = self.publish("a")
        self.clock.turn()
        self.assertEqual(len(self.fanout.parts), 1)
        self.fanout.parts.most = 1 << 20
        small = self.publish("b")
        self.clock.turn()
        self.assertEqual(self.successResultOf(small), [2])
        self.assertEqual(other.positions, [2])
        self.assertNoResult(large)
        self.rest()
        self.assertEqual(self.successResultOf(large), [1])

    def test_groupsTakeTurns(self) -> None:
        """
        Busy groups are written to in turn.
        """
        first, second = self.streams(3), self.streams(2, "b")
        self.publish("a", "b")
        seen: list[tuple[int, int]] = []
        while len(self.fanout.parts) or not seen:
            self.clock.turn()
            counts = [sum([bool(each.positions) for each in some]) for some in (first, second)]
            seen.append((counts[0], counts[1]))
        self.assertEqual(seen, [(1, 0), (2, 0), (2, 1), (3, 1), (3, 2)])

    def test_joinsWhatWaits(self) -> None:
        """
        What is published to a busy group comes behind the flush that goes on, in one write,
        and each publisher is answered once its messages are written.
        """
        streams = self.streams(4)
        before = [len(each.sink.writes) for each in streams]
        published = [self.publish("a")]
        self.clock.turn()
        for _ in range(2):
            published.append(self.publish("a"))
            self.clock.turn()
        self.assertEqual(self.given(streams), [[1], [1], [1], []])
        self.clock.turn()
        self.assertEqual(self.successResultOf(published[0]), [1])
        self.assertNoResult(published[1])
        self.rest()
        self.assertEqual(self.given(streams), [[1, 2, 3]] * 4)
        counts = [len(each.sink.writes) for each in streams]
        self.assertEqual(counts, [count + 2 for count in before])
        self.assertEqual([now(each) for each in published[1:]], [[2], [3]])

    def test_joinsALittle(self) -> None:
        """
        Of much that waits, only some is joined: readers are given it, and its publisher is
        answered, before the rest.
        """
        streams = self.streams(4)
        self.publish("a")
        self.clock.turn()
        waiting = []
        for _ in range(2):
            waiting.append(self.publish("a", payload=b"1" * JOINED_BYTES))
            self.clock.turn()
        self.assertEqual(self.given(streams), [[1], [1], [1], []])
        while not waiting[0].called:
            self.assertNotIn(3, [position for given in self.given(streams) for position in given])
            self.clock.turn()
        self.assertNoResult(waiting[1])
        self.rest()
        self.assertEqual(self.given(streams), [[1, 2, 3]] * 4)

    def test_queueIsBounded(self) -> None:
        """
        When too much waits for a group, all of it is written in the turn that brings it.
        """
        streams, others = self.streams(4), self.streams(4, "b")
        count = QUEUED_BYTES // (JOINED_BYTES + MESSAGE_BYTES)
        # No turn has time for parts.
        goesOn = self.patch(self.fanout.parts, "goOn", lambda: None)
        self.publish("a", "b")
        self.clock.turn()
        published = []
        for _ in range(count):
            published.append(self.publish("a", payload=b"1" * JOINED_BYTES))
            self.clock.turn()
        self.assertEqual(len(self.fanout.parts), 2)
        self.assertNotIn(True, [each.called for each in published])
        published.append(self.publish("a", payload=b"1" * JOINED_BYTES))
        self.clock.turn()
        self.assertEqual(self.given(streams), [[1, *range(3, count + 4)]] * 4)
        self.assertEqual([now(each) for each in published], [[n] for n in range(3, count + 4)])
        self.assertEqual(len(self.fanout.parts), 1)
        self.assertEqual(self.given(others), [[]] * 4)
        goesOn.restore()
        self.publish("a")
        self.rest()
        self.assertEqual(self.given(others), [[2]] * 4)
        self.assertEqual(self.given(streams)[0][-1], count + 4)

    def test_othersOfTheTickDoNotWait(self) -> None:
        """
        Of what is published in one turn, each publisher waits for its own messages, and a
        batch for all of its.
        """
        streams = self.streams(3)
        published = [self.publish(*names) for names in (["c"], ["a"], ["b"], ["b", "a"])]
        self.clock.turn()
        self.assertEqual([each.called for each in published], [True, False, True, False])
        self.rest()
        self.assertEqual([now(each) for each in published], [[1], [2], [3], [4, 5]])
        self.assertEqual(self.given(streams), [[2, 5]] * 3)


class StandingTests(PartsCase):
    """
    Where readers stand in the middle of a flush.
    """

    def begin(self, isDirect: bool = True) -> list[Stream]:
        """
        Give one of three readers a message, and let another message wait.
        """
        streams = self.streams(3, isDirect=isDirect)
        self.publish("b")
        self.rest()
        self.publish("a")
        self.clock.turn()
        self.publish("a")
        # It is heard in this turn, and goes into the queue.
        self.fanout.parts.seconds = -1.0
        self.clock.turn()
        self.fanout.parts.seconds = 0.0
        return streams

    def test_positions(self) -> None:
        """
        A reader that was given the messages stands behind them, the others before them.
        """
        streams = self.begin()
        positions = [each.reader.position.position for each in streams]
        told = sum([len(each.positions) for each in streams])
        self.assertEqual(positions, [2] * told + [1] * (3 - told))
        self.rest()
        self.assertEqual([each.reader.position.position for each in streams], [3] * 3)

    def test_wordsOfTheirOwn(self) -> None:
        """
        What a reader is told for itself claims no message that it was not given.
        """
        streams = self.begin()
        for stream in streams:
            stream.reader.sayStanding()
            last = stream.positions[-1:] or [1]
            self.assertEqual(stream.sink.lines[-1][2], last[0])
        streams[2].reader.close(Close("later", "", 1.0))
        self.assertEqual(streams[2].sink.lines[-1][2], 1)
        self.rest()
        self.assertEqual(self.given(streams), [[2, 3], [2, 3], []])

    def test_newReaders(self) -> None:
        """
        A reader that begins at the end, or has read the log, is given what comes after.
        """
        for isDirect in (True, False):
            self.setUp()
            streams = self.begin(isDirect)
            fresh = [self.stream("a"), self.stream("a", begin=self.cursor(1))]
            again = self.stream("a", begin=self.cursor(2))
            self.clock.turn()
            self.publish("a")
            self.rest()
            self.assertEqual(self.given(streams), [[2, 3, 4]] * 3)
            self.assertEqual(self.given([*fresh, again]), [[4], [2, 3, 4], [3, 4]])
            self.tearDown()
            self.setUp()

    def test_pollsComeBack(self) -> None:
        """
        A poll with a cursor that the group has not come to is answered from the log.
        """
        waiters = [self.poll("a")[0] for _ in range(3)]
        self.publish("a")
        self.clock.turn()
        self.publish("a")
        self.clock.turn()
        waiter, _ = self.poll("a", begin=self.cursor(1))
        self.rest()
        self.assertTrue(all([each.isAnswered for each in waiters]))
        self.assertEqual([each[0].position for each in waiter.outcome.messages], [2])

    def test_interrupted(self) -> None:
        """
        After an interruption each reader reads on from where it stands, and the publishers
        are answered.
        """
        streams = self.begin()
        published = self.publish("a")
        self.fanout.interrupted()
        self.clock.turn()
        self.assertEqual(len(self.fanout.parts), 0)
        self.rest()
        self.assertEqual(self.given(streams), [[2, 3, 4]] * 3)
        self.assertEqual(self.successResultOf(published), [4])

    def test_leavingAll(self) -> None:
        """
        If all readers leave, nothing is left of the flush.
        """
        for stream in self.begin():
            stream.sink.lose()
        self.rest()
        self.assertEqual((len(self.fanout.parts), len(self.fanout.backlog)), (0, 0))

    def test_fails(self) -> None:
        """
        Readers to which a part cannot be written come back from before it; the others are
        written to.
        """
        streams = self.streams(3)

        def fail(count: int) -> None:
            raise RuntimeError("broken")

        vars(streams[1].sink)["sent"] = fail
        self.publish("a")
        self.rest()
        self.assertEqual(self.given(streams), [[1]] * 3)
        self.assertEqual(streams[1].sink.lines[-1][:1], ["close"])
        self.assertEqual(streams[1].sink.lines[-1][2:4], [0, "internal"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_spared(self) -> None:
        """
        A reader that is spared a message is first given what it waits for.
        """
        streams = self.begin()
        last = streams[2]
        self.hub.spareReader(last.reader, MINE)
        self.hub.store(ANYONE, [Publication(("a",), b"1", exclude=MINE)])
        self.clock.turn()
        self.publish("a")
        self.rest()
        self.assertEqual(self.given(streams), [[2, 3, 4, 5], [2, 3, 4, 5], [2, 3, 5]])

    def test_sparedAndPaused(self) -> None:
        """
        A receiver that is spared a message and pauses at the first that it waited for is
        given the rest when it goes on.
        """
        others = [self.subscribe("a") for _ in range(2)]
        receiver, subscription = self.subscribe("a")
        self.hub.spareReader(readerOf(subscription), MINE)
        self.publish("a", "a")
        self.clock.turn()
        self.publish("a")
        self.clock.turn()
        self.assertEqual(receiver.positions, [])
        receiver.react = lambda heard: subscription.pauseProducing()
        self.hub.store(ANYONE, [Publication(("a",), b"1", exclude=MINE)])
        self.rest()
        receiver.react = None
        self.assertEqual(receiver.positions, [1])
        self.assertEqual(subscription.cursor.position, 1)
        subscription.resumeProducing()
        self.publish("a")
        self.rest()
        self.assertEqual(receiver.positions, [1, 2, 3, 5])
        self.assertEqual([each.positions for each, _ in others], [[1, 2, 3, 4, 5]] * 2)

    def test_directPollComesBack(self) -> None:
        """
        A direct poll that is opened once more while its group is busy is not given what
        was stored before.
        """
        shape = BytesShape()
        waiter = Waiter()
        self.addCleanup(waiter.close)
        reader: PollReader[Any] = self.hub.openPoll(
            ANYONE, ["a"], since("now"), shape, waiter, 20.0
        )
        for _ in range(4):
            self.hub.openPoll(ANYONE, ["a"], since("now"), shape, SlowWaiter(), 20.0)
        self.publish("b")
        self.rest()
        group = reader.group
        assert group is not None
        for _ in range(2):
            self.publish("a")
            self.clock.turn()
        self.assertEqual(waiter.answers, 1)
        self.assertEqual(len(self.fanout.parts), 1)
        reader.joinAgain(group, ANYONE)
        self.rest()
        self.assertEqual((waiter.answers, reader.position.position), (1, 3))
        self.publish("a")
        self.rest()
        self.assertEqual(waiter.answers, 2)

    def test_newEpoch(self) -> None:
        """
        Before messages of another epoch, all those of the last one are written.
        """
        streams = self.streams(3)
        self.publish("a")
        self.clock.turn()
        self.fanout.endMoved(Cursor("other", 1))
        self.clock.turn()
        self.assertEqual(self.given(streams), [[1]] * 3)


class EndTests(PartsCase):
    """
    When the server goes down.
    """

    def test_drained(self) -> None:
        """
        It waits for what is left.
        """
        self.streams(3)
        self.publish("a")
        self.clock.turn()
        drained: Deferred[None] = self.fanout.leaving.whenDrained()
        self.assertNoResult(drained)
        self.rest()
        self.assertIsNone(self.successResultOf(drained))

    def test_stop(self) -> None:
        """
        It writes what is left.
        """
        streams = self.streams(3)
        other = self.stream("a", shape=LineShape(tag="other"))
        published = self.publish("a")
        self.clock.turn()
        self.fanout.stop()
        self.assertEqual(self.given([*streams, other]), [[1]] * 4)
        self.assertEqual(self.successResultOf(published), [1])

    def test_stopWithin(self) -> None:
        """
        A receiver that has the fan-out stopped as its group is written is no harm to the
        others.
        """
        receivers = [self.subscribe("a")[0] for _ in range(3)]

        def stop(heard: list[Any]) -> None:
            self.fanout.tickSoon()
            self.fanout.stop()

        receivers[0].react = stop
        published = self.publish("a")
        self.rest()
        self.assertEqual([each.positions for each in receivers], [[1]] * 3)
        self.assertEqual(self.successResultOf(published), [1])

    def test_stopWithinLongQueue(self) -> None:
        """
        A receiver that has the fan-out stopped as a queue is written that has grown too long
        is no harm to the others: the flush does not go on within itself.
        """
        receivers = [self.subscribe("a")[0] for _ in range(3)]
        depths: list[bool] = []

        def stop(heard: list[Any]) -> None:
            receivers[0].react = None
            before = self.given(receivers[1:])
            self.fanout.tickSoon()
            self.fanout.stop()
            depths.append(self.given(receivers[1:]) == before)

        goesOn = self.patch(self.fanout.parts, "goOn", lambda: None)
        self.patch(flushrest, "QUEUED_BYTES", 0)
        published = [self.publish("a")]
        self.clock.turn()
        goesOn.restore()
        receivers[0].react = stop
        published.append(self.publish("a"))
        self.rest()
        self.assertEqual(depths, [True])
        self.assertEqual([each.positions for each in receivers], [[1, 2]] * 3)
        self.assertEqual([now(each) for each in published], [[1], [2]])
