"""
Asks queries of the memory bus, and puts those off that would keep the reactor too long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from comet.bus.memory.query import Query, TooMuch
from comet.errors import Unavailable

T = TypeVar("T")


class PatientQueries:
    """
    Answers queries at once if they compare few channels, and others in turns of
    the reactor, one after the other.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: Schedules the turns.
        """
        self._clock = clock
        self._waiting: deque[tuple[Iterator[None], Callable[[], Any], Deferred[Any]]] = deque()
        self._turn: IDelayedCall | None = None

    def ask(self, query: Query, question: Callable[[], T]) -> Deferred[T]:
        """
        Ask something of a query.

        @param question: Asks it.  If this raises L{TooMuch}, it is called again
            later.
        """
        try:
            return succeed(question())
        except TooMuch:
            # Very many queries may wait.
            query.forgetCompared()
            answer: Deferred[T] = Deferred()
            self._waiting.append((query.compareAll(), question, answer))
            self._turnSoon()
            return answer
        except Exception:
            return fail()

    def _turnSoon(self) -> None:
        if self._turn is None and self._waiting:
            self._turn = self._clock.callLater(0, self._goOn)

    def _goOn(self) -> None:
        self._turn = None
        compared, question, answer = self._waiting[0]
        for _ in compared:
            break
        else:
            self._waiting.popleft()
            # The answer may ask more.
            self._turnSoon()
            try:
                result = question()
            except Exception:
                answer.errback()
            else:
                answer.callback(result)
        self._turnSoon()

    def stop(self) -> None:
        """
        Answer nothing any more.
        """
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.cancel()
        waiting, self._waiting = self._waiting, deque()
        for _, _, answer in waiting:
            answer.errback(Unavailable("the server stops"))
