"""
Groups: readers of the same names in the same shape, which are written the same
bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol, TypeAlias

from twisted.python.failure import Failure

from comet.fanout.aheadreaders import takeAligned, takePassed
from comet.fanout.busygroups import EACH_COST, Parts
from comet.fanout.catchups import CatchUp, withLast
from comet.fanout.delivery import Delivery, DirectParts, Member
from comet.fanout.flushrest import Answers, Rest
from comet.fanout.giving import FAILED, Tails, failAll, give, prepare
from comet.interfaces.sockets import DirectSocket
from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.reactor.timers import NOT_SET

# What tells groups apart: the readers' class, their shape, their names.
GroupKey: TypeAlias = tuple[type[Any], object, tuple[str, ...]]

# What was prepared in one tick: by the delivery, and the identity of the list of
# messages.
Prepared: TypeAlias = dict[tuple[Delivery[Any], int], Any]


class Ticking(Protocol):
    """
    What a group needs of the fan-out.
    """

    @property
    def cursor(self) -> Cursor:
        """
        Everything up to here was delivered to the live readers.
        """

    @property
    def seconds(self) -> Callable[[], float]:
        """
        Tells the time of now, in seconds from any moment.
        """

    @property
    def parts(self) -> Parts:
        """
        The groups whose flush takes long.
        """


class Registering(Protocol):
    """
    What a group needs of the registry.
    """

    def removeMembers(self, group: Group, count: int) -> None:
        """
        So many readers of the group, none of them live any more, are members
        no longer.
        """

    def retire(self, group: Group) -> None:
        """
        Forget the group.
        """


class Group:
    """
    Readers of the same names in the same shape.

    A live reader of the group is in one of three tables.  I{Direct} and
    I{indirect} readers stand at the fan-out's cursor, or at C{flushed} once the
    tick has reached them; the bytes for direct ones can be sent to all their
    sockets in one loop.  Readers that may be I{ahead} each have a position of their
    own: see L{comet.fanout.aheadreaders}.

    @ivar key: What tells this group from others.

    @ivar names: The channels and patterns that are read, sorted.

    @ivar delivery: How messages reach its readers.

    @ivar direct: See L{DirectReaders.direct<comet.fanout.delivery.DirectReaders.direct>}.

    @ivar lastTaken: How many direct readers were L{taken<takeDirect>} the last time.

    @ivar size: How many characters the names have.

    @ivar members: How many readers belong to it, live or not.

    @ivar flushed: The last message that the group was given, though it may wait in its
        queue; or, before the first one, the fan-out's cursor when the group was made.

    @ivar rest: While the group is I{busy}, what is left of its flush: see
        L{comet.fanout.busygroups}.  Otherwise L{None}.

    @ivar since: The first cursor from which on every message of its names was heard,
        unless the fan-out was interrupted: where the first reader of this epoch stood
        that had read the log.  L{None} before that.

    @ivar wroteAt: When that was, in seconds of the reactor's clock.

    @ivar failure: Why the bus cannot let its names be heard, or L{None}.

    @ivar isRetired: Whether the registry has forgotten the group.

    @ivar catchUps: The responses to polls that have read the log, by the cursor from which
        they begin; or L{None}.
    """

    isPart = False

    __slots__ = (
        "__weakref__",
        "_ahead",
        "_indirect",
        "_pending",
        "_registry",
        "_ticking",
        "catchUps",
        "delivery",
        "direct",
        "failure",
        "flushed",
        "isRetired",
        "key",
        "lastTaken",
        "members",
        "names",
        "rest",
        "since",
        "size",
        "timerSlot",
        "wroteAt",
    )

    def __init__(
        self,
        ticking: Ticking,
        registry: Registering,
        key: GroupKey,
        delivery: Delivery[Any],
    ) -> None:
        self._ticking = ticking
        self._registry = registry
        self.key = key
        self.names = key[2]
        self.size = sum(map(len, self.names))
        self.delivery = delivery
        self.lastTaken = 0
        self.members = 0
        # Messages that were flushed before there was this group may have been
        # of its names.
        self.flushed = ticking.cursor
        self.since: Cursor | None = None
        self.wroteAt = 0.0
        self.failure: Failure | None = None
        self.timerSlot = NOT_SET
        self.isRetired = False
        self.catchUps: dict[Cursor, CatchUp] | None = None
        self._indirect: dict[Member, None] = {}
        self.direct: dict[Member, DirectSocket] = {}
        self._ahead: dict[Member, None] = {}
        # During a flush: the readers that were not given the messages yet; and how far
        # each has read them, if it has read some.
        self._pending: dict[Member, int | None] = {}
        self.rest: Rest | None = None

    def __len__(self) -> int:
        """
        How many readers are live.
        """
        return len(self._indirect) + len(self.direct) + len(self._ahead)

    @property
    def live(self) -> list[Member]:
        """
        The readers that are live.
        """
        return [*self._indirect, *self.direct, *self._ahead]

    def join(self, reader: Member) -> None:
        """
        Make a member live that has read to the end of the log.
        """
        self._ahead[reader] = None
        stands, since = reader.progress.cursor, self.since
        if since is None or since.epoch != stands.epoch:
            # The names were heard before the log was read.
            self.since = stands

    def joinAtCursor(self, reader: Member) -> None:
        """
        Make a member live that stands at the fan-out's cursor, also by its own progress.
        """
        if self.rest is not None:
            # The group comes to that cursor later.
            self._ahead[reader] = None
        elif reader.direct is None:
            self._indirect[reader] = None
        else:
            self.direct[reader] = reader.direct

    def _place(self, reader: Member) -> None:
        """
        Put a reader into the table of those that stand where the group does.
        """
        if reader.direct is None:
            self._indirect[reader] = None
        else:
            self.direct[reader] = reader.direct

    def leave(self, reader: Member) -> None:
        """
        A member is not live any more, or never was.
        """
        if reader.direct is not None:
            self.direct.pop(reader, None)
        self._indirect.pop(reader, None)
        self._ahead.pop(reader, None)
        if self._pending:
            self._pending.pop(reader, None)

    def takeDirect(self) -> dict[Member, DirectSocket]:
        """
        See L{GroupReaders.takeDirect<comet.fanout.delivery.GroupReaders.takeDirect>}.
        """
        direct, self.direct = self.direct, {}
        self.lastTaken = len(direct)
        self._registry.removeMembers(self, self.lastTaken)
        return direct

    def hasFlushedPast(self, cursor: Cursor) -> bool:
        """
        Whether the group was given a message after this cursor, though it may wait in its
        queue: then a reader at the cursor must read that message from the log.
        """
        flushed = self.flushed
        return flushed.epoch == cursor.epoch and flushed.position > cursor.position

    def deliveredTo(self, reader: Member) -> Cursor:
        """
        Everything up to this cursor was delivered to a live reader, unless the
        reader is ahead of it.
        """
        rest = self.rest
        if rest is not None:
            if reader in self._pending:
                return rest.at
            # The group has not come to one that is ahead.
            return reader.progress.cursor if reader in self._ahead else rest.given
        isAtCursor = reader in self._indirect or reader in self.direct
        if isAtCursor and reader not in self._pending:
            if self.hasFlushedPast(self._ticking.cursor):
                # In the middle of a tick: the fan-out's cursor moves at its end.
                return self.flushed
        return self._ticking.cursor

    def flush(self, messages: Sequence[Message], end: Cursor, prepared: Prepared) -> None:
        """
        Give every live reader those of these messages that it has not read: now, or in
        later turns if it takes long.

        While readers are written to, they and others may leave, join, publish,
        or be closed.

        @param messages: At least one, in the order of positions, all of this
            group's names, and all there are up to C{end}.  Groups that are
            given the same messages may be given the same list.

        @param prepared: What was prepared in this tick, for groups with the
            same delivery that are given the same list.
        """
        last = messages[-1]
        isEnd = last.position == end.position and last.epoch == end.epoch
        self.flushed = end if isEnd else last.cursor
        if self.catchUps is not None:
            self.catchUps = withLast(self.catchUps, last)
        rest = self.rest
        if rest is not None:
            if not rest.add(messages, end):
                self._ticking.parts.finishOne(self)
            return
        self.wroteAt = self._ticking.seconds()
        self._write(messages, end, prepared)
        if self.rest is not None:
            self._ticking.parts.begin(self)

    def _write(self, messages: Sequence[Message], end: Cursor, prepared: Prepared) -> None:
        """
        Give the readers these messages; or leave it in L{rest} if it takes long.
        """
        key = (self.delivery, id(messages))
        if self._ahead:
            for reader in takeAligned(self._ahead, messages[0], end):
                self._place(reader)
        readers = list(self._indirect)
        pending = self._pending = dict.fromkeys(readers)
        direct: list[Member] = []
        delivered: bool | DirectParts = True
        if self.direct:
            given = prepared.get(key)
            if given is None:
                given = prepared[key] = prepare(self, messages, end)
            delivered = False
            if given is not FAILED:
                try:
                    delivered = self.delivery.deliver(self, given)
                except Exception:
                    direct += self.direct
                    pending.update(dict.fromkeys(direct))
                    failAll(direct, self.names)
                    delivered, direct = True, []
            if delivered is not True:
                direct += self.direct
                pending.update(dict.fromkeys(direct))
            if delivered is False:
                readers += direct
        tails = None
        if self._ahead:
            tails = Tails(self, messages, end)
            first, last = messages[0].position, messages[-1].position
            for stands, reader in takePassed(self._ahead, end):
                self._place(reader)
                if stands < last:
                    pending[reader] = stands if stands >= first else None
                    readers.append(reader)
        parts, cost = self._ticking.parts, len(readers) * EACH_COST
        if isinstance(delivered, bool) and cost <= parts.left:
            parts.left -= cost
            for reader in readers:
                # A write to one reader may have made another one leave.
                if reader in pending:
                    reached = pending[reader]
                    if tails is not None and reached is not None:
                        given = tails.after(reached)
                    else:
                        given = prepared.get(key)
                        if given is None:
                            given = prepared[key] = prepare(self, messages, end)
                    give(reader, given, self.names)
                    if reader in pending:
                        del pending[reader]
            return
        rest = self.rest
        if rest is None:
            rest = self.rest = Rest(self._ticking.cursor, self.flushed, self.names)
        if key not in prepared:
            prepared[key] = prepare(self, messages, end)
        rest.messages, rest.prepared = messages, prepared[key]
        rest.pending, rest.tails = pending, tails
        rest.readers.extend(readers)
        if not isinstance(delivered, bool):
            rest.direct, rest.inParts = direct, delivered

    def owes(self, positions: AbstractSet[int]) -> bool:
        """
        See L{Busy.owes<comet.fanout.busygroups.Busy.owes>}.
        """
        rest = self.rest
        return rest is not None and any([each.position in positions for each in rest.owed()])

    def wait(self, answers: Answers) -> None:
        """
        See L{Busy.wait<comet.fanout.busygroups.Busy.wait>}.
        """
        if self.rest is not None:
            self.rest.wait(answers)

    def goOn(self, over: float) -> bool:
        """
        See L{Busy.goOn<comet.fanout.busygroups.Busy.goOn>}.
        """
        seconds, parts = self._ticking.seconds, self._ticking.parts
        self.wroteAt = seconds()
        while (rest := self.rest) is not None:
            if not rest.write(over, seconds, parts.eachAtOnce):
                return False
            rest.written()
            if not rest.queue:
                rest.messages = ()
                self.rest = None
                break
            messages, end = rest.takeQueued()
            self._write(messages, end, {})
            if seconds() >= over:
                return False
        return True

    def abandon(self) -> None:
        """
        See L{Busy.abandon<comet.fanout.busygroups.Busy.abandon>}.  The readers have left to
        read the log, each from where it stands.
        """
        rest, self.rest = self.rest, None
        self._pending = {}
        if rest is not None:
            rest.drop()

    def giveOwn(self, reader: Member, messages: Sequence[Message], end: Cursor) -> None:
        """
        Give a live reader of this group those of some messages that it has not read, and is
        not spared.  Called before L{flush} with the same messages, which then gives it none.
        In a busy group, it is first given what it waits for.

        @param messages: As for L{flush}.

        @param end: As for L{flush}.
        """
        stands = reader.position
        if stands.epoch != end.epoch or stands.position >= end.position:
            # It has read of a new epoch, or these messages.
            return
        owed = messages if self.rest is None else [*self.rest.owed(), *messages]
        own = [
            message
            for message in owed
            if message.position > stands.position and message.exclude != reader.readerID
        ]
        reader.progress.advance(stands.position)
        self.leave(reader)
        self._ahead[reader] = None
        if own:
            give(reader, prepare(self, own, end), self.names)
        if reader in self._ahead:
            reader.progress.advance(end.position)

    def timedOut(self) -> None:
        """
        Retire the group, which has been idle for long enough.
        """
        self._registry.retire(self)
