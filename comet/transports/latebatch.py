"""
A batch that is read once its request is whole: one that is compressed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred

from comet.framing.publications import BatchReader
from comet.model.messages import Publication
from comet.reactor.turns import Turns


class LateBatch:
    """
    Reads a batch in parts, for a share of time in each turn of the reactor.  A few KB of gzip
    become 4 MB of JSON, which take some 300 ms to read: at once, all other clients would wait
    for that.

    @ivar done: Fires with the publications; at once, if they are few.  Fails as
        L{BatchReader} does, or as what undoes the coding does.  Does not fire if the client is
        gone.
    """

    def __init__(
        self,
        reader: BatchReader,
        parts: Iterator[bytes],
        turns: Turns,
        isGone: Callable[[], bool],
    ) -> None:
        """
        @param parts: The body, with its coding undone.

        @param isGone: Tells whether the client is gone: then the rest is not read.
        """
        self.done: Deferred[list[Publication]] = Deferred()
        self._reader = reader
        self._parts = parts
        self._turns = turns
        self._isGone = isGone
        self._goOn()

    def _goOn(self) -> None:
        if self._isGone():
            return
        try:
            publications = self._readSome()
        except Exception:
            self.done.errback()
            return
        if publications is None:
            self._turns.later(self._goOn)
        else:
            self.done.callback(publications)

    def _readSome(self) -> list[Publication] | None:
        """
        Read for a share of time.

        @return: All publications; L{None} if there is more to read.
        """
        over = self._turns.seconds() + self._turns.share
        for part in self._parts:
            self._reader.received(part)
            if self._turns.seconds() >= over:
                return None
        return self._reader.finish()
