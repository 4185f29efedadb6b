"""
The cases that are measured: how many readers of what, and when a message is
published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, frozen

from benchmarks.scripts import Layout
from benchmarks.servers import Peer

# The transports on which the server greets a reader.  On the others nothing
# shows that a connection of a storm is complete.
_GREETING: Final = frozenset({"websocket", "sse", "stream", "tcp", "multipart", "iframe"})

_ONE: Final = Layout()


@frozen
class Case:
    """
    One case.

    @ivar mode: C{"closed"}: a message, or C{batch} of them, is published when
        all readers have the last one.  C{"each"}: each publisher publishes when its
        last message is answered.  C{"paced"}: C{rate} messages a second.
        C{"storm"}: as paced, while C{late} more readers connect at once.

    @ivar figure: The figure of the result that the case is about.

    @ivar publishing: The way to publish, by its name in L{Peer.publishings}.

    @ivar publishers: How many connections publish.  They share a C{batch}.

    @ivar isSingly: Whether each message is a request of its own, also where the
        server takes several in one.

    @ivar hasBystander: Whether a client that is not part of the load measures how
        long it waits.

    @ivar seconds: How long to measure.

    @ivar isBrief: Whether C{--short} measures it.
    """

    name: str
    title: str
    figure: str
    mode: str = "closed"
    readers: int = 1000
    layout: Layout = _ONE
    batch: int = 1
    rate: int = 50
    late: int = 0
    publishing: str = "http"
    publishers: int = 1
    isSingly: bool = False
    hasBystander: bool = False
    seconds: float = 3.0
    isBrief: bool = True

    def fits(self, peer: Peer, transport: str) -> bool:
        """
        Whether a peer can serve this case.
        """
        if self.publishing not in peer.publishings:
            return False
        if self.layout.isPattern and not peer.hasPatterns:
            return False
        if self.layout.span > 1 and not peer.hasSeveral:
            return False
        if self.mode == "storm" and transport not in _GREETING:
            return False
        if self.publishing == "http" and self.readers == 0 and self.batch > 1:
            return bool(peer.publishings["http"].batch)
        return True

    def withReaders(self, most: int) -> Case:
        """
        Return this case with at most so many readers.
        """
        return evolve(self, readers=min(self.readers, most), late=min(self.late, most))


def _burst(name: str, what: str, **options: Any) -> Case:
    title = f"bursts of 200 {what}; 1,000 readers"
    return Case(name, title, "cpu", batch=200, hasBystander=True, **options)


_ALL: Final = (
    Case("closed10", "1 channel, 10 readers, closed loop", "cpu", readers=10, isBrief=False),
    Case("closed100", "1 channel, 100 readers, closed loop", "cpu", readers=100, isBrief=False),
    Case("closed1k", "1 channel, 1,000 readers, closed loop", "cpu"),
    Case(
        "closed10k",
        "1 channel, 10,000 readers, closed loop",
        "cpu",
        readers=10000,
        isBrief=False,
    ),
    Case("paced", "1 channel, 1,000 readers, 50 messages a second", "p50", mode="paced"),
    _burst("burst", "messages, in one request where the server has that"),
    _burst("burst-pipelined", "POSTs on one connection", isSingly=True),
    _burst("burst-connections", "POSTs on 200 connections", publishers=200),
    _burst("burst-websocket", "commands on one WebSocket", publishing="websocket"),
    Case(
        "channels",
        "1,000 channels, 10 readers each",
        "cpu",
        readers=10000,
        layout=Layout(1000),
    ),
    Case(
        "several",
        "1,000 readers, each of 10 of 100 channels",
        "cpu",
        layout=Layout(100, 10),
        isBrief=False,
    ),
    Case(
        "patterns",
        "1,000 readers, each of a pattern that matches 10 of 100 channels",
        "cpu",
        layout=Layout(100, 10, isPattern=True),
        isBrief=False,
    ),
    Case("publish", "publishing by HTTP, one after the other", "publishes", readers=0),
    Case(
        "publish-100",
        "publishing by HTTP, 100 connections at once",
        "publishes",
        mode="each",
        readers=0,
        publishers=100,
        hasBystander=True,
    ),
    Case(
        "publish-batch",
        "publishing by HTTP, 200 messages a request",
        "publishes",
        readers=0,
        batch=200,
    ),
    Case(
        "publish-ws",
        "publishing by WebSocket, one after the other",
        "publishes",
        readers=0,
        publishing="websocket",
    ),
    Case(
        "storm",
        "10,000 connect at once, while 1,000 read 50 messages a second",
        "connects",
        mode="storm",
        layout=Layout(2),
        late=10000,
        seconds=4.0,
    ),
    Case("idle", "10,000 idle readers", "memory", readers=10000, seconds=0.1, isBrief=False),
)
CASES: Final[Mapping[str, Case]] = {case.name: case for case in _ALL}
