"""
A run, and what the server holds before and after it.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from attrs import frozen

from tests.edge.connections import Ended, Silence, Site, Violation, ask
from tests.edge.server import ROOT, SIGNS, CometProcess
from tests.edge.tls import authority
from tests.fuzz.serving import perClient
from tests.redisserver import RedisServer
from tests.soak.visitors import Guest, Publisher, Visitor, leave

BUSES: Final = ("memory", "sqlite", "redis")

# Lets a server count its objects.
_COUNTING: Final = ROOT / "tests" / "fuzz" / "counting"

# What waits in the wheel of timers, and the groups of readers.
TIMERS: Final = "comet.reactor.timers.TimerWheel.waiting"
GROUPS: Final = "comet.fanout.groups.Group"
_ALSO: Final = (TIMERS, GROUPS)

# How many clients there are.
VISITORS: Final = 16
PUBLISHERS: Final = 2

# For how many seconds things may be left once all clients are gone, and how often it is
# looked.
_LEAVING: Final = 30.0
_LOOK: Final = 0.5

# How many more of a kind there may be: something may be between two requests.
_MORE: Final = 4

# How much more memory there may be: bytes, and a part of what there was.
_BYTES: Final = 8 * 2**20
_PART: Final = 0.1

# A log that is full after some seconds, so that it grows no more.
_BOUNDS: Final = ("--history-messages", "100", "--heartbeat", "1")


@frozen
class Figures:
    """
    What a server holds.

    @ivar memory: Its resident memory, in bytes.

    @ivar descriptors: Its open files.

    @ivar counts: The objects of comet and Twisted, by their classes, and what waits in
        the wheel of timers.
    """

    memory: int
    descriptors: int
    counts: Counter[str]


def left(before: Figures, after: Figures) -> list[str]:
    """
    Return what there is more of than before, memory excepted.
    """
    found = [
        f"{name}: {before.counts[name]} before, {count} after"
        for name, count in sorted(after.counts.items())
        if count > before.counts[name] + _MORE
    ]
    if after.descriptors > before.descriptors + _MORE:
        found.append(f"open files: {before.descriptors} before, {after.descriptors} after")
    return found


def grown(before: Figures, after: Figures) -> list[str]:
    """
    Tell whether there is more memory in use than before.
    """
    if after.memory <= before.memory * (1 + _PART) + _BYTES:
        return []
    return [f"memory: {before.memory / 2**20:.1f} MiB before, {after.memory / 2**20:.1f} after"]


class Soak:
    """
    A server, and clients that come and go.

    @ivar counts: What the clients have done.

    @ivar faults: What the server did that it should not do.
    """

    def __init__(self, bus: str, edge: str, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self._seed = seed
        self._redis = RedisServer().start() if bus == "redis" else None
        urls = {"memory": "memory:", "sqlite": "sqlite:messages.db"}
        url = urls.get(bus) or f"redis://127.0.0.1:{self._redis.port if self._redis else 0}/0"
        try:
            self.server = CometProcess(
                *("--bus", url, "--edge", edge, "--open", "load/**", *_BOUNDS),
                secure=authority(),
                paths=[_COUNTING],
            )
        except BaseException:
            self._removeRedis()
            raise

    def load(self, seconds: float, tell: Callable[[str], None] = lambda text: None) -> None:
        """
        Let clients come and go for so many seconds, and then leave.

        @param tell: Called now and then with the progress.
        """
        site = self.server.site
        self._seed += 1000
        guests: list[Guest] = [Visitor(site, self._seed + number) for number in range(VISITORS)]
        guests += [Publisher(site, self._seed + number) for number in range(PUBLISHERS)]
        for guest in guests:
            guest.start()
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0 and self.server.isRunning:
            tell(f"{rest:5.0f} s to go, {self.server.resident() / 2**20:.1f} MiB")
            time.sleep(min(rest, 5))
        leave(guests)
        for guest in guests:
            self.counts += guest.counts
            self.faults += guest.faults

    def figures(self) -> Figures:
        """
        Look at what the server holds now.
        """
        path = self.server.directory / "counts.json"
        path.unlink(missing_ok=True)
        os.kill(self.server.process, signal.SIGUSR1)
        until = time.monotonic() + 30
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.02)
        descriptors = len(os.listdir(f"/proc/{self.server.process}/fd"))
        found = json.loads(path.read_text())
        counts = perClient(found) + Counter({name: found.get(name, 0) for name in _ALSO})
        return Figures(self.server.resident(), descriptors, counts)

    def settled(self, idle: Figures) -> Figures:
        """
        Wait until the server holds no more than while it was idle, for some seconds.
        """
        until = time.monotonic() + _LEAVING
        while True:
            now = self.figures()
            if not left(idle, now) or time.monotonic() > until:
                return now
            time.sleep(_LOOK)

    def checkLog(self) -> None:
        """
        Look for errors in the log, and whether the server still answers.
        """
        log = self.server.log()
        self.faults += [
            f"{sign!r} in the log\n{self.server.tail(60)}" for sign in SIGNS if sign in log
        ]
        try:
            isWell = ask(self._plain, "GET", "/health").status == 200
        except (OSError, Ended, Silence, Violation) as error:
            self.faults.append(f"the server does not answer: {error!r}")
        else:
            if not isWell:
                self.faults.append("the server is not healthy")

    @property
    def _plain(self) -> Site:
        return self.server.site

    def _removeRedis(self) -> None:
        if self._redis is not None:
            self._redis.destroy()

    def stop(self) -> None:
        """
        Stop all.
        """
        self.server.remove()
        self._removeRedis()
