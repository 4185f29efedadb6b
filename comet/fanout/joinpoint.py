"""
Join points: where new readers of the same names may go live at once, without a
query to the bus.

How it works
============

A reader that opens in the ordinary way asks the bus where its names start, and
reads the log up to its end.  Most readers on a busy server ask for the same
names in the same shape, though, and start where all the live ones stand: long
polls that come back with the cursor that they were just given, and pages that
read from C{now} on.  For these the answer is known.

A caller keeps a join point for each set of names in each shape that its clients
ask for.  The join point opens each reader: in the ordinary way at first, and
learns from that which group it is, also where the bus answers later.  It lets a reader
join at once only if the reader can miss nothing and get nothing twice:

  - The group is not retired, so its names have been heard ever since.

  - From a I{cursor}: it is not beyond the fan-out's own, and the group was given no
    message after it, so what came since then was for others.  On a server with many
    channels most polls come back with such a cursor.  No message may have been missed
    since (C{isContinuous}, C{heardFrom}); and the cursor is not older than the one at
    which the first reader of the group had read the log.  An older message may have been
    stored before its name was heard, though it lies behind the fan-out's cursor.

  - From I{now}: the bus tells its log end at once, as a bus does that keeps the
    log in this process.  The group was given no message after that end.

A reader that joins at the fan-out's cursor is like all the others.  If the end
is ahead of the cursor, messages up to it are stored and not flushed yet: the
reader joins as one that may be ahead, and the flush leaves them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import ref

from comet.fanout.core import Fanout
from comet.fanout.groups import Group
from comet.fanout.reader import Reader, openReader
from comet.fanout.states import State
from comet.model.cursors import Cursor
from comet.model.positions import At, Now, StartPosition, StartPositions


class JoinPoint:
    """
    Opens the readers of one kind that read the same names in the same shape.

    @ivar names: The names, each once.
    """

    __slots__ = ("_group", "_knowsEnd", "names")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        # A join point may be cached for long: it keeps no group that the registry
        # has forgotten.
        self._group: ref[Group] | None = None
        # Whether the bus tells its log end at once.
        self._knowsEnd = False

    def find(self, fanout: Fanout, startPosition: StartPosition) -> Cursor | None:
        """
        The cursor at which a new reader may go live at once, or L{None} if it
        has to ask the bus.
        """
        group = None if self._group is None else self._group()
        if group is None or group.isRetired:
            return None
        if type(startPosition) is At:
            cursor, since, known = fanout.cursor, group.since, startPosition.cursor
            if since is None or not (
                known.epoch == cursor.epoch == since.epoch and fanout.isContinuous
            ):
                return None
            position, flushed = known.position, group.flushed
            if position < since.position or position < fanout.heardFrom:
                return None
            # As hasFlushedPast() has it: most polls come this way.
            isPassed = flushed.position > position and flushed.epoch == known.epoch
            return None if isPassed or position > cursor.position else cursor
        if type(startPosition) is Now and self._knowsEnd:
            cursor = fanout.bus.end
            return None if group.hasFlushedPast(cursor) else cursor
        return None

    def open(self, reader: Reader, names: Sequence[str], since: StartPositions) -> None:
        """
        Open a new reader: without a query to the bus if that can be, otherwise
        as L{openReader} does.

        @param names: The names of this join point.

        @param since: One start position, for all names; others only where the
            application or the backend has said them.
        """
        fanout = reader.fanout
        isOne = reader.isListening and not since.byName
        cursor = self.find(fanout, since.default) if isOne else None
        group = None if self._group is None else self._group()
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
        if fanout.namesChanged is not None:
            fanout.namesChanged(reader)
        # What the reader is told first may have closed it.
        joined = reader.group if reader.beginAtEnd() else None
        if joined is None:
            return
        if fanout.isContinuous and reader.progress.cursor == fanout.cursor:
            joined.joinAtCursor(reader)
        else:
            joined.join(reader)

    def learn(self, reader: Reader, startPosition: StartPosition) -> None:
        """
        Note the group of a reader that was just opened in the ordinary way.
        """
        if reader.isListening:
            group = reader.fanout.registry.known(reader, self.names)
            self._group = None if group is None else ref(group)
        if reader.state is State.LIVE and reader.progress.names == self.names:
            # The reader did not wait for the bus.
            self._knowsEnd = self._knowsEnd or type(startPosition) is Now
