"""
Tests of the command that compares the buses.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.buses import WORK, table
from tests.edge.server import ROOT


class TableTests(SynchronousTestCase):
    """
    L{table}.
    """

    def test_ratios(self) -> None:
        """
        Each bus is compared with the one in memory round by round, and the
        table has the median of the ratios.  A round in which all were slow does
        not change it.
        """
        found = {}
        for work in WORK:
            found[work, "memory"] = [1000.0, 100.0, 1000.0]
            found[work, "slow"] = [500.0, 50.0, 900.0]
        head, memory, slow = table(found)
        for work in WORK:
            self.assertIn(work, head)
        self.assertEqual(memory.count("1,000 =  1.0000"), len(WORK))
        self.assertEqual(slow.count("500 =  0.5000"), len(WORK))


class CommandTests(SynchronousTestCase):
    """
    C{python -m benchmarks.buses}.
    """

    def test_measuresEveryBus(self) -> None:
        """
        The command measures every bus, says how far it is, and prints a line
        for each bus.
        """
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.buses", "--rounds", "1", "--seconds", "0.05"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 5)
        for line, name in zip(
            lines[1:], ("memory", "sqlite", "redis, always", "redis"), strict=True
        ):
            self.assertTrue(line.startswith(name), line)
            rates = re.findall(r"([0-9,]+) = ", line)
            self.assertEqual(len(rates), len(WORK), line)
            self.assertNotIn("0", rates)
        self.assertIn("24 of 24: ", done.stderr)
