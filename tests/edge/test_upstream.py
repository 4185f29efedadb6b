"""
Twisted's own tests of its HTTP channel, run on both edges.
"""

from __future__ import annotations

from twisted.trial.runner import TestLoader
from twisted.trial.unittest import SynchronousTestCase, TestSuite

from tests.edge.upstream import EDGES, upstreamClasses, upstreamTests

# trial must also find the classes by their names.
_CASES = {case.__name__: case for edge in EDGES for case in upstreamClasses(edge, __name__)}
globals().update(_CASES)


class UpstreamTests(SynchronousTestCase):
    """
    The tests reach comet's channel at all.
    """

    def test_met(self) -> None:
        """
        Tests of requests, of their bodies and of their order run on each edge.
        """
        for edge in EDGES:
            for name in ("Parsing", "HTTP1_1", "PipeliningBody", "Expect100ContinueServer"):
                case = _CASES[f"{edge.__name__}{name}Tests"]
                self.assertGreater(len(list(upstreamTests(case))), 1, case)


def testSuite() -> TestSuite:
    """
    Return all tests of the module, as trial asks for them, with those of
    Twisted's tests that are not left out.
    """
    upstream = (test for case in _CASES.values() for test in upstreamTests(case))
    return TestSuite([TestLoader().loadClass(UpstreamTests), *upstream])
