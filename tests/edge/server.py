"""
A server process: C{twistd -n comet} on free ports.
"""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import evolve

from tests.edge.connections import Ended, Silence, Site, ask
from tests.edge.nursery import Copy, isPossible, nursery
from tests.edge.tls import Authority
from tests.ports import freePorts

ROOT = Path(__file__).resolve().parents[2]

# How long a server may take to start or to stop, in seconds.
STARTING = 60.0
STOPPING = 60.0

# What the log contains after an unexpected error.
SIGNS = ("Traceback (most recent call last)", "Unhandled Error", "Unhandled error in Deferred")


def twistd() -> list[str]:
    """
    Return the command that runs C{twistd} with this interpreter.
    """
    beside = Path(sys.executable).with_name("twistd")
    if beside.exists():
        return [sys.executable, str(beside)]
    return [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


# systemd passes the socket as descriptor 3, and the id of its process.
_ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
if sys.argv[2]:
    os.environ["LISTEN_FDNAMES"] = sys.argv[2]
os.execv(sys.argv[3], sys.argv[3:])
"""


def activated(descriptor: int, command: Sequence[str], name: str = "http") -> list[str]:
    """
    Return the command that runs a program with a listening socket, as systemd
    does.

    @param descriptor: The number of the socket, which the process must inherit.

    @param name: The name of the socket; empty if systemd gives none.
    """
    return [sys.executable, "-c", _ACTIVATE, str(descriptor), name, *command]


class CometProcess:
    """
    One server process with a working directory of its own.

    @ivar directory: The working directory.
    """

    def __init__(
        self,
        *options: str,
        listen: str = "tcp:{port}:interface=127.0.0.1",
        tls: ssl.SSLContext | None = None,
        directory: Path | None = None,
        secure: Authority | None = None,
        program: Sequence[str] = (),
        paths: Sequence[Path] = (),
    ) -> None:
        """
        @param options: The options behind C{comet} on the command line, without
            the endpoints.

        @param listen: The endpoint for HTTP and raw TCP, with C{{port}} in it.

        @param tls: The clients' TLS context, if these endpoints speak TLS.

        @param directory: A working directory that is not removed.

        @param secure: The certificate for one more endpoint, of HTTP over TLS.

        @param program: The command that serves, in the place of C{twistd}.

        @param paths: Folders in which Python finds modules first.
        """
        self._program = program or twistd()
        self._isCopied = not program and not paths and isPossible()
        self._paths = ":".join(map(str, (*paths, ROOT)))
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
        words = [
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
            words += ["--listen", self._secure.endpoint.format(port=self.securePort)]
        environment = {**os.environ, "PYTHONPATH": self._paths, "PYTHONUNBUFFERED": "1"}
        self.exitCode = None
        self._process = self._begin(words, environment)
        try:
            self._awaitHealth()
        except BaseException:
            self.kill()
            raise

    def _begin(
        self, words: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes] | Copy:
        if self._isCopied:
            return nursery().start(words, self.directory, environment, self._log)
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*self._program, *words],
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

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
        The address of the server, and the publish key that it made.
        """
        path = self.directory / "comet.key"
        return self._site(path.read_text().strip())

    @property
    def keyMode(self) -> int:
        """
        Return the permissions of the file with the key.
        """
        return (self.directory / "comet.key").stat().st_mode & 0o777

    @property
    def isRunning(self) -> bool:
        """
        Whether the process runs.
        """
        return self._process.poll() is None

    @property
    def process(self) -> int:
        """
        The id of the process.
        """
        return self._process.pid

    def processor(self) -> float:
        """
        Return the processor time that it has used, in seconds.
        """
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        # Behind the name of the program, which may contain spaces and brackets.
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self, field: str = "VmRSS") -> int:
        """
        Return its resident memory in bytes; with C{VmHWM}, the most so far.
        """
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {field}")

    def terminate(self) -> None:
        """
        Send SIGTERM, and do not wait.
        """
        self._process.send_signal(signal.SIGTERM)

    def setBack(self) -> None:
        """
        Set its clock back by an hour.  It must run with L{tests.edge.stepping}.
        """
        self._step(signal.SIGUSR1)

    def setForward(self) -> None:
        """
        Set its clock forward by two hours.
        """
        self._step(signal.SIGUSR2)

    def _step(self, number: signal.Signals) -> None:
        process = self._process.pid
        workers = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        for each in (process, *map(int, workers)):
            os.kill(each, number)

    def wait(self, timeout: float = STOPPING) -> int:
        """
        Wait until it has stopped.

        @return: The exit code; negative, the signal.
        """
        try:
            self.exitCode = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not stopped after {timeout} s\n{self.tail()}") from None
        return self.exitCode

    def stop(self) -> int:
        """
        Send SIGTERM, and wait until it has stopped.
        """
        if self.isRunning:
            self.terminate()
        return self.wait()

    def kill(self) -> None:
        """
        Send SIGKILL, and wait.
        """
        if self.isRunning:
            self._process.kill()
        self.exitCode = self._process.wait()

    def restart(self) -> None:
        """
        Kill it, and start it again on the same ports in the same directory.
        """
        self.kill()
        self._start()

    def remove(self) -> None:
        """
        Kill it if it runs, and remove its directory.
        """
        self.kill()
        if self._owned:
            shutil.rmtree(self.directory, ignore_errors=True)

    def log(self) -> str:
        """
        Return its log.
        """
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def tail(self, lines: int = 40) -> str:
        """
        Return the last lines of its log.
        """
        return "\n".join(["--- log of the server ---", *self.log().splitlines()[-lines:]])

    def assertNoTracebacks(self) -> None:
        """
        Check that the log has no unexpected error since the last call.
        """
        text = self.log()
        fresh, self._read = text[self._read :], len(text)
        for sign in SIGNS:
            if sign in fresh:
                raise AssertionError(f"{sign!r} in the log\n{fresh[-6000:]}")
