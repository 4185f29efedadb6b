"""
Tests of L{comet.control.inforce}: when a node trusts what it knows of revocations.
"""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.memory.bus import MemoryBus
from comet.control.inforce import AGAIN, InForce
from comet.framing.orders import Order


class InForceTests(SynchronousTestCase):
    """
    What is in force is read from a bus in memory.
    """

    def setUp(self) -> None:
        """
        Start a bus.
        """
        self.clock = Clock()
        self.bus = MemoryBus(self.clock, wallClock=self.clock.seconds)
        self.successResultOf(self.bus.start())
        self.found: list[set[str]] = []
        self.inForce = InForce(self.bus, self.clock.seconds, self.clock, self._was)

    def _was(self, missed: Collection[str]) -> None:
        self.found.append(set(missed))

    def test_notFollowed(self) -> None:
        """
        A node that does not hear the changes reads nothing by itself, whatever it was about
        to read: it could not hear what is changed after that.
        """
        self.inForce.load()
        self.assertTrue(self.inForce.revocations.isLoaded)
        self.inForce.loadLater()
        self.inForce.mistrust()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(AGAIN)
        self.assertFalse(self.inForce.revocations.isLoaded)
        self.inForce.load()
        self.assertTrue(self.inForce.revocations.isLoaded)

    def test_readOnce(self) -> None:
        """
        Reading now is in place of reading later.
        """
        self.inForce.loadLater()
        self.inForce.loadLater()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.inForce.load()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_missed(self) -> None:
        """
        Clients of which no change was heard are told of when all is read.
        """
        kept = self.inForce.kept
        first = self.successResultOf(kept.put("1", Order(client="ada")))
        self.successResultOf(kept.put("2", Order(client="bob")))
        self.inForce.add(first)
        self.inForce.load()
        self.assertEqual(self.found, [{"bob"}])

    def test_stopped(self) -> None:
        """
        Nobody waits for what is not read any more.
        """
        self.inForce.loadLater()
        waiting = self.inForce.whenLoaded()
        self.inForce.stop()
        self.successResultOf(waiting)
        self.inForce.load()
        self.inForce.loadLater()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.inForce.revocations.isLoaded)
