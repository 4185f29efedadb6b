"""
The scripts as functions: each is one question to Redis, and one answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from comet.bus.idempotency import scopeDigest
from comet.bus.redis import scripts
from comet.bus.redis.capabilities import CannotUse, Capabilities
from comet.bus.redis.protocol import RedisProtocol, RedisRefused
from comet.bus.redis.replies import (
    BadReply,
    FoundChannels,
    KeyConflict,
    ReadReply,
    Stored,
    readCursor,
    readFoundChannels,
    readMore,
    readReadReply,
    readStored,
    readTails,
    writeBody,
)
from comet.bus.redis.urls import RedisURL
from comet.model.channels import isPattern
from comet.model.cursors import Cursor, newEpoch
from comet.model.log import Retention
from comet.model.messages import Publication

# How many channels one script looks at, at most, and how many messages it lets
# go.  Redis does nothing else while it runs a script: this is some milliseconds.
MOST_CHANNELS: Final = 1000
MOST_DROPPED: Final = 500


class Store:
    """
    The log as it lies in Redis.

    All that it asks fails with L{RedisRefused<comet.bus.redis.protocol.RedisRefused>},
    L{RedisConnectionLost<comet.bus.redis.protocol.RedisConnectionLost>} or
    L{TooManyCommands<comet.bus.redis.protocol.TooManyCommands>}; and with L{BadReply}.

    @ivar topicPrefix: What the topics begin with: those of two databases in one
        Redis are the same, so its number is in it.
    """

    def __init__(
        self, url: RedisURL, retention: Callable[[str], Retention], totalBytes: int
    ) -> None:
        self.topicPrefix = f"{url.prefix}{url.db}:"
        self._state = f"{url.prefix}state"
        self._retention = retention
        self._totalBytes = totalBytes

    async def _run(
        self, connection: RedisProtocol, script: scripts.Script, *words: bytes | str | int
    ) -> Any:
        arguments = (1, self._state, self.topicPrefix, *words)
        try:
            return await connection.command("EVALSHA", script.digest, *arguments)
        except RedisRefused as error:
            if error.code != "NOSCRIPT":
                raise
        # Somebody has let Redis forget its scripts; it has not run.
        return await connection.command("EVAL", script.source, *arguments)

    async def attach(
        self, connection: RedisProtocol, server: Capabilities, known: Cursor
    ) -> Cursor:
        """
        Join, or see whether all is as it was.

        @param known: The highest head that this node was ever told.

        @return: The head.

        @raise CannotUse: If another version of comet has written there.
        """
        reply = await self._run(
            connection,
            scripts.ATTACH,
            newEpoch(),
            server.run,
            int(server.hasProof),
            int(server.isDurable),
            known.epoch,
            known.position,
        )
        if isinstance(reply, list) and reply[:1] == [b"FORM"]:
            raise CannotUse(
                f"what lies in Redis under {self._state!r} was written by another version of "
                "comet; give this one a prefix of its own: ?prefix="
            )
        return readCursor(reply)

    async def publish(
        self, connection: RedisProtocol, publications: Sequence[Publication]
    ) -> Stored | KeyConflict:
        """
        Store all of these, or none.

        @raise NoLog: If there is no log to store them in.
        """
        words: list[bytes | str | int] = [self._totalBytes, len(publications)]
        for each in publications:
            words += [_digest(each), each.fingerprint().hex(), writeBody(each), len(each.channels)]
            for channel in each.channels:
                kept = self._retention(channel)
                words += [channel, kept.messages, repr(kept.seconds), kept.bytes]
        reply = await self._run(connection, scripts.PUBLISH, *words)
        return readStored(reply, publications)

    async def forget(self, connection: RedisProtocol, channel: str) -> None:
        """
        Drop what is held of a channel.
        """
        reply = await self._run(connection, scripts.FORGET, channel)
        if reply != [b"OK"]:
            raise BadReply(f"forgetting was answered {reply!r:.100}")

    async def sweep(self, connection: RedisProtocol, milliseconds: int = 0) -> bool:
        """
        Let go a little of what is too old, or too much.

        @param milliseconds: Do nothing if another node has begun to within
            this time; 0 to do it in any case.

        @return: Whether there is more.
        """
        return readMore(
            await self._run(connection, scripts.SWEEP, self._totalBytes, MOST_DROPPED, milliseconds)
        )

    async def find(
        self,
        connection: RedisProtocol,
        isForced: bool,
        after: Cursor,
        names: Iterable[str],
        following: int | None = None,
        upTo: int | None = None,
    ) -> FoundChannels:
        """
        Ask what there is of some names with news after a cursor.

        @param isForced: Whether to answer though something is overdue.

        @param following: Where to go on, or L{None} to begin.

        @param upTo: The head when it began.
        """
        channels = [name for name in names if not isPattern(name)]
        patterns = [word for name in names if isPattern(name) for word in luaPattern(name)]
        return readFoundChannels(
            await self._run(
                connection,
                scripts.FIND,
                int(isForced),
                after.epoch,
                after.position,
                "" if following is None else following,
                "" if upTo is None else upTo,
                MOST_CHANNELS,
                len(channels),
                *channels,
                *patterns,
            )
        )

    async def tails(
        self, connection: RedisProtocol, upTo: int, counts: Mapping[str, int]
    ) -> tuple[str, dict[str, int]]:
        """
        Ask where the last few messages of some channels begin.

        @return: The epoch, and the positions of those that hold any.
        """
        words = [word for pair in counts.items() for word in pair]
        reply = await self._run(connection, scripts.TAILS, upTo, *words)
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
    ) -> ReadReply:
        """
        Read the log of some channels.

        @param channels: At most L{MOST_CHANNELS}, none twice.
        """
        reply = await self._run(
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
        return readReadReply(reply, channels)


def _digest(publication: Publication) -> str:
    """
    What a key and its scope are called in Redis; empty for no key.
    """
    scope = publication.keyScope
    return "" if scope is None else scopeDigest(scope, 20).hex()


def luaPattern(name: str) -> tuple[str, int]:
    """
    Write a pattern as Lua's, for bytes of UTF-8.

    @return: The pattern; and 1 where what it captures stands for any number of
        segments, none of which may be reserved.
    """
    segments = name.split("/")
    isDeep = segments[-1] == "**"
    if isDeep:
        segments.pop()
    # A star is no reserved segment, and an escaped byte is only itself.
    written = ["[^/$][^/]*" if each == "*" else _escaped(each) for each in segments]
    written += ["(.+)"] if isDeep else []
    return f"^{'/'.join(written)}$", int(isDeep)


def _escaped(segment: str) -> str:
    return "".join(
        f"%{each}" if each.isascii() and not each.isalnum() else each for each in segment
    )
