"""
The client for browsers: its parts under C{node --test}, its types, and its built
files.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import comet
from tests.pages.running import runScript

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "client"
CLIENT = Path(comet.__file__).resolve().parent / "static" / "client"

# The most bytes that comet.js may have after gzip -9.
MOST = 8 * 1024


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """
    Run a program in this folder, to its end.
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
    The client, as far as it can be tested without a browser.
    """

    def test_passesItsNodeTests(self) -> None:
        """
        The tests of the client's parts pass under C{node --test}.
        """
        done = run("node", "--test", "--test-reporter=tap")
        self.assertEqual(done.returncode, 0, done.stdout)
        (count,) = re.findall(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
        self.assertGreaterEqual(int(count), 50)

    def test_typesHold(self) -> None:
        """
        The source has no error of types.  The published types accept a program
        that uses all of the client, and refuse the mistakes in it.
        """
        for project in ("tsconfig.json", "tsconfig.sample.json"):
            compiler = str(BUILD / "node_modules" / "typescript" / "bin" / "tsc")
            done = run("node", compiler, "-p", project)
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_worksInNode(self) -> None:
        """
        The package that a server gives to npm has the types of the module, can be
        bundled, and reads and publishes in Node.
        """
        folder = self.mktemp()
        os.mkdir(folder)
        done = runScript(str(HERE / "node.mjs"), folder=folder)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(done.stdout.splitlines()[-1], "ok")

    def test_builtFilesMatchTheSource(self) -> None:
        """
        The files that are served are what the build makes of the source.
        """
        done = run("node", str(BUILD / "build.mjs"), "--check")
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_isSmall(self) -> None:
        """
        The compressed client is not larger than its limit.
        """
        size = len(gzip.compress((CLIENT / "comet.js").read_bytes(), 9))
        print(f"comet.js: {size} bytes after gzip -9, of at most {MOST}")
        self.assertLessEqual(size, MOST)

    def test_packageHasServersVersion(self) -> None:
        """
        The npm package has the server's version and no dependencies, and all of
        its files exist.
        """
        package = json.loads((CLIENT / "package.json").read_text("utf-8"))
        self.assertEqual(package["version"], comet.__version__)
        self.assertFalse({"dependencies", "peerDependencies"} & {*package})
        for name in package["files"]:
            self.assertTrue((CLIENT / name).exists(), name)
