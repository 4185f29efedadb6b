"""
The server as a process of its own: C{twistd -n comet} on free ports.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve

from tests.edge.connections import Ended, Silence, Site, ask
from tests.edge.tls import Authority

ROOT = Path(__file__).resolve().parents[2]

# How long a server may take to start or to stop, in seconds.
STARTING = 20.0
STOPPING = 20.0

# What a log says when something went wrong that nobody expected.
SIGNS = ("Traceback (most recent call last)", "Unhandled Error", "Unhandled error in Deferred")


def freePorts(count: int) -> list[int]:
    """
    Ports of 127.0.0.1 on which nobody listens.
    """
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def twistd() -> list[str]:
    """
    How C{twistd} is run with this interpreter.
    """
    beside = Path(sys.executable).with_name("twistd")
    if beside.exists():
        return [sys.executable, str(beside)]
    return [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


# The socket has to be number 3, and its process the one that is told.
_ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="http")
os.execv(sys.argv[2], sys.argv[2:])
"""


def activated(descriptor: int, command: Sequence[str]) -> list[str]:
    """
    How a program is run on a listening socket, as systemd runs it.

    @param descriptor: The socket's number, which the process has to be given.
    """
    return [sys.executable, "-c", _ACTIVATE, str(descriptor), *command]


class CometProcess:
    """
    One server, with a working directory of its own.

    @ivar directory: The working directory.
    """

    def __init__(
        self,
        *options: str,
        listen: str = "tcp:{port}:interface=127.0.0.1",
        tls: ssl.SSLContext | None = None,
        directory: Path | None = None,
        secure: Authority | None = None,
    ) -> None:
        """
        @param options: What follows C{comet} on the command line, beside the
            endpoints.

        @param listen: The endpoint of HTTP, and of raw TCP, with C{{port}} in
            it.

        @param tls: How to speak TLS with these endpoints.

        @param directory: A directory to work in that is not removed.

        @param secure: With which certificate HTTP is to be had over TLS, too.
        """
        self.port, self.tcpPort, self.securePort = freePorts(3)
        self._owned = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="comet-edge-"))
        self._log = self.directory / "server.log"
        self._options = options
        self._listen = listen
        self._tls = tls
        self._secure = secure
        self._read = 0
        self.exitCode: int | None = None
        self._start()

    def _start(self) -> None:
        command = [
            *twistd(),
            "-n",
            "--pidfile=",
            "comet",
            "--listen",
            self._listen.format(port=self.port),
            "--tcp",
            self._listen.format(port=self.tcpPort),
            *self._options,
        ]
        if self._secure is not None:
            command += ["--listen", self._secure.endpoint.format(port=self.securePort)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.exitCode = None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._awaitHealth()
        except BaseException:
            self.kill()
            raise

    def _awaitHealth(self) -> None:
        deadline = time.monotonic() + STARTING
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise AssertionError(
                    f"the server ended with {self._process.returncode}\n{self.tail()}"
                )
            try:
                if ask(self._site(""), "GET", "/health").status == 200:
                    return
            except (ConnectionError, Ended, Silence, ssl.SSLError):
                pass
            time.sleep(0.02)
        raise AssertionError(f"the server is not ready\n{self.tail()}")

    def _site(self, key: str) -> Site:
        site = Site(self.port, self.tcpPort, key, self._tls)
        if self._secure is None:
            return site
        return evolve(site, securePort=self.securePort, authority=self._secure.context)

    @property
    def site(self) -> Site:
        """
        Where it is, with the key that it made.
        """
        path = self.directory / "comet.key"
        return self._site(path.read_text().strip())

    @property
    def keyMode(self) -> int:
        """
        The permissions of the file with the key.
        """
        return (self.directory / "comet.key").stat().st_mode & 0o777

    @property
    def isRunning(self) -> bool:
        """
        Whether the process is there.
        """
        return self._process.poll() is None

    def processor(self) -> float:
        """
        For how many seconds it has run on a processor.
        """
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        # After the name of the program, which may have anything in it.
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self, field: str = "VmRSS") -> int:
        """
        How much memory it has, in bytes; with C{VmHWM}, had at most.
        """
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {field}")

    def terminate(self) -> None:
        """
        Ask it to stop, and do not wait.
        """
        self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float = STOPPING) -> int:
        """
        Wait until it has stopped.

        @return: The exit code, or the signal, negative.
        """
        try:
            self.exitCode = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not stopped after {timeout} s\n{self.tail()}") from None
        return self.exitCode

    def stop(self) -> int:
        """
        Ask it to stop, and wait.
        """
        if self.isRunning:
            self.terminate()
        return self.wait()

    def kill(self) -> None:
        """
        End it at once.
        """
        if self.isRunning:
            self._process.kill()
        self.exitCode = self._process.wait()

    def restart(self) -> None:
        """
        End it, and start it again on the same ports in the same directory.
        """
        self.kill()
        self._start()

    def remove(self) -> None:
        """
        End it if need be, and remove its directory.
        """
        self.kill()
        if self._owned:
            shutil.rmtree(self.directory, ignore_errors=True)

    def log(self) -> str:
        """
        All that it wrote.
        """
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def tail(self, lines: int = 40) -> str:
        """
        The last of what it wrote.
        """
        return "\n".join(["--- log of the server ---", *self.log().splitlines()[-lines:]])

    def assertNoTracebacks(self) -> None:
        """
        Nothing went wrong in it since this was last asked.
        """
        text = self.log()
        fresh, self._read = text[self._read :], len(text)
        for sign in SIGNS:
            if sign in fresh:
                raise AssertionError(f"{sign!r} in the log\n{fresh[-6000:]}")
