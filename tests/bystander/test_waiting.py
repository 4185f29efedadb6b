"""
What is made of the bystander's waits.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tests.bystander.abuses import ABUSES, WAYS, abuse
from tests.bystander.attacker import Attacker
from tests.bystander.waiting import ProcessorClock, Wait, promptly, quantile


class QuantileTests(SynchronousTestCase):
    """
    L{quantile} finds a value among those that were measured.
    """

    def test_all(self) -> None:
        """
        The whole is the largest value.
        """
        self.assertEqual(quantile([3.0, 1.0, 2.0], 1), 3.0)

    def test_part(self) -> None:
        """
        So many values are not larger.
        """
        values = [float(number) for number in range(1, 201)]
        self.assertEqual(quantile(values, 0.5), 100.0)
        self.assertEqual(quantile(values, 0.99), 198.0)

    def test_one(self) -> None:
        """
        A single value is each of its quantiles.
        """
        self.assertEqual(quantile([5.0], 0.01), 5.0)


class WaitTests(SynchronousTestCase):
    """
    L{Wait} tells what of a wait the server has caused.
    """

    def test_caused(self) -> None:
        """
        Neither what other programs do in the wait counts, nor what two processes of the
        server do beside each other.
        """
        self.assertEqual(Wait(0.5, 0.02).caused, 0.02)
        self.assertEqual(Wait(0.02, 0.035).caused, 0.02)


class PromptlyTests(SynchronousTestCase):
    """
    L{promptly} changes the priority of this thread for a while.
    """

    def test_restores(self) -> None:
        """
        It is never lower than before, and the same afterwards.
        """
        before = os.getpriority(os.PRIO_PROCESS, 0)
        with promptly():
            self.assertLessEqual(os.getpriority(os.PRIO_PROCESS, 0), before)
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, 0), before)


class ProcessorClockTests(SynchronousTestCase):
    """
    L{ProcessorClock} reads the processor time of processes.
    """

    def test_grows(self) -> None:
        """
        It goes on while a process works.
        """
        clock = ProcessorClock(os.getpid())
        self.addCleanup(clock.close)
        begun = clock.seconds()
        while clock.seconds() < begun + 0.005:
            sum(range(1000))
        self.assertGreater(clock.seconds(), begun)


class TableTests(SynchronousTestCase):
    """
    The table of abuses.
    """

    def test_names(self) -> None:
        """
        No two have the same name, and each can be found by it.
        """
        self.assertEqual(len({each.name for each in ABUSES}), len(ABUSES))
        for each in ABUSES:
            self.assertIs(abuse(each.name), each)

    def test_unknown(self) -> None:
        """
        A name that no abuse has is refused.
        """
        self.assertRaises(KeyError, abuse, "none")

    def test_ways(self) -> None:
        """
        Each goes by a way that there is, and each way is gone.
        """
        self.assertEqual({way for each in ABUSES for way in each.ways}, set(WAYS))

    def test_nothingSent(self) -> None:
        """
        The attacker tells what it has done: at a port where nothing listens, nothing.
        """
        attacker = Attacker()
        self.addCleanup(attacker.stop)
        attacker.begin("polls of all", "http", 9, 1.0)
        done = attacker.end()
        self.assertEqual(done.get("sent", 0), 0)
