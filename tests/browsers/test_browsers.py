"""
The client in real browsers: on every transport, and through whatever happens to
its connections.

What is tested is in the scripts beside this, where each scenario has a name that
says what it shows.
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
        All scenarios hold, and there were some.
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
        Nothing is lost or repeated in Chromium, and there is no complaint.
        """
        self.assertShows("chromium")

    def test_firefox(self) -> None:
        """
        The same in Firefox.
        """
        self.assertShows("firefox")
