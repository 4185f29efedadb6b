"""
Tests that one cursor holds on every transport and every node: a reader that
changes from any transport to any other, each time at the next node, loses and
repeats no message.
"""

from __future__ import annotations

from tests.cluster import case
from tests.edge import test_handovers


class ClusterHandoverTests(test_handovers.WalkingTestCase, case.ClusterTestCase):
    """
    All 81 pairs of transports, while messages are published.
    """

    def test_channels(self) -> None:
        """
        Readers of one channel, of several, and of patterns change from any
        transport to any other, and lose and repeat no message.
        """
        lists = (["open/h/a"], ["open/h/b", "open/h/deep/c"], ["open/h/**", "open/h/a"])
        self.walkAll(self.cluster.site, *lists, seed=4)
