"""
The clients of a soak: visitors, who read for a moment and leave, and publishers.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from tests.edge.clients import Client, Refused, pathOf
from tests.edge.connections import Ended, HttpConnection, Silence, Site, TcpConnection, Violation
from tests.edge.h2client import OVER_HTTP2
from tests.edge.speakers import CLIENTS

CHANNELS: Final = ("load/a", "load/b", "load/deep/c")

_NAMES: Final = (("load/a",), ("load/**",), ("load/b", "load/deep/c"), ("load/*", "load/deep/*"))
_STARTS: Final = (None, "now", "earliest", "-3")

# For how long a visitor reads at most, and how long it waits for one event, in seconds.
_STAY: Final = 2.0
_PATIENCE: Final = 2.0

# How long a publisher pauses between two messages, in seconds.
_PAUSE: Final = 0.01


class Guest(threading.Thread):
    """
    A client that goes on until it is stopped.

    @ivar counts: What it has done.

    @ivar faults: What the server should not have done.
    """

    def __init__(self, site: Site, seed: int) -> None:
        super().__init__(daemon=True)
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.site = site
        self.chance = random.Random(f"{type(self).__name__} {seed}")
        self._isStopped = threading.Event()

    def stop(self) -> None:
        """
        Let it leave soon.
        """
        self._isStopped.set()

    @property
    def isStopped(self) -> bool:
        """
        Whether it has to leave.
        """
        return self._isStopped.is_set()

    def run(self) -> None:
        """
        Do the same again and again.
        """
        while not self.isStopped:
            try:
                self.visit()
            except (Ended, Silence, Refused, OSError) as error:
                self.counts[f"broken by {type(error).__name__}"] += 1
                time.sleep(0.05)
            except Exception as error:
                self.faults.append(repr(error))
                time.sleep(0.05)

    def visit(self) -> None:
        """
        Come, and leave.
        """
        raise NotImplementedError


class Visitor(Guest):
    """
    A client that reads for a moment, each time on another transport.
    """

    def visit(self) -> None:
        """
        Read over one connection.
        """
        transport, client = self._choose()
        start = self.chance.choice(_STARTS)
        wait = {"wait": "1"} if transport.startswith(("longpoll", "jsonp")) else {}
        try:
            client.open(self.chance.choice(_NAMES), start, {}, **wait)
            self.counts[transport] += 1
            until = time.monotonic() + self.chance.uniform(0, _STAY)
            while not self.isStopped and time.monotonic() < until:
                client.next(_PATIENCE)
                self.counts["events"] += 1
        finally:
            self._leave(client)

    def _choose(self) -> tuple[str, Client]:
        variant = self.chance.randrange(6)
        if self.chance.random() < 0.3:
            transport = self.chance.choice(sorted(OVER_HTTP2))
            client = OVER_HTTP2[transport](self.site.secured, variant=variant)
            return f"{transport} over HTTP/2", client
        transport = self.chance.choice(sorted(CLIENTS))
        return transport, CLIENTS[transport](self.site, variant=variant)

    def _leave(self, client: Client) -> None:
        try:
            client.cut() if self.chance.random() < 0.5 else client.close()
        except (OSError, Ended, AssertionError):
            # It was not open yet, or no more.
            pass


class Publisher(Guest):
    """
    A client that publishes, over a new connection now and then.
    """

    def visit(self) -> None:
        """
        Publish over one connection.
        """
        tcp = TcpConnection(self.site.port)
        try:
            connection = HttpConnection(tcp)
            for number in range(self.chance.randrange(1, 200)):
                if self.isStopped:
                    return
                body = b'"' + b"x" * self.chance.randrange(200) + b'"'
                path = pathOf([self.chance.choice(CHANNELS)])
                connection.send("POST", path, {"Content-Type": "application/json"}, body)
                answer = connection.answer()
                if answer.status != 201:
                    raise Violation(f"message {number} of a connection: {answer}")
                self.counts["published"] += 1
                time.sleep(_PAUSE)
        finally:
            tcp.close()


def leave(guests: Sequence[Guest]) -> None:
    """
    Let all leave, and wait until they have.
    """
    for guest in guests:
        guest.stop()
    for guest in guests:
        guest.join(60)
