"""
Places for what waits, of which no client gets so many that none are left for others.
"""

from __future__ import annotations

from collections.abc import Hashable

from comet.limits.addresses import countsAs
from comet.model.clients import Client


def holderOf(client: Client, peer: object) -> Hashable:
    """
    Return whose places something takes: those of the client's name; else those of its
    address; else those of its connection alone.

    @param peer: Where the client is, as a L{Peer<comet.limits.clientlimits.Peer>}; any
        other object if that is not known.
    """
    return client.publisher or countsAs(getattr(peer, "address", "")) or peer


class Places:
    """
    Counts what waits, and its bytes, for each client.

    A client may have as many places as are free: one that asks for all there are gets half
    of them, two such clients a third each, nine of them a tenth each, and one that has none
    yet finds a place as long as there is any.  So none of them is kept for clients that do
    not come.

    @ivar most: How many may wait.

    @ivar mostBytes: How many bytes they may have.

    @ivar waiting: How many wait.

    @ivar bytes: How many bytes they have.
    """

    def __init__(self, most: int, mostBytes: int) -> None:
        self.most = most
        self.mostBytes = mostBytes
        self.waiting = self.bytes = 0
        # By client: how many wait, and their bytes.
        self._held: dict[Hashable, tuple[int, int]] = {}

    def take(self, holder: Hashable, count: int, size: int) -> bool:
        """
        Take some places, all or none.  Where nothing waits, anything may.

        @param holder: Stands for the client; see L{holderOf}.

        @return: Whether they are taken.
        """
        held, heldBytes = self._held.get(holder, (0, 0))
        held += count
        heldBytes += size
        if self.waiting and (
            held > self.most - self.waiting or heldBytes > self.mostBytes - self.bytes
        ):
            return False
        self.waiting += count
        self.bytes += size
        self._held[holder] = held, heldBytes
        return True

    def leave(self, holder: Hashable, count: int, size: int) -> None:
        """
        Give back places that were taken.
        """
        self.waiting -= count
        self.bytes -= size
        held, heldBytes = self._held[holder]
        if held == count:
            del self._held[holder]
        else:
            self._held[holder] = held - count, heldBytes - size
