"""
C{twistd comet} as whoever types it sees it: what it says, what keeps it from
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
from tests.edge.server import ROOT, STARTING, freePorts, twistd

# A bus that fails when it has started for a moment.
PLUGIN = """
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.plugin import IPlugin
from zope.interface import implementer

from comet.bus.memory.bus import MemoryBus
from comet.errors import Unavailable
from comet.interfaces import IBusMaker


class FailingBus(MemoryBus):
    def start(self):
        def failed():
            raise Unavailable("nobody answers")

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
    Tests that type the command.
    """

    timeout = 120

    def setUp(self) -> None:
        """
        Go to an empty working directory.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="comet-starting-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        (self.port,) = freePorts(1)
        self.listen = ("--listen", f"tcp:{self.port}:interface=127.0.0.1")

    def start(
        self, *words: str, before: tuple[str, ...] = ("-n",), files: int = 0, path: str = ""
    ) -> subprocess.Popen[str]:
        """
        Run it.

        @param words: What follows C{comet}.

        @param before: What stands before it.

        @param files: How many files it may open, if not as many as the tests.

        @param path: Where it finds more modules.
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
        Run it to its end.

        @return: The exit status, and what it said.
        """
        process = self.start(*words, before=before, path=path)
        said, _ = process.communicate(timeout=STARTING)
        return process.returncode, said

    def readUntil(self, process: subprocess.Popen[str], part: str) -> str:
        """
        Read what it says until a line has a part.
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
        Ask it to stop, and see that it ends well.

        @return: What it said at the end.
        """
        process.send_signal(number)
        said, _ = process.communicate(timeout=STARTING)
        self.assertIn(process.returncode, (0, -number))
        self.assertNotIn("Traceback", said)
        return said

    def awaitTidy(self) -> None:
        """
        A daemon is gone after a while, without a traceback.
        """
        deadline = time.monotonic() + STARTING
        while (self.folder / "twistd.pid").exists():
            self.assertLess(time.monotonic(), deadline, "it does not end")
            time.sleep(0.02)
        self.assertNotIn("Traceback", (self.folder / "twistd.log").read_text())


class StartTests(StartingTestCase):
    """
    It starts.
    """

    def test_announced(self) -> None:
        """
        It says where it listens, with the number that a free port has; what it
        says to type works.
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
        Ctrl-C ends it as well as SIGTERM does.
        """
        # A shell starts what is in its background deaf to it, and that is inherited.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        process = self.start(*self.listen)
        self.readUntil(process, "listen: ")
        self.stop(process, signal.SIGINT)

    def test_daemon(self) -> None:
        """
        As a daemon it starts, and ends, and cleans up.
        """
        status, _ = self.run_(*self.listen, before=())
        self.assertEqual(status, 0)
        pid = int((self.folder / "twistd.pid").read_text())
        try:
            # Only when it answers does it also take a signal well.
            self.assertEqual(ask(Site(self.port, 0), "GET", "/health").status, 200)
        finally:
            os.kill(pid, signal.SIGTERM)
        self.awaitTidy()

    def test_fewFiles(self) -> None:
        """
        It warns of a small number of files that may be open.
        """
        process = self.start(*self.listen, files=256)
        self.readUntil(process, "at most 256 files may be open")
        self.stop(process)

    def test_reactor(self) -> None:
        """
        The reactor that was asked for is used; of the select reactor it warns.
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
        It serves HTTP and raw TCP on sockets of the file system.
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
    It does not start.
    """

    def occupy(self) -> None:
        """
        Let somebody else have the port.
        """
        listener = socket.create_server(("127.0.0.1", self.port))
        self.addCleanup(listener.close)

    def test_inUse(self) -> None:
        """
        Where the port is in use it says so, without a traceback, exits with 1,
        and leaves no file that says that it runs.
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
        So it is with a daemon, which does not keep the shell waiting.
        """
        self.occupy()
        status, said = self.run_(*self.listen, before=())
        self.assertEqual(status, 1, said)
        self.assertIn("Address already in use", said)
        self.awaitTidy()

    def test_key(self) -> None:
        """
        Where no key can be made it says so, and exits with 1.
        """
        (self.folder / "comet.key").symlink_to("/nowhere/comet.key")
        status, said = self.run_(*self.listen)
        self.assertEqual(status, 1, said)
        self.assertIn("comet: the publish key: 'comet.key': No such file or directory", said)
        self.assertNotIn("Traceback", said)
        self.assertFalse((self.folder / "twistd.pid").exists())

    def test_notWritable(self) -> None:
        """
        So it does in a directory in which nothing can be made.
        """
        self.folder = Path("/proc/self")
        status, said = self.run_(*self.listen, before=("-n", "--pidfile="))
        self.assertEqual(status, 1, said)
        self.assertIn("comet: the publish key: 'comet.key': ", said)
        self.assertNotIn("Traceback", said)

    def test_option(self) -> None:
        """
        A value that is not allowed is told, and it does not run.
        """
        # With which status is Twisted's to say, and its older versions say 0.
        _, said = self.run_("--heartbeat", "never")
        self.assertIn("'never' is not allowed for heartbeat: a number of seconds from", said)
        self.assertNotIn("Traceback", said)

    def test_later(self) -> None:
        """
        A bus that fails when it has started for a while ends the process: with
        1, the reason, and everything tidied up.
        """
        plugins = self.folder / "more" / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        (plugins / "failing_bus.py").write_text(PLUGIN)
        for delay in ("0", "0.3"):
            status, said = self.run_(
                *self.listen, "--bus", f"failing:{delay}", path=str(plugins.parents[1])
            )
            self.assertEqual(status, 1, said)
            self.assertIn("comet cannot start: nobody answers", said)
            self.assertIn("Server Shut Down", said)
            self.assertNotIn("Traceback", said)
            self.assertFalse((self.folder / "twistd.pid").exists())
