"""
Tests of L{comet.metrics.traffic}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.metrics.traffic import IDLE, MAX_ACCOUNTS, Metrics


class MetricsTests(SynchronousTestCase):
    """
    The counts of each transport.
    """

    def test_countsByTransport(self) -> None:
        """
        What is counted for one transport is not counted for another.
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

    def test_openGoesUpAndDown(self) -> None:
        """
        The number of open connections goes down when one is closed, and the
        bytes that were sent on it stay.
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
    The counts of accounts.
    """

    def setUp(self) -> None:
        """
        Make metrics whose clock stands still.
        """
        self.now = 0.0
        self.metrics = Metrics(lambda: self.now)

    def test_countsForAccountAndInAll(self) -> None:
        """
        What is counted for an account is told apart, and is among the sums of
        all.
        """
        self.metrics.of("sse", "me").dataOut += 5
        self.metrics.of("sse").dataOut += 2
        self.metrics.of("poll", "you").requests += 1
        self.assertEqual(self.metrics.sums()["sse"]["dataOut"], 7)
        self.assertEqual(self.metrics.sums("me")["sse"]["dataOut"], 5)
        self.assertEqual(list(self.metrics.sums("me")), ["sse"])
        self.assertEqual(self.metrics.sums("nobody"), {})
        self.assertEqual(self.metrics.accounts, ["me", "you"])

    def test_countsWithoutAccountIfAllAreOpen(self) -> None:
        """
        If every account has an open connection, none is closed, and a request
        for a new account is counted for its transport alone.
        """
        for number in range(MAX_ACCOUNTS):
            self.metrics.of("sse", f"a{number}").open += 1
        self.now += IDLE
        self.metrics.of("sse", "late").open += 1
        self.assertNotIn("late", self.metrics.accounts)
        self.assertEqual(len(self.metrics.accounts), MAX_ACCOUNTS)
        self.assertEqual(self.metrics.sums()["sse"]["open"], MAX_ACCOUNTS + 1)

    def test_closesIdleAccounts(self) -> None:
        """
        When there are L{MAX_ACCOUNTS}, a new account is opened only if an idle
        one can be closed, whose counts stay among the sums of all.  An account
        with an open connection is not closed.
        """
        self.metrics.of("sse", "open").open += 1
        self.metrics.of("poll", "idle").requests += 3
        for number in range(MAX_ACCOUNTS - 2):
            self.metrics.of("poll", f"a{number}").requests += 1
        self.metrics.of("poll", "late").requests += 1
        self.assertNotIn("late", self.metrics.accounts)
        self.now += IDLE
        self.metrics.of("poll", "late").requests += 1
        self.assertEqual(len(self.metrics.accounts), MAX_ACCOUNTS)
        self.assertIn("late", self.metrics.accounts)
        self.assertIn("open", self.metrics.accounts)
        self.assertNotIn("idle", self.metrics.accounts)
        self.assertEqual(self.metrics.sums()["poll"]["requests"], 3 + MAX_ACCOUNTS - 2 + 2)
