"""
Names that a reader begins to read, when it is opened or later.

First the bus is asked to let them be heard, and then where they start: what is stored
after that answer is heard, and what was stored before is in the log.  Meanwhile the reader
may be closed, and then nothing of this is left; or a new epoch may begin, and then the bus
is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from comet.fanout.groups import Group
from comet.fanout.livingreader import LivingReader
from comet.model.positions import ResolvedStarts, StartPosition

# The names that begin with a gap, whether there is nothing to read, and what the bus has
# told; L{None} if the reader was closed meanwhile.
Begun: TypeAlias = tuple[tuple[str, ...], bool, ResolvedStarts | None]

# What there is for a reader that was closed.
_GONE: Final[Begun] = ((), False, None)


class NewNames:
    """
    Has the bus begin some names for a reader, which is a member of the group of all its
    names from then on.
    """

    __slots__ = ("_group", "_reader", "_starts")

    def __init__(self, reader: LivingReader, startPositions: Mapping[str, StartPosition]) -> None:
        """
        @param startPositions: Where the names start.  Those that the reader has already are
            passed over.
        """
        names = reader.progress.names
        self._reader = reader
        self._starts = {n: start for n, start in startPositions.items() if n not in names}
        self._group: Group | None = None

    def begin(self) -> Deferred[Any]:
        """
        Ask the bus.  Called once.

        @return: Fires with what L{Begun} has, once the reader has the names.  Fails with a
            L{CometError<comet.errors.CometError>} if the bus cannot do it.
        """
        reader = self._reader
        if not reader.isListening:
            return self._ask().addCallback(self._resolved)
        registry = reader.fanout.registry
        self._group = group = registry.group(reader, (*reader.progress.names, *self._starts))
        # A member keeps the group from being retired in the meantime.
        registry.addMember(group)
        if registry.isHeard(group):
            resolved = self._ask()
        else:
            resolved = registry.listen(group).addCallback(lambda _: self._ask())
        return resolved.addCallbacks(self._resolved, self._notResolved)

    def _ask(self) -> Deferred[ResolvedStarts]:
        reader = self._reader
        return reader.fanout.questions.resolve(
            self._starts, reader.asker, reader.isListening, reader.isGone
        )

    def _resolved(self, resolved: ResolvedStarts) -> Begun | Deferred[Begun]:
        reader = self._reader
        fanout = reader.fanout
        if reader.isGone():
            self._leave()
            return _GONE
        if resolved.end.epoch != fanout.end().epoch:
            # A new epoch has begun since, in which these positions mean nothing.
            return self._ask().addCallbacks(self._resolved, self._notResolved)
        reader.stand()
        gap = reader.progress.add(resolved)
        reader.changeGroup(self._group)
        if fanout.namesChanged is not None:
            fanout.namesChanged(reader)
        isAtEnd = resolved.end == reader.progress.cursor and not reader.progress.isReplaying
        # The client is told of a gap with what is read.
        return gap, isAtEnd and not gap, resolved

    def _notResolved(self, failure: Failure) -> Failure | Begun:
        self._leave()
        return _GONE if self._reader.isGone() else failure

    def _leave(self) -> None:
        if self._group is not None:
            self._reader.fanout.registry.removeMember(self._reader, self._group)
