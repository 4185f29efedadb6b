"""
What is left of the flush of a group, and what waits behind it.

A group that is L{busy<comet.fanout.busygroups>} has a L{Rest}: the readers that were not
given the messages of this flush yet, a queue of what later ticks have brought, and the
publishers that wait for either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from comet.fanout.delivery import DirectParts, Member
from comet.fanout.giving import Tails, failAll, give
from comet.model.cursors import Cursor
from comet.model.messages import Message

# About how many bytes of payload are joined of what waits in a queue.
JOINED_BYTES: Final = 128 * 1024

# About how many bytes wait in a queue at most: those of payload, and for each message as
# many as it takes beside them.
QUEUED_BYTES: Final = 4 * 1024 * 1024
MESSAGE_BYTES: Final = 512


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

    @ivar pending: The readers that were not given the messages yet, each with the position
        up to which it has read them, or L{None} if it has read none.  The group removes
        those that leave.

    @ivar tails: What those get that have read some.

    @ivar direct: The direct readers that are to be written to, those that have left
        meanwhile among them.

    @ivar inParts: Writes to these; L{None} if there are none.

    @ivar readers: Likewise, those that take what was prepared by themselves.

    @ivar answers: Wait for this flush.

    @ivar queue: What waits behind it.

    @ivar size: How many bytes that takes.
    """

    __slots__ = (
        *("_names", "answers", "at", "direct", "given", "inParts", "messages"),
        *("pending", "prepared", "queue", "readers", "size", "tails"),
    )

    def __init__(self, at: Cursor, given: Cursor, names: Sequence[str]) -> None:
        """
        @param names: The names of the group.
        """
        self._names = names
        self.at = at
        self.given = given
        self.pending: dict[Member, int | None] = {}
        self.tails: Tails | None = None
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

    def write(self, over: float, seconds: Callable[[], float], eachAtOnce: int) -> bool:
        """
        Go on with this flush.

        @param over: When to stop, in seconds of the reactor's clock.

        @param seconds: Tells the time of that clock.

        @param eachAtOnce: How many readers that take what was prepared by themselves are
            written to between two looks at the clock.

        @return: Whether all readers have it.
        """
        pending, wroteAt = self.pending, seconds()
        while self.direct and self.inParts is not None:
            count = self.inParts.atOnce
            some, self.direct = self.direct[:count], self.direct[count:]
            self._writeSome(self.inParts, [reader for reader in some if reader in pending], wroteAt)
            if seconds() >= over:
                return not (self.direct or self.readers)
        self.inParts = None
        while self.readers:
            for _ in range(min(eachAtOnce, len(self.readers))):
                reader = self.readers.popleft()
                if reader in pending:
                    stands, prepared = pending[reader], self.prepared
                    if stands is not None and self.tails is not None:
                        prepared = self.tails.after(stands)
                    give(reader, prepared, self._names)
                    pending.pop(reader, None)
            if seconds() >= over:
                break
        return not self.readers

    def _writeSome(self, inParts: DirectParts, readers: Sequence[Member], wroteAt: float) -> None:
        """
        Write to some direct readers.
        """
        sockets = {reader: reader.direct for reader in readers if reader.direct is not None}
        if not sockets:
            return
        try:
            inParts.write(sockets, wroteAt)
        except Exception:
            failAll(readers, self._names)
        for reader in readers:
            self.pending.pop(reader, None)

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


def _sizeOf(messages: Sequence[Message]) -> int:
    """
    Return about how many bytes messages take while they wait.
    """
    return sum([len(each.payload) + MESSAGE_BYTES for each in messages])
