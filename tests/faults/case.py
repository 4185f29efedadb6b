"""
The base class of the tests of the command.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.edge.server import ROOT

# How much longer than its given time a run may take, in seconds.
_BESIDE: Final = 120


class FaultsTestCase(SynchronousTestCase):
    """
    A test that runs the command.
    """

    def command(self, *options: str, seconds: int) -> tuple[int, str]:
        """
        Run the command.

        @return: The exit code, and the output.
        """
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults", "--seconds", str(seconds), *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds + _BESIDE,
            check=False,
        )
        return done.returncode, done.stdout.decode(errors="replace")

    def count(self, output: str, what: str) -> int:
        """
        Read one of the counts of the report.
        """
        _, _, report = output.partition("\nfaults: ")
        found = re.search(rf"\b(\d+) {re.escape(what)}(?:,|$)", report, re.MULTILINE)
        return 0 if found is None else int(found[1])

    def assertNothingFound(self, *options: str, faults: int, seconds: int) -> str:
        """
        Check that a run with so many faults finds nothing.

        @return: The output.
        """
        code, output = self.command("--faults", str(faults), *options, seconds=seconds)
        self.assertEqual(code, 0, output)
        self.assertIn(f"\nfaults: {faults}:", output)
        # A run with few messages or few deliveries would prove nothing.
        self.assertGreater(self.count(output, "answered"), faults, output)
        self.assertGreater(self.count(output, "deliveries"), 10 * faults, output)
        return output
