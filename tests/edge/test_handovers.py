"""
One cursor for every transport: a reader that goes from any to any, in the
middle of what is being published, loses and repeats nothing.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from tests.edge.case import EdgeTestCase
from tests.edge.clients import Client
from tests.edge.connections import PATIENCE, Site, Violation, ask
from tests.edge.envelopes import Message, Standing
from tests.edge.h2client import OVER_HTTP2
from tests.edge.publisher import Published, Publisher
from tests.edge.speakers import CLIENTS

HISTORY = ("--history-messages", "100000", "--history-bytes", "100000000")
CHANNELS = ("open/h/a", "open/h/b", "open/h/deep/c")


def circuit(kinds: Sequence[str], chance: random.Random) -> list[str]:
    """
    A walk that goes once from each kind to each kind, itself included
    (Hierholzer's algorithm).
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
    A reader that changes its transport again and again.

    @ivar heard: What it heard, in order.
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
        @param leg: How many messages to read before the next change.
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
        Walk all of the circuit.
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
        Read so many messages, or until a cursor, over one connection, then cut
        it.
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
                elif not isinstance(event, Standing):
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
    A leg of a few dozens of messages, sometimes of none.
    """
    return chance.choice((0, 1, 2, 12, 24, 36))


def fewer(chance: random.Random) -> int:
    """
    A leg of a few messages, sometimes of none.
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
        Let one reader for each list of names walk through all pairs, and see
        what they heard.
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
        Let a reader hear the rest; then it has heard each message of its
        names once, in order.
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
    All pairs of transports, 81, while messages are being published.
    """

    def test_channels(self) -> None:
        """
        Readers of one channel, and of several, go from any transport to any
        other and miss and repeat nothing.
        """
        lists = (["open/h/a"], ["open/h/a", "open/h/b"], ["open/h/b", "open/h/deep/c"])
        self.walkAll(self.site, *lists, seed=1)

    def test_patterns(self) -> None:
        """
        So do readers of patterns, also where two of their names match the
        same channel.
        """
        lists = (["open/h/*"], ["open/h/**", "open/h/a"], ["open/*/b", "open/h/b"])
        self.walkAll(self.site, *lists, seed=2)


class TwistedHandoverTests(HandoverTests):
    """
    The same, where plain TCP is served by Twisted, too.
    """

    options = (*HandoverTests.options, "--edge", "twisted")


class Http2HandoverTests(WalkingTestCase):
    """
    All pairs of transports over TLS, 256: those of requests also over HTTP/2.
    """

    def test_channels(self) -> None:
        """
        A reader of several channels, and one of a pattern, go from any to any
        and miss and repeat nothing.
        """
        kinds = {**CLIENTS, **{f"{name} over HTTP/2": kind for name, kind in OVER_HTTP2.items()}}
        lists = (["open/h/a", "open/h/b"], ["open/h/**"])
        self.walkAll(self.startTls(*HISTORY).site, *lists, seed=3, leg=fewer, kinds=kinds)
