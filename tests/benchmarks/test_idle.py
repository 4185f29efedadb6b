"""
Tests of C{benchmarks/idle.py}.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import TestCase

LEAN = ("longpoll", "jsonp", "stream", "sse", "multipart", "iframe", "websocket", "tcp")
TWISTED = ("longpoll", "stream", "websocket", "tcp")

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "idle.py"


class IdleTests(TestCase):
    """
    The command that measures what an idle reader costs.
    """

    timeout = 120

    def run_(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """
        Run the command.
        """
        command = [sys.executable, str(SCRIPT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    def figures(self, *arguments: str) -> dict[str, float]:
        """
        Run the command, and return the kilobytes that it prints, by transport.
        """
        result = self.run_(*arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        lines = re.findall(r"^  (\w+) +([0-9.]+) KB$", result.stdout, re.MULTILINE)
        return {name: float(figure) for name, figure in lines}

    def test_lean(self) -> None:
        """
        An idle reader costs at most 2 KB on the lean edge.
        """
        figures = self.figures("--readers", "2000", *LEAN)
        self.assertEqual(tuple(figures), LEAN)
        for name, figure in figures.items():
            self.assertLessEqual(figure, 2.0, name)

    def test_twisted(self) -> None:
        """
        An idle reader costs at most 15 KB on Twisted's edge, where few readers
        share the fixed costs.
        """
        figures = self.figures("--edge", "twisted", "--readers", "500", *TWISTED)
        self.assertEqual(tuple(figures), TWISTED)
        for name, figure in figures.items():
            # Each of these few readers has a large share of the fixed costs.
            self.assertLess(figure, 15.0, name)

    def test_unknown(self) -> None:
        """
        An unknown transport is refused, and the error lists the known ones.
        """
        result = self.run_("carrier-pigeon")
        self.assertEqual(result.returncode, 2)
        self.assertIn("longpoll", result.stderr)
