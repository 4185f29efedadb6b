"""
Tests of the client in real browsers: on every transport, and with connections
that break.

The scenarios are in the scripts beside this module; their names say what they
show.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.pages.running import runScript

HERE = Path(__file__).resolve().parent


class BrowserTests(SynchronousTestCase):
    """
    All scenarios, in both browsers.
    """

    def assertShows(self, browser: str) -> None:
        """
        Check that there are scenarios, and that all of them pass.
        """
        folder = self.mktemp()
        os.mkdir(folder)
        done = runScript(str(HERE / "main.mjs"), browser, folder=folder)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertNotIn("FAILED", done.stdout)
        (count,) = re.findall(rf"^(\d+) scenarios in {browser}: \d+ s$", done.stdout, re.MULTILINE)
        self.assertEqual(len(re.findall(r"^ok ", done.stdout, re.MULTILINE)), int(count))
        self.assertGreaterEqual(int(count), 30)

    def test_chromium(self) -> None:
        """
        In Chromium no message is lost or repeated, and no error is logged.
        """
        self.assertShows("chromium")

    def test_firefox(self) -> None:
        """
        In Firefox no message is lost or repeated, and no error is logged.
        """
        self.assertShows("firefox")
