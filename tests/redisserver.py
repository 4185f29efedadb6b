"""
Real servers of Redis, on ports of their own.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

from tests.ports import freePort

# For how long a server may take to begin or to end, in seconds.
PATIENCE = 30.0


class RedisServer:
    """
    A C{redis-server} on a port and in a directory of its own.

    Whatever waits here blocks: it is for tests, and short.

    @ivar port: The port, the same after each start.

    @ivar path: The socket.

    @ivar process: The process, or L{None} while it does not run.
    """

    def __init__(self, *settings: str, sentinel: str = "") -> None:
        """
        @param settings: Options of the command line, such as C{--appendonly yes}.

        @param sentinel: For a sentinel, what its configuration file says.
        """
        self.port = freePort()
        # The path of a socket must be short.
        self.folder = Path(mkdtemp(prefix="comet-redis-"))
        self.path = self.folder / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self._settings = [word for setting in settings for word in setting.split(" ")]
        self._sentinel = sentinel

    def start(self) -> RedisServer:
        """
        Start it, and wait until it takes commands.
        """
        command = ["redis-server"]
        if self._sentinel:
            path = self.folder / "sentinel.conf"
            path.write_text(self._sentinel)
            command += [str(path), "--sentinel"]
        else:
            command += ["--save", "", "--unixsocket", str(self.path), *self._settings]
        command += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self._waitFor(self._answers)
        return self

    def _waitFor(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"redis-server: {(self.folder / 'log').read_text()}")
            time.sleep(0.005)

    def _answers(self) -> bool:
        try:
            answer = self.ask("PING")
        except OSError:
            return False
        return not answer.startswith("-LOADING") and not answer.startswith("-MASTERDOWN")

    def ask(self, *words: str | bytes) -> str:
        """
        Send a command over a connection of its own.

        @return: What was answered, as it is on the wire: of a long answer the
            beginning.
        """
        raw = [word.encode() if isinstance(word, str) else word for word in words]
        command = b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in raw)
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as link:
            link.sendall(command)
            answer = link.recv(65536)
            if answer.startswith(b"$"):
                length = int(answer[1:].split(b"\r\n", 1)[0])
                while len(answer) < length:
                    answer += link.recv(65536)
            return answer.decode("utf-8", "replace")

    def info(self, section: str) -> dict[str, str]:
        """
        What C{INFO} says.
        """
        pairs = (line.partition(":") for line in self.ask("INFO", section).splitlines())
        return {name: value for name, colon, value in pairs if colon}

    def calls(self) -> dict[str, int]:
        """
        How often each command was called, by its name in lower case, since
        C{CONFIG RESETSTAT}.
        """
        return {
            name.removeprefix("cmdstat_"): int(value.split(",")[0].removeprefix("calls="))
            for name, value in self.info("commandstats").items()
        }

    def signal(self, number: signal.Signals) -> None:
        """
        Send a signal to it.
        """
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """
        Kill it with C{SIGKILL}.
        """
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None

    def restart(self, isEmpty: bool = False) -> None:
        """
        Kill it, and start it again.

        @param isEmpty: Whether all that it has on disk is lost.
        """
        self.kill()
        if isEmpty:
            for each in self.folder.iterdir():
                if each.is_dir():
                    shutil.rmtree(each)
                elif each.suffix == ".rdb":
                    os.unlink(each)
        self.start()

    def destroy(self) -> None:
        """
        Kill it, and leave nothing.
        """
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
