"""
Tests of L{benchmarks.compression}.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import TestCase

ROOT = Path(__file__).resolve().parents[2]


class CompressionTests(TestCase):
    """
    The command that measures what compression costs and saves.
    """

    timeout = 240

    def test_saves(self) -> None:
        """
        On both edges compression saves two thirds of 1 KB of JSON, and a reader costs not
        much more memory with it.
        """
        for edge in ("lean", "twisted"):
            words = ["--servers", "comet", "--readers", "300", "--messages", "25", "--edge", edge]
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.compression", *words],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=200,
                check=False,
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            rows = re.findall(
                r"^comet +(\w+) +(\w+) +(\d+) +[\d.]+ +[\d.]+ +(-?[\d.]+)",
                done.stdout,
                re.MULTILINE,
            )
            self.assertEqual([row[1] for row in rows], ["plain", "compressed"] * 2, done.stdout)
            for plain, compressed in (rows[:2], rows[2:]):
                self.assertLess(int(compressed[2]), int(plain[2]) / 3, done.stdout)
                # The memory of few readers has steps of its own.
                self.assertLess(float(compressed[3]), float(plain[3]) + 8, done.stdout)
