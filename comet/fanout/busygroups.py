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
    waits in its queue, behind the flush that goes on.  What waits is joined: the next
    flush has up to L{JOINED_BYTES} of it, in one write to each reader.  A queue that is
    longer than L{QUEUED_BYTES} is written in one turn: what other nodes publish may come
    sooner than it can be written in a part of each turn.

  - Each reader of a busy group stands at one of three places.  A I{pending} reader was
    not given the messages of this flush: it stands where the group stood before.  The
    others stand behind the last message of this flush; and the readers that may be ahead
    stand at positions of their own.  So a reader that is told its cursor, leaves, is full
    or is closed in the middle of a flush misses nothing and gets nothing twice.

  - A reader that joins has read the log.  It may join if no message that the group was
    given, those in the queue among them, is after its position; it may then be ahead of
    the group.

  - A publisher is answered once the groups that are given its messages have written them
    (L{Answers}).

  - If the bus is interrupted, all readers read the log again from where they stand, and
    what is left of flushes is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple, Protocol

from comet.fanout.delivery import DirectParts, Member
from comet.model.cursors import Cursor
from comet.model.messages import Message
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

# About how many bytes of payload are joined of what waits in a queue.
JOINED_BYTES: Final = 128 * 1024

# About how many bytes wait in a queue at most: those of payload, and for each message as
# many as it takes beside them.
QUEUED_BYTES: Final = 4 * 1024 * 1024
MESSAGE_BYTES: Final = 512


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
        See L{Rest.wait}.
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


class Answers:
    """
    What is to be called once some groups have written what they had.
    """

    __slots__ = ("_call", "_left")

    def __init__(self, call: Callable[[], None], groups: int) -> None:
        self._call = call
        self._left = groups

    def written(self) -> None:
        """
        One of the groups has written it.
        """
        self._left -= 1
        if not self._left:
            self._call()


class Queued(NamedTuple):
    """
    What one tick has brought for a busy group.

    @ivar messages: As for L{Group.flush<comet.fanout.groups.Group.flush>}.

    @ivar end: As for L{Group.flush<comet.fanout.groups.Group.flush>}.

    @ivar answers: Wait for it.
    """

    messages: Sequence[Message]
    end: Cursor
    answers: list[Answers]


class Rest:
    """
    What is left of the flush of a group, and what waits behind it.

    @ivar at: Where the group stood before this flush.

    @ivar given: The last message of this flush.

    @ivar messages: The messages of this flush.

    @ivar prepared: What was prepared of them.

    @ivar direct: The direct readers that are to be written to, those that have left
        meanwhile among them.

    @ivar inParts: Writes to these; L{None} if there are none.

    @ivar readers: Likewise, those that take what was prepared by themselves.

    @ivar answers: Wait for this flush.

    @ivar queue: What waits behind it.

    @ivar size: How many bytes that takes.
    """

    __slots__ = (
        "answers",
        "at",
        "direct",
        "given",
        "inParts",
        "messages",
        "prepared",
        "queue",
        "readers",
        "size",
    )

    def __init__(self, at: Cursor, given: Cursor) -> None:
        self.at = at
        self.given = given
        self.messages: Sequence[Message] = ()
        self.prepared: Any = None
        self.direct: list[Member] = []
        self.inParts: DirectParts | None = None
        self.readers: deque[Member] = deque()
        self.answers: list[Answers] = []
        self.queue: deque[Queued] = deque()
        self.size = 0

    def add(self, messages: Sequence[Message], end: Cursor) -> bool:
        """
        Let messages wait behind all others.

        @param messages: As for L{Group.flush<comet.fanout.groups.Group.flush>}; and so is the
            other.

        @return: Whether there is room for more.
        """
        self.queue.append(Queued(messages, end, []))
        self.size += _sizeOf(messages)
        return self.size <= QUEUED_BYTES

    def wait(self, answers: Answers) -> None:
        """
        Tell something when all is written that the group was given until now.
        """
        (self.queue[-1].answers if self.queue else self.answers).append(answers)

    def written(self) -> None:
        """
        The flush is over.
        """
        answers, self.answers = self.answers, []
        for each in answers:
            each.written()

    def drop(self) -> None:
        """
        Nothing more of this is written.
        """
        self.direct, self.messages = [], ()
        self.readers.clear()
        while self.queue:
            self.answers += self.queue.popleft().answers
        self.written()

    def takeQueued(self) -> tuple[list[Message], Cursor]:
        """
        Begin with what waits, of which there is some.

        @return: The messages of the next flush, and up to where these are all.
        """
        messages: list[Message] = []
        size, end = 0, self.given
        while self.queue and size < JOINED_BYTES:
            queued = self.queue.popleft()
            self.size -= _sizeOf(queued.messages)
            messages += queued.messages
            size += sum([len(message.payload) for message in queued.messages])
            end = queued.end
            self.answers += queued.answers
        self.at, self.given = self.given, messages[-1].cursor
        return messages, end

    def owed(self) -> list[Message]:
        """
        Return what some readers of the group were not given yet.
        """
        return [*self.messages, *[each for queued in self.queue for each in queued.messages]]


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


def _sizeOf(messages: Sequence[Message]) -> int:
    """
    Return about how many bytes messages take while they wait.
    """
    return sum([len(each.payload) + MESSAGE_BYTES for each in messages])
