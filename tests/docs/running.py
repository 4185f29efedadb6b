"""
The examples of the book as processes of their own.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import TestCase

from tests.edge.connections import Ended, Silence, Site, TcpConnection, ask
from tests.edge.server import ROOT, SIGNS
from tests.ports import freePorts

DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"

# How long a test waits for a process, in seconds.
PATIENCE = 60.0


def environment() -> dict[str, str]:
    """
    Return an environment in which C{python} is this interpreter, and finds comet.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def load(path: Path) -> ModuleType:
    """
    Import a file that is not in a package.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[path.stem]
    return module


class Running:
    """
    A process that serves HTTP, with a working directory of its own.

    @ivar site: Its URL.
    """

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        port: int,
        probe: Callable[[Site], object] = lambda site: ask(site, "GET", "/"),
    ) -> None:
        """
        @param port: The port on which it will listen.

        @param probe: Connects to it, and fails until it serves.
        """
        self._probe = probe
        self.site = Site(port, 0)
        self.command = list(command)
        self.directory = directory
        self._log = directory / f"{port}.log"
        self.start()

    def start(self) -> None:
        """
        Start the process, and wait until it answers.
        """
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self._probe(self.site)
                return
            except (ConnectionError, Ended, Silence):
                time.sleep(0.02)
        self.kill()
        raise AssertionError(f"{self.command} does not serve\n{self.log()}")

    def log(self) -> str:
        """
        Return all that the process has written.
        """
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        """
        Ask the process to stop, wait, and assert that nothing went wrong in it.
        """
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)
        for sign in SIGNS:
            if sign in self.log():
                raise AssertionError(f"{sign!r} in the log of {self.command}\n{self.log()}")

    def kill(self) -> None:
        """
        Kill the process.
        """
        self._process.kill()
        self._process.wait()


class ExampleTestCase(TestCase):
    """
    A test that runs examples.
    """

    timeout = 120

    def setUp(self) -> None:
        """
        Make an empty working directory.
        """
        self.directory = Path(tempfile.mkdtemp(prefix="comet-docs-"))
        self.addCleanup(shutil.rmtree, self.directory, True)

    def serve(self, example: str, *arguments: str, isHTTP: bool = True) -> Running:
        """
        Run an example that serves on the given endpoint.

        @param isHTTP: Whether it serves HTTP.
        """
        (port,) = freePorts(1)
        endpoint = f"tcp:{port}:interface=127.0.0.1"
        command = [sys.executable, str(EXAMPLES / example), endpoint, *arguments]
        running = (
            Running(command, self.directory, port)
            if isHTTP
            else Running(command, self.directory, port, lambda site: TcpConnection(site.port).cut())
        )
        self.addCleanup(running.kill)
        return running

    def run_(self, *command: str) -> str:
        """
        Run a program to its end.

        @return: What the program has written.
        """
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout
