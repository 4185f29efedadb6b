"""
A server under abuse, and what the bystander found.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.bystander.abuses import Abuse
from tests.bystander.attacker import Attacker
from tests.bystander.speaking import batch, http1, line
from tests.bystander.waiting import Bystander, HTTP2Bystander, ProcessorClock, Wait, quantile
from tests.edge.connections import Ended, Silence, TcpConnection
from tests.edge.server import CometProcess
from tests.edge.tls import authority
from tests.redisserver import RedisServer

EDGES: Final = ("lean", "twisted")
BUSES: Final = ("memory", "sqlite", "redis")

# What the bystander may speak: HTTP/1.1, or HTTP/2 over TLS.
TONGUES: Final = ("http", "h2")

# How long an attacker takes to begin, in seconds.  The bystander's waits count already.
_BEGINNING: Final = 0.1

# For how many seconds a server may be busy after an abuse, how often it is looked
# whether it is, and how often in a row it must not be: on a busy machine it may just not
# have run.
_SETTLING: Final = 5.0
_LOOK: Final = 0.02
_IDLE_LOOKS: Final = 3


@frozen
class Row:
    """
    The waits while one abuse went on.

    @ivar done: What the attacker has done.
    """

    abuse: str
    way: str
    waits: tuple[Wait, ...]
    done: dict[str, int]

    def seconds(self, part: float) -> float:
        """
        Return a quantile of the waits, in seconds of the wall's clock.
        """
        return quantile([each.seconds for each in self.waits], part)

    def processor(self, part: float) -> float:
        """
        Return a quantile of the processor time that was waited for, in seconds.
        """
        return quantile([each.processor for each in self.waits], part)

    def caused(self, part: float) -> float:
        """
        Return a quantile of what the server has caused of the waits, in seconds.
        """
        return quantile([each.caused for each in self.waits], part)


class Scene:
    """
    A server, an attacker and a bystander.

    @ivar server: The process of the server.
    """

    def __init__(
        self, server: CometProcess, clock: ProcessorClock, attacker: Attacker, tongue: str = "http"
    ) -> None:
        """
        @param tongue: What the bystander speaks; one of L{TONGUES}.
        """
        self.server = server
        self._clock = clock
        self._attacker = attacker
        self._isHTTP2 = tongue == "h2"

    def _bystander(self) -> Bystander:
        site = self.server.site
        if self._isHTTP2:
            return HTTP2Bystander(site.securePort, self._clock)
        return Bystander(site.port, self._clock)

    def idle(self, seconds: float) -> tuple[Wait, ...]:
        """
        Measure how long the bystander waits while nothing else is asked.
        """
        bystander = self._bystander()
        try:
            return tuple(bystander.watch(seconds))
        finally:
            bystander.close()

    def measure(self, abuse: Abuse, way: str, seconds: float, scale: float = 1.0) -> Row:
        """
        Measure how long the bystander waits during an abuse.

        @param scale: The part of the table's clients that come.
        """
        site = self.server.site
        ports = {"tls": site.securePort, "h2": site.securePort, "tcp": site.tcpPort}
        bystander = self._bystander()
        try:
            # So it is accepted: in the system's queue of a flooded port a client would
            # wait for the system, which sends again what it had no place for.
            bystander.watch(0)
            self._attacker.begin(abuse.name, way, ports.get(way, site.port), scale)
            waits = bystander.watch(_BEGINNING + seconds)
        except (Ended, Silence) as error:
            raise AssertionError(f"{abuse.name} over {way}: {error}") from error
        finally:
            done = self._attacker.end()
            bystander.close()
        self._settle()
        return Row(abuse.name, way, tuple(waits), done)

    def _settle(self) -> None:
        """
        Wait until the server has done what the abuse has left, or for some seconds:
        what it goes on with then belongs to this abuse no more.
        """
        until, clock = time.monotonic() + _SETTLING, self._clock
        idle = 0
        while idle < _IDLE_LOOKS and time.monotonic() < until:
            used = clock.seconds()
            time.sleep(_LOOK)
            idle = idle + 1 if clock.seconds() - used < _LOOK / 5 else 0


def fill(port: int, channels: int) -> None:
    """
    Publish to many channels.
    """
    names = [f"open/c{n}" if n % 2 else f"open/s/s/s/c{n}" for n in range(channels)]
    lines = [line(name, number) for number, name in enumerate(names)]
    lines += [line("open/many", "y" * 1000)] * 1000 + [line("open/big", "x" * 60000)] * 20
    lines.append(line("open/quiet", 0))
    connection = TcpConnection(port)
    try:
        for start in range(0, len(lines), 500):
            connection.send(http1(batch(lines[start : start + 500])))
            answer = connection.receiveUntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 20"), answer
            head, _, body = answer.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.receive(60)
    finally:
        connection.close()


@contextmanager
def scene(
    edge: str, bus: str, channels: int, paths: Sequence[Path] = (), tongue: str = "http"
) -> Iterator[Scene]:
    """
    Start a server with so many channels.

    @param paths: Folders in which the server's Python finds modules first.

    @param tongue: What the bystander speaks; one of L{TONGUES}.
    """
    redis = RedisServer().start() if bus == "redis" else None
    urls = {"memory": "memory:", "sqlite": "sqlite:messages.db"}
    url = urls.get(bus) or f"redis://127.0.0.1:{redis.port if redis else 0}/0"
    server = attacker = clock = None
    try:
        options = ("--edge", edge, "--bus", url, "--open", "open/**")
        server = CometProcess(*options, secure=authority(), paths=paths)
        fill(server.port, channels)
        processes = [server.process]
        if redis is not None and redis.process is not None:
            processes.append(redis.process.pid)
        clock = ProcessorClock(*processes)
        attacker = Attacker()
        yield Scene(server, clock, attacker, tongue)
    finally:
        for each in (attacker, clock):
            if each is not None:
                each.stop() if isinstance(each, Attacker) else each.close()
        if server is not None:
            server.remove()
        if redis is not None:
            redis.destroy()
