"""
Starts servers as copies of a process that has loaded what they need: to load it
takes a second of processor time, to copy it some milliseconds.

The process is started when the first server is.  It reads requests from a socket,
forks, and says of each copy when it ends.  A copy is a C{twistd} like any other from
its command line on: it has the environment, the working directory, the limits and
the output that it is given, no other open files, and ends as the command does.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

ROOT: Final = Path(__file__).resolve().parents[2]

# What is loaded beforehand.  None of these may load a reactor, which each server
# chooses by its options.
_LOADED: Final = (
    *("twisted.scripts.twistd", "twisted.internet.ssl", "twisted.internet.epollreactor"),
    *("comet.tap", "comet.server.server", "comet.server.service", "comet.server.ports"),
    *("comet.bus.memory.bus", "comet.bus.sqlite.bus", "comet.lean.port", "comet.web.site"),
)

# How many bytes a request may have.
_MOST: Final = 1 << 16


class Copy:
    """
    A server that the nursery has started.  It is used like a L{subprocess.Popen}.

    @ivar pid: The id of the process.

    @ivar returncode: The exit code, negative for a signal; L{None} while it runs.
    """

    def __init__(self, pid: int, descriptor: int) -> None:
        """
        @param descriptor: The process's, which never means another one.
        """
        self.pid = pid
        self.returncode: int | None = None
        self._descriptor = descriptor
        self._isOver = threading.Event()

    def ended(self, code: int) -> None:
        """
        The process has ended.
        """
        self.returncode = code
        self._isOver.set()

    def poll(self) -> int | None:
        """
        Return C{returncode}.
        """
        if self.returncode is None and select.select([self._descriptor], [], [], 0)[0]:
            # It has ended, and the nursery is about to say how.
            self._isOver.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """
        Wait until it has ended.

        @raise subprocess.TimeoutExpired: If it has not within these seconds.
        """
        if not self._isOver.wait(timeout):
            assert timeout is not None
            raise subprocess.TimeoutExpired("twistd", timeout)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """
        Send a signal, unless it has ended.
        """
        if self.poll() is None:
            try:
                signal.pidfd_send_signal(self._descriptor, number)
            except ProcessLookupError:
                pass

    def kill(self) -> None:
        """
        Kill it.
        """
        self.send_signal(signal.SIGKILL)

    def __del__(self) -> None:
        os.close(self._descriptor)


class Nursery:
    """
    The process that is copied, as those see it that start servers.
    """

    def __init__(self) -> None:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            command = [sys.executable, "-m", __name__, str(its.fileno())]
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
            )
        self._socket = ours
        self._copies: dict[int, Copy] = {}
        self._starting = threading.Lock()
        self._started: Copy | None = None
        self._isStarted = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def start(
        self, words: Sequence[str], directory: Path, environment: Mapping[str, str], log: Path
    ) -> Copy:
        """
        Start a server.

        @param words: The words of the command line behind C{twistd}.

        @param log: What it writes is added to this file.
        """
        request = {
            "words": list(words),
            "directory": str(directory),
            "environment": dict(environment),
            "log": str(log),
            "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        }
        with self._starting:
            self._isStarted.clear()
            self._socket.send(json.dumps(request).encode())
            self._isStarted.wait()
            copy, self._started = self._started, None
        assert copy is not None, "the process that is copied has ended"
        return copy

    def _listen(self) -> None:
        """
        Hear of all copies that begin and end.
        """
        while True:
            said, descriptors, _, _ = socket.recv_fds(self._socket, _MOST, 1)
            if not said:
                break
            pid, code = json.loads(said)
            if descriptors:
                self._started = self._copies[pid] = Copy(pid, descriptors[0])
                self._isStarted.set()
            else:
                self._copies.pop(pid).ended(code)
        self._isStarted.set()


@cache
def nursery() -> Nursery:
    """
    Return the nursery of this process, and start it first if there is none.
    """
    return Nursery()


@cache
def isPossible() -> bool:
    """
    Tell whether servers may be copies: the system has to have descriptors of
    processes, and where lines that run are counted each has to begin on its own.
    """
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return "COVERAGE_PROCESS_START" not in os.environ


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """
    Fork when it is asked for, and say which copies have ended.

    @return: In a copy, the request; L{None} in this process, when the other side is
        gone.
    """
    copies: dict[int, int] = {}
    while True:
        watched: list[Any] = [requests, *copies]
        for ready in select.select(watched, [], [])[0]:
            if ready in copies:
                pid = copies.pop(ready)
                os.close(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                requests.send(json.dumps([pid, code]).encode())
                continue
            said = requests.recv(_MOST)
            if not said:
                for pid in copies.values():
                    os.kill(pid, signal.SIGKILL)
                return None
            request: dict[str, Any] = json.loads(said)
            pid = os.fork()
            if not pid:
                return request
            descriptor = os.pidfd_open(pid)
            socket.send_fds(requests, [json.dumps([pid, None]).encode()], [descriptor])
            copies[descriptor] = pid


def become(request: Mapping[str, Any]) -> None:
    """
    Make this copy what it would be if its command had been started.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    log = os.open(request["log"], flags, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)
    resource.setrlimit(resource.RLIMIT_NOFILE, tuple(request["files"]))
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["twistd", *request["words"]]


def main(descriptor: int) -> NoReturn:
    """
    Load what servers need, and serve; a copy runs C{twistd}.
    """
    for each in _LOADED:
        import_module(each)
    assert "twisted.internet.reactor" not in sys.modules, "a reactor is chosen already"
    requests = socket.socket(fileno=descriptor)
    request = serve(requests)
    if request is None:
        sys.exit()
    requests.detach()
    try:
        become(request)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    from twisted.scripts.twistd import run

    run()
    sys.exit()


if __name__ == "__main__":
    main(int(sys.argv[1]))
