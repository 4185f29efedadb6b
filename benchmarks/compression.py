"""
Measures what compression costs and saves, beside the same server without it::

    python -m benchmarks.compression
    python -m benchmarks.compression --readers 200 --messages 50 --servers comet,ws
    python -m benchmarks.compression --edge twisted

Each server runs twice at the same time, with compression and without, and the readers of
both get messages of about 1 KB of JSON in turns, so that a disturbance meets both.  A
message is published when all readers have the last one.

Printed are the bytes that a reader gets for a message; the CPU time of the server for a
delivery; the ratio of that, as the median of all turns; and how much the server's memory
grew for each reader, while it was idle and after all messages.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.peers import comet, nchan, ws
from benchmarks.servers import Broken, Missing, Peer, Server, raiseLimit

# How many messages each of the two servers gets before it is the turn of the other.
_TURN: Final = 25
_PATIENCE: Final = 60.0
_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")

_UPGRADE: Final = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
)
_ACCEPT: Final = "Accept-Encoding: gzip\r\n"

# By server and transport: what a reader asks for, and where a publisher posts.
WAYS: Final[dict[tuple[str, str], tuple[Peer, str, str, str]]] = {
    ("comet", "websocket"): (
        comet.PEER,
        "/channels/bench/c?transport=websocket",
        _UPGRADE,
        "/channels/bench/c",
    ),
    ("comet", "sse"): (comet.PEER, "/channels/bench/c?transport=sse", _ACCEPT, "/channels/bench/c"),
    ("nchan", "websocket"): (nchan.PEER, "/websocket/c", _UPGRADE, "/pub/c"),
    ("ws", "websocket"): (ws.PEER, "/c", _UPGRADE, "/pub/c"),
}


def payloads(count: int) -> Iterator[bytes]:
    """
    Yield JSON texts of about 1 KB, none like another one.
    """
    chance = random.Random(count)
    for number in range(count):
        rows = [
            {
                "id": 1000 + row,
                "name": chance.choice(["alpha", "beta", "gamma", "delta"]),
                "price": round(chance.uniform(1, 500), 2),
                "change": round(chance.uniform(-5, 5), 3),
                "time": f"2026-11-29T18:{number % 60:02d}:{row:02d}Z",
            }
            for row in range(11)
        ]
        yield json.dumps({"number": number, "rows": rows}).encode("ascii")


class Side:
    """
    One of the two servers that are compared, and its readers.

    @ivar received: How many bytes each reader has got.
    """

    def __init__(self, server: Server, path: str, headers: str, publishPath: str) -> None:
        self._server = server
        self._path, self._headers, self._publishPath = path, headers, publishPath
        self._publisher = http.client.HTTPConnection("127.0.0.1", server.place.port)
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self.received: dict[int, int] = {}

    def connect(self, count: int) -> bytes:
        """
        Connect readers, and wait until each has what a server says first.

        @return: What the last of them has got.
        """
        request = f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\n{self._headers}\r\n"
        heard = b""
        for _ in range(count):
            reader = socket.create_connection(("127.0.0.1", self._server.place.port))
            reader.sendall(request.encode("ascii"))
            heard = b""
            while b"\r\n\r\n" not in heard:
                heard += reader.recv(65536)
            reader.setblocking(False)
            self._sockets[reader.fileno()] = reader
            self.received[reader.fileno()] = 0
            self._epoll.register(reader.fileno(), select.EPOLLIN)
        # What comes late belongs to the beginning, and does not count.
        while self._take(0.3):
            pass
        self.received = dict.fromkeys(self._sockets, 0)
        return heard

    def _take(self, seconds: float) -> bool:
        events = self._epoll.poll(seconds)
        for fd, _ in events:
            data = self._sockets[fd].recv(1 << 18)
            if not data:
                raise Broken("the server has closed a reader's connection")
            self.received[fd] += len(data)
        return bool(events)

    def deliver(self, payload: bytes) -> None:
        """
        Publish a message, and wait until all readers have it.
        """
        before = next(iter(self.received.values()))
        headers = {"Content-Type": "application/json"}
        self._publisher.request("POST", self._publishPath, payload, headers)
        self._publisher.getresponse().read()
        deadline = time.monotonic() + _PATIENCE
        while True:
            self._take(1.0)
            amounts = set(self.received.values())
            if len(amounts) == 1 and amounts.pop() > before:
                return
            if time.monotonic() > deadline:
                raise Broken("not all readers have got a message")

    @property
    def cpu(self) -> float:
        """
        The CPU time of the server so far, in seconds.
        """
        used = 0
        for pid in self._server.pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += int(fields[11]) + int(fields[12])
        return used * _TICK

    @property
    def memory(self) -> int:
        """
        The resident memory of the server, in bytes.
        """
        size = 0
        for pid in self._server.pids:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            size += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
        return size

    def close(self) -> None:
        """
        Close all connections.
        """
        self._publisher.close()
        self._epoll.close()
        for reader in self._sockets.values():
            reader.close()


def compare(name: str, transport: str, readers: int, messages: int, edge: str | None) -> str:
    """
    Measure a server with compression and without.

    @return: What was found, as two lines of the table.

    @raise Broken: If a server does not work.

    @raise Missing: If the server is not installed.
    """
    peer, path, headers, publishPath = WAYS[name, transport]
    peer.prepare()
    # A heartbeat would be taken for a message.
    common = {"heartbeat": "3600"}
    if edge is not None:
        common["edge"] = edge
    with ExitStack() as stack:
        sides = []
        memories: list[list[int]] = []
        for options in (common, {**common, "compress-above": "100"}):
            server = stack.enter_context(Server(peer, 0, options))
            side = Side(server, path, headers, publishPath)
            stack.callback(side.close)
            heads = [side.connect(100)]
            before = side.memory
            side.connect(readers - 100)
            memories.append([before, side.memory])
            isOn = b"permessage-deflate" in heads[0] or b"Content-Encoding: gzip" in heads[0]
            # Nchan agrees on it in any case.
            if "compress-above" in options and not isOn:
                raise Broken("it has not agreed on compression")
            sides.append(side)
        used: list[list[float]] = [[], []]
        sizes = [0, 0]
        some = [*payloads(messages + _TURN)]
        for start in range(0, len(some), _TURN):
            for number, side in enumerate(sides):
                cpu, size = side.cpu, next(iter(side.received.values()))
                for payload in some[start : start + _TURN]:
                    side.deliver(payload)
                # The first turn warms up.
                if start:
                    used[number].append(side.cpu - cpu)
                    sizes[number] += next(iter(side.received.values())) - size
        ratio = median(on / max(off, _TICK) for off, on in zip(*used, strict=True))
        lines = []
        for number, word in enumerate(("plain", "compressed")):
            each = sum(used[number]) / (messages * readers) * 1e6
            idle = (memories[number][1] - memories[number][0]) / (readers - 100) / 1024
            later = (sides[number].memory - memories[number][0]) / (readers - 100) / 1024
            lines.append(
                f"{name:6} {transport:10} {word:10} {sizes[number] / messages:8.0f} {each:9.2f} "
                f"{ratio if number else 1.0:6.2f} {idle:9.2f} {later:9.2f}"
            )
        return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """
    Run the command line.
    """
    parser = argparse.ArgumentParser(
        "python -m benchmarks.compression", description=(__doc__ or "").partition("::")[0]
    )
    names = list(dict.fromkeys(name for name, _ in WAYS))
    parser.add_argument("--readers", type=int, default=1000, help="at least 200; default: 1000")
    parser.add_argument("--messages", type=int, default=250, help="in all; default: 250")
    parser.add_argument("--servers", default=",".join(names), help=f"of {', '.join(names)}")
    parser.add_argument("--edge", choices=["lean", "twisted"], help="of comet; default: its own")
    options = parser.parse_args(words)
    raiseLimit()
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {1})
    print("                                bytes   µs CPU  ratio  KB, idle   KB later", flush=True)
    for name, transport in WAYS:
        if name in options.servers.split(","):
            try:
                found = compare(name, transport, options.readers, options.messages, options.edge)
                print(found, flush=True)
            except (Broken, Missing) as error:
                print(f"{name:6} {transport:10} {error}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
