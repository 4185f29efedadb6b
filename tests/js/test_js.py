"""
The client for browsers: its parts under C{node --test}, its types, and whether
what is served is made of its source.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import comet

HERE = Path(__file__).resolve().parent
CLIENT = Path(comet.__file__).resolve().parent / "static" / "client"

# Bytes of comet.js after gzip -9.
MOST = 6 * 1024


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """
    Run a program here, to its end.
    """
    return subprocess.run(
        command,
        cwd=HERE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )


class ClientTests(SynchronousTestCase):
    """
    What can be known of the client without a browser.
    """

    def test_parts(self) -> None:
        """
        All tests of its parts hold.
        """
        done = run("node", "--test", "--test-reporter=tap")
        self.assertEqual(done.returncode, 0, done.stdout)
        (count,) = re.findall(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
        self.assertGreaterEqual(int(count), 50)

    def test_types(self) -> None:
        """
        The types hold within its source, and those that are told to others
        hold for a program that uses all of it; what is wrong in a program is
        found.
        """
        for project in ("tsconfig.json", "tsconfig.sample.json"):
            done = run("node", "node_modules/typescript/bin/tsc", "-p", project)
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_upToDate(self) -> None:
        """
        What is served is what the source makes.
        """
        done = run("node", "build.mjs", "--check")
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_size(self) -> None:
        """
        The client is small, and tells how small.
        """
        size = len(gzip.compress((CLIENT / "comet.js").read_bytes(), 9))
        print(f"comet.js: {size} bytes after gzip -9, of at most {MOST}")
        self.assertLessEqual(size, MOST)

    def test_package(self) -> None:
        """
        What npm installs has the version of the server, and depends on nothing.
        """
        package = json.loads((CLIENT / "package.json").read_text("utf-8"))
        self.assertEqual(package["version"], comet.__version__)
        self.assertFalse({"dependencies", "peerDependencies"} & {*package})
        for name in package["files"]:
            self.assertTrue((CLIENT / name).exists(), name)
