"""
Messages that are late: groups were given them, and some readers were not written them
yet, since that takes long.

They are in one of two places.  Large groups of streams are
L{busy<comet.fanout.busygroups>}; parts of large groups of polls are in the
L{backlog<comet.fanout.backlog>}.  While a message is late in either, its publisher is not
answered, and how long it took to write it is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from comet.fanout.backlog import Backlog
from comet.fanout.busygroups import Busy, Parts
from comet.fanout.flushrest import Answers
from comet.fanout.groups import Group
from comet.metrics.tally import Histogram
from comet.model.messages import Message


class LateMessages:
    """
    Tells which messages are late, and when they are written.
    """

    def __init__(self, parts: Parts, backlog: Backlog, writtenSoon: Callable[[], None]) -> None:
        """
        @param writtenSoon: Called when groups have written something, and the backlog has
            calls to make that wait for it.
        """
        self._parts = parts
        self._backlog = backlog
        self._writtenSoon = writtenSoon

    def positions(self) -> AbstractSet[int]:
        """
        Return the positions of the messages that are late.
        """
        if not self._parts.busy:
            return self._backlog.late
        return self._parts.late() | self._backlog.late

    def whenWritten(self, positions: AbstractSet[int], call: Callable[[], None]) -> None:
        """
        Call something once some late messages are written to the readers.  Others are not
        waited for.

        @param positions: At least one.
        """
        owing = [group for group in self._parts.busy if group.owes(positions)]
        self._wait(owing, positions, call)

    def _wait(
        self, groups: Sequence[Busy], positions: AbstractSet[int], call: Callable[[], None]
    ) -> None:
        """
        Call something once these busy groups, and all groups of polls, have written some
        messages.
        """
        if not groups:
            self._backlog.whenWritten(positions, call)
            return
        answers = Answers(partial(self._groupsWritten, positions, call), len(groups))
        for group in groups:
            group.wait(answers)

    def _groupsWritten(self, positions: AbstractSet[int], call: Callable[[], None]) -> None:
        """
        Groups of streams have written some messages: groups of polls may not have.
        """
        self._backlog.whenWritten(positions, call)
        self._writtenSoon()

    def measure(
        self,
        touched: Mapping[Group, Sequence[Message]],
        messages: Sequence[Message],
        written: Histogram,
        now: Callable[[], float],
    ) -> list[Message]:
        """
        Count, once they are written, how long it took for those messages of a tick that are
        late.  All of them count when the last one is written.

        @param touched: Which groups were given which of them.

        @param written: Where they are counted.

        @param now: Tells the time of day.

        @return: The other messages of the tick.
        """
        groups = [group for group in touched if group.rest is not None]
        late = {message.position for group in groups for message in touched[group]}
        late.update(self._backlog.late & {message.position for message in messages})
        owed = [message for message in messages if message.position in late]
        if owed:
            self._wait(groups, late, partial(_measured, owed, written, now))
        return [message for message in messages if message.position not in late]


def _measured(messages: Sequence[Message], written: Histogram, now: Callable[[], float]) -> None:
    """
    Count how long it took until messages were written, as they are now.
    """
    time = now()
    for message in messages:
        written.add(time - message.time)
