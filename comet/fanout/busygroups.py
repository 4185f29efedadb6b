"""
Flushes that take long go on in later turns.

How it works
============

To write a burst of messages to a thousand streams may take the server many
milliseconds, in which it serves no other client.  So a tick writes at once only what is
cheap.  A group that costs more than what is left of the tick's budget is I{busy}: its
flush stops when the time is over, and goes on in the next turn.

  - Busy groups take turns.  All of them together get L{PART_SECONDS} of each turn of the
    reactor.  Groups that are not busy do not wait for them.

  - A group is given its messages in their order.  What a tick brings for a busy group
    waits in its L{queue<comet.fanout.flushrest>}, behind the flush that goes on.  Some of
    what waits is joined to the next flush, in one write to each reader.  A queue that is
    too long is written in one turn: what other nodes publish may come sooner than it can
    be written in a part of each turn.

  - Each reader of a busy group stands at one of three places.  A I{pending} reader was
    not given the messages of this flush: it stands where the group stood before.  The
    others stand behind the last message of this flush; and the readers that may be ahead
    stand at positions of their own.  So a reader that is told its cursor, leaves, is full
    or is closed in the middle of a flush misses nothing and gets nothing twice.

  - A reader that joins has read the log.  It may join if no message that the group was
    given, those in the queue among them, is after its position; it may then be ahead of
    the group.

  - A publisher is answered once the groups that are given its messages have written them.

  - If the bus is interrupted, all readers read the log again from where they stand, and
    what is left of flushes is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

from comet.fanout.flushrest import Answers, Rest
from comet.reactor.turns import TURN

# How much a tick writes without a look at the clock: in bytes that are sent straight to
# sockets.  This takes a few milliseconds.
TICK_COST: Final = 6 * 1024 * 1024

# As how many bytes a reader counts beside what it is sent: one that is sent to directly,
# and one that takes what is prepared by itself.
DIRECT_COST: Final = 4 * 1024
EACH_COST: Final = 64 * 1024

# How many of the latter are written to between two looks at the clock.
EACH_AT_ONCE: Final = 8

# For how many seconds of a turn busy groups are written to.
PART_SECONDS: Final = TURN


class Busy(Protocol):
    """
    What is needed here of a group.

    @ivar rest: What is left of its flush; L{None} if nothing is.
    """

    rest: Rest | None

    def owes(self, positions: AbstractSet[int]) -> bool:
        """
        Tell whether some messages, or one of them, are not written yet.
        """

    def wait(self, answers: Answers) -> None:
        """
        See L{Rest.wait<comet.fanout.flushrest.Rest.wait>}.
        """

    def goOn(self, over: float) -> bool:
        """
        Go on with the flush.

        @param over: When to stop, in seconds of the reactor's clock.

        @return: Whether nothing is left.
        """

    def abandon(self) -> None:
        """
        Drop what is left.
        """


class Parts:
    """
    The groups that are busy, in the order of their turns.

    @ivar left: What the tick may still write without a look at the clock.

    @ivar most: What it may write in all.

    @ivar over: When the time of this turn is over; L{None} before any of it is spent.

    @ivar seconds: For how many seconds of a turn busy groups are written to.

    @ivar eachAtOnce: How many readers that take what is prepared by themselves are written
        to between two looks at the clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """
        @param now: Tells the time of now, in seconds from any moment.
        """
        self._now = now
        self.busy: dict[Busy, None] = {}
        self.most = self.left = TICK_COST
        self.seconds = PART_SECONDS
        self.eachAtOnce = EACH_AT_ONCE
        self.over: float | None = None
        self._isGoingOn = False

    def __len__(self) -> int:
        """
        How many groups are busy.
        """
        return len(self.busy)

    def late(self) -> AbstractSet[int]:
        """
        Return the positions of messages that are not written yet.
        """
        rests = [group.rest for group in self.busy]
        return {each.position for rest in rests if rest is not None for each in rest.owed()}

    def begin(self, group: Busy) -> None:
        """
        A group has a flush that takes long: begin at once, unless others are busy.
        """
        isAlone = not self.busy
        self.busy[group] = None
        if isAlone:
            self.goOn()

    def goOn(self) -> None:
        """
        Let groups go on, one after the other, while this turn has time for it.
        """
        if self._isGoingOn:
            # A receiver of an application has had the fan-out stopped.
            return
        self._isGoingOn = True
        try:
            now, busy, over = self._now, self.busy, self.over
            if over is None:
                over = self.over = now() + self.seconds
            elif now() >= over:
                return
            for _ in range(len(busy)):
                if not busy:
                    return
                # It goes to the end first: an interruption may drop all of them meanwhile.
                group = next(iter(busy))
                del busy[group]
                busy[group] = None
                if group.goOn(over):
                    busy.pop(group, None)
                if now() >= over:
                    return
        finally:
            self._isGoingOn = False

    def abandon(self) -> None:
        """
        Drop what is left.
        """
        busy, self.busy = self.busy, {}
        for group in busy:
            group.abandon()

    def finish(self) -> None:
        """
        Write all that is left.
        """
        for group in list(self.busy):
            self.finishOne(group)

    def finishOne(self, group: Busy) -> None:
        """
        Write all that is left of a group.
        """
        # A receiver of an application may have the fan-out stopped here, too.
        isGoingOn, self._isGoingOn = self._isGoingOn, True
        try:
            while not group.goOn(float("inf")):
                pass
        finally:
            self._isGoingOn = isGoingOn
        self.busy.pop(group, None)
