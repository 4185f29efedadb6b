"""
Tests of the pages in real browsers, as a visitor uses them.

The scenarios are in C{lab.mjs}, C{chat.mjs} and C{admin.mjs}; their names say what they show.
"""

from __future__ import annotations

import os
import re

from twisted.trial.unittest import SynchronousTestCase

from tests.pages.running import HERE, runScript


class BrowserTests(SynchronousTestCase):
    """
    All pages, in both browsers.
    """

    def assertShows(self, script: str, browser: str) -> None:
        """
        Check that all scenarios of a script pass.
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
        In Chromium the lab page shows each technique at work, cut off, and
        resumed without loss, and logs no error.
        """
        self.assertShows("lab.mjs", "chromium")

    def test_labInFirefox(self) -> None:
        """
        In Firefox the lab page shows each technique at work, cut off, and
        resumed without loss, and logs no error.
        """
        self.assertShows("lab.mjs", "firefox")

    def test_chatInChromium(self) -> None:
        """
        In Chromium the chat delivers each line to all members, in several rooms,
        also after a restart of the server.
        """
        self.assertShows("chat.mjs", "chromium")

    def test_chatInFirefox(self) -> None:
        """
        In Firefox the chat delivers each line to all members, in several rooms,
        also after a restart of the server.
        """
        self.assertShows("chat.mjs", "firefox")

    def test_adminInChromium(self) -> None:
        """
        In Chromium the admin page shows what the server does, and gives orders that ask
        first and say what they did.
        """
        self.assertShows("admin.mjs", "chromium")

    def test_adminInFirefox(self) -> None:
        """
        In Firefox the admin page shows what the server does, and gives orders that ask
        first and say what they did.
        """
        self.assertShows("admin.mjs", "firefox")
