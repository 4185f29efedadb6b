"""
Tests of L{comet.metrics}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.metrics import IDLE, MOST_ACCOUNTS, Ledger


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


class AccountTests(SynchronousTestCase):
    """
    What was counted under a name, too.
    """

    def setUp(self) -> None:
        """
        A ledger whose time stands.
        """
        self.now = 0.0
        self.ledger = Ledger(lambda: self.now)

    def test_apart(self) -> None:
        """
        What an account has cost is told apart, and is among what all have.
        """
        self.ledger.of("sse", "me").dataOut += 5
        self.ledger.of("sse").dataOut += 2
        self.ledger.of("poll", "you").requests += 1
        self.assertEqual(self.ledger.sums()["sse"]["dataOut"], 7)
        self.assertEqual(self.ledger.sums("me")["sse"]["dataOut"], 5)
        self.assertEqual(list(self.ledger.sums("me")), ["sse"])
        self.assertEqual(self.ledger.sums("nobody"), {})
        self.assertEqual(self.ledger.accounts, ["me", "you"])

    def test_bound(self) -> None:
        """
        There are so many accounts and no more.  One that is idle makes room,
        and what it has cost stays among what all have; one in use does not.
        """
        self.ledger.of("sse", "open").open += 1
        self.ledger.of("poll", "idle").requests += 3
        for number in range(MOST_ACCOUNTS - 2):
            self.ledger.of("poll", f"a{number}").requests += 1
        self.ledger.of("poll", "late").requests += 1
        self.assertNotIn("late", self.ledger.accounts)
        self.now += IDLE
        self.ledger.of("poll", "late").requests += 1
        self.assertEqual(len(self.ledger.accounts), MOST_ACCOUNTS)
        self.assertIn("late", self.ledger.accounts)
        self.assertIn("open", self.ledger.accounts)
        self.assertNotIn("idle", self.ledger.accounts)
        self.assertEqual(self.ledger.sums()["poll"]["requests"], 3 + MOST_ACCOUNTS - 2 + 2)
