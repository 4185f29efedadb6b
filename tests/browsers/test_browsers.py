"""
Tests of the client in real browsers: on every transport, and with connections
that break.

The scenarios are in the scripts beside this module; their names say what they
show.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.pages.running import runScript

HERE = Path(__file__).resolve().parent

# How many connections are cut; a run by hand may cut more.
CUTS = 60


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
        with (HERE / "main.mjs").open() as script:
            # Each is busy enough: where trial has several processes, one browser waits.
            fcntl.flock(script, fcntl.LOCK_EX)
            done = runScript(script.name, browser, folder=folder)
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


class MomentTests(SynchronousTestCase):
    """
    An C{EventSource} without the client, cut off at random moments.
    """

    def assertLosesNothing(self, client: str) -> None:
        """
        Check that connections were cut, and that no message was lost or
        repeated.
        """
        folder = self.mktemp()
        os.mkdir(folder)
        done = runScript(str(HERE / "moments.mjs"), client, str(CUTS), folder=folder)
        self.assertEqual(done.returncode, 0, done.stdout)
        cuts, told, _ = done.stdout.splitlines()
        self.assertEqual(sum(map(int, re.findall(r"\d+", cuts))), CUTS)
        self.assertRegex(told, r"^[1-9]\d* messages due, 0 lost, 0 repeated, 0 gaps$")

    def test_chromium(self) -> None:
        """
        Chromium's comes back without losing or repeating a message.
        """
        self.assertLosesNothing("chromium")

    def test_firefox(self) -> None:
        """
        Firefox's, which forgets the id of an event without data, comes back
        without losing or repeating a message.
        """
        self.assertLosesNothing("firefox")

    def test_node(self) -> None:
        """
        The C{eventsource} of npm, which forgets it likewise, comes back without
        losing or repeating a message.
        """
        self.assertLosesNothing("eventsource")
