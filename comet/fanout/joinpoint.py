"""
Where readers that ask for the same begin, without a question to the bus.
"""

from __future__ import annotations

from collections.abc import Sequence

from comet.fanout.core import Fanout
from comet.fanout.groups import Group
from comet.fanout.reader import Reader, openReader
from comet.fanout.states import State
from comet.model.cursors import Cursor
from comet.model.positions import At, Now, StartPosition, StartPositions


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
            isHere = startPosition.cursor == cursor and fanout.isContinuous
            isHeard = cursor.epoch == since.epoch and cursor.position >= since.position
            return cursor if isHere and isHeard else None
        if type(startPosition) is Now and self._knowsHead:
            cursor = fanout.end()
            return None if group.hasFlushedPast(cursor) else cursor
        return None

    def open(self, reader: Reader, names: Sequence[str], since: StartPositions) -> None:
        """
        Open a new reader: here, without a question to the bus, if it starts
        here; otherwise as L{openReader} does, and learn from it.

        @param names: Those of this join point.

        @param since: One start position, for all names.
        """
        fanout, group = reader.fanout, self._group
        cursor = self.find(fanout, since.default) if reader.isListening else None
        if cursor is None or group is None:
            openReader(reader, names, since)
            self.learn(reader, since.default)
            return
        reader.progress.begin(self.names, cursor)
        reader.group = group
        fanout.readers[reader] = None
        if group.members:
            group.members += 1
        else:
            fanout.registry.addMember(group)
        joined = reader.group if reader.beginAtEnd() else None
        if joined is None:
            return
        if fanout.isContinuous and reader.progress.cursor == fanout.cursor:
            joined.joinAtCursor(reader)
        else:
            # Messages that are stored and not flushed yet are older than this start.
            joined.join(reader)

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
