"""
A crowd: very many clients that come into one channel at once, and leave at once, while
a bystander asks for little: C{python -m tests.bystander.crowd}.

Each client has a name and a connection of its own, from several addresses of loopback.
Of each edge and bus it tells how long the crowd takes to be there and to be gone, the
processor time of the server, and the bystander's longest wait, in processor time of the
server: other programs on the machine do not add to that.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tests.bystander.measuring import BUSES, EDGES
from tests.bystander.speaking import UPGRADING, Request, command, http1
from tests.bystander.waiting import Bystander, ProcessorClock, Wait, quantile
from tests.edge.connections import Site, ask
from tests.edge.envelopes import Message, readAnswer, readPollBody
from tests.edge.server import ROOT, CometProcess
from tests.edge.test_tokens import secretFile, token
from tests.redisserver import RedisServer

CHANNEL: Final = "crowd/all"

# How long a client stays a member after it has left, in seconds.
_GRACE: Final = 1

# The longest wait that is allowed: so many seconds, or so many times what the
# longest waits of an idle server are.
LONGEST: Final = 0.020
TIMES: Final = 10.0

# How long the crowd may take, and how long nothing may change, in seconds.
_PATIENCE: Final = 120.0
_IDLE: Final = 2.0

# How the clients come, and what a good answer begins with.
_OPENINGS: Final = {"stream": b"HTTP/1.1 200", "websocket": b"HTTP/1.1 101", "tcp": b'{"ok":'}

# How many addresses the clients come from.
_ADDRESSES: Final = 16


def beginning(way: str, shown: str) -> bytes:
    """
    Write what a client sends first.

    @param shown: Its token.
    """
    if way == "tcp":
        return command(token=shown) + b"\n" + command(subscribe=[CHANNEL]) + b"\n"
    fields = [("Authorization", f"Bearer {shown}")]
    if way == "websocket":
        fields += UPGRADING
    return http1(Request(f"/channels/{CHANNEL}?transport={way}", headers=tuple(fields)))


class Crowd:
    """
    The clients, in this process.
    """

    def __init__(self, way: str, port: int, count: int) -> None:
        self._port = port
        self._opening = _OPENINGS[way]
        self._requests: list[bytes] = []
        for number in range(count):
            granted = {"subscribe": [CHANNEL], "info": {"n": number}}
            shown = token(sub=f"client {number}", comet=granted, exp=time.time() + 3600)
            self._requests.append(beginning(way, shown))
        self._sockets: list[socket.socket] = []

    def connect(self) -> None:
        """
        Make the connections, and say nothing.
        """
        for number in range(len(self._requests)):
            plain = socket.socket()
            plain.bind((f"127.0.0.{2 + number % _ADDRESSES}", 0))
            plain.connect(("127.0.0.1", self._port))
            plain.setblocking(False)
            self._sockets.append(plain)

    def join(self) -> int:
        """
        Ask on all connections, and wait for an answer on each.

        @return: How many answers are good.
        """
        for plain, request in zip(self._sockets, self._requests, strict=True):
            plain.send(request)
        poller = select.epoll()
        waiting = {plain.fileno(): plain for plain in self._sockets}
        for descriptor in waiting:
            poller.register(descriptor, select.EPOLLIN)
        good, until = 0, time.monotonic() + _PATIENCE
        while waiting and time.monotonic() < until:
            for descriptor, _ in poller.poll(1):
                good += waiting.pop(descriptor).recv(65536).startswith(self._opening)
                poller.unregister(descriptor)
        poller.close()
        return good

    def leave(self) -> None:
        """
        Close all connections.
        """
        for plain in self._sockets:
            plain.close()
        self._sockets.clear()


class CrowdProcess:
    """
    The clients, in a process of their own.
    """

    def __init__(self, way: str, site: Site, count: int) -> None:
        port = site.tcpPort if way == "tcp" else site.port
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, "--crowd", way, str(port), str(count)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def do(self, what: str) -> int:
        """
        Call a method of L{Crowd}, and return its answer.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(what.encode() + b"\n")
        stdin.flush()
        answer: int = json.loads(stdout.readline())
        return answer

    def stop(self) -> None:
        """
        Stop the process.
        """
        self._process.kill()
        self._process.communicate()


class Watch(threading.Thread):
    """
    A bystander in a thread, from the call of C{start} to that of L{end}.
    """

    def __init__(self, port: int, clock: ProcessorClock) -> None:
        super().__init__(daemon=True)
        self._bystander = Bystander(port, clock)
        self._waits: list[Wait] = []
        self._isOver = False
        # Who was never heard waits with the crowd, and its connection behind all others
        # that are to be accepted.
        self._bystander.watch(0.0)

    def run(self) -> None:
        """
        Ask again and again.
        """
        while True:
            self._waits += self._bystander.watch(0.0)
            if self._isOver:
                break

    def end(self) -> list[Wait]:
        """
        Ask no more.

        @return: The waits.
        """
        self._isOver = True
        self.join()
        self._bystander.close()
        return self._waits


class Square:
    """
    A server for the crowd.
    """

    def __init__(self, server: CometProcess, clock: ProcessorClock) -> None:
        self.server = server
        self.clock = clock
        granted = {"subscribe": [], "presence": ["crowd/*"]}
        shown = token(sub="asks", comet=granted, exp=time.time() + 3600)
        self._headers = {"Authorization": f"Bearer {shown}"}

    def count(self) -> int:
        """
        Return how many members there are.
        """
        answer = ask(self.server.site, "GET", f"/presence/{CHANNEL}?limit=0", self._headers)
        found: int = readAnswer(answer.body)["count"]
        return found

    def told(self) -> Counter[str]:
        """
        Return how many messages of each event, for each client, were told.
        """
        found: Counter[str] = Counter()
        since, more = "earliest", True
        while more:
            target = f"/channels/$presence/{CHANNEL}?transport=poll&limit=1000&since={since}"
            body = readPollBody(ask(self.server.site, "GET", target, self._headers).body)
            for event in body.events:
                if isinstance(event, Message):
                    found[f"{event.event} {event.data['client']}"] += 1
            since, more = str(body.cursor), body.more
        return found

    def await_(self, count: int) -> None:
        """
        Wait until there are so many members.
        """
        until = time.monotonic() + _PATIENCE
        while self.count() != count:
            if time.monotonic() > until:
                raise AssertionError(f"{self.count()} members, not {count}")
            time.sleep(0.1)

    def watched(
        self, crowd: CrowdProcess, what: str, count: int
    ) -> tuple[float, float, list[Wait]]:
        """
        Let the crowd do something, and wait until there are so many members.

        @return: How many seconds that takes, the processor time of the server, and the
            waits of the bystander.
        """
        watch = Watch(self.server.port, self.clock)
        watch.start()
        begun, used = time.monotonic(), self.clock.seconds()
        crowd.do(what)
        self.await_(count)
        seconds, processor = time.monotonic() - begun, self.clock.seconds() - used
        return seconds, processor, watch.end()


@contextmanager
def square(edge: str, bus: str) -> Iterator[Square]:
    """
    Start a server.
    """
    redis = RedisServer().start() if bus == "redis" else None
    urls = {"memory": "memory:", "sqlite": "sqlite:messages.db"}
    url = urls.get(bus) or f"redis://127.0.0.1:{redis.port if redis else 0}/0"
    server = clock = None
    try:
        options = ["--edge", edge, "--bus", url, "--open", "open/**", "--open-read", "open/**"]
        options += ["--token-key", secretFile(), "--presence", CHANNEL]
        server = CometProcess(*options, "--presence-grace", str(_GRACE))
        processes = [server.process]
        if redis is not None and redis.process is not None:
            processes.append(redis.process.pid)
        clock = ProcessorClock(*processes)
        yield Square(server, clock)
        server.assertNoTracebacks()
    finally:
        if clock is not None:
            clock.close()
        if server is not None:
            server.remove()
        if redis is not None:
            redis.destroy()


def measure(edge: str, bus: str, way: str, count: int) -> bool:
    """
    Let a crowd come and go, and print what it took.

    @return: Whether a wait was too long, or something else was told than one join and one
        leave of each client.
    """
    isBad = False
    with square(edge, bus) as place:
        crowd = CrowdProcess(way, place.server.site, count)
        try:
            crowd.do("connect")
            watch = Watch(place.server.port, place.clock)
            watch.start()
            time.sleep(_IDLE)
            allowed = max(LONGEST, TIMES * _longest(watch.end()))
            for what, members in (("join", count), ("leave", 0)):
                seconds, processor, waits = place.watched(crowd, what, members)
                isOver = _longest(waits) > allowed
                isBad |= isOver
                print(
                    f"{edge:8}{bus:7}{way:10}{what:6}{seconds:8.2f}{processor:8.2f}"
                    f"{processor / count * 1e6:8.0f}{len(waits):8}"
                    f"{quantile([each.seconds for each in waits], 0.99) * 1000:10.2f}"
                    f"{_longest(waits) * 1000:10.2f}{allowed * 1000:10.2f}"
                    f"{'  over' if isOver else ''}",
                    flush=True,
                )
            told = place.told()
            events = Counter(word.partition(" ")[0] for word in told.elements())
            isOnce = all(number == 1 for number in told.values())
            print(f"{'':25}told: {dict(events)}{'' if isOnce else ', some twice'}", flush=True)
            isBad |= not isOnce or events != {"join": count, "leave": count}
        finally:
            crowd.stop()
    return isBad


def _longest(waits: Sequence[Wait]) -> float:
    return quantile([each.processor for each in waits], 1)


def beCrowd(way: str, port: int, count: int) -> None:
    """
    Do what the standard input says.
    """
    crowd = Crowd(way, port, count)
    for line in sys.stdin:
        answer = getattr(crowd, line.strip())()
        print(json.dumps(answer or 0), flush=True)


def main(given: Sequence[str]) -> int:
    """
    Measure, and return the exit status.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tests.bystander.crowd",
        description="Let very many clients come into one channel at once, and leave at once.",
    )
    parser.add_argument("--edge", choices=EDGES, action="append", help="default: both")
    parser.add_argument("--bus", choices=BUSES, action="append", help="default: all")
    parser.add_argument("--clients", type=int, default=10_000, help="default 10,000")
    parser.add_argument("--way", choices=_OPENINGS, action="append", help="default: stream")
    parser.add_argument("--crowd", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(given)
    if options.crowd:
        beCrowd(options.crowd[0], *map(int, options.crowd[1:]))
        return 0
    isBad = False
    print(
        f"{'edge':8}{'bus':7}{'way':10}{'what':6}{'s':>8}{'cpu s':>8}{'us each':>8}{'asked':>8}"
        f"{'p99 ms':>10}{'cpu ms':>10}{'allowed':>10}"
    )
    for edge in options.edge or EDGES:
        for bus in options.bus or BUSES:
            for way in options.way or ("stream",):
                isBad |= measure(edge, bus, way, options.clients)
    return 1 if isBad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
