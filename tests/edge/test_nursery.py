"""
Tests of L{tests.edge.nursery}: a copy is what its command would be.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.edge.nursery import Copy, nursery
from tests.edge.server import ROOT, STARTING, CometProcess, twistd


class CopyTests(TestCase):
    """
    Copies, beside commands.
    """

    timeout = 120

    def setUp(self) -> None:
        """
        Make a working directory.
        """
        self.directory = Path(tempfile.mkdtemp(prefix="comet-nursery-"))
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.log = self.directory / "log"

    def start(self, *words: str) -> Copy:
        """
        Start a copy.
        """
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        copy = nursery().start(words, self.directory, environment, self.log)
        self.addCleanup(copy.kill)
        return copy

    def test_endsAlike(self) -> None:
        """
        A copy that does not begin to serve prints what the command prints, and ends
        with its exit code.
        """
        for words in (("--version",), ("-n", "--pidfile=", "comet", "--nonsense")):
            self.log.unlink(missing_ok=True)
            code = self.start(*words).wait(STARTING)
            command = subprocess.run(
                [*twistd(), *words],
                cwd=self.directory,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=STARTING,
            )
            self.assertEqual((self.log.read_bytes(), code), (command.stdout, command.returncode))

    def test_hasItsOwn(self) -> None:
        """
        A copy has its own directory, and of the open files of the process that is
        copied none; signals reach it, and how it ends is told.
        """
        server = CometProcess()
        self.addCleanup(server.remove)
        process = Path("/proc", str(server.process))
        self.assertEqual(process.joinpath("cwd").resolve(), server.directory)
        self.assertEqual(os.readlink(process / "fd/0"), "/dev/null")
        log = str(server.directory / "server.log")
        for number in "12":
            self.assertEqual(os.readlink(process / "fd" / number), log)
        other = CometProcess()
        self.addCleanup(other.remove)
        # Each opens and closes files of its own meanwhile.
        folders = [process / "fd", Path("/proc", str(other.process), "fd")]
        end = time.monotonic() + STARTING
        while len({len(os.listdir(folder)) for folder in folders}) > 1:
            self.assertLess(time.monotonic(), end, folders)
            time.sleep(0.05)
        self.assertTrue(server.isRunning)
        server.terminate()
        self.assertIn(server.wait(), (0, -signal.SIGTERM))
        other.kill()
        self.assertEqual(other.exitCode, -signal.SIGKILL)

    def test_missingDirectory(self) -> None:
        """
        A copy that cannot be what it is asked to ends with an error.
        """
        missing = self.directory / "missing"
        copy = nursery().start(("--version",), missing, {}, self.log)
        self.assertEqual(copy.wait(STARTING), 1)
        self.assertIn("missing", self.log.read_text())
        self.assertEqual(copy.poll(), 1)
