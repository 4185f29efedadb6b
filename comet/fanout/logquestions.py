"""
What readers ask the bus: equal questions are asked once, and each waits in the line of
its connection.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred, succeed

from comet.fanout.coalescing import QueryCoalescer, sizeOfReadResult, sizeOfResolvedStarts
from comet.fanout.readqueue import IsGone, ReadQueue, costOf, costOfPart, never
from comet.fanout.recall import Recall
from comet.interfaces.messagebus import IMessageBus
from comet.metrics.tally import Tally
from comet.model.cursors import Cursor
from comet.model.positions import At, HistoryPage, ReadResult, ResolvedStarts, StartPosition
from comet.model.progress import Wanted
from comet.reactor.timers import TimerWheel
from comet.reactor.turns import Turns

# How much a reader that catches up is given at once: about as much as Twisted
# sends at once.
READ_MESSAGES: Final = 512
READ_BYTES: Final = 128 * 1024

# How much a reader is given in the turn in which it asks.  Many clients may ask in
# the same moment, so those that have more to read go on with it in a later turn.
FIRST_MESSAGES: Final = 64
FIRST_BYTES: Final = 32 * 1024


class LogQuestions:
    """
    Asks the bus where names start, what the log holds, and what was before a cursor.
    """

    def __init__(self, bus: IMessageBus, wheel: TimerWheel, turns: Turns, tally: Tally) -> None:
        self._bus = bus
        self._coalescer = QueryCoalescer(wheel, turns, tally.queried)
        self._queue = ReadQueue(wheel, turns, lambda: bus.isAvailable)

    def forget(self) -> None:
        """
        Give no caller that asks from now on an answer to what was asked before: messages
        may have been missed since.
        """
        self._coalescer.clear()

    def stop(self) -> None:
        """
        Keep no answer, and wait for none, from now on.  No timer is left.
        """
        self._coalescer.stop()
        self._queue.stop()

    def resolve(
        self,
        startPositions: Mapping[str, StartPosition],
        asker: object,
        isListening: bool = False,
        isGone: IsGone = never,
    ) -> Deferred[ResolvedStarts]:
        """
        See L{IMessageBus.resolve}.  Readers that ask the same while the bus has
        not answered share one answer.

        @param asker: As for L{Reader.asker<comet.fanout.reader.Reader.asker>}.

        @param isListening: Whether the reader hears the names.  If it does, an
            answer of a moment ago will do, since the reader hears everything
            that came after it.

        @param isGone: Tells whether the reader is closed: then the bus need not be asked.
        """
        # Except for a cursor, a start position moves with the log.
        isKept = isListening and {type(each) for each in startPositions.values()} == {At}
        key = (isListening, *startPositions.items())
        ask = partial(self._bus.resolve, startPositions)
        cost = costOf(len(startPositions), 0, 0)
        query = partial(self._queue.ask, key, asker, startPositions, cost, ask, isGone)
        size = sizeOfResolvedStarts if isKept else None
        shared = self._sharedBy(key, asker, startPositions, isGone)
        return self._coalescer.ask(key, query, size, self._mayReuseStart, shared)

    @property
    def isReading(self) -> bool:
        """
        Whether the bus has a question about channels to answer.
        """
        return self._queue.isAsking

    def afterReading(self, call: Callable[[], None]) -> None:
        """
        See L{ReadQueue.afterAnswers<comet.fanout.readqueue.ReadQueue.afterAnswers>}.  The bus
        must be L{isReading}.
        """
        self._queue.afterAnswers(call)

    def _sharedBy(
        self, key: Hashable, asker: object, names: Iterable[str], isGone: IsGone
    ) -> Callable[[], None] | None:
        """
        Return what is called if an equal question waits for its answer.
        """
        return partial(self._queue.askedToo, key, asker, names, isGone) if self._queue else None

    def _mayReuseStart(self, resolved: ResolvedStarts) -> bool:
        return resolved.end.epoch == self._bus.end.epoch

    def read(
        self,
        wanted: Wanted,
        asker: object,
        limit: int = READ_MESSAGES,
        maxBytes: int = READ_BYTES,
        isListening: bool = False,
        isGone: IsGone = never,
        ahead: ResolvedStarts | None = None,
    ) -> Deferred[ReadResult]:
        """
        Read the log.  Readers that ask the same while the bus has not answered
        share one answer.

        @param asker: As for L{resolve}.

        @param isListening: As for L{resolve}.

        @param isGone: As for L{resolve}.

        @param ahead: What the bus has just told of where the names begin, if nothing was
            missed since.  If it has read there what is wanted, it is not asked again.
        """
        names = wanted.names
        if ahead is not None and ahead.page is not None:
            page = ahead.page
            if wanted == Wanted(tuple(ahead.starts), page.after, None):
                return succeed(page.first(limit, maxBytes))
        key = (isListening, names, wanted.after, wanted.upTo, limit, maxBytes)
        ask = partial(self._bus.read, names, wanted.after, limit, maxBytes, wanted.upTo)
        cost = costOfPart(len(names), limit, maxBytes)
        query = partial(self._queue.ask, key, asker, names, cost, ask, isGone)
        size = sizeOfReadResult if isListening else None
        shared = self._sharedBy(key, asker, names, isGone)
        return self._coalescer.ask(key, query, size, self._mayReuseRead, shared)

    def history(
        self,
        channel: str,
        asker: object,
        before: Cursor | None,
        limit: int,
        maxBytes: int,
        isGone: IsGone = never,
    ) -> Deferred[HistoryPage]:
        """
        See L{IMessageBus.history}.  Callers that ask the same while the bus has not
        answered share one answer.

        @param asker: As for L{resolve}.

        @param isGone: As for L{resolve}.
        """
        ask = partial(self._askBefore, channel, asker, isGone)
        return Recall(ask, limit, maxBytes).read(before)

    def _askBefore(
        self,
        channel: str,
        asker: object,
        isGone: IsGone,
        before: Cursor | None,
        limit: int,
        maxBytes: int,
    ) -> Deferred[HistoryPage]:
        """
        Ask for a part of what was before a cursor.
        """
        key = ("history", channel, before, limit, maxBytes)
        ask = partial(self._bus.history, channel, before, limit, maxBytes)
        names, cost = (channel,), costOfPart(1, limit, maxBytes)
        query = partial(self._queue.ask, key, asker, names, cost, ask, isGone)
        return self._coalescer.ask(key, query, shared=self._sharedBy(key, asker, names, isGone))

    def _mayReuseRead(self, result: ReadResult) -> bool:
        # A cached reply that makes no progress would make the reader retry for ever.
        return result.reached != result.after or result.reached == self._bus.end
