"""
The registry: which groups there are, which names they have, and what the bus
was asked to let be heard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.python.failure import Failure

from comet.fanout.delivery import Delivery, Member
from comet.fanout.groups import Group, GroupKey, Ticking
from comet.interfaces.messagebus import IBusListener, IMessageBus
from comet.model.channels import isPattern
from comet.model.messages import Message
from comet.model.patterns import PatternTable
from comet.reactor.deferreds import gather
from comet.reactor.timers import TimerWheel

# For how many seconds a group outlives its last reader: the next long poll of the
# same client usually comes at once.
LINGER: Final = 10.0

# How many idle groups are kept at most.
MOST_IDLE: Final = 1000

# How many characters the names of all idle groups have at most.
MOST_IDLE_NAMES: Final = 64 * 1024


class _Listening:
    """
    One call of the bus's C{listen}, for some names.

    @ivar isEffective: Whether the bus has answered.

    @ivar waiting: Fire when it answers.
    """

    __slots__ = ("isEffective", "waiting")

    def __init__(self) -> None:
        self.isEffective = False
        self.waiting: list[Deferred[None]] = []


class Registry:
    """
    Knows the groups by their readers and by their names.

    A name is heard from the moment at which the bus has answered C{listen} for
    it until its last group is retired.  A group without members is idle: it is
    kept for a while, and hears its names meanwhile.
    """

    def __init__(
        self,
        bus: IMessageBus,
        wheel: TimerWheel,
        ticking: Ticking,
        listener: IBusListener,
        unheard: Callable[[], None],
    ) -> None:
        """
        @param listener: What the bus tells of new messages.

        @param unheard: Called before the bus is asked to let some names be
            heard no more.
        """
        self._bus = bus
        self._wheel = wheel
        self._ticking = ticking
        self._listener = listener
        self._unheard = unheard
        self._groups: dict[GroupKey, Group] = {}
        # One for each class of readers and shape; held by the groups.
        self._deliveries: WeakValueDictionary[tuple[type[Member], object], Delivery[Any]] = (
            WeakValueDictionary()
        )
        self._groupsOf: PatternTable[dict[Group, None]] = PatternTable()
        self._listening: dict[str, _Listening] = {}
        # The group that has been idle for longest is in front.
        self._idle: dict[Group, None] = {}
        self._idleCharacters = 0
        self._mostIdle = MOST_IDLE

    def __len__(self) -> int:
        """
        How many groups there are.
        """
        return len(self._groups)

    def group(self, reader: Member, names: tuple[str, ...]) -> Group:
        """
        The group in which a reader reads these names, in any order.

        @return: The log must not be read for it before L{listen} has fired.
        """
        names = tuple(sorted(names))
        key = (type(reader), reader.shape, names)
        group = self._groups.get(key)
        if group is None:
            delivery = self._deliveries.get(key[:2])
            if delivery is None:
                delivery = self._deliveries[key[:2]] = reader.makeDelivery()
            group = self._groups[key] = Group(self._ticking, self, key, delivery)
            self._addNames(group)
        return group

    def known(self, reader: Member, names: Sequence[str]) -> Group | None:
        """
        The group in which a reader would read these names, if there is one.
        """
        return self._groups.get((type(reader), reader.shape, tuple(sorted(names))))

    def _addNames(self, group: Group) -> None:
        new = []
        for name in group.names:
            groups = self._groupsOf.get(name)
            if groups is None:
                groups = {}
                self._groupsOf.add(name, groups)
                new.append(name)
            groups[group] = None
        self._ask([name for name in new if not isPattern(name)])
        # A bus may deny one pattern for good.  No other name must fail with it:
        # other groups may read that name.
        for name in new:
            if isPattern(name):
                self._ask([name])

    def _ask(self, names: list[str]) -> None:
        """
        Ask the bus to let names be heard, which fail together.
        """
        if names:
            listening = _Listening()
            self._listening.update(dict.fromkeys(names, listening))
            asked = maybeDeferred(self._bus.listen, self._listener, names)
            asked.addBoth(self._listens, names, listening)

    def _listens(self, result: Failure | None, names: list[str], listening: _Listening) -> None:
        """
        The bus has answered.
        """
        listening.isEffective = True
        if result is not None:
            for name in names:
                if self._listening.get(name) is not listening:
                    # The name was given up meanwhile, and perhaps asked for again.
                    continue
                for group in list(self._groupsOf.get(name) or ()):
                    group.failure = result
                    self.retire(group)
        waiting, listening.waiting = listening.waiting, []
        for waiter in waiting:
            waiter.callback(result)

    def isHeard(self, group: Group) -> bool:
        """
        Whether every message stored for the names of a group is heard.
        """
        return group.failure is None and all(
            self._listening[name].isEffective for name in group.names
        )

    def listen(self, group: Group) -> Deferred[None]:
        """
        @return: Fires once every message stored for the names of a group is
            heard.  Fails with L{Unavailable<comet.errors.Unavailable>} if the
            bus cannot do that.
        """
        if group.failure is not None:
            return fail(group.failure)
        asked = {id(each): each for name in group.names for each in [self._listening[name]]}
        waiters = []
        for listening in asked.values():
            if not listening.isEffective:
                waiter: Deferred[None] = Deferred()
                listening.waiting.append(waiter)
                waiters.append(waiter)
        if not waiters:
            return succeed(None)
        return gather(waiters).addCallback(lambda _: None)

    def isRead(self, channel: str) -> bool:
        """
        Whether there is a reader of a channel by its name, not by a pattern.
        """
        return any(group.members for group in self._groupsOf.get(channel) or ())

    def read(self) -> Iterator[tuple[str, int]]:
        """
        Yield the names that are read now, each as often as there are groups that have it,
        with how many readers such a group has when its turn comes.
        """
        groups = list(self._groups.values())
        return ((name, group.members) for group in groups if group.members for name in group.names)

    def route(self, messages: Sequence[Message]) -> dict[Group, list[Message]]:
        """
        Which groups get which of these messages.  Groups that get a single
        message share one list.
        """
        touched: dict[Group, list[Message]] = {}
        if not self._groups:
            return touched
        for message in messages:
            alone = [message]
            for groups in self._groupsOf.matching(message.channel):
                for group in groups:
                    given = touched.setdefault(group, alone)
                    # Two names of a group may match the same message.
                    if given[-1] is message:
                        continue
                    if len(given) == 1:
                        touched[group] = [*given, message]
                    else:
                        given.append(message)
        return touched

    # -- Members

    def addMember(self, group: Group) -> None:
        """
        One more reader belongs to a group.
        """
        if not group.members:
            self._unidle(group)
        group.members += 1

    def removeMember(self, reader: Member, group: Group) -> None:
        """
        A reader belongs to a group no longer, nor is it live in it.
        """
        group.leave(reader)
        self.removeMembers(group, 1)

    def removeMembers(self, group: Group, count: int) -> None:
        """
        See L{Registering.removeMembers<comet.fanout.groups.Registering.removeMembers>}.
        """
        group.members -= count
        if not group.members:
            self._addIdle(group)

    # -- Idle groups

    def _addIdle(self, group: Group) -> None:
        if group in self._idle:
            return
        self._idle[group] = None
        self._idleCharacters += group.size
        self._wheel.set(group, LINGER)
        while len(self._idle) > self._mostIdle or self._idleCharacters > MOST_IDLE_NAMES:
            self.retire(next(iter(self._idle)))

    def _unidle(self, group: Group) -> None:
        if group in self._idle:
            del self._idle[group]
            self._idleCharacters -= group.size
            self._wheel.clear(group)

    def stop(self) -> None:
        """
        Keep no idle group from now on.
        """
        self._mostIdle = 0
        for group in list(self._idle):
            self.retire(group)

    def retire(self, group: Group) -> None:
        """
        Forget a group: it is idle, or its names cannot be heard.
        """
        self._unidle(group)
        group.isRetired = True
        if self._groups.get(group.key) is group:
            del self._groups[group.key]
            unheard = []
            for name in group.names:
                groups = self._groupsOf.get(name)
                if groups is not None:
                    groups.pop(group, None)
                    if not groups:
                        self._groupsOf.remove(name)
                        self._listening.pop(name, None)
                        unheard.append(name)
            if unheard:
                self._unheard()
                self._bus.unlisten(self._listener, unheard)
