"""
Opens readers of a few channels in one step: the script C{open} finds where they begin, and
reads them from there.

Most readers, and nearly all polls, name a few channels and begin all of them in the same way.
In three steps, each of which waits for the ones before it and for a turn of the reactor, they
would wait three times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from comet.bus.parts import AHEAD_BYTES, AHEAD_MESSAGES
from comet.bus.redis import scripts
from comet.bus.redis.channelreplies import FoundChannels, readFoundChannels, readTails
from comet.bus.redis.messagereplies import LogPage, readLogPage
from comet.bus.redis.protocol import RedisProtocol
from comet.bus.redis.replies import BadReply, fieldsOf
from comet.bus.redis.store import Store
from comet.bus.starts import LastFew
from comet.model.cursors import Cursor
from comet.model.positions import At, Last, StartPosition


class Opened(NamedTuple):
    """
    The answer of the script C{open}.

    @ivar found: What is held of the channels.

    @ivar tails: The positions just before the last few messages of those of which these
        are wanted, and which hold a message.

    @ivar page: What was read from where the channels begin.
    """

    found: FoundChannels
    tails: Mapping[str, int]
    page: LogPage

    def lastFew(self, counts: Mapping[str, int]) -> dict[str, LastFew]:
        """
        See L{Snapshot.lastFew<comet.bus.starts.Snapshot.lastFew>}.
        """
        end = self.found.end.position
        return {name: LastFew(self.tails.get(name, end), self._tail(name)) for name in counts}

    def _tail(self, name: str) -> Mapping[str, int]:
        return {name: self.tails[name]} if name in self.tails else {}


async def openChannels(
    store: Store, connection: RedisProtocol, isForced: bool, names: Mapping[str, StartPosition]
) -> Opened:
    """
    Find where some channels begin, and read them from there.

    @param isForced: Whether to answer even if messages are overdue to be dropped.

    @param names: As L{isOpening} allows them.
    """
    after = Cursor("", 0)
    words: list[str | int] = []
    for name, start in names.items():
        if isinstance(start, At):
            after = start.cursor
        words += [name, start.count if isinstance(start, Last) else 0]
    reply = await store.run(
        connection,
        scripts.OPEN,
        int(isForced),
        after.epoch,
        after.position,
        AHEAD_MESSAGES,
        AHEAD_BYTES,
        *words,
    )
    opened = readOpened(reply, list(names))
    store.tellRefused([*opened.found.refused, *opened.page.refused])
    return opened


def readOpened(reply: Any, channels: list[str]) -> Opened:
    """
    Read the answer of C{open}.

    @param channels: The channels that were asked for, in the same order.
    """
    _, found, tails, page, *_ = fieldsOf(reply, 4)
    read = readFoundChannels(found), readTails(tails, channels)[1], readLogPage(page, channels)
    if read[0].end.epoch != read[2].after.epoch:
        raise BadReply("the parts of an answer are of two epochs")
    return Opened(*read)
