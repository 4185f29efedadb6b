"""
Tests of an application's own reading.
"""

from __future__ import annotations

from typing import Any

from comet.errors import BadChannel, BadCursor, BadRequest, Unavailable
from comet.fanout.application import Subscription, Where, readStartPositions
from comet.fanout.reader import Reader
from comet.model.cursors import Cursor
from comet.model.messages import Close
from comet.model.positions import At, Earliest, Last, Now, StartPosition
from tests.fanout.case import HubTestCase
from tests.fanout.doubles import MemoryReceiver

BIG = b'"' + b"x" * 60000 + b'"'


class StartPositionTests(HubTestCase):
    """
    How an application says where to start.
    """

    def test_startsAsOnTheWireAsACursorOrByName(self) -> None:
        """
        A start position is a text as on the wire, a cursor, or a mapping of
        names; L{None} is C{now}.
        """
        cursor = Cursor("k3f9a2", 7)
        starts: tuple[tuple[Where, dict[str, StartPosition]], ...] = (
            (None, {"a": Now(), "c/*": Now()}),
            ("earliest", {"a": Earliest(), "c/*": Earliest()}),
            (cursor, {"a": At(cursor), "c/*": At(cursor)}),
            ({"a": "-3"}, {"a": Last(3), "c/*": Now()}),
            ({"a": cursor, "c/*": "k3f9a2-7"}, {"a": At(cursor), "c/*": At(cursor)}),
        )
        for since, expected in starts:
            self.assertEqual(readStartPositions(["a", "c/*"], since), expected)
        self.assertEqual(readStartPositions("a", "now"), {"a": Now()})

    def test_refusesBadNamesAndStarts(self) -> None:
        """
        A bad name or a bad start position is refused.
        """
        self.assertRaises(BadChannel, readStartPositions, "a,b", None)
        self.assertRaises(BadCursor, readStartPositions, "a", "yesterday")
        self.assertRaises(BadCursor, readStartPositions, "a", {"a": "-0"})


class ReceivingTests(HubTestCase):
    """
    What a receiver is given.
    """

    def test_heldBeforeTheDeferredThenLive(self) -> None:
        """
        Held messages are received before the Deferred fires, live ones as they
        are published.
        """
        self.publish("a", "a")
        receiver = MemoryReceiver()
        subscribed = self.hub.subscribe("a", "earliest", receiver)
        self.assertEqual(receiver.positions, [1, 2])
        subscription = self.successResultOf(subscribed)
        self.publish("b", "a")
        self.clock.settle()
        self.assertEqual(receiver.positions, [1, 2, 4])
        self.assertEqual((subscription.names, subscription.cursor), (("a",), self.inner.end))

    def test_gapBeforeHeldMessages(self) -> None:
        """
        The receiver is told of a gap before it gets the messages that are held.
        """
        self.publish("a")
        receiver, _ = self.subscribe("a", begin="other-1")
        self.assertEqual([each[0] for each in receiver.heard], ["gap", "message"])
        self.inner.renew()
        self.publish("a")
        self.clock.settle()
        self.assertEqual([each[0] for each in receiver.heard[2:]], ["gap", "message"])

    def test_receiverThatRaisesMissesNothing(self) -> None:
        """
        An error that a receiver raises is logged, and the receiver gets the
        next messages.
        """

        def react(heard: list[Any]) -> None:
            raise RuntimeError("broken")

        receiver, _ = self.subscribe("a", react=react)
        self.publish("a", "a")
        self.clock.settle()
        self.assertEqual(receiver.positions, [1, 2])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_cursorWhileReceiving(self) -> None:
        """
        While a message is received, the subscription's cursor is that of the
        message, read or live; during a replay it is that of the replay.
        """
        seen: list[tuple[int, int]] = []

        def react(heard: list[Any]) -> None:
            seen.append((heard[3], subscription.cursor.position))

        self.publish("a", "b")
        _, subscription = self.subscribe("b", react=react)
        subscription.pauseProducing()
        self.publish("b", "b", "b")
        self.clock.settle()
        subscription.resumeProducing()
        self.publish("b", "b")
        self.clock.settle()
        subscription.add("a", "earliest")
        self.clock.settle()
        self.assertEqual(seen, [(3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (1, 1)])
        self.assertEqual(subscription.cursor.position, 7)

    def test_toldWhyItIsClosed(self) -> None:
        """
        A receiver is told why its subscription is closed, and is not called
        after that.
        """
        receiver, subscription = self.subscribe("a")
        [reader] = self.fanout.readers
        reader.close(Close("draining", "the server is going down", 1.0))
        self.publish("a")
        self.clock.settle()
        self.assertEqual(receiver.heard, [["close", "draining", 1.0]])
        subscription.unsubscribe()

    def test_setsNoTimer(self) -> None:
        """
        The reader of an application sets no timer.
        """
        self.subscribe("a")
        [reader] = self.fanout.readers
        assert isinstance(reader, Reader)
        reader.timedOut()
        self.assertEqual(len(self.fanout.wheel), 0)


class LeavingTests(HubTestCase):
    """
    What a receiver gets after it has unsubscribed.
    """

    def test_receivesNothingAfterUnsubscribing(self) -> None:
        """
        After it has unsubscribed, a receiver gets nothing.
        """
        receiver, subscription = self.subscribe("a")
        subscription.unsubscribe()
        subscription.stopProducing()
        self.publish("a")
        self.clock.settle()
        self.assertEqual(receiver.heard, [])

    def test_unsubscribesWhileReceiving(self) -> None:
        """
        A receiver that unsubscribes while it is given several messages gets
        none of the rest, and the cursor stays where it was.
        """
        receiver, subscription = self.subscribe("a", react=lambda heard: subscription.unsubscribe())
        self.publish("a", "a")
        self.clock.settle()
        self.assertEqual((receiver.positions, subscription.cursor.position), ([1], 1))
        receiver, other = self.subscribe("b")
        other.pauseProducing()
        receiver.react = lambda heard: other.unsubscribe()
        self.publish("b", "b")
        self.clock.settle()
        other.resumeProducing()
        self.assertEqual((receiver.positions, other.cursor.position), ([3], 3))


class PausingTests(HubTestCase):
    """
    Backpressure from a receiver.
    """

    def test_pausedReceivesNothingAndMissesNothing(self) -> None:
        """
        A paused receiver gets nothing, and nothing is missing when it resumes.
        """
        receiver, subscription = self.subscribe("a")
        subscription.pauseProducing()
        subscription.pauseProducing()
        self.publish("a", "a")
        self.clock.settle()
        self.assertEqual(receiver.positions, [])
        subscription.resumeProducing()
        subscription.resumeProducing()
        self.assertEqual(receiver.positions, [1, 2])

    def test_pausesWhileReceiving(self) -> None:
        """
        A receiver that pauses in the middle of live messages is not given the
        rest; in the middle of messages read from the log, it is.
        """
        receiver, subscription = self.subscribe(
            "a", react=lambda heard: subscription.pauseProducing()
        )
        self.publish(*["a"] * 5, payload=BIG)
        self.clock.settle()
        self.assertEqual(receiver.positions, [1])
        subscription.resumeProducing()
        self.clock.settle()
        self.assertEqual(receiver.positions, [1, 2, 3])

    def test_pausesAndResumesWhileReceiving(self) -> None:
        """
        A receiver that pauses and resumes at once while it is given messages
        gets each of them once, in order.
        """

        def react(heard: list[Any]) -> None:
            subscription.pauseProducing()
            subscription.resumeProducing()

        receiver, subscription = self.subscribe("a", react=react)
        self.publish(*["a"] * 7, payload=BIG)
        self.clock.settle()
        self.assertEqual(receiver.positions, [1, 2, 3, 4, 5, 6, 7])
        self.publish(*["a"] * 2)
        self.clock.settle()
        self.assertEqual(receiver.positions[7:], [8, 9])

    def test_gapToldAfterResuming(self) -> None:
        """
        A gap of names that are added while a receiver is paused is told when it
        resumes; the receiver may pause again then.
        """
        receiver, subscription = self.subscribe("a")
        self.publish("b")
        subscription.pauseProducing()
        subscription.add("b", "other-1")
        self.assertEqual(receiver.heard, [])
        receiver.react = lambda heard: subscription.pauseProducing()
        subscription.resumeProducing()
        self.assertEqual([each[0] for each in receiver.heard], ["gap"])
        receiver.react = None
        subscription.resumeProducing()
        self.clock.settle()
        self.assertEqual([each[0] for each in receiver.heard], ["gap", "message"])


class ChangingTests(HubTestCase):
    """
    Names that are added and removed.
    """

    def test_addedNamesReplayWhatIsNew(self) -> None:
        """
        The older messages of added names are replayed, except those that
        another name delivered; a gap is told before them.
        """
        self.publish("a", "b", "a")
        receiver, subscription = self.subscribe("a", begin="earliest")
        self.successResultOf(subscription.add(["*", "d"], {"*": "earliest", "d": "other-1"}))
        self.clock.settle()
        self.assertEqual(subscription.names, ("a", "*", "d"))
        self.assertEqual([each[0] for each in receiver.heard], ["message"] * 2 + ["gap", "message"])
        self.assertEqual(receiver.heard[2][3:], ["d"])
        self.assertEqual(receiver.heard[3][3:], [2, True])
        self.publish("d")
        self.clock.settle()
        self.assertEqual(receiver.positions, [1, 3, 2, 4])

    def test_removesExactlyTheNamesGiven(self) -> None:
        """
        Exactly the names that are given are removed, not the patterns that
        match them.
        """
        receiver, subscription = self.subscribe("a", "b", "*")
        self.successResultOf(subscription.remove("*"))
        self.successResultOf(subscription.remove(["a", "c/x"]))
        self.publish("a", "b", "d")
        self.clock.settle()
        self.assertEqual((subscription.names, receiver.positions), (("b",), [2]))

    def test_removesWhileReceiving(self) -> None:
        """
        A receiver that removes a name while it is given several messages gets
        no more of that name, whether they were read or live.
        """
        receiver, subscription = self.subscribe("a", "b")
        subscription.pauseProducing()
        receiver.react = lambda heard: subscription.remove("a")
        self.publish("a", "a", "b")
        self.clock.settle()
        subscription.resumeProducing()
        self.assertEqual(receiver.positions, [1, 3])
        receiver.react = None
        subscription.add("a")
        receiver.react = lambda heard: subscription.remove("a")
        self.publish("a", "a", "b")
        self.clock.settle()
        self.assertEqual(receiver.positions, [1, 3, 4, 6])

    def test_removesAllWhileReceiving(self) -> None:
        """
        A receiver without names gets nothing, and may add names again.
        """
        receiver, subscription = self.subscribe("a", react=lambda heard: subscription.remove("a"))
        self.publish("a", "a")
        self.clock.settle()
        self.assertEqual(receiver.positions, [1])
        subscription.add("a")
        self.publish("a")
        self.clock.settle()
        self.assertEqual(receiver.positions, [1, 3])

    def test_addsWhileReceiving(self) -> None:
        """
        A name that is added while messages are received does not disturb them.
        """
        done: list[object] = []

        def react(heard: list[Any]) -> None:
            if not done:
                done.append(subscription.add("b", "earliest"))

        self.publish("b")
        receiver, subscription = self.subscribe("a", react=react)
        self.publish("a", "a", "b", "a")
        self.clock.settle()
        self.assertEqual(sorted(receiver.positions), [1, 2, 3, 4, 5])
        live = [each[3] for each in receiver.heard if not each[4]]
        self.assertEqual(live, [2, 3, 4, 5])

    def test_refusesBadNamesAndClosedSubscriptions(self) -> None:
        """
        A bad name is refused, and a closed subscription takes no names.
        """
        _, subscription = self.subscribe("a")
        self.failureResultOf(subscription.add("a b,c"), BadChannel)
        self.failureResultOf(subscription.add("b", "yesterday"), BadCursor)
        subscription.unsubscribe()
        self.failureResultOf(subscription.add("b"), BadRequest)
        self.successResultOf(subscription.remove("a"))
        self.assertEqual(len(self.fanout.readers), 0)


class SlowTests(HubTestCase):
    """
    Subscriptions over a bus that answers later.
    """

    isSlow = True

    def test_changesInOrder(self) -> None:
        """
        Changes of names are made in the order in which they were asked for.
        """
        receiver, subscription = self.subscribe("a")
        changes = [
            subscription.add("b"),
            subscription.remove("b"),
            subscription.add("c/x"),
            subscription.remove("a"),
        ]
        self.assertEqual(subscription.names, ("a",))
        self.rest()
        for change in changes:
            self.successResultOf(change)
        self.assertEqual(subscription.names, ("c/x",))
        self.publish("a", "b", "c/x")
        self.rest()
        self.assertEqual(receiver.positions, [3])

    def test_failedChangeChangesNothing(self) -> None:
        """
        If the bus cannot let names be heard, nothing changes, and the next
        change is made.
        """
        _, subscription = self.subscribe("a")
        added = subscription.add("b")
        removed = subscription.remove("a")
        self.slow.operations.pop(0).fail(Unavailable("the bus is down"))
        self.failureResultOf(added, Unavailable)
        self.successResultOf(removed)
        self.assertEqual(subscription.names, ())

    def test_unsubscribeWhileAdding(self) -> None:
        """
        A receiver that unsubscribes while names are added is not called again.
        """
        self.publish("b")
        self.rest()
        receiver, subscription = self.subscribe("a")
        added = subscription.add("b", "other-1")
        subscription.unsubscribe()
        self.rest()
        self.successResultOf(added)
        self.assertEqual(receiver.heard, [])

    def test_cursorBetweenReplayedMessages(self) -> None:
        """
        During the replay of an added name, the cursor is that of the replay,
        before and after each message.
        """
        self.publish("b", "b", "a")
        self.rest()
        _, subscription = self.subscribe("a")
        self.assertIsInstance(subscription, Subscription)
        subscription.add("b", self.cursor(1))
        while not self.slow.operations or self.slow.operations[0].kind != "read":
            self.slow.answer()
        self.assertEqual(subscription.cursor.position, 1)
        self.rest()
        self.assertEqual(subscription.cursor.position, 3)
