"""
One cursor for every transport and every node: a reader that goes from any to
any, each time at whichever node is next, loses and repeats nothing.
"""

from __future__ import annotations

from tests.cluster import case
from tests.edge import test_handovers


class ClusterHandoverTests(test_handovers.WalkingTestCase, case.ClusterTestCase):
    """
    All pairs of transports, 81, while messages are being published.
    """

    def test_channels(self) -> None:
        """
        Readers of one channel, of several, and of patterns go from any
        transport to any other and miss and repeat nothing.
        """
        lists = (["open/h/a"], ["open/h/b", "open/h/deep/c"], ["open/h/**", "open/h/a"])
        self.walkAll(self.cluster.site, *lists, seed=4)
