"""
The members of channels in Redis: what this node says of its readers, and who is there.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final

from comet.bus.redis import scripts
from comet.bus.redis.memberreplies import SetMembers, readListed, readSet, readTended
from comet.bus.redis.protocol import RedisProtocol
from comet.bus.redis.replies import BadReply
from comet.bus.redis.store import Store
from comet.framing.members import encodeMember
from comet.model.presence import (
    MOST_LISTED_BYTES,
    PREFIX,
    Holding,
    MemberBounds,
    MemberPage,
    goneMember,
    presenceChannel,
)

# How many entries of dead nodes one script takes out, and how many members it lets leave:
# Redis does nothing else meanwhile.
MOST_TENDED: Final = 100


class Forgotten(Exception):
    """
    Nothing counts any more that this node has said.
    """


class MemberStore:
    """
    The scripts of members as functions, and the name of this node.

    The name is a new one each time that the node was forgotten: what is left of the old
    one is taken out under that name, so nothing that the node says anew is lost.

    Each method fails as those of L{Store} do.
    """

    def __init__(self, store: Store, bounds: MemberBounds | None = None) -> None:
        """
        @param bounds: How many members there may be; the same on all nodes.
        """
        self._store = store
        self._bounds = MemberBounds() if bounds is None else bounds
        self._node = ""
        self._isNew = False

    def beginAnew(self, epoch: str) -> None:
        """
        Take a new name: what was said under the old one counts no more.
        """
        self._node = f"{epoch}-{secrets.token_hex(8)}"
        self._isNew = True

    async def set(
        self, connection: RedisProtocol, holdings: Sequence[Holding], epoch: str
    ) -> tuple[SetMembers, list[Holding]]:
        """
        Say what this node has of some clients.

        @param epoch: The epoch that this node knows, for a first name.

        @return: The answer, and those that were refused.

        @raise Forgotten: If nothing counts any more that was said before, nor does
            this: call L{beginAnew}, and say all of it.
        """
        if not self._node:
            self.beginAnew(epoch)
        node = self._node
        words: list[bytes | str | int] = [self._store.totalBytes, node, int(self._isNew)]
        words += [self._bounds.each, self._bounds.inAll, len(holdings)]
        for each in holdings:
            kept = self._store.retention(presenceChannel(each.channel))
            words += [each.channel, each.client, each.connections, int(each.isTaken)]
            words += [repr(each.grace), encodeMember(each.client, each.info) if each.client else ""]
            words += [kept.messages, repr(kept.seconds), kept.bytes]
        done = readSet(await self._store.run(connection, scripts.SETMEMBERS, *words))
        if done is None:
            raise Forgotten
        if node == self._node:
            self._isNew = False
        if any(not 0 <= index < len(holdings) for index in done.refused):
            raise BadReply("clients were refused that were not named")
        return done, [holdings[index] for index in done.refused]

    async def tend(self, connection: RedisProtocol) -> bool:
        """
        Prove that this node lives, take out what dead nodes have left, and let members
        leave.

        @return: Whether there is more to do.

        @raise Forgotten: If nothing counts any more that was said before.
        """
        node, isNew = self._node, self._isNew
        kept = self._store.retention(PREFIX[:-1])
        words = (kept.messages, repr(kept.seconds), kept.bytes)
        reply = await self._store.run(
            connection, scripts.TENDMEMBERS, self._store.totalBytes, node, MOST_TENDED, *words
        )
        counts, more = readTended(reply)
        if node and not isNew and not counts and node == self._node:
            raise Forgotten
        return more

    async def list(
        self, connection: RedisProtocol, channel: str, after: str | None, limit: int
    ) -> MemberPage:
        """
        Tell who is in a channel.

        @raise BadRequest: If C{after} is no member.
        """
        words = (channel, int(after is not None), after or "", limit, MOST_LISTED_BYTES)
        reply: Any = await self._store.run(connection, scripts.LISTMEMBERS, *words)
        if reply == [b"GONE"]:
            raise goneMember(after or "")
        page, refused = readListed(reply, limit)
        self._store.tellRefused(refused)
        return page
