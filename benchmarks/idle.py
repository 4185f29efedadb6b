"""
Measures the memory of an idle reader, by transport (polling has none).

Starts a server for each transport, connects idle readers to it, and prints how
much the server's memory grew for each reader::

    python benchmarks/idle.py
    python benchmarks/idle.py --readers 2000 stream websocket
    python benchmarks/idle.py --edge twisted

The buffers of the sockets are the kernel's, and are not counted.
"""

from __future__ import annotations

import argparse
import base64
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What a reader sends to begin, and how the server's answer to it is known.
_KEY = base64.b64encode(bytes(16)).decode("ascii")
_HEAD = "GET /channels/idle?transport={} HTTP/1.1\r\nHost: localhost\r\n{}\r\n"
_UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_KEY}\r\n"
)
BEGINNINGS = {
    "longpoll": (_HEAD.format("longpoll&wait=300", ""), b""),
    "jsonp": (_HEAD.format("jsonp&callback=cb&wait=300", "Sec-Fetch-Site: same-origin\r\n"), b""),
    "stream": (_HEAD.format("stream", ""), b'{"cursor"'),
    "sse": (_HEAD.format("sse", ""), b"id: "),
    "multipart": (_HEAD.format("multipart", ""), b'{"cursor"'),
    "iframe": (_HEAD.format("iframe", ""), b"postMessage("),
    "websocket": (_HEAD.format("websocket", _UPGRADE), b'{"cursor"'),
    "tcp": ('{"subscribe":["idle"]}\n', b'"ok"'),
}


def raiseLimit(files: int) -> None:
    """
    Allow this process and its children so many open files.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < files:
        if hard != resource.RLIM_INFINITY and hard < files:
            raise SystemExit(f"{files} open files are needed, {hard} are allowed: see 'ulimit -Hn'")
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


def freePort() -> int:
    """
    Find a port of loopback that is free at this moment.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """
    A server in a process of its own.
    """

    def __init__(self, edge: str) -> None:
        self.http, self.tcp = freePort(), freePort()
        self._directory = tempfile.TemporaryDirectory()
        self._log = Path(self._directory.name, "log").open("wb")
        code = "from twisted.scripts.twistd import run; run()"
        options = ["-n", "--pidfile=", "comet", "--heartbeat", "3600", "--drain", "0"]
        options += ["--edge", edge]
        options += ["--listen", f"tcp:{self.http}:interface=127.0.0.1"]
        options += ["--tcp", f"tcp:{self.tcp}:interface=127.0.0.1"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *options],
            cwd=self._directory.name,
            env=environment,
            stdout=self._log,
            stderr=self._log,
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.tcp)).close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise SystemExit("the server does not start") from None
                time.sleep(0.05)

    def memory(self) -> int:
        """
        Return the resident memory of the server, in bytes.
        """
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def stop(self) -> None:
        """
        Kill the server, and remove its files.
        """
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._log.close()
        self._directory.cleanup()


def connect(port: int, count: int, beginning: bytes, expected: bytes) -> list[socket.socket]:
    """
    Connect readers, a hundred at a time, and wait for the server's first bytes
    to each.
    """
    readers: list[socket.socket] = []
    while len(readers) < count:
        some = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        for each in some:
            each.sendall(beginning)
        if expected:
            wait(some, expected)
        readers += some
    # Nothing tells when the server has read the last request that it holds.
    time.sleep(0.2 if expected else 1)
    return readers[:count]


def wait(some: list[socket.socket], expected: bytes) -> None:
    """
    Wait until each of the sockets has received the expected bytes.
    """
    with selectors.DefaultSelector() as selector:
        heard = dict.fromkeys(some, b"")
        for each in some:
            selector.register(each, selectors.EVENT_READ)
        deadline = time.monotonic() + 30
        while selector.get_map():
            for key, _ in selector.select(1):
                reader = key.fileobj
                if isinstance(reader, socket.socket):
                    heard[reader] += reader.recv(65536)
                    if expected in heard[reader]:
                        selector.unregister(reader)
            if time.monotonic() > deadline:
                raise SystemExit(f"{expected!r} did not come")


def measure(transport: str, count: int, edge: str) -> float:
    """
    Return the memory that one idle reader costs, in bytes.
    """
    beginning, expected = BEGINNINGS[transport]
    server = Server(edge)
    try:
        port = server.tcp if transport == "tcp" else server.http
        # The first readers grow what the server makes only once.
        warm = connect(port, 100, beginning.encode("ascii"), expected)
        before = server.memory()
        readers = connect(port, count, beginning.encode("ascii"), expected)
        after = server.memory()
        for each in (*warm, *readers):
            each.close()
        return (after - before) / count
    finally:
        server.stop()


def main() -> None:
    """
    Measure what the command line asks for, and print a table.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--readers", type=int, default=10000, help="idle readers; default: 10000")
    parser.add_argument(
        "--edge",
        choices=("lean", "twisted"),
        default="lean",
        help="the edge that serves them; default: lean",
    )
    parser.add_argument("transports", nargs="*", metavar="transport", help=", ".join(BEGINNINGS))
    options = parser.parse_args()
    unknown = [each for each in options.transports if each not in BEGINNINGS]
    if unknown:
        parser.error(f"{unknown[0]!r} is none of {', '.join(BEGINNINGS)}")
    raiseLimit(options.readers + 1000)
    print(f"{options.readers} idle readers; memory of the server for each:", flush=True)
    for transport in options.transports or BEGINNINGS:
        cost = measure(transport, options.readers, options.edge)
        print(f"  {transport:10} {cost / 1024:6.1f} KB", flush=True)


if __name__ == "__main__":
    main()
