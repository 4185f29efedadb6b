"""
The process of the abusive clients: C{python -m tests.bystander.attacker}.

It reads what to do from its standard input, a line of JSON each: C{{"name": ...,
"way": ..., "port": ..., "scale": ...}} begins an abuse, and an empty line ends it.  Each is
answered with a line: what has been done so far.
"""

from __future__ import annotations

import heapq
import itertools
import json
import math
import selectors
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from tests.bystander.abuses import Part, abuse
from tests.bystander.trust import trusting
from tests.edge.server import ROOT

# Bytes received at once.
_APPETITE: Final = 1 << 18

# For how many seconds a refused client does not come back.
_REFUSED: Final = 0.05

_RESET: Final = struct.pack("ii", 1, 0)
_BLOCKED: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Link:
    """
    One connection after another, which do what a script says.
    """

    def __init__(self, crowd: Crowd, part: Part) -> None:
        self._crowd = crowd
        self._part = part
        self.connect()

    def connect(self) -> None:
        """
        Begin the script.
        """
        crowd = self._crowd
        self._script = self._part.script()
        self._left = memoryview(b"")
        self._isShaking = crowd.tls is not None
        plain = socket.socket()
        plain.setblocking(False)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._part.isRead:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect_ex(("127.0.0.1", crowd.port))
        self._socket: Any = plain
        crowd.counts["connections"] += 1
        self._wants(selectors.EVENT_WRITE)

    def _wants(self, events: int) -> None:
        self._crowd.want(self._socket, events, self)

    @property
    def _reading(self) -> int:
        return selectors.EVENT_READ if self._part.isRead else 0

    def happened(self, events: int) -> None:
        """
        Go on when the socket is ready.
        """
        try:
            if self._isShaking and not self._shaken():
                return
            if events & selectors.EVENT_READ:
                self._read()
            if events & selectors.EVENT_WRITE:
                self._write()
        except OSError:
            # The server has ended it.
            self.leave()
            self._crowd.later(_REFUSED, self.connect)

    def _shaken(self) -> bool:
        tls = self._crowd.tls
        assert tls is not None
        if not isinstance(self._socket, ssl.SSLSocket):
            if error := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, "not connected")
            self._crowd.want(self._socket, 0, self)
            self._socket = tls.wrap_socket(
                self._socket, server_hostname="localhost", do_handshake_on_connect=False
            )
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            self._wants(selectors.EVENT_READ)
            return False
        except ssl.SSLWantWriteError:
            self._wants(selectors.EVENT_WRITE)
            return False
        self._isShaking = False
        self._wants(selectors.EVENT_WRITE | self._reading)
        return True

    def _read(self) -> None:
        try:
            data = self._socket.recv(_APPETITE)
        except _BLOCKED:
            return
        if not data:
            raise OSError("ended")
        self._crowd.counts["received"] += len(data)

    def _write(self) -> None:
        if not self._left:
            piece = next(self._script, None)
            if piece is None:
                self.leave()
                self.connect()
                return
            if not isinstance(piece, bytes):
                self._wants(self._reading)
                self._crowd.later(piece, self._resume, self._socket)
                return
            self._left = memoryview(piece)
        try:
            sent = self._socket.send(self._left) if self._left else 0
        except _BLOCKED:
            sent = 0
        self._left = self._left[sent:]
        self._crowd.counts["sent"] += sent
        self._wants(selectors.EVENT_WRITE | self._reading)

    def _resume(self, paused: Any) -> None:
        if self._socket is not None and paused is self._socket:
            self._wants(selectors.EVENT_WRITE | self._reading)

    def leave(self) -> None:
        """
        Reset the connection.
        """
        if self._socket is not None:
            self._crowd.want(self._socket, 0, self)
            self._socket.close()
            self._socket = None


class Crowd:
    """
    The clients of an abuse.

    @ivar counts: The numbers of C{connections}, and of bytes C{sent} and
        C{received}.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.port = port
        self.tls = tls
        self.counts: Counter[str] = Counter()
        self.selector = selectors.DefaultSelector()
        self._wanted: dict[Any, int] = {}
        self._waiting: list[tuple[float, int, Any, tuple[Any, ...]]] = []
        self._numbers = itertools.count()

    def want(self, link: Any, events: int, owner: Link) -> None:
        """
        Wait for events of a socket; for none, forget it.
        """
        before = self._wanted.get(link, 0)
        if events == before:
            return
        if not before:
            self.selector.register(link, events, owner)
        elif not events:
            self.selector.unregister(link)
        else:
            self.selector.modify(link, events, owner)
        if events:
            self._wanted[link] = events
        else:
            del self._wanted[link]

    def later(self, seconds: float, call: Any, *given: Any) -> None:
        """
        Call a function after some time.
        """
        due = time.monotonic() + seconds
        heapq.heappush(self._waiting, (due, next(self._numbers), call, given))

    def turn(self) -> bool:
        """
        Do what is due.

        @return: Whether the standard input has something.
        """
        waiting = self._waiting
        timeout = max(waiting[0][0] - time.monotonic(), 0) if waiting else None
        isTold = False
        for key, events in self.selector.select(timeout):
            if key.data is None:
                isTold = True
            else:
                key.data.happened(events)
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, call, given = heapq.heappop(waiting)
            call(*given)
        return isTold


def play(task: Mapping[str, Any]) -> Counter[str]:
    """
    Do what a task says until the next line comes.
    """
    way: str = task["way"]
    tls = trusting(way == "h2") if way in ("tls", "h2") else None
    crowd = Crowd(task["port"], tls)
    links = [
        Link(crowd, part)
        for part in abuse(task["name"]).ways[way]
        for _ in range(math.ceil(part.clients * task["scale"]))
    ]
    crowd.selector.register(sys.stdin, selectors.EVENT_READ)
    while not crowd.turn():
        pass
    for link in links:
        link.leave()
    return crowd.counts


class Attacker:
    """
    The process, seen from outside.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bystander.attacker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._ask({})

    def _ask(self, task: Mapping[str, Any]) -> dict[str, int]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(json.dumps(task).encode() + b"\n")
        stdin.flush()
        answer: dict[str, int] = json.loads(stdout.readline())
        return answer

    def begin(self, name: str, way: str, port: int, scale: float) -> None:
        """
        Begin an abuse.
        """
        self._ask({"name": name, "way": way, "port": port, "scale": scale})

    def end(self) -> dict[str, int]:
        """
        End it.

        @return: The numbers of C{connections}, and of bytes C{sent} and
            C{received}.
        """
        return self._ask({})

    def stop(self) -> None:
        """
        Stop the process.
        """
        self._process.kill()
        self._process.communicate()


def main() -> None:
    """
    Do what the standard input says.
    """
    done: Counter[str] = Counter()
    # Unbuffered: a line that has come is seen by the selector.
    source = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
    while given := source.readline():
        task = json.loads(given)
        print(json.dumps(done), flush=True)
        done = play(task) if task else Counter()


if __name__ == "__main__":
    main()
