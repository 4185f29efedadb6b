"""
Tests of L{comet.server.interpreter}.
"""

from __future__ import annotations

import gc
import sys

from twisted.trial.unittest import SynchronousTestCase

from comet.server.interpreter import tuneInterpreter


class TuneTests(SynchronousTestCase):
    """
    L{tuneInterpreter}.
    """

    def setUp(self) -> None:
        """
        Undo it after the test.
        """
        self.addCleanup(gc.unfreeze)
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())

    def test_tunes(self) -> None:
        """
        The collector skips what is there, and looks at little at a time; threads do not
        wait for each other for long.
        """
        tuneInterpreter()
        self.assertGreater(gc.get_freeze_count(), 0)
        young, older, _ = gc.get_threshold()
        self.assertLessEqual(young * (older + 1), 6_000)
        self.assertLessEqual(sys.getswitchinterval(), 0.001)
