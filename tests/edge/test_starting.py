"""
Tests of C{twistd comet} on the command line: what it prints, what keeps it from
starting, and how it ends.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.edge.connections import Site, ask
from tests.edge.server import ROOT, STARTING, twistd
from tests.ports import freePorts

# A plugin with a bus that fails a moment after it began to start.
PLUGIN = """
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.plugin import IPlugin
from zope.interface import implementer

from comet.bus.memory.bus import MemoryBus
from comet.errors import Unavailable
from comet.interfaces.busmaker import IBusMaker


class FailingBus(MemoryBus):
    def start(self):
        def failed():
            raise Unavailable("the store does not answer")

        return deferLater(reactor, self.delay, failed)


@implementer(IPlugin, IBusMaker)
class Maker:
    scheme = "failing"

    def makeBus(self, url, reactor, configuration):
        bus = FailingBus(reactor)
        bus.delay = float(url.partition(":")[2])
        return bus


maker = Maker()
"""


class StartingTestCase(TestCase):
    """
    A test that runs the command.
    """

    timeout = 120

    def setUp(self) -> None:
        """
        Make an empty working directory.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="comet-starting-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        (self.port,) = freePorts(1)
        self.listen = ("--listen", f"tcp:{self.port}:interface=127.0.0.1")

    def start(
        self, *words: str, before: tuple[str, ...] = ("-n",), files: int = 0, path: str = ""
    ) -> subprocess.Popen[str]:
        """
        Start the command.

        @param words: The words behind C{comet}.

        @param before: The words before C{comet}.

        @param files: The limit of open files, if it differs from that of the
            tests.

        @param path: A directory of more modules.
        """

        def limit() -> None:
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        process = subprocess.Popen(
            [*twistd(), *before, "comet", *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": f"{path}:{ROOT}", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=limit,
        )

        def end() -> None:
            process.kill()
            process.communicate()

        self.addCleanup(end)
        return process

    def run_(
        self, *words: str, before: tuple[str, ...] = ("-n",), path: str = ""
    ) -> tuple[int, str]:
        """
        Run the command to its end.

        @return: The exit status, and the output.
        """
        process = self.start(*words, before=before, path=path)
        said, _ = process.communicate(timeout=STARTING)
        return process.returncode, said

    def readUntil(self, process: subprocess.Popen[str], part: str) -> str:
        """
        Read the output up to a line that contains C{part}.
        """
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if part in line:
                return said
        raise AssertionError(f"it ended, and never said {part!r}:\n{said}")

    def stop(self, process: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
        """
        Send a signal, and check that the process ends well.

        @return: The output at its end.
        """
        process.send_signal(number)
        said, _ = process.communicate(timeout=STARTING)
        self.assertIn(process.returncode, (0, -number))
        self.assertNotIn("Traceback", said)
        return said

    def awaitTidy(self) -> None:
        """
        Wait until a daemon has ended, and check that it logged no traceback.
        """
        deadline = time.monotonic() + STARTING
        while (self.folder / "twistd.pid").exists():
            self.assertLess(time.monotonic(), deadline, "it does not end")
            time.sleep(0.02)
        self.assertNotIn("Traceback", (self.folder / "twistd.log").read_text())


class StartTests(StartingTestCase):
    """
    A server that starts.
    """

    def test_announced(self) -> None:
        """
        The server prints where it listens, with the number of a free port, and
        the commands that it prints work.
        """
        process = self.start("--listen", "tcp:0:interface=127.0.0.1")
        said = self.readUntil(process, "listen: ")
        command = said.partition("publish:  ")[2].splitlines()[0]
        done = subprocess.run(
            ["sh", "-c", command], cwd="/", capture_output=True, text=True, timeout=STARTING
        )
        self.assertIn('"channels":{"news":"', done.stdout, done.stderr)
        self.assertEqual((self.folder / "comet.key").stat().st_mode & 0o777, 0o600)
        self.stop(process)
        self.assertFalse((self.folder / "twistd.pid").exists())

    def test_interrupted(self) -> None:
        """
        Ctrl-C ends the server as SIGTERM does.
        """
        # A shell makes its background jobs ignore SIGINT, and children inherit that.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        process = self.start(*self.listen)
        self.readUntil(process, "listen: ")
        self.stop(process, signal.SIGINT)

    def test_daemon(self) -> None:
        """
        As a daemon the server starts, ends, and cleans up.
        """
        status, _ = self.run_(*self.listen, before=())
        self.assertEqual(status, 0)
        pid = int((self.folder / "twistd.pid").read_text())
        try:
            # Before it answers it does not handle signals yet.
            self.assertEqual(ask(Site(self.port, 0), "GET", "/health").status, 200)
        finally:
            os.kill(pid, signal.SIGTERM)
        self.awaitTidy()

    def test_fewFiles(self) -> None:
        """
        The server warns of a low limit of open files.
        """
        process = self.start(*self.listen, files=256)
        self.readUntil(process, "at most 256 files may be open")
        self.stop(process)

    def test_reactor(self) -> None:
        """
        The server uses the reactor of C{--reactor}, and warns of the select
        reactor.
        """
        process = self.start(*self.listen, before=("-n", "--reactor=poll"))
        said = self.readUntil(process, "listen: ")
        self.assertIn("pollreactor.PollReactor", said)
        self.stop(process)
        process = self.start(*self.listen, before=("-n", "--reactor=select"))
        self.readUntil(process, "the select reactor serves about 1000 connections")
        self.stop(process)

    def test_unix(self) -> None:
        """
        The server serves HTTP and raw TCP on UNIX sockets.
        """
        process = self.start("--listen", "unix:http", "--tcp", "unix:raw")
        said = self.readUntil(process, "the key")
        self.assertIn("comet serves HTTP on unix:http", said)
        self.assertIn("comet serves raw TCP on unix:raw", said)
        for name, question, answer in (
            ("http", b"GET /health HTTP/1.0\r\n\r\n", b'{"ready":true}'),
            ("raw", b'{"id":1,"ping":2}\n', b'{"id":1,"ok":{"pong":2}}\n'),
        ):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(STARTING)
                client.connect(os.path.relpath(self.folder / name))
                client.sendall(question)
                heard = b""
                while answer not in heard:
                    data = client.recv(4096)
                    self.assertTrue(data, heard)
                    heard += data
        self.stop(process)


class CannotStartTests(StartingTestCase):
    """
    A server that cannot start.
    """

    def occupy(self) -> None:
        """
        Occupy the port.
        """
        listener = socket.create_server(("127.0.0.1", self.port))
        self.addCleanup(listener.close)

    def test_inUse(self) -> None:
        """
        If the port is in use, the server says so without a traceback, exits with
        1, and leaves no PID file.
        """
        self.occupy()
        status, said = self.run_(*self.listen)
        self.assertEqual(status, 1, said)
        self.assertIn(f"cannot listen on {self.listen[1]}: Address already in use", said)
        self.assertNotIn("Traceback", said)
        self.assertFalse((self.folder / "twistd.pid").exists())

    def test_inUseByAnother(self) -> None:
        """
        A second server beside a first does not disturb it.
        """
        process = self.start(*self.listen, before=("-n", "--pidfile=first.pid"))
        self.readUntil(process, "listen: ")
        status, said = self.run_(*self.listen)
        self.assertEqual(status, 1, said)
        self.assertIn("Address already in use", said)
        self.assertTrue((self.folder / "first.pid").exists())
        self.stop(process)

    def test_daemon(self) -> None:
        """
        If the port is in use, a daemon says so and exits with 1, before the shell
        has its prompt back.
        """
        self.occupy()
        status, said = self.run_(*self.listen, before=())
        self.assertEqual(status, 1, said)
        self.assertIn("Address already in use", said)
        self.awaitTidy()

    def test_noKey(self) -> None:
        """
        If no publish key can be made, the server says so and exits with 1.
        """
        (self.folder / "comet.key").symlink_to("/nowhere/comet.key")
        status, said = self.run_(*self.listen)
        self.assertEqual(status, 1, said)
        self.assertIn(f"comet: the publish key '{self.folder.resolve()}/comet.key' cannot be", said)
        self.assertNotIn("Traceback", said)
        self.assertFalse((self.folder / "twistd.pid").exists())

    def test_notWritable(self) -> None:
        """
        In a directory that is not writable the server says so and exits with 1.
        """
        self.folder = Path("/proc/self")
        status, said = self.run_(*self.listen, before=("-n", "--pidfile="))
        self.assertEqual(status, 1, said)
        self.assertRegex(said, "comet: the publish key '/proc/[0-9]+/comet.key' cannot be made")
        self.assertNotIn("Traceback", said)

    def test_badOption(self) -> None:
        """
        For a wrong value of an option the server prints the error alone, and exits
        with 1.
        """
        status, said = self.run_("--heartbeat", "never")
        self.assertEqual(status, 1, said)
        self.assertRegex(said, "^comet: 'never' is not allowed for heartbeat: .*\n$")

    def test_busFailsLater(self) -> None:
        """
        A bus that fails while it starts ends the process with 1 and the reason,
        and with everything cleaned up.
        """
        plugins = self.folder / "more" / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        (plugins / "failing_bus.py").write_text(PLUGIN)
        for delay in ("0", "0.3"):
            status, said = self.run_(
                *self.listen, "--bus", f"failing:{delay}", path=str(plugins.parents[1])
            )
            self.assertEqual(status, 1, said)
            self.assertIn("comet cannot start: the store does not answer", said)
            self.assertIn("Server Shut Down", said)
            self.assertNotIn("Traceback", said)
            self.assertFalse((self.folder / "twistd.pid").exists())
