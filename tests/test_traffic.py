"""
Tests of L{comet.traffic}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.traffic import Ledger


class LedgerTests(SynchronousTestCase):
    """
    What has passed on each transport.
    """

    def test_past(self) -> None:
        """
        What is over at once is counted for its transport, and only there.
        """
        ledger = Ledger()
        ledger.of("poll").requests += 2
        ledger.of("poll").headIn += 70
        ledger.of("publish").dataIn += 5
        sums = ledger.sums()
        self.assertEqual(list(sums), ["poll", "publish"])
        expected = {"open": 0, "requests": 2, "headIn": 70, "dataIn": 0, "headOut": 0, "dataOut": 0}
        self.assertEqual(sums["poll"], expected)
        self.assertEqual(sums["publish"]["dataIn"], 5)

    def test_open(self) -> None:
        """
        How many connections there are goes up and down; what has passed on
        them stays.
        """
        ledger = Ledger()
        traffic = ledger.of("sse")
        traffic.open += 2
        traffic.dataOut += 10
        traffic.open -= 1
        self.assertIs(ledger.of("sse"), traffic)
        self.assertEqual(ledger.sums()["sse"]["open"], 1)
        self.assertEqual(ledger.sums()["sse"]["dataOut"], 10)
