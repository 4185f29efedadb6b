"""
What a case is: how many readers of what, and when a message is published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

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

    @ivar peers: The peers that it is for; all ordinary ones if it is empty.

    @ivar transports: The transports that it is for; all if it is empty.

    @ivar held: How many channels hold a message before the readers come.

    @ivar used: To how many channels messages are published, in turn; 0: to all.

    @ivar at: Its place on the axis of a curve; L{None}: its number of readers.

    @ivar options: Options of the server.
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
    peers: Sequence[str] = ()
    transports: Sequence[str] = ()
    held: int = 0
    used: int = 0
    at: int | None = None
    options: Mapping[str, str] = {}

    def fits(self, peer: Peer, transport: str) -> bool:
        """
        Whether a peer can serve this case.
        """
        if (peer.name not in self.peers) if self.peers else peer.isOfSet:
            return False
        if self.transports and transport not in (*self.transports, "-"):
            return False
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
