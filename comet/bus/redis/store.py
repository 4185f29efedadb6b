"""
The scripts as functions: each asks Redis one question, and reads the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from comet.bus.idempotency import KeyBudget, keySize, rawPublisher, scopeDigest
from comet.bus.redis import scripts
from comet.bus.redis.bodies import writeBody
from comet.bus.redis.capabilities import CannotUse, Capabilities
from comet.bus.redis.channelreplies import (
    FoundChannels,
    IndexSlice,
    OrderedChannels,
    readFoundChannels,
    readOrdered,
    readPositions,
    readTails,
)
from comet.bus.redis.messagereplies import FoundHistory, LogPage, readHistory, readLogPage
from comet.bus.redis.protocol import RedisProtocol, RedisRefused
from comet.bus.redis.replies import BadReply, NoLog
from comet.bus.redis.settings import NodeSettings
from comet.bus.redis.storedreplies import Stored, readStored, writeOrder
from comet.bus.redis.upkeepreplies import Attached, readAttached, readMore
from comet.bus.redis.urls import RedisURL
from comet.framing.stored import NotOurs
from comet.model.channels import isPattern
from comet.model.cursors import Cursor, newEpoch
from comet.model.held import Held
from comet.model.log import Retention
from comet.model.messages import Publication
from comet.model.patterns import spellingOf

# How many channels one script looks at, how many messages it drops, and how many
# blocks of the index of positions it tells, at most.  Redis does nothing else
# meanwhile: this takes some milliseconds.
MOST_CHANNELS: Final = 1000
MOST_DROPPED: Final = 500
MOST_BLOCKS: Final = 2

# How many messages most blocks tell at least, with names of usual length.
_LEAST_LINES: Final = 128


class Store:
    """
    The log in Redis.

    Each method fails with
    L{RedisRefused<comet.bus.redis.protocol.RedisRefused>},
    L{RedisConnectionLost<comet.bus.redis.protocol.RedisConnectionLost>},
    L{TooManyCommands<comet.bus.redis.protocol.TooManyCommands>} or L{BadReply}.

    @ivar retention: Returns how much to hold of a channel, given its name.

    @ivar totalBytes: How many bytes to hold in all.

    @ivar refused: Told of what comet cannot have written.

    @ivar topicPrefix: The beginning of all topics.  The databases of one Redis
        share its topics, so the number of the database is part of it.
    """

    def __init__(
        self,
        url: RedisURL,
        retention: Callable[[str], Retention],
        totalBytes: int,
        refused: Callable[[NotOurs], None] = lambda error: None,
        keyBudget: KeyBudget | None = None,
    ) -> None:
        """
        @param refused: Told of each entry that comet cannot have written, and
            that an answer therefore leaves out.

        @param keyBudget: How many bytes idempotency keys may count for.
        """
        self._keyBudget = KeyBudget() if keyBudget is None else keyBudget
        self.topicPrefix = f"{url.prefix}{url.db}:"
        self._prefix = url.prefix
        self._state = f"{url.prefix}state"
        self.retention = retention
        self.totalBytes = totalBytes
        self.refused = refused

    def configure(self, retention: Callable[[str], Retention], totalBytes: int) -> None:
        """
        Hold messages by other bounds from now on: a channel from its next message
        on.
        """
        self.retention = retention
        self.totalBytes = totalBytes

    async def run(
        self, connection: RedisProtocol, script: scripts.Script, *words: bytes | str | int
    ) -> Any:
        """
        Run a script.

        @return: What Redis answers.
        """
        arguments = (1, self._state, self.topicPrefix, *words)
        try:
            return await connection.command("EVALSHA", script.digest, *arguments)
        except RedisRefused as error:
            if error.code != "NOSCRIPT":
                raise
        # The scripts were removed from the cache of Redis.  This one has not
        # run.
        return await connection.command("EVAL", script.source, *arguments)

    async def attach(
        self,
        connection: RedisProtocol,
        capabilities: Capabilities,
        known: Cursor,
        settings: NodeSettings,
    ) -> Attached:
        """
        Join the log, or check that it is the one that this node knows.

        @param known: The newest end of the log that this node was ever told.

        @param settings: What this node is configured with.

        @raise CannotUse: If another version of comet has written there.
        """
        reply = await self.run(
            connection,
            scripts.ATTACH,
            newEpoch(),
            capabilities.run,
            int(capabilities.hasProof),
            int(capabilities.isDurable),
            known.epoch,
            known.position,
            settings.digest,
            settings.node,
            settings.text,
        )
        if isinstance(reply, list) and reply[:1] == [b"FORM"]:
            raise CannotUse(
                f"the log in Redis under {self._state!r} was written by another version of comet; "
                "give this one a prefix of its own: ?prefix="
            )
        return readAttached(reply)

    async def publish(
        self, connection: RedisProtocol, requests: Sequence[Sequence[Publication]]
    ) -> Stored:
        """
        Store some requests, one after the other: all publications of each, or none.

        @raise NoLog: If there is no log to store them in.
        """
        budget = self._keyBudget
        # A batch is often for one channel.  What is said of it is sent once.
        numbers: dict[str, bytes] = {}
        told: list[bytes | str | int] = []
        words: list[bytes | str | int] = []
        for publications in requests:
            words.append(len(publications))
            for each in publications:
                for channel in each.channels:
                    if channel not in numbers:
                        numbers[channel] = b"%d" % (len(numbers) + 1)
                        kept = self.retention(channel)
                        told += (channel, kept.messages, repr(kept.seconds), kept.bytes)
                if each.keyScope is None and len(each.channels) == 1:
                    words += (numbers[each.channels[0]], writeBody(each))
                else:
                    own = b" ".join([numbers[channel] for channel in each.channels])
                    words += _several(each, own)
        budgets = (self.totalBytes, budget.each, budget.inAll)
        words = [*budgets, len(numbers), *told, len(requests), *words]
        reply = await self.run(connection, scripts.PUBLISH, *words)
        return readStored(reply, requests)

    async def countListening(self, connection: RedisProtocol, channel: str) -> int:
        """
        Count the nodes that are subscribed to a channel.
        """
        reply = await connection.command("PUBSUB", "NUMSUB", f"{self.topicPrefix}m:{channel}")
        count = reply[1] if isinstance(reply, list) and len(reply) == 2 else None
        if not isinstance(count, int) or count < 0:
            raise BadReply(f"the number of subscribers is {reply!r:.100}")
        return count

    async def forget(self, connection: RedisProtocol, channel: str) -> None:
        """
        Drop all messages that are held of a channel.
        """
        reply = await self.run(connection, scripts.FORGET, channel, self.totalBytes)
        if reply != [b"OK"]:
            raise BadReply(f"forgetting was answered {reply!r:.100}")

    async def measure(self, connection: RedisProtocol) -> Held:
        """
        Find out how much is held.  The messages are not counted: each channel knows its
        own alone.
        """
        size = await connection.command("HGET", self._state, "size")
        channels = await connection.command("ZCARD", f"{self._prefix}oldest")
        isKnown = isinstance(size, bytes) and size.isdigit() and isinstance(channels, int)
        if not isKnown:
            raise NoLog
        return Held(channels, None, int(size))

    async def sweep(self, connection: RedisProtocol, milliseconds: int = 0) -> bool:
        """
        Drop some of the messages that are too old or too many.

        @param milliseconds: Do nothing if another node has swept within this
            time; 0 to sweep in any case.

        @return: Whether there is more to drop.
        """
        return readMore(
            await self.run(connection, scripts.SWEEP, self.totalBytes, MOST_DROPPED, milliseconds)
        )

    async def find(
        self, connection: RedisProtocol, isForced: bool, after: Cursor, names: Iterable[str]
    ) -> FoundChannels:
        """
        Find the channels that are named; and those that some patterns may match,
        if these are at most L{MOST_CHANNELS}.

        @param isForced: Whether to answer even if messages are overdue to be
            dropped.
        """
        channels = [name for name in names if not isPattern(name)]
        words: list[str | int] = [len(channels), *channels]
        for name in names:
            if isPattern(name):
                starts = entryStarts(name)
                words += [len(starts), *starts]
        found = readFoundChannels(
            await self.run(
                connection,
                scripts.FIND,
                int(isForced),
                after.epoch,
                after.position,
                MOST_CHANNELS,
                *words,
            )
        )
        self.tellRefused(found.refused)
        return found

    async def ordered(
        self,
        connection: RedisProtocol,
        what: str,
        first: str,
        last: str,
        most: int,
        isHeld: bool = False,
    ) -> OrderedChannels:
        """
        Tell channels in the order of one of their positions.

        @param what: C{"oldest"}: that of the oldest message that is held, from
            below.  C{"floors"}: the floor, from above.  C{"heads"}: that of the
            newest message, from above.

        @param first: Where to begin, as C{ZRANGE} takes it.

        @param last: Where to end.

        @param most: How many channels to look at, at most.

        @param isHeld: Whether to leave out channels without messages.
        """
        found = readOrdered(
            await self.run(connection, scripts.ORDERED, what, first, last, most, int(isHeld))
        )
        self.tellRefused(found.refused)
        return found

    async def positions(
        self, connection: RedisProtocol, after: int, last: int, wanted: int
    ) -> IndexSlice:
        """
        Tell which channels have the messages after a position.

        @param last: The last position, which is greater.

        @param wanted: About how many messages are wanted.
        """
        blocks = min(1 + wanted // _LEAST_LINES, MOST_BLOCKS)
        reply = await self.run(connection, scripts.POSITIONS, after, last, blocks)
        found = readPositions(reply, after, last)
        self.tellRefused(found.refused)
        return found

    async def tails(
        self, connection: RedisProtocol, upTo: int, counts: Mapping[str, int]
    ) -> tuple[str, dict[str, int]]:
        """
        Ask for the positions just before the last few messages of some
        channels.

        @param upTo: The end of the log.

        @param counts: How many messages of each channel.

        @return: The epoch, and the positions of the channels that hold any
            message.
        """
        words = [word for pair in counts.items() for word in pair]
        reply = await self.run(connection, scripts.TAILS, upTo, *words)
        return readTails(reply, list(counts))

    async def read(
        self,
        connection: RedisProtocol,
        isForced: bool,
        channels: Sequence[str],
        after: Cursor,
        limit: int,
        maxBytes: int,
        upTo: int | None,
    ) -> LogPage:
        """
        Read the log of some channels, in the order of positions.

        @param isForced: Whether to answer even if messages are overdue to be
            dropped.

        @param channels: At most L{MOST_CHANNELS}, each once.
        """
        reply = await self.run(
            connection,
            scripts.READ,
            int(isForced),
            after.epoch,
            after.position,
            limit,
            maxBytes,
            "" if upTo is None else upTo,
            *channels,
        )
        page = readLogPage(reply, channels)
        self.tellRefused(page.refused)
        return page

    async def history(
        self,
        connection: RedisProtocol,
        isForced: bool,
        channel: str,
        before: Cursor | None,
        limit: int,
        maxBytes: int,
    ) -> FoundHistory:
        """
        Read the newest messages of a channel before a cursor, or before the end.

        @param isForced: Whether to answer even if messages are overdue to be
            dropped.
        """
        epoch, position = ("", 0) if before is None else before
        reply = await self.run(
            connection, scripts.HISTORY, int(isForced), epoch, position, limit, maxBytes, channel
        )
        found = readHistory(reply, channel, before)
        self.tellRefused(found.refused)
        return found

    def tellRefused(self, refused: Iterable[NotOurs]) -> None:
        """
        Tell of entries that comet cannot have written.
        """
        for error in refused:
            self.refused(error)


def _several(publication: Publication, numbers: bytes) -> tuple[bytes | str | int, ...]:
    """
    What the script has to know of a publication that has a key, or several channels.

    @param numbers: The numbers of the channels.
    """
    body, scope = writeBody(publication), publication.keyScope
    if scope is None:
        return numbers, body
    return (
        numbers + b"+",
        body,
        scopeDigest(scope),
        publication.fingerprint(),
        rawPublisher(publication),
        keySize(publication),
        writeOrder(publication.channels),
    )


def entryStarts(pattern: str) -> list[str]:
    """
    Return texts, each of which some entry of each channel that a pattern matches
    begins with, in the index of names.

    The first is what the names themselves begin with, perhaps nothing.  The others
    are for the segments that are spelled after a star.
    """
    prefix, segments = spellingOf(pattern)
    return [prefix, *(f"\x01{number}/{segment}/" for number, segment in segments)]
