"""
A bus of an application's own: a list of messages, for one process.

Each call looks at the whole list, so it is for some thousands of messages.  The plugin
C{twisted/plugins/listbus_plugin.py} adds it to the server, with two lines::

    from listbus import ListMaker
    maker = ListMaker()

C{PYTHONPATH=. twistd -n comet --bus list:}
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.plugin import IPlugin
from zope.interface import implementer

from comet import (
    Configuration,
    ConfigurationError,
    Cursor,
    HistoryPage,
    IBusListener,
    IBusMaker,
    IMessageBus,
    KeyBudget,
    KeyMemory,
    KeyReused,
    Listeners,
    Message,
    Publication,
    Published,
    ReadResult,
    ResolvedStarts,
    Retention,
    StartPosition,
    matches,
    resolveStarts,
)

# How many channels are known for their floors.
MOST_CHANNELS = 10000


def isOwn(message: Message) -> bool:
    """
    Whether a message is of a channel of the server's own, such as C{$events}.
    """
    return message.channel.startswith("$")


@implementer(IMessageBus)
class ListBus:
    """
    Keeps all messages in one list.
    """

    isAvailable = True

    def __init__(
        self,
        clock: IReactorTime,
        retention: Callable[[str], Retention] = lambda channel: Retention(),
        totalBytes: int = 1048576,
        wallClock: Callable[[], float] = time.time,
        keyBudget: KeyBudget | None = None,
    ) -> None:
        self.retention = retention
        self.totalBytes = totalBytes
        self.wallClock = wallClock
        self.listeners = Listeners()
        self.keys = KeyMemory(clock.seconds, budget=keyBudget)
        self.begin()

    def begin(self) -> None:
        """
        Begin a new epoch, with nothing in the list.
        """
        # A name that no epoch had before: old cursors must not fit into this log.
        self.end = Cursor(secrets.token_hex(6), 0)
        # What is held, oldest first.
        self.log: list[Message] = []
        # By channel: the position of the newest message that is not held any more; and
        # the highest of those that were forgotten.
        self.floors: dict[str, int] = {}
        self.floor = 0

    def start(self) -> Deferred[None]:
        """
        Be ready.
        """
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """
        Leave nothing behind.
        """
        self.listeners.clear()
        return succeed(None)

    def renew(self) -> None:
        """
        Lose everything, as a restart would.
        """
        self.keys.clear()
        self.begin()
        self.listeners.interrupted()

    # -- Writing

    def publish(self, publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        Store all publications or none; those whose keys came before are not new.
        """
        stored: list[Message] = []
        try:
            answers = self.keys.storeBatch(publications, lambda each: self.store(each, stored))
        except KeyReused as error:
            return fail(error)
        if not stored:
            return succeed(answers)
        self.trim()
        # It fires later if a listener publishes while it hears.
        return self.listeners.messagesStored(stored).addCallback(lambda _: answers)

    def store(self, publication: Publication, stored: list[Message]) -> Published:
        """
        Append a message for each channel.
        """
        positions = {}
        for channel in publication.channels:
            epoch, position = self.end.epoch, self.end.position + 1
            message = publication.stored(channel, epoch, position, self.wallClock())
            self.floors.setdefault(channel, self.floor)
            self.log.append(message)
            stored.append(message)
            self.end = message.cursor
            positions[channel] = position
        return Published(self.end.epoch, positions)

    def trim(self) -> None:
        """
        Drop what is too old, or too much for its channel, or for all together.
        """
        counts: Counter[str] = Counter()
        payloads: Counter[str] = Counter()
        now = self.wallClock()

        def fits(message: Message) -> bool:
            channel = message.channel
            retention = self.retention(channel)
            counts[channel] += 1
            payloads[channel] += len(message.payload)
            return (
                counts[channel] <= retention.messages
                and payloads[channel] <= retention.bytes
                and message.time + retention.seconds > now
            )

        self.keep(fits)
        room = self.room()

        def hasRoom(message: Message) -> bool:
            room[isOwn(message)] -= message.size
            return room[isOwn(message)] >= 0

        self.keep(hasRoom)
        if len(self.floors) > MOST_CHANNELS:
            self.forgetFloors()

    def keep(self, isKept: Callable[[Message], bool]) -> None:
        """
        Look at all messages, the newest first, and keep those for which this holds.
        """
        kept = []
        for message in reversed(self.log):
            floor = self.floors[message.channel]
            # What is older than a message that was dropped is dropped, too.
            if message.position > floor and isKept(message):
                kept.append(message)
            else:
                self.floors[message.channel] = max(floor, message.position)
        self.log = kept[::-1]

    def room(self) -> dict[bool, int]:
        """
        Return how many bytes may be held of the server's own channels, and of the
        others: where all is too much, a quarter is the server's if it needs that.
        """
        sizes: Counter[bool] = Counter()
        for message in self.log:
            sizes[isOwn(message)] += message.size
        own = max(self.totalBytes // 4, self.totalBytes - sizes[False])
        return {True: own, False: self.totalBytes - min(sizes[True], own)}

    def forgetFloors(self) -> None:
        """
        Forget half of the channels without messages: those with the lowest floors.
        """
        held = {message.channel for message in self.log}
        idle = sorted((floor, name) for name, floor in self.floors.items() if name not in held)
        for floor, name in idle[: (len(idle) + 1) // 2]:
            del self.floors[name]
            self.floor = max(self.floor, floor)

    def forget(self, channel: str) -> Deferred[None]:
        """
        Drop all messages of a channel.
        """
        for message in self.log:
            if message.channel == channel:
                self.floors[channel] = message.position
        self.trim()
        return succeed(None)

    # -- Reading

    def floorOf(self, name: str) -> int:
        """
        Return the floor of a channel or pattern.
        """
        if name in self.floors:
            return self.floors[name]
        return max([self.floor, *(f for each, f in self.floors.items() if matches(name, each))])

    def resolve(self, names: Mapping[str, StartPosition]) -> Deferred[ResolvedStarts]:
        """
        Find where names begin.
        """
        self.trim()
        held: dict[str, list[int]] = {}
        for message in self.log:
            held.setdefault(message.channel, []).append(message.position)
        return succeed(resolveStarts(names, self.end, held, self.floors, self.floor))

    def read(
        self, names: Sequence[str], after: Cursor, limit: int, maxBytes: int, upTo: int | None
    ) -> Deferred[ReadResult]:
        """
        Read the messages of some names after a cursor.
        """
        self.trim()
        end = self.end
        found = [each for each in self.log if any(matches(name, each.channel) for name in names)]
        isLost = not after.isKnownAt(end)
        if isLost:
            # Begin with the oldest message, and say that all names have lost some.
            after = Cursor(end.epoch, (found[0].position if found else end.position + 1) - 1)
        floors = {name: self.floorOf(name) for name in names}
        gaps = {name: floor for name, floor in floors.items() if isLost or floor > after.position}
        last = end.position if upTo is None else min(upTo, end.position)
        wanted = [each for each in found if after.position < each.position <= last]
        taken = firstOf(wanted, limit, maxBytes)
        more = len(taken) < len(wanted)
        reached = taken[-1].position if more else max(last, after.position)
        return succeed(ReadResult(after, taken, Cursor(end.epoch, reached), gaps, more))

    def history(
        self, channel: str, before: Cursor | None, limit: int, maxBytes: int
    ) -> Deferred[HistoryPage]:
        """
        Read the newest messages of a channel before a cursor.
        """
        self.trim()
        if before is None:
            before = Cursor(self.end.epoch, self.end.position + 1)
        elif not before.isKnownAt(self.end):
            return succeed(HistoryPage(isGap=True))
        own = [each for each in self.log if each.channel == channel]
        older = [each for each in reversed(own) if each.position < before.position]
        taken = firstOf(older, limit, maxBytes)
        more = len(taken) < len(older)
        isGap = not more and self.floorOf(channel) > 0 and before.position > 1
        return succeed(HistoryPage(taken[::-1], more, isGap))

    # -- Listening

    def listen(self, listener: IBusListener, names: Iterable[str]) -> Deferred[None]:
        """
        Let a listener hear some names.
        """
        self.listeners.add(listener, names)
        return succeed(None)

    def unlisten(self, listener: IBusListener, names: Iterable[str]) -> None:
        """
        Stop telling a listener of some names.
        """
        self.listeners.remove(listener, names)


def firstOf(messages: Sequence[Message], limit: int, maxBytes: int) -> Sequence[Message]:
    """
    Return the first few messages, as many as fit, and one in any case.
    """
    size = 0
    for index, message in enumerate(messages[:limit]):
        size += len(message.payload)
        if index and size > maxBytes:
            return messages[:index]
    return messages[:limit]


@implementer(IPlugin, IBusMaker)
class ListMaker:
    """
    Makes the bus of C{--bus list:}.
    """

    scheme = "list"
    isShared = False

    def makeBus(self, url: str, reactor: IReactorTime, configuration: Configuration) -> IMessageBus:
        """
        Make the bus that a URL names.
        """
        if url != "list:":
            raise ConfigurationError(f"{url[:64]!r} is not a bus: nothing may follow 'list:'")
        return ListBus(reactor, configuration.retention)
