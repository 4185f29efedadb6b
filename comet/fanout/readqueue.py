"""
Questions to the bus wait for one another fairly.

A bus that does not answer at once, as it has a thread or a network behind it, answers in
about the order in which it was asked, and each answer takes some of this process's time.
So it is asked for little at a time.  The rest waits here, in the order of
L{comet.reactor.fairqueue}, with a line for each connection: a client that asks for one thing does
not wait for the hundred that another one asks for.

Questions about patterns, which may look at all channels, have a queue of their own: those
about channels do not wait behind them.

Equal questions are asked once (L{comet.fanout.coalescing}).  While one waits, it waits in
the line of each connection that has asked it, and is asked when its turn comes in the
first of them.  If all that have asked it are gone by then, it is not asked: a client that
asks and leaves, again and again, makes no work for the bus.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from comet.bus.parts import PART_BYTES, PART_MESSAGES
from comet.errors import Unavailable
from comet.model.channels import isPattern
from comet.reactor.fairqueue import FairQueue
from comet.reactor.timers import NOT_SET, TimerWheel
from comet.reactor.turns import SHARE, Turns

# How much a bus is asked at most that it has not answered yet, as L{costOf} counts: one
# is about half a millisecond, of the bus or of this process.  So a client waits for some four
# milliseconds of others, and a bus that is as far away as that has always something to do.  No
# question counts for more than half of it: the bus has the next one when it is done with one.
MOST_ASKED: Final = 8
# Those about patterns, which are asked in many steps: each other answer of the bus waits for
# one step of each.
MOST_ASKED_WIDE: Final = 16

# For how many seconds a question takes room.  One that the bus never answers must not
# take it for ever.
ROOM_SECONDS: Final = 60.0

# How many names, messages and bytes cost as much as a question itself.
_NAMES: Final = 32
_MESSAGES: Final = 128
_BYTES: Final = 64 * 1024

# What a question about a pattern costs more.
_WIDE: Final = 4


# Tells whether what has asked a question has no use for its answer any more.
IsGone: TypeAlias = Callable[[], bool]


def costOf(count: int, limit: int, maxBytes: int) -> int:
    """
    Estimate how much it takes to answer a question.

    @param count: About how many names it is.

    @param limit: How many messages it may read.

    @param maxBytes: How many bytes these may have.
    """
    return 1 + count // _NAMES + limit // _MESSAGES + maxBytes // _BYTES


def costOfPart(count: int, limit: int, maxBytes: int) -> int:
    """
    Estimate how much it takes to answer a question of which a bus answers only a part
    (L{comet.bus.parts}).
    """
    return costOf(count, min(limit, PART_MESSAGES), min(maxBytes, PART_BYTES))


def never() -> bool:
    """
    Tell that what has asked is always there.
    """
    return False


class _Question:
    """
    A question that waits.

    @ivar query: Asks it; L{None} once that was called.

    @ivar askers: Tell, each of one that has asked it, whether that is gone.

    @ivar answered: Fires with the answer.
    """

    __slots__ = ("answered", "askers", "cost", "key", "query")

    def __init__(
        self,
        key: Hashable,
        query: Callable[[], Deferred[Any]],
        cost: int,
        isGone: IsGone,
    ) -> None:
        self.key = key
        self.askers = [isGone]
        self.query: Callable[[], Deferred[Any]] | None = query
        self.cost = cost
        self.answered: Deferred[Any] = Deferred()


class _Line:
    """
    Questions of one kind.

    @ivar most: How much is asked at most that is not answered.

    @ivar asked: What is asked and not answered, by its cost.

    @ivar isGoingOn: Whether what waits is being asked.

    @ivar queue: What waits.  What was asked meanwhile, as its turn came in another line,
        is still in it.
    """

    __slots__ = ("asked", "isGoingOn", "most", "queue")

    def __init__(self, most: int) -> None:
        self.most = most
        self.asked = 0
        self.isGoingOn = False
        self.queue: FairQueue[_Question] = FairQueue()

    def hasRoom(self, cost: int) -> bool:
        """
        Tell whether the bus can be asked what costs so much.
        """
        return self.asked + cost <= self.most


class _Asked:
    """
    A question that the bus has not answered.

    @ivar line: What it takes room of; L{None} once it takes none.
    """

    __slots__ = ("_hangs", "cost", "line", "timerSlot")

    def __init__(self, line: _Line, cost: int, hangs: Callable[[_Asked], None]) -> None:
        self.timerSlot = NOT_SET
        self.line: _Line | None = line
        self.cost = cost
        self._hangs = hangs
        line.asked += cost

    def leave(self) -> _Line | None:
        """
        Take no room any more.

        @return: The line that has more of it now.
        """
        line, self.line = self.line, None
        if line is not None:
            line.asked -= self.cost
        return line

    def timedOut(self) -> None:
        """
        The bus has not answered for long.
        """
        self._hangs(self)


class ReadQueue:
    """
    Asks the bus as much as it has room for.
    """

    def __init__(self, wheel: TimerWheel, turns: Turns, isAvailable: Callable[[], bool]) -> None:
        """
        @param turns: Gives what is asked later its share of time.

        @param isAvailable: Tells whether the bus is available: if it is not, what waits
            fails as soon as a question does.
        """
        self._wheel = wheel
        self._turns = turns
        self._isAvailable = isAvailable
        self._narrow = _Line(MOST_ASKED)
        self._wide = _Line(MOST_ASKED_WIDE)
        # What waits and was not asked yet, by its key.
        self._waiting: dict[Hashable, _Question] = {}
        # What has a timer.
        self._counted: dict[_Asked, None] = {}
        # What is called when these are answered.
        self._awaited: set[_Asked] = set()
        self._afterAnswers: Callable[[], None] | None = None

    def __len__(self) -> int:
        """
        Return how many questions wait.
        """
        return len(self._waiting)

    @property
    def isAsking(self) -> bool:
        """
        Whether the bus was asked about channels and has not answered.
        """
        return self._narrow.asked > 0

    def afterAnswers(self, call: Callable[[], None]) -> None:
        """
        Call a function once the bus has answered, or is late with, all that it was asked
        about channels until now.  There must be some, and no call that still waits for this.
        """
        self._awaited = {each for each in self._counted if each.line is self._narrow}
        self._afterAnswers = call

    def _isOver(self, counted: _Asked) -> _Line | None:
        """
        A question takes no room any more.

        @return: The line that has more of it now.
        """
        self._counted.pop(counted, None)
        if counted in self._awaited:
            self._awaited.discard(counted)
            if not self._awaited and self._afterAnswers is not None:
                call, self._afterAnswers = self._afterAnswers, None
                call()
        return counted.leave()

    def _lineOf(self, names: Iterable[str]) -> _Line:
        return self._wide if any(map(isPattern, names)) else self._narrow

    def ask(
        self,
        key: Hashable,
        connection: object,
        names: Iterable[str],
        cost: int,
        query: Callable[[], Deferred[Any]],
        isGone: IsGone = never,
    ) -> Deferred[Any]:
        """
        Ask the bus, now or when there is room.

        @param key: Equal for equal questions.

        @param connection: By which the question came.

        @param names: What the question is about.

        @param cost: As L{costOf} tells it, for channels.

        @param query: Asks the bus.  Called at most once.

        @param isGone: Tells whether the answer is of no use any more.

        @return: Fires with the answer, or fails as C{query} does.  Fails with
            L{Unavailable} if all that have asked are gone when its turn comes.
        """
        asked = None
        if not (self._waiting or self._narrow.asked or self._wide.asked):
            asked = _called(query)
            if asked.called and not asked.paused:
                # Fast path for a bus that answers at once.
                return asked
        line = self._lineOf(names)
        if line is self._wide:
            cost += _WIDE
        cost = min(cost, line.most // 2)
        if asked is not None:
            return self._count(asked, line, cost)
        if not line.queue and line.hasRoom(cost):
            return self._count(_called(query), line, cost)
        question = self._waiting[key] = _Question(key, query, cost, isGone)
        line.queue.add(connection, question, cost)
        return question.answered

    def askedToo(
        self,
        key: Hashable,
        connection: object,
        names: Iterable[str],
        isGone: IsGone = never,
    ) -> None:
        """
        Another connection has an equal question: if it waits, let it wait in the line of
        that connection, too.
        """
        question = self._waiting.get(key)
        if question is not None:
            question.askers.append(isGone)
            self._lineOf(names).queue.add(connection, question, question.cost)

    def _count(self, asked: Deferred[Any], line: _Line, cost: int) -> Deferred[Any]:
        """
        Count a question until it is answered.
        """
        if asked.called and not asked.paused:
            return asked
        counted = _Asked(line, cost, self._hangs)
        self._wheel.set(counted, ROOM_SECONDS)
        self._counted[counted] = None
        return asked.addBoth(self._isAnswered, counted)

    def stop(self) -> None:
        """
        Wait for no answer any more.  No timer is left.
        """
        for counted in self._counted:
            self._wheel.clear(counted)
        self._counted.clear()
        self._awaited.clear()

    def _hangs(self, counted: _Asked) -> None:
        """
        A question is not answered for long: ask others in its place.
        """
        line = self._isOver(counted)
        if line is not None:
            self._goOn(line)

    def _isAnswered(self, result: Any, counted: _Asked) -> Any:
        self._wheel.clear(counted)
        line = self._isOver(counted)
        if line is not None and line.queue:
            if isinstance(result, Failure) and not self._isAvailable():
                # Each would wait for as long, one after the other.
                self._failAll(line, result)
            else:
                self._goOn(line)
        return result

    def _failAll(self, line: _Line, failure: Failure) -> None:
        """
        Fail all that waits: the bus is gone.
        """
        error = failure.value if isinstance(failure.value, Unavailable) else _gone()
        for question in [line.queue.take() for _ in range(len(line.queue))]:
            if question.query is not None:
                self._take(question)
                question.answered.errback(Failure(error))

    def _take(self, question: _Question) -> Callable[[], Deferred[Any]] | None:
        """
        Note that a question waits no more.

        @return: What asks it.
        """
        query, question.query = question.query, None
        if query is not None and self._waiting.get(question.key) is question:
            del self._waiting[question.key]
        return query

    def _goOn(self, line: _Line) -> None:
        """
        Ask what waits, as far as there is room, for a share of time.
        """
        if line.isGoingOn:
            # An answer that came at once has led here.
            return
        line.isGoingOn = True
        seconds = self._turns.seconds
        queue, over = line.queue, seconds() + SHARE
        try:
            while queue and line.hasRoom(queue.nextCost()):
                question = queue.take()
                query = self._take(question)
                if query is None:
                    # It was asked when its turn came in another line.
                    pass
                elif all(isGone() for isGone in question.askers):
                    question.answered.errback(Failure(Unavailable("the client has left")))
                else:
                    self._count(_called(query), line, question.cost).chainDeferred(
                        question.answered
                    )
                if seconds() >= over:
                    self._turns.later(partial(self._goOn, line))
                    break
        finally:
            line.isGoingOn = False


def _called(query: Callable[[], Deferred[Any]]) -> Deferred[Any]:
    try:
        return query()
    except Exception:
        return fail()


def _gone() -> Unavailable:
    """
    Make the error for what waited for a bus that is gone.
    """
    return Unavailable("the bus does not answer; try again")
