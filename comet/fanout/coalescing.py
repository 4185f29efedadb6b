"""
Coalescing: equal queries to the bus are made once, and all that made them get
the one result.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from comet.metrics.tally import Histogram
from comet.model.positions import ReadResult, ResolvedStarts
from comet.reactor.timers import NOT_SET, TimerWheel
from comet.reactor.turns import SHARE, Turns

# For how many seconds a result is given to callers that ask a little later.
LINGER: Final = 0.5

# How many results are kept at most, and how many bytes these may have.
MOST_KEPT: Final = 256
MOST_BYTES: Final = 8 * 1024 * 1024

T = TypeVar("T")


class _Kept(NamedTuple):
    """
    A result of a moment ago.

    @ivar size: How many bytes it has.

    @ivar until: When it is dropped, in seconds of the coalescer's clock.
    """

    result: Any
    size: int
    until: float


class QueryCoalescer:
    """
    Makes equal queries once.

    A query that the bus answers at once is neither shared nor kept: there is no
    time in which a second caller could ask, and nothing to spare the bus.
    """

    def __init__(self, wheel: TimerWheel, turns: Turns, took: Histogram | None = None) -> None:
        """
        @param turns: Tells the time of now; and gives callers for which there is no time
            when the answer comes their share of it.

        @param took: Counts how long each query takes that is not answered at once.
        """
        self._took = Histogram() if took is None else took
        self.timerSlot = NOT_SET
        self._wheel = wheel
        self._turns = turns
        self._seconds: Callable[[], float] = turns.seconds
        self._waiting: dict[Hashable, list[Deferred[Any]]] = {}
        # All are kept equally long, so the oldest are in front.
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._size = 0
        self._isStopped = False

    def ask(
        self,
        key: Hashable,
        query: Callable[[], Deferred[T]],
        sizeOf: Callable[[T], int] | None = None,
        isGood: Callable[[T], bool] = bool,
        shared: Callable[[], None] | None = None,
    ) -> Deferred[T]:
        """
        Make a query, unless an equal one is waiting for its result.

        @param key: Equal for equal queries.

        @param query: Makes the query; called at most once, within this call.

        @param sizeOf: Tells how many bytes a result has, where the result may
            be given also to callers that ask a moment later.

        @param isGood: Whether a result of a moment ago will still do.

        @param shared: Called if an equal query is waiting for its result.

        @return: Fires with the result, or fails as the query does.
        """
        if sizeOf is not None and self._kept:
            kept = self._kept.get(key)
            if kept is not None and kept.until > self._seconds() and isGood(kept.result):
                return succeed(kept.result)
        sharing = self._waiting.get(key)
        if sharing is None:
            try:
                asked = query()
            except Exception:
                return fail()
            # A paused Deferred waits for the result of another one.
            if asked.called and not asked.paused:
                return asked
            self._waiting[key] = sharing = []
            asked.addBoth(self._answered, key, sharing, sizeOf, self._seconds())
        elif shared is not None:
            shared()
        answer: Deferred[T] = Deferred()
        sharing.append(answer)
        return answer

    def _answered(
        self,
        result: Any,
        key: Hashable,
        sharing: list[Deferred[Any]],
        sizeOf: Callable[[Any], int] | None,
        begun: float,
    ) -> None:
        self._took.add(self._seconds() - begun)
        # Otherwise the coalescer was cleared meanwhile.
        if self._waiting.get(key) is sharing:
            del self._waiting[key]
            if sizeOf is not None and not isinstance(result, Failure):
                self._keep(key, result, sizeOf(result))
        self._handOut(result, deque(sharing))

    def _handOut(self, result: Any, sharing: deque[Deferred[Any]]) -> None:
        """
        Give callers the result: the first now, and the others as long as there is time.
        Each may make a large response of it.
        """
        over = self._seconds() + SHARE
        while sharing:
            sharing.popleft().callback(result)
            if sharing and self._seconds() >= over:
                self._turns.later(partial(self._handOut, result, sharing))
                break

    def _keep(self, key: Hashable, result: Any, size: int) -> None:
        self._drop(key)
        if size > MOST_BYTES or self._isStopped:
            return
        self._kept[key] = _Kept(result, size, self._seconds() + LINGER)
        self._size += size
        while len(self._kept) > MOST_KEPT or self._size > MOST_BYTES:
            self._drop(next(iter(self._kept)))
        if self.timerSlot == NOT_SET:
            self._wheel.set(self, LINGER)

    def _drop(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size -= kept.size

    def timedOut(self) -> None:
        """
        Drop the results that have been kept for long enough.
        """
        now = self._seconds()
        while self._kept:
            key, kept = next(iter(self._kept.items()))
            if kept.until > now:
                self._wheel.set(self, kept.until - now)
                break
            self._drop(key)

    def clear(self) -> None:
        """
        Drop all results, and share no query that is under way with callers
        that ask from now on.
        """
        self._waiting.clear()
        self._kept.clear()
        self._size = 0
        self._wheel.clear(self)

    def stop(self) -> None:
        """
        Keep no answer from now on.
        """
        self._isStopped = True
        self.clear()


def sizeOfReadResult(result: ReadResult) -> int:
    """
    How many bytes the messages of a result have.
    """
    return sum(message.size for message in result.messages)


def sizeOfResolvedStarts(resolved: ResolvedStarts) -> int:
    """
    About how many bytes resolved starts have: those of the names, and of what was read ahead.
    """
    names = sum(len(name) for name in resolved.starts)
    return names if resolved.page is None else names + sizeOfReadResult(resolved.page)
