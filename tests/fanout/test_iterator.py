"""
Tests of L{comet.fanout.iterator}: messages for C{async for}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from comet.errors import BadChannel, Unavailable
from comet.fanout.iterator import MOST, Messages
from comet.model.cursors import Cursor
from comet.model.messages import Gap, Message
from tests.fanout.case import HubTestCase


class MessagesTests(HubTestCase):
    """
    L{Hub.messages<comet.hub.inprocess.InProcess.messages>}.
    """

    def publish_(self, *data: Any, channel: str = "a") -> None:
        """
        Publish values, and let them be heard.
        """
        published = [self.hub.publish(channel, each) for each in data]
        self.rest()
        for each in published:
            self.successResultOf(each)

    def next(self, messages: Messages) -> Deferred[Message | Gap]:
        """
        Ask for the next item.
        """
        return Deferred.fromCoroutine(messages.__anext__())

    def test_loops(self) -> None:
        """
        A loop gets the held messages and the live ones, and ends when the hub does;
        the cursor is that of the item it was given last.
        """
        got: list[Any] = []
        messages = self.hub.messages(["a", "b"], "earliest")

        async def loop() -> str:
            async for item in messages:
                assert isinstance(item, Message)
                got.append(item.data)
                self.assertEqual(messages.cursor, item.cursor)
            return "over"

        self.publish_("held")
        self.assertIsNone(messages.cursor)
        looping = Deferred.fromCoroutine(loop())
        self.publish_("live", channel="b")
        self.assertEqual(got, ["held", "live"])
        self.assertNoResult(looping)
        self.successResultOf(self.hub.drain(0))
        self.assertEqual(self.successResultOf(looping), "over")

    def test_tellsGaps(self) -> None:
        """
        A gap comes at its place.
        """
        self.publish_(1)
        messages = self.hub.messages("a", "elsewhere-7")
        first = self.successResultOf(self.next(messages))
        assert isinstance(first, Gap)
        self.assertEqual(first.names, ("a",))
        second = self.successResultOf(self.next(messages))
        assert isinstance(second, Message)
        self.assertEqual(second.data, 1)

    def test_isBounded(self) -> None:
        """
        A loop that takes nothing keeps few messages, and gets all of them later, in
        their order, as far as the log holds them.
        """
        messages = self.hub.messages("a")
        first = self.next(messages)
        self.publish_(0)
        self.successResultOf(first)
        for number in range(1, 4 * MOST):
            self.publish_(number)
        self.assertLessEqual(len(messages._inbox.items), MOST)
        got: list[Any] = []
        while len(got) < 4 * MOST - 1:
            self.rest()
            item = self.successResultOf(self.next(messages))
            got.append(item.data if isinstance(item, Message) else item)
        self.assertEqual(got, list(range(1, 4 * MOST)))

    def test_goesOnFromCursor(self) -> None:
        """
        An iterator that starts at the cursor of another goes on behind what that gave.
        """
        self.publish_(1, 2, 3)
        first = self.hub.messages("a", "earliest")
        self.successResultOf(self.next(first))
        self.successResultOf(self.next(first))
        assert isinstance(first.cursor, Cursor)
        second = self.hub.messages("a", first.cursor)
        item = self.successResultOf(self.next(second))
        assert isinstance(item, Message)
        self.assertEqual(item.data, 3)

    def test_endsWhenClosed(self) -> None:
        """
        A closed iterator unsubscribes, also one that has not begun, and a loop that
        waits ends.
        """
        messages = self.hub.messages("a")
        waiting = self.next(messages)
        self.assertEqual(len(self.fanout.readers), 1)
        self.successResultOf(Deferred.fromCoroutine(messages.aclose()))
        self.failureResultOf(waiting, StopAsyncIteration)
        self.assertEqual(len(self.fanout.readers), 0)

        async def neverBegun() -> None:
            async with self.hub.messages("a") as unused:
                pass
            async for _ in unused:
                self.fail("it is closed")

        self.successResultOf(Deferred.fromCoroutine(neverBegun()))
        self.assertEqual(len(self.fanout.readers), 0)

    def test_endsWithoutReferences(self) -> None:
        """
        Behind a C{break} nothing is left.
        """

        async def loop() -> None:
            async for _ in self.hub.messages("a", "earliest"):
                break

        self.publish_(1)
        self.successResultOf(Deferred.fromCoroutine(loop()))
        self.rest()
        self.assertEqual(len(self.fanout.readers), 0)

    def test_raisesErrors(self) -> None:
        """
        What keeps names from being read is raised.
        """
        self.failureResultOf(self.next(self.hub.messages("a//b")), BadChannel)
        self.successResultOf(self.hub.drain(0))
        messages = self.hub.messages("a")
        self.failureResultOf(self.next(messages), Unavailable)
        self.failureResultOf(self.next(messages), Unavailable)

    def test_oneCoroutineAtATime(self) -> None:
        """
        Two coroutines that wait for one iterator are a mistake; one that was cancelled
        waits no more.
        """
        messages = self.hub.messages("a")
        first = self.next(messages)
        self.failureResultOf(self.next(messages), RuntimeError)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        third = self.next(messages)
        self.publish_(1)
        self.successResultOf(third)


class StopTests(HubTestCase):
    """
    L{Hub.stop<comet.hub.hub.Hub.stop>}.
    """

    def test_leavesNothing(self) -> None:
        """
        With readers of each kind that an application has, nothing is left when the hub
        has stopped: no reader, no timer, and no loop that waits.
        """
        got: list[Message] = []
        self.successResultOf(self.hub.subscribe("a", "now", got.append))
        messages = self.hub.messages("b")
        waiting = Deferred.fromCoroutine(messages.__anext__())
        self.hub.publish("a", 1).addErrback(self.fail)
        self.rest()
        stopped = self.hub.stop()
        self.rest()
        self.clock.advance(3)
        self.successResultOf(stopped)
        self.failureResultOf(waiting, StopAsyncIteration)
        self.assertEqual((len(self.fanout.readers), len(self.fanout.leaving.readers)), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])
