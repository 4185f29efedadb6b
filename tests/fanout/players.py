"""
The clients that take part in the tests of the promise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred

from comet.fanout.application import ApplicationReader, Subscription
from comet.fanout.polls import PollReader
from comet.fanout.reader import Opener, openReader
from comet.fanout.states import State
from comet.fanout.streams import StreamReader
from comet.http.polls import Outcome
from comet.model.cursors import Cursor
from comet.model.positions import At, Now, StartPosition, StartPositions
from tests.fanout.doubles import (
    ANYONE,
    DirectMemorySink,
    LineShape,
    MemoryReceiver,
    MemorySink,
    MemoryWaiter,
    OutcomeShape,
    readLines,
)
from tests.fanout.oracle import Resume, Tracker
from tests.fanout.world import World


class Player:
    """
    One client.

    @ivar isOver: Whether it has left or was sent away.

    @ivar history: With what it would have come back, at several moments.
    """

    adopts = False

    def __init__(self, world: World, startPositions: Mapping[str, StartPosition]) -> None:
        self.world = world
        self.startPositions = startPositions
        self.tracker = Tracker(world.bus, self.adopts, world.isExact)
        self.isOver = False
        self.isBegun = False
        self.isChanging = False
        self.history: list[Resume] = []
        world.keep.extend(startPositions.values())

    @property
    def since(self) -> StartPositions:
        """
        Its beginnings, as the hub takes them.
        """
        return (
            StartPositions(byName=self.startPositions)
            if self.default is None
            else StartPositions(self.default)
        )

    @property
    def default(self) -> StartPosition | None:
        """
        Where all of its names begin, if that is at one place.
        """
        values = list(self.startPositions.values())
        return values[0] if values and all(each == values[0] for each in values) else None

    def opener(self, *shape: object) -> Opener:
        """
        Opens its reader: at the join point of the players of its class that
        read the same names in the same shape, if all names start at one place.
        """
        if self.default is None:
            return openReader
        return self.world.joinPoint(tuple(self.startPositions), type(self), *shape).open

    def remember(self) -> None:
        """
        Keep with what it would come back now.
        """
        self.history.append(self.tracker.resume())

    @property
    def reader(self) -> StreamReader | PollReader[Outcome] | ApplicationReader | None:
        """
        Its reader, once there is one.
        """
        raise NotImplementedError

    def stands(self) -> Cursor:
        """
        The cursor that it is told when it changes its names.
        """
        assert self.reader is not None
        return self.reader.standing

    @property
    def mayAdd(self) -> bool:
        """
        Whether it can change its names now.
        """
        return self.isBegun and not self.isOver and not self.isChanging

    def checkAtRest(self) -> None:
        """
        Nothing is left to come.
        """
        reader = self.reader
        assert reader is not None
        if self.isOver or reader.state is State.BEHIND:
            return
        assert reader.state is State.LIVE, (self, reader.state)
        if self.isBegun and self.tracker.names:
            self.tracker.checkAll()

    def leave(self) -> None:
        """
        The client goes away.
        """
        raise NotImplementedError


class Stream(Player):
    """
    A client of an endless transport.
    """

    def __init__(
        self,
        world: World,
        startPositions: Mapping[str, StartPosition],
        tag: str,
        budget: int | None,
    ) -> None:
        super().__init__(world, startPositions)
        self.sink = (DirectMemorySink if world.isDirect else MemorySink)(self._hear)
        self.sink.budget = budget
        shape = LineShape(self.adopts, tag)
        self._reader = world.hub.openStream(
            ANYONE,
            list(startPositions),
            self.since,
            lambda: StreamReader(world.hub.fanout, shape, self.sink),
            self.opener(tag),
        )

    @property
    def reader(self) -> StreamReader:
        """
        Its reader.
        """
        return self._reader

    def _hear(self, data: bytes) -> None:
        with self.world.noting():
            self._read(data)

    def _read(self, data: bytes) -> None:
        for kind, epoch, *rest in readLines(data):
            assert not self.isOver
            if kind == "message":
                channel, (epoch, position, replay) = epoch, rest
                self.tracker.message(channel, Cursor(epoch, position), replay)
            else:
                self._hearOther(kind, Cursor(epoch, rest[0]), rest[1:])
            self.remember()

    def _hearOther(self, kind: str, cursor: Cursor, names: list[str]) -> None:
        if kind == "close":
            if self.isBegun:
                self.tracker.standing(cursor)
            self.isOver = True
            return
        assert kind in ("standing", "gap"), (kind, names)
        if not self.isBegun:
            self.isBegun = True
            found = self.world.found(self.startPositions)
            self.tracker.begin(self.startPositions, found, names, cursor)
        elif kind == "gap":
            self.tracker.gap(cursor, names)
        else:
            self.tracker.standing(cursor)

    def checkAtRest(self) -> None:
        """
        Nothing is left to come.
        """
        self.isOver = self.isOver or self.sink.isEnding
        super().checkAtRest()

    def leave(self) -> None:
        """
        The connection is cut.
        """
        self.isOver = True
        self.sink.lose()


class AdoptingStream(Stream):
    """
    A client that comes back with the last cursor of all, as an C{EventSource}.
    """

    adopts = True


class Poll(Player):
    """
    A client that polls once; its answer leads to the next.
    """

    # The cursor of an answer is that of all names.
    adopts = True

    def __init__(
        self,
        world: World,
        startPositions: Mapping[str, StartPosition],
        limit: int,
        wait: float,
        before: Player | None = None,
    ) -> None:
        """
        @param before: The client that comes back.
        """
        super().__init__(world, startPositions)
        self.waiter = MemoryWaiter()
        self.limit = limit
        self.wait = wait
        names, shape = list(startPositions), OutcomeShape(limit)
        isSame = isinstance(before, Poll) and before.isSame(self)
        answered = before.reader if isinstance(before, Poll) and isSame else None
        if answered is not None:
            # In the place of the same waiter.
            answered.waiter = self.waiter
        self._reader: PollReader[Outcome] = world.hub.openPoll(
            *(ANYONE, names, self.since, shape, self.waiter, wait, self.opener(limit)),
            answered=answered,
        )

    def isSame(self, other: Poll) -> bool:
        """
        Whether another poll may have the reader of this one, which is over: it asks for the
        same, and the reader was given its messages as it waited at the log end.
        """
        wasLive = bool(self.waiter.outcomes) and bool(self.waiter.outcome.messages)
        return (
            wasLive
            and not self._reader._messages
            and (self.limit, self.wait) == (other.limit, other.wait)
            and list(self.startPositions) == list(other.startPositions)
        )

    @property
    def reader(self) -> PollReader[Outcome]:
        """
        Its reader.
        """
        return self._reader

    @property
    def mayAdd(self) -> bool:
        """
        It cannot.
        """
        return False

    def checkAtRest(self) -> None:
        """
        It waits only if there is nothing.
        """
        self.collect()
        if not self.isOver:
            assert self._reader.state is State.LIVE
            tracker = Tracker(self.world.bus, True, self.world.isExact)
            tracker.begin(self.startPositions, self.world.found(self.startPositions), ())
            tracker.checkAll()

    def collect(self) -> None:
        """
        Look at the answer, if it is there.
        """
        if self.isOver or not self.waiter.isAnswered:
            return
        self.isOver = True
        outcome = self.waiter.outcome
        if outcome.close is not None:
            # It could not wait for a message, and the bus did not answer in time.
            assert outcome.close.code == "unavailable"
            assert not self._reader.isListening and not outcome.messages
        assert len(outcome.messages) <= self.limit
        if self._reader.progress.names:
            self._follow(outcome)
        else:
            self._checkUnbegun(outcome)
        self.history.append((outcome.cursor, {}))

    def _checkUnbegun(self, outcome: Outcome) -> None:
        """
        Its time was over before it was known where it begins: with the cursor
        that it is given it misses nothing.
        """
        assert not outcome.messages and not outcome.gap
        for startPosition in self.startPositions.values():
            if isinstance(startPosition, At) and startPosition.cursor.epoch == outcome.cursor.epoch:
                assert outcome.cursor <= startPosition.cursor
            elif not isinstance(startPosition, (At, Now)):
                assert outcome.cursor.position == 0 or outcome.cursor in self._given()

    def _given(self) -> list[Cursor]:
        return [each.cursor for each in self.startPositions.values() if isinstance(each, At)]

    def _follow(self, outcome: Outcome) -> None:
        tracker = self.tracker
        found = self.world.found(self.startPositions)
        gaps = [name for name, start in found.resolved.starts.items() if start.isGap]
        tracker.begin(self.startPositions, found, gaps)
        told = list(outcome.gap)
        assert len({*told}) == len(told), told
        assert told[: len(gaps)] == gaps
        later = told[len(gaps) :]
        assert tracker.cursor is not None and tracker.lastID is not None
        if outcome.cursor.epoch != tracker.cursor.epoch:
            # All names have lost their place with the old epoch.  Some may have lost
            # messages before that, and some since: each is told once.
            names = list(self.startPositions)
            assert {*told} == {*names}, told
            tracker.gap(tracker.lastID, names)
            for message, replay in outcome.messages:
                if message.epoch == tracker.cursor.epoch:
                    tracker.message(message.channel, message.cursor, replay)
            tracker.gap(Cursor(outcome.cursor.epoch, 0), names)
        else:
            # Those that began with a gap may have lost more.
            again = [name for name in gaps if tracker.hasLost(name)]
            names = [name for name in self.startPositions if name in later or name in again]
            if names:
                tracker.gap(tracker.lastID, names)
        for message, replay in outcome.messages:
            if message.epoch == outcome.cursor.epoch:
                tracker.message(message.channel, message.cursor, replay)
        tracker.standing(outcome.cursor)

    def leave(self) -> None:
        """
        The request is given up.
        """
        self.isOver = True
        self._reader.ended()


class Application(Player):
    """
    An application's own receiver, which does something of its own when it is
    given a message.

    @ivar script: What it does at each message, first one first.
    """

    def __init__(
        self,
        world: World,
        startPositions: Mapping[str, StartPosition],
        script: list[Callable[[Application], None]],
    ) -> None:
        super().__init__(world, startPositions)
        self.script = script
        self.receiver = MemoryReceiver(self._hear)
        self._reader = ApplicationReader(world.hub.fanout, self.receiver)
        self.subscription = Subscription(self._reader)
        self.tracker.resumes = lambda: (self.subscription.cursor, {})
        self._reader.open(startPositions).addCallback(self._opened)

    @property
    def reader(self) -> ApplicationReader:
        """
        Its reader.
        """
        return self._reader

    def stands(self) -> Cursor:
        """
        What it was told last; or where it begins anew.
        """
        cursor = self.tracker.cursor
        return cursor if cursor is not None and self.tracker.names else self._reader.position

    def _opened(self, result: object) -> None:
        with self.world.noting():
            if not self.isBegun and not self.isOver:
                self._begin(())

    def _begin(self, gap: tuple[str, ...]) -> None:
        self.isBegun = True
        self.tracker.begin(self.startPositions, self.world.found(self.startPositions), gap)

    def _hear(self, heard: list[Any]) -> None:
        with self.world.noting():
            self._follow(heard)

    def _follow(self, heard: list[Any]) -> None:
        assert not self.isOver
        kind, *rest = heard
        if not self.isBegun:
            found = self.world.found(self.startPositions)
            if any(start.isGap for start in found.resolved.starts.values()):
                assert kind == "gap"
                self._begin(tuple(rest[2:]))
                return
            self._begin(())
        if kind == "gap":
            self.tracker.gap(Cursor(rest[0], rest[1]), rest[2:])
        else:
            assert kind == "message"
            self.tracker.message(rest[0], Cursor(rest[1], rest[2]), rest[3])
        self.remember()
        if kind == "message" and self.script:
            self.script.pop(0)(self)

    def leave(self) -> None:
        """
        It unsubscribes.
        """
        self.isOver = True
        self.subscription.unsubscribe()


def add(player: Stream | Application, startPositions: Mapping[str, StartPosition]) -> None:
    """
    Read more names.
    """
    new = {n: b for n, b in startPositions.items() if n not in player.tracker.names}
    player.world.keep.extend(new.values())
    player.isChanging = True
    reader = player.reader

    def added(gap: tuple[str, ...]) -> None:
        player.isChanging = False
        if reader.state is not State.CLOSED:
            with player.world.noting():
                found = player.world.found(new)
                position = reader.position.position
                player.tracker.add(new, found, gap, player.stands(), position)
                player.remember()
            reader.resume()

    adding: Deferred[Any] = reader.addNames(new)
    adding.addCallback(added)


def remove(player: Stream | Application, names: list[str]) -> None:
    """
    Read fewer names.
    """
    player.tracker.remove(names)
    player.reader.removeNames(names)
