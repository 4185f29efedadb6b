"""
The lowest versions that are tested are those that C{setup.cfg} states.
"""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]


class LowestTests(SynchronousTestCase):
    """
    C{setup.cfg} beside C{tests/constraints-lowest.txt}.
    """

    def test_constraintsAreTheLowestVersions(self) -> None:
        """
        The constraints hold each package that comet needs, also for HTTP/2 or
        Redis, at its lowest version, and no other package.
        """
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg", "utf-8")
        extras = setup["options.extras_require"]
        needed = setup["options"]["install_requires"] + extras["http2"] + extras["redis"]
        stated = dict(re.findall(r"^([\w.]+) >= ([\d.]+)", needed, re.MULTILINE))
        constraints = (ROOT / "tests" / "constraints-lowest.txt").read_text("utf-8")
        tried = dict(re.findall(r"^([\w.]+)==([\d.]+)$", constraints, re.MULTILINE))
        self.assertIn("twisted", stated)
        self.assertEqual(tried, stated)
