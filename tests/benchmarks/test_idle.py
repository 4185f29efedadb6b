"""
Tests of C{benchmarks/idle.py}.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import TestCase

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "idle.py"


class IdleTests(TestCase):
    """
    The command that measures what an idle reader costs.
    """

    timeout = 120

    def run_(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """
        Run it.
        """
        command = [sys.executable, str(SCRIPT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    def test_table(self) -> None:
        """
        It prints a line for each transport, with what is at most what the
        design allows for one reader.
        """
        result = self.run_("--readers", "500", "longpoll", "stream", "websocket", "tcp")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        figures = re.findall(r"^  (\w+) +([0-9.]+) KB$", result.stdout, re.MULTILINE)
        self.assertEqual([name for name, _ in figures], ["longpoll", "stream", "websocket", "tcp"])
        for name, figure in figures:
            # Of few readers, each has its share of what all have in common.
            self.assertLess(float(figure), 15.0, name)

    def test_unknown(self) -> None:
        """
        A transport that is none is refused, with those that are.
        """
        result = self.run_("carrier-pigeon")
        self.assertEqual(result.returncode, 2)
        self.assertIn("longpoll", result.stderr)
