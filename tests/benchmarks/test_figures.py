"""
Tests of figures, spreads, and verdicts.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.figures import FIGURES, Spread, faults, ratio, spread, spreadOf
from benchmarks.targets import TARGETS, Target, Verdict, verdicts
from tests.benchmarks.counted import counted


class FigureTests(SynchronousTestCase):
    """
    L{FIGURES}, L{faults}, L{spread} and L{ratio}.
    """

    def test_units(self) -> None:
        """
        Each figure is in the unit that it names.
        """
        result = counted(cpuNs=8e6, deliveries=2000, latencyP50Ns=1.5e6, memoryEach=2048.0)
        values = {name: FIGURES[name].of(result) for name in ("cpu", "rate", "p50", "memory")}
        self.assertEqual(values, {"cpu": 4.0, "rate": 1000.0, "p50": 1.5, "memory": 2.0})

    def test_none(self) -> None:
        """
        Figures for each delivery are L{None} without deliveries.  Figures of
        publishing alone are L{None} with readers.
        """
        result = counted(deliveries=0)
        for name in ("cpu", "p50", "down", "connects", "publishes"):
            self.assertIsNone(FIGURES[name].of(result), name)

    def test_publishing(self) -> None:
        """
        Figures of publishing are computed from a run without readers.
        """
        result = counted(readers=0, deliveries=0, messages=14000)
        values = {name: FIGURES[name].of(result) for name in ("publishes", "answer")}
        self.assertEqual(values, {"publishes": 7000.0, "answer": 0.1})

    def test_bystander(self) -> None:
        """
        A bystander's wait is L{None} where there was no bystander, and in results
        from before there was one.
        """
        waits = [FIGURES["bystander"].of(each) for each in (counted(), counted(bystanderMostNs=0))]
        self.assertEqual(waits, [None, None])
        self.assertEqual(FIGURES["bystander"].of(counted(bystanderMostNs=3e6)), 3.0)

    def test_faults(self) -> None:
        """
        Only the faults that happened are named.
        """
        self.assertEqual(faults(counted(lost=3, resets=1)), {"lost": 3, "resets": 1})

    def test_spread(self) -> None:
        """
        A spread is the median, the least and the most of the values that are
        not L{None}; it is L{None} if there are none.
        """
        self.assertEqual(spread([5.0, None, 1.0, 2.0]), Spread(2.0, 1.0, 5.0))
        self.assertIsNone(spread([None]))
        results = [counted(cpuNs=each * 1e6) for each in (4, 2, 3)]
        self.assertEqual(spreadOf("cpu", results), Spread(3.0, 2.0, 4.0))

    def test_ratio(self) -> None:
        """
        Rounds are compared one by one, so a round that was slow for both does
        not change the ratio.
        """
        ours = [counted(cpuNs=each) for each in (2e6, 20e6, 3e6)]
        theirs = [counted(cpuNs=each) for each in (4e6, 40e6, 4e6)]
        self.assertEqual(ratio("cpu", ours, theirs), Spread(0.5, 0.5, 0.75))


class VerdictTests(SynchronousTestCase):
    """
    L{verdicts}.
    """

    def test_ratio(self) -> None:
        """
        A ratio is taken to the reference on the same transport, over the rounds
        that both have.
        """
        rounds = {
            ("closed1k", "comet", "sse"): {0: counted(cpuNs=4e6), 1: counted(cpuNs=9e6)},
            ("closed1k", "nchan", "sse"): {0: counted(cpuNs=8e6), 2: counted(cpuNs=1e6)},
            ("closed1k", "nchan", "websocket"): {0: counted()},
        }
        found = {one.target.figure: one for one in verdicts(rounds)}
        self.assertEqual(found["cpu"].measured, Spread(0.5, 0.5, 0.5))
        self.assertTrue(found["cpu"].holds)
        self.assertEqual({one.target.transport for one in found.values()}, {"sse"})

    def test_absolute(self) -> None:
        """
        A bound may be the least that a figure may be, and without a ratio.
        """
        rounds = {("storm", "comet", "sse"): {0: counted(late=10000, stormSeconds=0.8)}}
        (found,) = verdicts(rounds)
        self.assertEqual((found.measured.median, found.holds), (12500.0, False))

    def test_leastRatio(self) -> None:
        """
        Of a figure that should be great, the ratio may not be less than its bound.
        """
        slow, quick = (counted(readers=0, deliveries=0, messages=each) for each in (80, 100))
        for ours, theirs, holds in ((slow, quick, False), (quick, slow, True)):
            key = "publish-100"
            rounds = {(key, "comet", "-"): {0: ours}, (key, "nchan", "-"): {0: theirs}}
            (found,) = verdicts(rounds)
            self.assertEqual(found.holds, holds)

    def test_bound(self) -> None:
        """
        A figure that equals its bound holds.
        """
        most = Target("closed1k", "sse", "cpu", 0.9)
        least = Target("publish", "-", "publishes", 7000, isRatio=False, isMost=False)
        self.assertTrue(Verdict(most, Spread(0.9, 0, 9)).holds)
        self.assertFalse(Verdict(most, Spread(0.91, 0, 9)).holds)
        self.assertTrue(Verdict(least, Spread(7000, 0, 9)).holds)

    def test_targets(self) -> None:
        """
        There is at most one target for each figure of each case and transport.
        """
        keys = [(each.case, each.transport, each.figure) for each in TARGETS]
        self.assertEqual(len(keys), len({*keys}))
