"""
The pages in real browsers: what a visitor does with them, and sees.

What is tested is in C{lab.mjs} and C{chat.mjs}, where each scenario has a name
that says what it shows.
"""

from __future__ import annotations

import os
import re

from twisted.trial.unittest import SynchronousTestCase

from tests.pages.running import HERE, runScript


class BrowserTests(SynchronousTestCase):
    """
    Both pages, in both browsers.
    """

    def assertShows(self, script: str, browser: str) -> None:
        """
        All the scenarios of a script hold.
        """
        folder = self.mktemp()
        os.mkdir(folder)
        done = runScript(script, browser, folder=folder)
        self.assertEqual(done.returncode, 0, done.stdout)
        shown = re.findall(r"^ok ", done.stdout, re.MULTILINE)
        named = re.findall(r"^  \[$|^  \[\"", (HERE / script).read_text("utf-8"), re.MULTILINE)
        self.assertEqual(len(shown), len(named), done.stdout)

    def test_labInChromium(self) -> None:
        """
        The lab page shows each technique at work, cut off, and back without
        loss, and has no complaint, in Chromium.
        """
        self.assertShows("lab.mjs", "chromium")

    def test_labInFirefox(self) -> None:
        """
        The same in Firefox.
        """
        self.assertShows("lab.mjs", "firefox")

    def test_chatInChromium(self) -> None:
        """
        The chat brings everybody everything, in several rooms, and through a
        restart of the server, in Chromium.
        """
        self.assertShows("chat.mjs", "chromium")

    def test_chatInFirefox(self) -> None:
        """
        The same in Firefox.
        """
        self.assertShows("chat.mjs", "firefox")
