"""
Tests of L{comet.server.workers.loads}, and of the share of a worker that is counted by it.
"""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.server.workers.loads import Loads, makeMemory
from comet.server.workers.workersiblings import FEW, MANY, MARGIN, WorkerSiblings


class LoadsCase(SynchronousTestCase):
    """
    A test with the memory of three workers.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        fileno = makeMemory(3)
        # As in the processes of three workers.
        self.loads = [Loads(fileno) for _ in range(3)]
        os.close(fileno)
        for each in self.loads:
            self.addCleanup(each.close)


class LoadsTests(LoadsCase):
    """
    L{Loads}.
    """

    def test_least(self) -> None:
        """
        Each worker is told the least load of the others that serve.
        """
        first, second, third = self.loads
        self.assertEqual([each.least(2) for each in self.loads], [None] * 3)
        first.write(1, 7)
        self.assertEqual((first.least(1), second.least(2), third.least(3)), (None, 7, 7))
        third.write(3, 0)
        self.assertEqual((first.least(1), second.least(2), third.least(3)), (0, 0, 7))
        second.forget(3)
        second.forget(1)
        self.assertEqual([each.least(2) for each in self.loads], [None] * 3)

    def test_alone(self) -> None:
        """
        One worker alone has no others.
        """
        fileno = makeMemory(1)
        loads = Loads(fileno)
        os.close(fileno)
        loads.write(1, 5)
        self.assertIsNone(loads.least(1))
        loads.close()


class RoomTests(LoadsCase):
    """
    The room of a worker for more clients.
    """

    def make(self, number: int) -> tuple[WorkerSiblings, list[int]]:
        """
        Make what a worker knows of the others.

        @return: It, and what it holds.
        """
        loads = self.loads[number - 1]
        siblings = WorkerSiblings(number, lambda line: None, Clock(), list, loads)
        held: list[int] = []
        siblings.watch(held)
        siblings.watch(held)
        return siblings, held

    def test_others(self) -> None:
        """
        A worker without others has room, and so has one that leaves; the others count with
        it no more.
        """
        first, held = self.make(1)
        held += range(1000)
        self.assertEqual(first.room(), MANY)
        second, _ = self.make(2)
        second.serves()
        self.assertLess(first.room(), 0)
        self.assertEqual(second.room(), int(1000 * (1 + MARGIN)) + FEW)
        second.leave()
        self.assertEqual((first.room(), second.room(), first.room()), (MANY, MANY, MANY))

    @given(st.lists(st.sampled_from([0, 1, 2]), max_size=300))
    def test_shares(self, who: list[int]) -> None:
        """
        Whichever worker is the first to see a client, each accepts it only within its
        share: so none has more than its share for long.
        """
        workers = [self.make(number) for number in (1, 2, 3)]
        for siblings, _ in workers:
            siblings.serves()
        for client, first in enumerate(who):
            order = workers[first:] + workers[:first]
            taking = next(held for siblings, held in order if siblings.room() > 0)
            taking.append(client)
        counts = [len(held) for _, held in workers]
        self.assertLessEqual(max(counts), min(counts) * (1 + MARGIN) + FEW)
