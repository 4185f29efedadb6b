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
