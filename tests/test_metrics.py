"""
Tests of L{comet.metrics}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.metrics import IDLE, MOST_ACCOUNTS, Metrics


class LedgerTests(SynchronousTestCase):
    """
    What has passed on each transport.
    """

    def test_past(self) -> None:
        """
        What is over at once is counted for its transport, and only there.
        """
        metrics = Metrics()
        metrics.of("poll").requests += 2
        metrics.of("poll").headIn += 70
        metrics.of("publish").dataIn += 5
        sums = metrics.sums()
        self.assertEqual(list(sums), ["poll", "publish"])
        expected = {"open": 0, "requests": 2, "headIn": 70, "dataIn": 0, "headOut": 0, "dataOut": 0}
        self.assertEqual(sums["poll"], expected)
        self.assertEqual(sums["publish"]["dataIn"], 5)

    def test_open(self) -> None:
        """
        How many connections there are goes up and down; what has passed on
        them stays.
        """
        metrics = Metrics()
        traffic = metrics.of("sse")
        traffic.open += 2
        traffic.dataOut += 10
        traffic.open -= 1
        self.assertIs(metrics.of("sse"), traffic)
        self.assertEqual(metrics.sums()["sse"]["open"], 1)
        self.assertEqual(metrics.sums()["sse"]["dataOut"], 10)

    def test_openingCountsAsHead(self) -> None:
        """
        The head of a stream's response is counted as a head, though its sink
        counts all that it writes as data.
        """
        traffic = Metrics().of("sse")
        traffic.countOpening(70)
        # The sink writes the head with 10 bytes of data.
        traffic.dataOut += 80
        self.assertEqual((traffic.headOut, traffic.dataOut), (70, 10))


class AccountTests(SynchronousTestCase):
    """
    What was counted under a name, too.
    """

    def setUp(self) -> None:
        """
        A ledger whose time stands.
        """
        self.now = 0.0
        self.metrics = Metrics(lambda: self.now)

    def test_apart(self) -> None:
        """
        What an account has cost is told apart, and is among what all have.
        """
        self.metrics.of("sse", "me").dataOut += 5
        self.metrics.of("sse").dataOut += 2
        self.metrics.of("poll", "you").requests += 1
        self.assertEqual(self.metrics.sums()["sse"]["dataOut"], 7)
        self.assertEqual(self.metrics.sums("me")["sse"]["dataOut"], 5)
        self.assertEqual(list(self.metrics.sums("me")), ["sse"])
        self.assertEqual(self.metrics.sums("nobody"), {})
        self.assertEqual(self.metrics.accounts, ["me", "you"])

    def test_bound(self) -> None:
        """
        There are so many accounts and no more.  One that is idle makes room,
        and what it has cost stays among what all have; one in use does not.
        """
        self.metrics.of("sse", "open").open += 1
        self.metrics.of("poll", "idle").requests += 3
        for number in range(MOST_ACCOUNTS - 2):
            self.metrics.of("poll", f"a{number}").requests += 1
        self.metrics.of("poll", "late").requests += 1
        self.assertNotIn("late", self.metrics.accounts)
        self.now += IDLE
        self.metrics.of("poll", "late").requests += 1
        self.assertEqual(len(self.metrics.accounts), MOST_ACCOUNTS)
        self.assertIn("late", self.metrics.accounts)
        self.assertIn("open", self.metrics.accounts)
        self.assertNotIn("idle", self.metrics.accounts)
        self.assertEqual(self.metrics.sums()["poll"]["requests"], 3 + MOST_ACCOUNTS - 2 + 2)
