"""
Where readers that ask for the same begin, without a question to the bus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from comet.fanout.states import State
from comet.model.cursors import Cursor
from comet.model.positions import At, Now, StartPosition

if TYPE_CHECKING:
    from comet.fanout.core import Fanout
    from comet.fanout.groups import Group
    from comet.fanout.reader import Reader


class JoinPoint:
    """
    The place of readers of one kind that ask for the same names in the same
    shape.

    It is known once one of them has begun in the ordinary way.

    @ivar names: The names, each once.
    """

    __slots__ = ("_group", "_knowsHead", "_since", "names")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._group: Group | None = None
        # Nothing of the names is missed after this.  What was stored before may
        # have been heard by nobody, though the fan-out's cursor is older.
        self._since = Cursor("", 0)
        # Whether the bus tells at once what its newest message is: it keeps
        # the log itself then, and its head is never behind.
        self._knowsHead = False

    def find(self, fanout: Fanout, startPosition: StartPosition) -> Cursor | None:
        """
        Where who begins there stands, if there is nothing to read from there,
        and all that comes after will be heard.
        """
        group = self._group
        if group is None or group.isRetired:
            return None
        if type(startPosition) is At:
            cursor, since = fanout.cursor, self._since
            isHere = startPosition.cursor == cursor and fanout.isSure
            isHeard = cursor.epoch == since.epoch and cursor.position >= since.position
            return cursor if isHere and isHeard else None
        if type(startPosition) is Now and self._knowsHead:
            cursor = fanout.end()
            return None if group.isPassed(cursor) else cursor
        return None

    def enter(self, reader: Reader, startPosition: StartPosition) -> bool:
        """
        Let a new reader begin here, without a question to the bus, if that is
        where it is to begin.

        @return: Whether it has: it is a member of the group then, and is to
            L{join} it as soon as it is live.
        """
        fanout, group = reader.fanout, self._group
        cursor = self.find(fanout, startPosition)
        if cursor is None or group is None:
            # It begins in the ordinary way.
            return False
        reader.progress.begin(self.names, cursor)
        reader.group = group
        fanout.readers[reader] = None
        if group.members:
            group.members += 1
        else:
            fanout.enter(reader, group)
        return True

    def join(self, reader: Reader) -> None:
        """
        A reader that has begun here is live.
        """
        group, fanout = reader.group, reader.fanout
        if group is None:
            return
        if fanout.isSure and reader.progress.cursor == fanout.cursor:
            group.joinAtOnce(reader)
        else:
            # What was stored and is not given yet is of before now.
            group.join(reader)

    def learn(self, reader: Reader, startPosition: StartPosition) -> None:
        """
        Note where a reader is that has just begun in the ordinary way.
        """
        if reader.state is State.LIVE and reader.progress.names == self.names:
            stands = reader.progress.cursor
            if reader.group is not self._group or stands.epoch != self._since.epoch:
                self._group, self._since = reader.group, stands
            # The bus was not waited for.
            self._knowsHead = self._knowsHead or type(startPosition) is Now
