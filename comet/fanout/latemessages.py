"""
Messages that are late: groups were given them, and some readers were not written them
yet, since that takes long.

They are in one of two places.  Large groups of streams are
L{busy<comet.fanout.busygroups>}; parts of large groups of polls are in the
L{backlog<comet.fanout.backlog>}.  A publisher is not answered while one of its messages
is late in either.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import partial

from comet.fanout.backlog import Backlog
from comet.fanout.busygroups import Answers, Parts


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
        groups = [group for group in self._parts.busy if group.owes(positions)]
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
