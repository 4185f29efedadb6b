"""
Tests for L{comet.testing.contract} itself.
"""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from comet.testing.contract import BusContract


class NamesTests(SynchronousTestCase):
    """
    The names of the tests in L{BusContract}.
    """

    def test_partsDoNotHideOneAnother(self) -> None:
        """
        No two parts of the contract have a test of the same name: one would
        replace the other, which would never run.
        """
        names = Counter(name for part in BusContract.__bases__ for name in vars(part))
        tests = [name for name in names if name.startswith("test_")]
        self.assertTrue(tests)
        self.assertEqual([name for name in tests if names[name] > 1], [])
