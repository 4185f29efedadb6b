"""
Readers that are sent away before it is known where they begin.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred, succeed

from comet.model.positions import ResolvedStarts, StartPosition
from tests.fanout.case import HubTestCase


class ClosedBeforeStartTests(HubTestCase):
    """
    Polls whose time is over before the bus has answered.
    """

    isSlow = True

    def outcome(self, begin: str) -> str:
        """
        The cursor in the response to such a poll.
        """
        waiter, _ = self.poll("a", begin=begin, wait=2.0)
        self.clock.advance(2.0)
        self.clock.settle()
        self.assertEqual(len(waiter.empty), 1)
        return str(waiter.empty[0])

    def test_behind(self) -> None:
        """
        A poll that starts behind the known end keeps its cursor.
        """
        self.publish("a", "a", "a")
        self.rest()
        self.assertEqual(self.slow.end.position, 3)
        self.assertEqual(self.outcome(self.cursor(1)), self.cursor(1))

    def test_ahead(self) -> None:
        """
        A reader that begins beyond the known end of the log, with a cursor of
        another node, stays at its cursor.
        """
        self.publish("a", "a", "a")
        self.slow.do(0)
        self.assertEqual(self.slow.end.position, 0)
        self.assertEqual(self.outcome(self.cursor(3)), self.cursor(3))

    def test_chainedDeferred(self) -> None:
        """
        A poll keeps its cursor, too, where the Deferred of the bus was called
        already and waits for another one.
        """
        resolve = self.slow.resolve

        def chained(names: Mapping[str, StartPosition]) -> Deferred[ResolvedStarts]:
            first: Deferred[None] = succeed(None)
            return first.addCallback(lambda _: resolve(names))

        self.patch(self.slow, "resolve", chained)
        self.test_behind()


class ReadAheadTests(HubTestCase):
    """
    Readers over a bus that tells the first messages of names together with where they begin.
    """

    isSlow = True

    def setUp(self) -> None:
        """
        Hold three messages.
        """
        super().setUp()
        self.inner.readsAhead = True
        self.publish("a", "a", "a")
        self.rest()
        self.slow.asked.clear()

    def test_notAskedAgain(self) -> None:
        """
        A poll and a stream are given what was read ahead, and the bus is asked nothing more.
        """
        waiter, _ = self.poll("a", begin="-2")
        stream = self.stream("a", begin="earliest")
        self.rest()
        told = [message.position for message, _ in waiter.outcome.messages]
        self.assertEqual(told, [2, 3])
        self.assertEqual(stream.positions, [1, 2, 3])
        self.assertEqual((self.slow.asked["resolve"], self.slow.asked.get("read")), (2, None))
        # It goes on from there.
        self.publish("a")
        self.rest()
        self.assertEqual(stream.positions, [1, 2, 3, 4])

    def test_askedAfterInterruption(self) -> None:
        """
        What was read ahead does not count once messages may have been missed since.
        """
        # The fan-out hears the name already.
        other = self.stream("a", begin="now")
        self.rest()
        stream = self.stream("a", begin="earliest")
        (operation,) = self.slow.operations
        operation.do()
        self.slow.cut()
        self.publish("a")
        self.slow.mend()
        self.slow.hear()
        self.clock.settle()
        self.rest()
        self.assertEqual((stream.positions, other.positions), ([1, 2, 3, 4], [4]))
        self.assertEqual(self.slow.asked["read"], 2)

    def test_otherNamesAsked(self) -> None:
        """
        For a name that begins behind the others the bus is asked.
        """
        stream = self.stream("a", "b", begin={"a": self.cursor(1), "b": self.cursor(2)})
        self.rest()
        self.assertEqual(stream.positions, [2, 3])
        self.assertGreater(self.slow.asked["read"], 0)
