"""
The processes that suffer faults: nodes, and Redis.
"""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.edge.connections import Ended, Silence, Violation, ask
from tests.edge.server import CometProcess
from tests.faults.proxy import Link, Proxies

# How long a process may take to be ready without faults, in seconds.
STARTING: Final = 60.0


# Below the ports that the system gives to clients: a process that restarts must
# find its port free.
_PORTS: Final = range(20000, 32000)


def steadyPorts(count: int) -> list[int]:
    """
    Find free ports of 127.0.0.1 that the system gives to no connection.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            break
    return found


class Node(CometProcess):
    """
    A server whose clients connect through links.

    @ivar http: The link to its port of HTTP.

    @ivar tcp: The link to its port of raw TCP.
    """

    http: Link
    tcp: Link

    def __init__(self, number: int, directory: Path, options: Sequence[str]) -> None:
        directory.mkdir(parents=True)
        self.number = number
        self._isPlaced = False
        super().__init__(*options, directory=directory)

    def connect(self, proxies: Proxies) -> None:
        """
        Make the links to the node.
        """
        self.http = proxies.link(self.port)
        self.tcp = proxies.link(self.tcpPort)

    def _start(self) -> None:
        if not self._isPlaced:
            self._isPlaced = True
            self.port, self.tcpPort, self.securePort = steadyPorts(3)
        super()._start()

    def _awaitHealth(self) -> None:
        """
        Do not wait: the node may not become ready before another fault is over.
        """

    def begin(self) -> None:
        """
        Start the process, and do not wait.
        """
        self._start()

    def isReady(self) -> bool:
        """
        Whether C{/health} says that the node is ready.
        """
        try:
            return self.isRunning and ask(self._site(""), "GET", "/health").status == 200
        except (OSError, Ended, Silence, Violation):
            return False

    def awaitReady(self, isKept: bool = True) -> None:
        """
        Wait until the node is ready.

        @param isKept: Whether the node is started again if it ends.
        """
        deadline = time.monotonic() + STARTING
        while not self.isReady():
            isOver = not isKept and not self.isRunning
            if isOver or time.monotonic() > deadline:
                raise AssertionError(f"node {self.number} is not ready\n{self.tail()}")
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        """
        Send a signal to the process.
        """
        self._process.send_signal(number)


class RedisProcess:
    """
    A Redis server, which may be killed.
    """

    def __init__(self, directory: Path, keeps: str = "all") -> None:
        """
        @param keeps: What it has on disk: C{all} answered writes, what there was in an
            C{old} moment, at least a second ago, or C{nothing}.
        """
        directory.mkdir(parents=True)
        self.directory = directory
        (self.port,) = steadyPorts(1)
        self._keeps = keeps
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """
        Start the process, and do not wait.
        """
        path = shutil.which("redis-server")
        if path is None:
            raise AssertionError("there is no redis-server: it is in Debian's package of that name")
        command = [path, "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "3 1" if self._keeps == "old" else ""]
        command += ["--appendonly", "yes" if self._keeps == "all" else "no"]
        command += ["--appendfsync", "always"]
        command += ["--dir", str(self.directory)]
        with (self.directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def isReady(self) -> bool:
        """
        Whether Redis answers.
        """
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as plain:
                plain.sendall(b"PING\r\n")
                return plain.recv(7) == b"+PONG\r\n"
        except OSError:
            return False

    def awaitReady(self) -> None:
        """
        Wait until Redis answers.
        """
        deadline = time.monotonic() + STARTING
        while not self.isReady():
            if time.monotonic() > deadline:
                raise AssertionError("Redis is not ready")
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        """
        Send a signal to the process.
        """
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """
        Kill Redis.
        """
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def freeze(process: Node | RedisProcess, isFrozen: bool) -> None:
    """
    Stop a process by SIGSTOP, or let it go on.
    """
    process.signal(signal.SIGSTOP if isFrozen else signal.SIGCONT)
