"""
A very simple bus: all messages ever stored, and rules for which of them are
held.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from comet.bus.memory.buslog import CHANNEL_OVERHEAD
from comet.model.channels import isPattern, isReserved
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Message
from comet.model.patterns import matches
from comet.model.positions import (
    At,
    HistoryPage,
    Last,
    Now,
    ReadResult,
    ResolvedStart,
    StartPosition,
    Unreadable,
)


class BusModel:
    """
    Answers what a memory bus with the same history answers, by going through
    all messages each time.

    If the total is bounded, no message may expire.

    @ivar all: All messages of this epoch.

    @ivar lost: The positions of those that are no longer held.

    @ivar known: The channels that were not forgotten.

    @ivar floor: The bus's own floor.

    @cvar channelOverhead: What a channel counts for beside its messages and
        name.

    @cvar segmentOverhead: What each segment of a name but the first counts for.

    @cvar streamOverhead: What a channel with messages counts for in addition.
    """

    channelOverhead = CHANNEL_OVERHEAD
    segmentOverhead = 0
    streamOverhead = 0

    def __init__(self, retention: Callable[[str], Retention], totalBytes: int) -> None:
        self.retention = retention
        self.totalBytes = totalBytes
        self.renew("")

    def renew(self, epoch: str) -> None:
        """
        Begin a new epoch.
        """
        self.epoch = epoch
        self.all: list[Message] = []
        self.lost: set[int] = set()
        self.known: set[str] = set()
        self.began: dict[str, int] = {}
        self.floor = 0

    @property
    def end(self) -> Cursor:
        """
        The cursor of the newest message.
        """
        return Cursor(self.epoch, len(self.all))

    @property
    def size(self) -> int:
        """
        How many bytes the held messages and channels count for.
        """
        records = sum(map(self.recordSize, self.known))
        held = self.held()
        streams = self.streamOverhead * len({message.channel for message in held})
        return records + streams + sum(map(self.sizeOf, held))

    def recordSize(self, channel: str) -> int:
        """
        How many bytes a channel counts for, without messages.
        """
        return self.channelOverhead + self.segmentOverhead * channel.count("/") + len(channel)

    def sizeOf(self, message: Message) -> int:
        """
        How many bytes a message counts for.
        """
        return message.size

    def held(self, *names: str) -> list[Message]:
        """
        Return the messages that are held of some names, or of all.
        """
        held = [message for message in self.all if message.position not in self.lost]
        if names:
            held = [m for m in held if any(matches(name, m.channel) for name in names)]
        return held

    # -- Changes

    def publish(self, channels: Sequence[str], payload: bytes, now: float) -> None:
        """
        Add messages, without regard to the total.
        """
        for channel in channels:
            if channel not in self.known:
                self.began[channel] = self.floor
            self.known.add(channel)
            self.all.append(Message(channel, self.epoch, len(self.all) + 1, now, payload))
            self._bound(channel, self.retention(channel))

    def _bound(self, channel: str, retention: Retention) -> None:
        held = self.held(channel)
        while len(held) > retention.messages or _payloadBytes(held) > retention.bytes:
            self.lost.add(held.pop(0).position)

    def evict(self) -> None:
        """
        Drop messages and forget channels until the total is within its limit.
        """
        for mayDrop in (self.reservedTooLarge, self.othersHeld):
            while self.size > self.totalBytes and (held := mayDrop()):
                self.lost.add(held[0].position)
        while self.size > self.totalBytes and (empty := self.empty()):
            self.forgetChannel(min(empty, key=self.endOf))
        self.forgetStalest()

    def reservedTooLarge(self) -> list[Message]:
        """
        Return the messages of the server's own channels, while these take more than a
        quarter of the total.
        """
        held = [message for message in self.held() if isReserved(message.channel)]
        channels = {message.channel for message in held}
        records = sum(self.recordSize(channel) + self.streamOverhead for channel in channels)
        return held if (records + sum(map(self.sizeOf, held))) * 4 > self.totalBytes else []

    def othersHeld(self) -> list[Message]:
        """
        Return the messages of all other channels.
        """
        return [message for message in self.held() if not isReserved(message.channel)]

    def empty(self) -> list[str]:
        """
        Return the channels of which only the floor is known.
        """
        return [channel for channel in self.known if not self.held(channel)]

    def forgetStalest(self) -> None:
        """
        Forget channels without messages while they would take more than a
        quarter of the total without their names, or more than half of it with all
        that they count for.
        """
        empty = self.empty()
        while (
            len(empty) * self.channelOverhead * 4 > self.totalBytes
            or sum(map(self.recordSize, empty)) * 2 > self.totalBytes
        ):
            stalest = min(empty, key=self.endOf)
            empty.remove(stalest)
            self.forgetChannel(stalest)

    def forgetChannel(self, channel: str) -> None:
        """
        Forget a channel, with its floor.
        """
        self.known.remove(channel)
        self.floor = max(self.floor, self.endOf(channel))

    def endOf(self, channel: str) -> int:
        """
        Return the position of the newest message of a channel.
        """
        return max(message.position for message in self.all if message.channel == channel)

    def forget(self, channel: str) -> None:
        """
        Drop the messages that are held of a channel.
        """
        self.lost.update(message.position for message in self.held(channel))
        self.forgetStalest()

    def expire(self, now: float) -> None:
        """
        Drop messages that are too old.
        """
        for message in self.held():
            if message.time + self.retention(message.channel).seconds <= now:
                self.lost.add(message.position)

    # -- Questions

    def floorOf(self, name: str) -> int:
        """
        Return the floor of a channel or pattern.
        """
        if not isPattern(name):
            if name not in self.known:
                return self.floor
            lost = [m.position for m in self.all if m.channel == name and m.position in self.lost]
            return max([self.began[name], *lost])
        return max([self.floor, *(self.floorOf(c) for c in self.known if matches(name, c))])

    def beforeOldest(self, *names: str) -> int:
        """
        Return the position just before the oldest message that is held of some
        names.
        """
        held = self.held(*names) if names else []
        return held[0].position - 1 if held else len(self.all)

    def isKnown(self, cursor: Cursor) -> bool:
        """
        Whether a cursor is of this log.
        """
        return cursor.epoch == self.epoch and cursor.position <= len(self.all)

    def read(
        self, names: Sequence[str], after: Cursor, limit: int, maxBytes: int, upTo: int | None
    ) -> ReadResult:
        """
        See L{comet.interfaces.messagebus.IMessageBus.read}.
        """
        floors = {name: self.floorOf(name) for name in names}
        gaps: Mapping[str, int] = floors
        if self.isKnown(after):
            gaps = {name: floor for name, floor in floors.items() if floor > after.position}
        else:
            after = Cursor(self.epoch, self.beforeOldest(*names))
        end = len(self.all) if upTo is None else min(upTo, len(self.all))
        wanted = [m for m in self.held(*names) if after.position < m.position <= end]
        count = 0
        while count < len(wanted) and count < limit:
            if count and _payloadBytes(wanted[: count + 1]) > maxBytes:
                break
            count += 1
        more = count < len(wanted)
        reached = wanted[count - 1].position if more else max(end, after.position)
        return ReadResult(after, wanted[:count], Cursor(self.epoch, reached), gaps, more)

    def history(
        self, channel: str, before: Cursor | None, limit: int, maxBytes: int
    ) -> HistoryPage:
        """
        See L{comet.interfaces.messagebus.IMessageBus.history}.
        """
        if before is not None and not self.isKnown(before):
            return HistoryPage(isGap=True)
        upper = len(self.all) + 1 if before is None else before.position
        wanted = [m for m in self.held(channel) if m.position < upper]
        count = 0
        while count < len(wanted) and count < limit:
            if count and _payloadBytes(wanted[len(wanted) - count - 1 :]) > maxBytes:
                break
            count += 1
        more = count < len(wanted)
        isGap = not more and upper > 1 and self.floorOf(channel) > 0
        return HistoryPage(wanted[len(wanted) - count :], more, isGap)

    def resolve(self, name: str, startPosition: StartPosition) -> ResolvedStart:
        """
        See L{comet.interfaces.messagebus.IMessageBus.resolve}.
        """
        floor = self.floorOf(name)
        if isinstance(startPosition, Now):
            return ResolvedStart(len(self.all), floor)
        if isinstance(startPosition, At) and self.isKnown(startPosition.cursor):
            position = startPosition.cursor.position
            return ResolvedStart(position, floor, isGap=floor > position)
        if isinstance(startPosition, Last):
            skipUpTo: dict[str, int] = {}
            for channel in {message.channel for message in self.held(name)}:
                skipUpTo[channel] = self.held(channel)[-startPosition.count :][0].position - 1
            start = min(skipUpTo.values(), default=len(self.all))
            return ResolvedStart(start, floor, isRelative=True, skipUpTo=skipUpTo)
        isGap = isinstance(startPosition, (At, Unreadable))
        return ResolvedStart(self.beforeOldest(name), floor, isGap, isRelative=True)


def _payloadBytes(messages: Sequence[Message]) -> int:
    return sum(len(message.payload) for message in messages)
