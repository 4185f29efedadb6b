"""
Tests of L{tests.bystander.crowd}, with a few clients: that it is a crowd, and that each of
it is told of once.  How long a bystander waits for one is tested without time, in
L{tests.lean.test_turns}.
"""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from tests.bystander.crowd import CrowdProcess, square

COUNT = 150


class CrowdTests(SynchronousTestCase):
    """
    A crowd that comes into one channel at once, and leaves at once.
    """

    def test_toldOnce(self) -> None:
        """
        All are members once they have come, and none is once they have left; each was
        told of once as it came, and once as it left; and the bystander was answered all
        the time.
        """
        with square("lean", "memory") as place:
            crowd = CrowdProcess("stream", place.server.site, COUNT)
            self.addCleanup(crowd.stop)
            crowd.do("connect")
            self.assertEqual(place.count(), 0)
            for what, members in (("join", COUNT), ("leave", 0)):
                _, _, waits = place.watched(crowd, what, members)
                self.assertTrue(waits)
            expected = {f"{event} client {n}" for event in ("join", "leave") for n in range(COUNT)}
            self.assertEqual(place.told(), Counter(expected))
