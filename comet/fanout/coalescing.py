"""
Questions to the bus that many readers ask at once: asked once, and answered to
all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, NamedTuple, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from comet.model.positions import ReadResult, ResolvedStarts
from comet.timers import NOT_SET, TimerWheel

# For how many seconds an answer is given to those who come a little later.
LINGER: Final = 0.5

# How many answers are kept at most, and how many bytes these may have.
MOST_KEPT: Final = 256
MOST_BYTES: Final = 8 * 1024 * 1024

T = TypeVar("T")


class _Kept(NamedTuple):
    """
    @ivar until: When it is forgotten.
    """

    answer: Any
    size: int
    until: float


class QueryCoalescer:
    """
    Lets those who ask the same share one answer.

    Only what a bus does not answer at once is shared, or kept.
    """

    def __init__(self, wheel: TimerWheel, seconds: Callable[[], float]) -> None:
        """
        @param seconds: The time of now, in seconds from any moment.
        """
        self.timerSlot = NOT_SET
        self._wheel = wheel
        self._seconds = seconds
        self._waiting: dict[Hashable, list[Deferred[Any]]] = {}
        # All live equally long, so the oldest are in front.
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._size = 0

    def ask(
        self,
        key: Hashable,
        question: Callable[[], Deferred[T]],
        sizeOf: Callable[[T], int] | None = None,
        isGood: Callable[[T], bool] = bool,
    ) -> Deferred[T]:
        """
        Ask a question, unless somebody else is waiting for its answer.

        @param key: Says what is asked: who has an equal one shares.

        @param sizeOf: Where the answer may do also for those who ask a moment
            later: how many bytes it has.

        @param isGood: Whether an answer of a moment ago will do.
        """
        if sizeOf is not None and self._kept:
            kept = self._kept.get(key)
            if kept is not None and kept.until > self._seconds() and isGood(kept.answer):
                return succeed(kept.answer)
        sharing = self._waiting.get(key)
        if sharing is None:
            try:
                asked = question()
            except Exception:
                return fail()
            # One that is paused waits for the result of another.
            if asked.called and not asked.paused:
                # Nobody can come to share it.
                return asked
            self._waiting[key] = sharing = []
            asked.addBoth(self._answered, key, sharing, sizeOf)
        answer: Deferred[T] = Deferred()
        sharing.append(answer)
        return answer

    def _answered(
        self,
        result: Any,
        key: Hashable,
        sharing: list[Deferred[Any]],
        sizeOf: Callable[[Any], int] | None,
    ) -> None:
        # Otherwise all was forgotten meanwhile.
        if self._waiting.get(key) is sharing:
            del self._waiting[key]
            if sizeOf is not None and not isinstance(result, Failure):
                self._keep(key, result, sizeOf(result))
        for answer in sharing:
            answer.callback(result)

    def _keep(self, key: Hashable, answer: Any, size: int) -> None:
        self._drop(key)
        if size > MOST_BYTES:
            return
        self._kept[key] = _Kept(answer, size, self._seconds() + LINGER)
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
        Forget what is too old.
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
        Forget all answers, and let nobody share those that are to come.
        """
        self._waiting.clear()
        self._kept.clear()
        self._size = 0
        self._wheel.clear(self)


def sizeOfReadResult(result: ReadResult) -> int:
    """
    How many bytes there are in what was read.
    """
    return sum(message.size for message in result.messages)


def sizeOfResolvedStarts(resolved: ResolvedStarts) -> int:
    """
    How many bytes there are in where names begin.
    """
    return sum(len(name) for name in resolved.starts)
