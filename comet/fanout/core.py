"""
The fan-out: what is published during one turn of the reactor goes out together
at the turn's end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, fail, gatherResults, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.fanout.backlog import Backlog
from comet.fanout.coalescing import QueryCoalescer, sizeOfReadResult, sizeOfResolvedStarts
from comet.fanout.empty import EmptyGroups
from comet.fanout.encodingcache import EncodingCache
from comet.fanout.failures import firstError
from comet.fanout.groups import Group
from comet.fanout.listening import Listening
from comet.interfaces import IBusListener, IMessageBus
from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.model.patterns import PatternTable
from comet.model.positions import At, ReadResult, ResolvedStarts, StartPosition
from comet.model.progress import Wanted
from comet.timers import TimerWheel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from comet.fanout.reader import Reader

# How much a reader that catches up is given at once: about as much as Twisted
# sends at once.
READ_MESSAGES: Final = 512
READ_BYTES: Final = 128 * 1024

# How many readers go on reading in one turn.
MOST_DUE: Final = 64


@implementer(IBusListener)
class Fanout:
    """
    Gives each reader exactly the messages of its names after its position, in
    the order of positions, each once, or a gap, at its place.

    @ivar bus: Where messages come from.

    @ivar cursor: Everything up to here was given to the live readers.

    @ivar isSure: Whether all that comes after the cursor will be heard: not
        where something may have been missed.

    @ivar seconds: Tells the time of now, in seconds from any moment.

    @ivar heartbeat: After how many seconds of silence a stream is told where
        it stands.

    @ivar readers: All that are not closed.

    @ivar backlog: What is left to do of the turns before.

    @ivar leaving: Those whose last words were written and whose connection is
        not closed yet.
    """

    _log = Logger()

    def __init__(self, bus: IMessageBus, clock: IReactorTime, heartbeat: float = 25.0) -> None:
        self.heartbeat = heartbeat
        self.wheel = TimerWheel(clock)
        self.encodings = EncodingCache(self.wheel)
        self.readers: dict[Reader, None] = {}
        self.leaving: dict[Reader, None] = {}
        self.cursor = Cursor("", 0)
        self.isSure = True
        self.bus = bus
        self._clock = clock
        self.seconds: Callable[[], float] = clock.seconds
        self._groups: dict[tuple[object, ...], Group] = {}
        self._empty = EmptyGroups(self.wheel)
        self._routes: PatternTable[dict[Group, None]] = PatternTable()
        self._pending: list[Message] = []
        self._end: Cursor | None = None
        self._unsettled = False
        self._due: deque[Reader] = deque()
        self.backlog = Backlog()
        self._waiting: list[Callable[[], None]] = []
        self._left: list[Deferred[None]] = []
        self._listening: dict[str, Listening] = {}
        self._answers = QueryCoalescer(self.wheel, clock.seconds)
        self._isTicking = False
        self._isTurning = False
        self._endsTurn = False

    # -- What is heard

    def messagesStored(self, messages: Sequence[Message]) -> None:
        """
        See L{IBusListener.messagesStored}.
        """
        self._pending.extend(messages)
        self._tickSoon()

    def endMoved(self, end: Cursor) -> None:
        """
        See L{IBusListener.endMoved}.
        """
        self._end = end
        self._tickSoon()

    def interrupted(self) -> None:
        """
        See L{IBusListener.interrupted}.
        """
        # What was heard and not given is read from the log instead.
        self._pending.clear()
        self._end = None
        # What is under way may have been read before what was missed.
        self._answers.clear()
        self._unsettled = True
        self._tickSoon()

    def whenSettled(self, call: Callable[[], None]) -> None:
        """
        Call something when what was heard so far has been written to the
        readers: at once, if it has been.
        """
        if self._pending or self._unsettled or self.backlog:
            self._waiting.append(call)
        else:
            call()

    def later(self, reader: Reader) -> None:
        """
        Let a reader go on reading in the next turn, so that others have
        theirs.
        """
        self._due.append(reader)
        self._tickSoon()

    def beginTurn(self) -> None:
        """
        Somebody deals with all that many clients have sent, and says with
        L{endTurn} when it is done: no timer is needed for that.
        """
        self._isTurning = True

    def endTurn(self) -> None:
        """
        Give the readers what was published since L{beginTurn}.
        """
        self._isTurning = False
        if self._endsTurn:
            self._endsTurn = False
            self._tick()

    def _tickSoon(self) -> None:
        if not self._isTicking:
            self._isTicking = True
            if self._isTurning:
                self._endsTurn = True
            else:
                self._clock.callLater(0, self._tick)

    def _tick(self) -> None:
        """
        The turn is at its end.
        """
        self._isTicking = False
        if self._unsettled:
            self._unsettled = False
            self._unsettle()
        pending, self._pending = self._pending, []
        end, self._end = self._end, None
        waiting, self._waiting = self._waiting, []
        if pending:
            newest = pending[-1].cursor
            if end is None or end.epoch != newest.epoch or end.position < newest.position:
                end = newest
        if end is not None and end.epoch == self.cursor.epoch:
            end = max(end, self.cursor)
        if end is not None:
            if end.epoch != self.cursor.epoch:
                self.cursor = Cursor(end.epoch, 0)
            prepared: dict[tuple[object, ...], Any] = {}
            for group, messages in self._route(pending).items():
                group.flush(messages, end, prepared)
            self.cursor = end
            self.isSure = True
        # First the readers are written to, then the publishers are answered.
        for call in waiting:
            self.backlog.add(call, isPart=False)
        self.backlog.go()
        self._tellLeft()
        if self.backlog:
            self._tickSoon()
        self._pumpDue()

    def _unsettle(self) -> None:
        self.isSure = False
        for reader in list(self.readers):
            reader.unsettle()
        epoch = self.bus.end.epoch
        if epoch != self.cursor.epoch:
            self.cursor = Cursor(epoch, 0)

    def _pumpDue(self) -> None:
        """
        Let some of those go on that have more to read.
        """
        for _ in range(min(len(self._due), MOST_DUE)):
            reader = self._due.popleft()
            try:
                reader.pump()
            except Exception:
                self._log.failure("{reader} failed to read", reader=reader)
                reader.failed()
        if self._due:
            self._tickSoon()

    def _route(self, messages: Sequence[Message]) -> dict[Group, list[Message]]:
        """
        Which groups get which of these messages.
        """
        touched: dict[Group, list[Message]] = {}
        for message in messages:
            # Shared by all groups that are given nothing else.
            alone = [message]
            for groups in self._routes.matching(message.channel):
                for group in groups:
                    given = touched.setdefault(group, alone)
                    # Two of its names may reach the same message.
                    if given[-1] is message:
                        continue
                    if len(given) == 1:
                        touched[group] = [*given, message]
                    else:
                        given.append(message)
        return touched

    # -- What is asked

    def resolve(
        self, startPositions: Mapping[str, StartPosition], isPassing: bool = True
    ) -> Deferred[ResolvedStarts]:
        """
        See L{IMessageBus.resolve}.  Readers that ask the same while the bus has
        not answered share one answer.

        @param isPassing: Whether who asks does not hear the names; otherwise
            what is a moment old will do, since all that comes after is heard.
        """
        # Where it is not a cursor, a moment ago was somewhere else.
        isLasting = not isPassing and {type(each) for each in startPositions.values()} == {At}
        key = (isPassing, *startPositions.items())
        ask = partial(self.bus.resolve, startPositions)
        size = sizeOfResolvedStarts if isLasting else None
        return self._answers.ask(key, ask, size, self._isGoodStart)

    def _isGoodStart(self, resolved: ResolvedStarts) -> bool:
        return resolved.end.epoch == self.bus.end.epoch

    def read(
        self,
        wanted: Wanted,
        limit: int = READ_MESSAGES,
        maxBytes: int = READ_BYTES,
        isPassing: bool = True,
    ) -> Deferred[ReadResult]:
        """
        Read the log.  Readers that ask the same while the bus has not answered
        share one answer.

        @param isPassing: As for L{resolve}.
        """
        key = (isPassing, wanted.names, wanted.after, wanted.upTo, limit, maxBytes)
        ask = partial(self.bus.read, wanted.names, wanted.after, limit, maxBytes, wanted.upTo)
        size = None if isPassing else sizeOfReadResult
        return self._answers.ask(key, ask, size, self._isGoodRead)

    def _isGoodRead(self, result: ReadResult) -> bool:
        # Who gets nowhere, and knows that there is more, would ask for ever.
        return result.reached != result.after or result.reached == self.bus.end

    # -- Who is there

    def hasLeft(self, reader: Reader) -> None:
        """
        The connection of a reader that was sent away is closed.
        """
        self.leaving.pop(reader, None)
        self._tellLeft()

    def _tellLeft(self) -> None:
        while self._left and not (self.leaving or self.backlog):
            self._left.pop(0).callback(None)

    def left(self) -> Deferred[None]:
        """
        @return: Fires when nobody is leaving, and all are answered.
        """
        answer: Deferred[None] = Deferred()
        self._left.append(answer)
        self._tellLeft()
        return answer

    def end(self) -> Cursor:
        """
        The position of the newest message that the bus knows of.
        """
        return self.bus.end

    def group(self, kind: type[Reader], shape: object, names: tuple[str, ...]) -> Group:
        """
        The group of the readers of one kind, in one shape, of these names in
        any order.

        @return: Reading the log for it waits for L{hear}.
        """
        names = tuple(sorted(names))
        key = (kind, shape, names)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(self, key, names)
            self._addRoutes(group)
        return group

    def _addRoutes(self, group: Group) -> None:
        new = []
        for name in group.names:
            groups = self._routes.get(name)
            if groups is None:
                groups = {}
                self._routes.add(name, groups)
                new.append(name)
            groups[group] = None
        if new:
            listening = Listening()
            self._listening.update(dict.fromkeys(new, listening))
            asked = maybeDeferred(self.bus.listen, self, new)
            asked.addBoth(self._heard, new, listening)

    def _heard(self, result: Failure | None, names: list[str], listening: Listening) -> None:
        listening.isEffective = True
        if result is not None:
            for name in names:
                if self._listening.get(name) is not listening:
                    # It was given up meanwhile, and perhaps asked for again.
                    continue
                for group in list(self._routes.get(name) or ()):
                    group.failure = result
                    self.retire(group)
        waiting, listening.waiting = listening.waiting, []
        for waiter in waiting:
            waiter.callback(result)

    def isHeard(self, group: Group) -> bool:
        """
        Whether what is stored for the names of a group is heard already.
        """
        return group.failure is None and all(
            self._listening[name].isEffective for name in group.names
        )

    def hear(self, group: Group) -> Deferred[None]:
        """
        @return: Fires once everything that is stored for the names of a group
            is heard; fails with L{Unavailable<comet.errors.Unavailable>} if
            that cannot be had.
        """
        if group.failure is not None:
            return fail(group.failure)
        ahead = {id(each): each for name in group.names for each in [self._listening[name]]}
        waiters = []
        for listening in ahead.values():
            if not listening.isEffective:
                waiter: Deferred[None] = Deferred()
                listening.waiting.append(waiter)
                waiters.append(waiter)
        if not waiters:
            return succeed(None)
        return gatherResults(waiters, consumeErrors=True).addCallbacks(lambda _: None, firstError)

    def enter(self, reader: Reader, group: Group) -> None:
        """
        A reader becomes a member of a group.
        """
        if not group.members:
            self._empty.discard(group)
        group.members += 1

    def leave(self, reader: Reader, group: Group) -> None:
        """
        A reader is not a member of a group any more.
        """
        group.leave(reader)
        self.haveLeft(group, 1)

    def haveLeft(self, group: Group, count: int) -> None:
        """
        So many readers, none of them live any more, are not members of a group
        any more.
        """
        group.members -= count
        if not group.members:
            self._empty.add(group)
            while (surplus := self._empty.surplus()) is not None:
                self.retire(surplus)

    def isRead(self, channel: str) -> bool:
        """
        Whether anybody reads a channel, by its name.
        """
        return any(group.members for group in self._routes.get(channel) or ())

    def retire(self, group: Group) -> None:
        """
        Forget a group: it has no members, or cannot be heard.
        """
        self._empty.discard(group)
        group.isRetired = True
        if self._groups.get(group.key) is group:
            del self._groups[group.key]
            unheard = []
            for name in group.names:
                groups = self._routes.get(name)
                if groups is not None:
                    groups.pop(group, None)
                    if not groups:
                        self._routes.remove(name)
                        self._listening.pop(name, None)
                        unheard.append(name)
            if unheard:
                # What is under way may miss what is not heard from now on.
                self._answers.clear()
                self.bus.unlisten(self, unheard)

    def __len__(self) -> int:
        """
        How many groups there are.
        """
        return len(self._groups)
