"""
Tests that one cursor holds on every transport: a reader that changes from any
transport to any other while messages are published loses and repeats none.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from tests.edge.case import EdgeTestCase
from tests.edge.clients import Client
from tests.edge.connections import PATIENCE, Site, Violation, ask
from tests.edge.envelopes import BareCursor, Message
from tests.edge.h2client import OVER_HTTP2
from tests.edge.publisher import Published, Publisher
from tests.edge.speakers import CLIENTS

HISTORY = ("--history-messages", "100000", "--history-bytes", "100000000")
CHANNELS = ("open/h/a", "open/h/b", "open/h/deep/c")


def circuit(kinds: Sequence[str], chance: random.Random) -> list[str]:
    """
    Return a random walk that goes once from each transport to each transport,
    itself included (Hierholzer's algorithm).
    """
    left = {kind: chance.sample(list(kinds), len(kinds)) for kind in kinds}
    walk: list[str] = []
    path = [chance.choice(list(kinds))]
    while path:
        if left[path[-1]]:
            path.append(left[path[-1]].pop())
        else:
            walk.append(path.pop())
    return walk[::-1]


class Walker(threading.Thread):
    """
    A reader that walks from one transport to the next, in a thread.

    @ivar heard: The messages that it heard, in order.
    """

    def __init__(
        self,
        site: Site,
        names: Sequence[str],
        since: str,
        seed: int,
        leg: Callable[[random.Random], int],
        kinds: Mapping[str, type[Client]],
    ) -> None:
        """
        @param leg: Returns the number of messages to read before the next
            change.
        """
        super().__init__(daemon=True)
        self.site = site
        self.names = names
        self.cursor = since
        self.chance = random.Random(seed)
        self.leg = leg
        self.kinds = kinds
        self.walk = circuit(list(kinds), self.chance)
        self.heard: list[Message] = []
        self.where = ""
        self.error: BaseException | None = None

    def run(self) -> None:
        """
        Walk the whole circuit.
        """
        try:
            for before, kind in zip(["", *self.walk], self.walk, strict=False):
                self.where = f"{before} to {kind} at {self.cursor}"
                self.read(kind, self.leg(self.chance))
        except BaseException as error:
            error.args = (f"{self.where}: {error}",)
            self.error = error

    def read(self, kind: str, count: int, until: str = "") -> None:
        """
        Read so many messages, or up to a cursor, over one connection, then cut
        the connection.
        """
        appetite = self.chance.choice((16, 150, 3000, 100000))
        client = self.kinds[kind](self.site, variant=self.chance.randrange(6), appetite=appetite)
        deadline = time.monotonic() + PATIENCE
        try:
            client.open(self.names, self.cursor)
            while count > 0 and self.cursor != until:
                event = client.next(deadline - time.monotonic())
                if isinstance(event, Message):
                    self.heard.append(event)
                    count -= 1
                elif not isinstance(event, BareCursor):
                    raise Violation(f"{event} while everything is held")
                assert client.cursor is not None
                self.cursor = client.cursor
        finally:
            if self.chance.random() < 0.8:
                client.cut()
            else:
                client.close()


def few(chance: random.Random) -> int:
    """
    Return the length of a leg: a few dozen messages, sometimes none.
    """
    return chance.choice((0, 1, 2, 12, 24, 36))


def fewer(chance: random.Random) -> int:
    """
    Return the length of a short leg: a few messages, sometimes none.
    """
    return chance.choice((0, 1, 2, 5))


class WalkingTestCase(EdgeTestCase):
    """
    A test with readers that walk.
    """

    options: Sequence[str] = ("--open", "open/**", *HISTORY)

    def walkAll(
        self,
        site: Site,
        *names: Sequence[str],
        seed: int,
        leg: Callable[[random.Random], int] = few,
        kinds: Mapping[str, type[Client]] = CLIENTS,
    ) -> None:
        """
        Let one reader for each list of names walk through all pairs, and check
        what the readers heard.
        """
        start = ask(site, "GET", "/channels/open/h/a?transport=poll")
        since = start.headers["etag"].strip('"')
        publisher = Publisher(site, CHANNELS, seed=seed)
        publisher.start()
        walkers = [
            Walker(site, one, since, seed * 100 + number, leg, kinds)
            for number, one in enumerate(names)
        ]
        for walker in walkers:
            walker.start()
        for walker in walkers:
            walker.join(60)
        published = publisher.stop()
        for walker in walkers:
            if walker.error is not None:
                raise walker.error
            self.assertFalse(walker.is_alive(), walker.where)
            self.finish(walker, published)

    def finish(self, walker: Walker, published: Sequence[Published]) -> None:
        """
        Let a reader read the rest; then check that it has heard each message of
        its names once, in order.
        """
        exact = {name for name in walker.names if "*" not in name}
        prefixes = [name[:-1] for name in walker.names if name.endswith("/*")]
        deep = [name[:-2] for name in walker.names if name.endswith("/**")]
        expected = [
            one
            for one in published
            if one.channel in exact
            or any(one.channel.startswith(prefix) for prefix in deep)
            or any(one.channel.rpartition("/")[0] + "/" == prefix for prefix in prefixes)
        ]
        self.assertGreater(len(walker.heard), 81 * 3)
        left = len(expected) - len(walker.heard)
        if left > 0:
            walker.read("stream", left, str(expected[-1].cursor))
        self.assertHeard(walker.heard, expected)


class HandoverTests(WalkingTestCase):
    """
    All 81 pairs of transports, while messages are published.
    """

    def test_channels(self) -> None:
        """
        Readers of one channel and of several change from any transport to any
        other, and lose and repeat no message.
        """
        lists = (["open/h/a"], ["open/h/a", "open/h/b"], ["open/h/b", "open/h/deep/c"])
        self.walkAll(self.site, *lists, seed=1)

    def test_patterns(self) -> None:
        """
        Readers of patterns change from any transport to any other, and lose and
        repeat no message, also where two of their names match one channel.
        """
        lists = (["open/h/*"], ["open/h/**", "open/h/a"], ["open/*/b", "open/h/b"])
        self.walkAll(self.site, *lists, seed=2)


class TwistedHandoverTests(HandoverTests):
    """
    All pairs of transports on Twisted's edge, while messages are published.
    """

    options = (*HandoverTests.options, "--edge", "twisted")


class Http2HandoverTests(WalkingTestCase):
    """
    All 256 pairs of transports over TLS, those of HTTP also over HTTP/2.
    """

    def test_channels(self) -> None:
        """
        A reader of several channels and one of a pattern change from any
        transport to any other, and lose and repeat no message.
        """
        kinds = {**CLIENTS, **{f"{name} over HTTP/2": kind for name, kind in OVER_HTTP2.items()}}
        lists = (["open/h/a", "open/h/b"], ["open/h/**"])
        self.walkAll(self.startTls(*HISTORY).site, *lists, seed=3, leg=fewer, kinds=kinds)
