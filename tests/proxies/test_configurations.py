"""
Tests of the book's configurations: their times and sizes fit comet's defaults,
and the service starts as its unit says.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase, TestCase

from comet.framing.publications import Limits
from comet.http.reads import MAX_WAIT
from comet.settings.configuration import Configuration, readFile
from tests.edge.connections import Ended, Silence, Site, ask
from tests.edge.server import ROOT, STARTING, activated, twistd
from tests.proxies.programs import CONFIGURATIONS


def setting(name: str, key: str) -> str:
    """
    Return a setting of a systemd unit.
    """
    found = re.search(rf"^{key}=(.*)$", (CONFIGURATIONS / name).read_text(), re.MULTILINE)
    assert found is not None, (name, key)
    return found[1]


class NumbersTests(SynchronousTestCase):
    """
    Each configuration, compared with comet's defaults.
    """

    def assertPatient(self, name: str, pattern: str, count: int) -> None:
        """
        Check that each of some timeouts is longer than comet is ever silent.
        """
        found = re.findall(pattern, (CONFIGURATIONS / name).read_text())
        self.assertEqual(len(found), count, found)
        longest = max(MAX_WAIT, Configuration({})["heartbeat"])
        self.assertGreater(min(map(int, found)), longest)

    def test_times(self) -> None:
        """
        No proxy times out during a long poll or between two heartbeats.
        """
        self.assertPatient("nginx.conf", r"proxy_(?:read|send)_timeout (\d+)s;", 2)
        self.assertPatient("haproxy.cfg", r"timeout (?:client|server|tunnel) (\d+)s", 3)

    def test_bodies(self) -> None:
        """
        Nginx lets the largest batch pass.
        """
        text = (CONFIGURATIONS / "nginx.conf").read_text()
        found = re.search(r"client_max_body_size (\d+)m;", text)
        assert found is not None
        self.assertGreaterEqual(int(found[1]) * 1024 * 1024, Limits().maxBatchBytes)

    def test_file(self) -> None:
        """
        Comet accepts the configuration file, which sets what its page says.
        """
        configuration = Configuration({}, readFile(str(CONFIGURATIONS / "comet.toml")))
        self.assertEqual(configuration["heartbeat"], 20.0)
        self.assertEqual(configuration.retention("chat/a").messages, 50)
        self.assertEqual(configuration.retention("news").messages, 200)

    def test_unit(self) -> None:
        """
        Systemd waits for longer than the server drains, and allows it many open
        files.
        """
        stopping = int(setting("comet.service", "TimeoutStopSec"))
        self.assertGreater(stopping, Configuration({})["drain"])
        self.assertGreater(int(setting("comet.service", "LimitNOFILE")), 100_000)
        self.assertEqual(setting("comet.service", "Requires"), "comet.socket")


class ActivationTests(TestCase):
    """
    The service, started with a socket as systemd does it.
    """

    timeout = 60

    def test_socket(self) -> None:
        """
        The service serves on the socket of systemd, under its public name.  A
        connection that came before it ran waits and is served.  systemd is told
        when it serves, when it reads its configuration again, and when it stops.
        """
        directory = Path(tempfile.mkdtemp(prefix="comet-systemd-"))
        self.addCleanup(shutil.rmtree, directory, True)
        host, _, port = setting("comet.socket", "ListenStream").rpartition(":")
        self.assertEqual((host, port), ("127.0.0.1", "8080"))
        listening = socket.socket()
        self.addCleanup(listening.close)
        listening.bind((host, 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()) as early:
            early.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            process = self.start(listening, directory)
            early.settimeout(STARTING)
            self.assertTrue(early.recv(100).startswith(b"HTTP/1.1 200 "))
        site = Site(listening.getsockname()[1], 0, host="push.example.com")
        self.assertEqual(self.health(site), 200)
        self.assertTrue((directory / "comet.key").exists())
        self.assertEqual(self.told(), "READY=1")
        process.send_signal(signal.SIGHUP)
        self.assertEqual([self.told(), self.told()], ["RELOADING=1", "READY=1"])
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.told(), "STOPPING=1")
        self.assertIn(process.wait(STARTING), (0, -signal.SIGTERM))

    def listen(self, directory: Path) -> str:
        """
        Listen to what the service tells, as systemd does, and return the path.
        """
        path = str(directory / "notify")
        self.heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.heard.close)
        self.heard.bind(path)
        self.heard.settimeout(STARTING)
        return path

    def told(self) -> str:
        """
        Return the first line of what the service tells next, but that it is alive.
        """
        while (line := self.heard.recv(1000).decode().split("\n")[0]) == "WATCHDOG=1":
            pass
        return line

    def health(self, site: Site) -> int:
        """
        Wait until the server answers, and return the status of C{/health}.
        """
        deadline = time.monotonic() + STARTING
        while time.monotonic() < deadline:
            try:
                return ask(site, "GET", "/health").status
            except (ConnectionError, Ended, Silence):
                time.sleep(0.05)
        raise AssertionError("it does not serve")

    def start(self, listening: socket.socket, directory: Path) -> subprocess.Popen[bytes]:
        """
        Run the command of the unit, with the socket as descriptor 3.
        """
        program, *arguments = shlex.split(setting("comet.service", "ExecStart"))
        self.assertEqual(Path(program).name, "twistd")
        index = arguments.index("--config") + 1
        self.assertEqual(arguments[index], "/etc/comet.toml")
        arguments[index] = str(CONFIGURATIONS / "comet.toml")
        descriptor = listening.fileno()
        process = subprocess.Popen(
            activated(descriptor, [*twistd(), *arguments]),
            pass_fds=[descriptor],
            cwd=directory,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "NOTIFY_SOCKET": self.listen(directory),
                "WATCHDOG_USEC": f"{int(setting('comet.service', 'WatchdogSec')) * 1_000_000}",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process
