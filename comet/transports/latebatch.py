"""
A batch that is read once its request is whole: one that is compressed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred

from comet.framing.batchreader import BatchReader
from comet.limits.capacity import BodyCount
from comet.model.messages import Publication
from comet.reactor.turns import Turns


class LateBatch:
    """
    Reads a batch in parts, for a share of time in each turn of the reactor.  A few KB of gzip
    become 4 MB of JSON, which take some 300 ms to read: at once, all other clients would wait
    for that.  What is read counts as a body on its way until all is: very many clients could
    have 4 MB each half read.

    @ivar done: Fires with the publications; at once, if they are few.  Fails as
        L{BatchReader} does, or as what undoes the coding does; with L{Unavailable
        <comet.errors.Unavailable>} if there is no room.  Does not fire if the client is gone.
    """

    def __init__(
        self,
        reader: BatchReader,
        parts: Iterator[bytes],
        turns: Turns,
        isGone: Callable[[], bool],
        count: BodyCount,
    ) -> None:
        """
        @param parts: The body, with its coding undone.

        @param isGone: Tells whether the client is gone: then the rest is not read.

        @param count: Counts what is read.
        """
        self.done: Deferred[list[Publication]] = Deferred()
        self._reader = reader
        self._parts = parts
        self._turns = turns
        self._isGone = isGone
        self._count = count
        self._goOn()

    def _goOn(self) -> None:
        if self._isGone():
            self._count.end()
            return
        try:
            publications = self._readSome()
        except Exception:
            self._count.end()
            self.done.errback()
            return
        if publications is None:
            self._turns.later(self._goOn)
        else:
            self._count.end()
            self.done.callback(publications)

    def _readSome(self) -> list[Publication] | None:
        """
        Read for a share of time.

        @return: All publications; L{None} if there is more to read.

        @raise Unavailable: If there is no room for what waits to be read on.
        """
        over, size = self._turns.seconds() + self._turns.share, 0
        for part in self._parts:
            size += len(part)
            self._reader.received(part)
            if self._turns.seconds() >= over:
                # What is read at once is never on its way.
                self._count.take(size)
                return None
        return self._reader.finish()
