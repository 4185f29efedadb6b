"""
Requests that wait for a bus which does not answer at once.

The bus is asked for little at a time: it stores in the order
in which it is asked, so all that it has wait for each other.  The rest waits here, in
the order of L{comet.reactor.fairqueue}: no publisher waits for all that another one has sent.
What one of them has sent is stored in its order.  A large request waits until questions of
readers that are under way are answered, but not for those that others ask meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from twisted.python.failure import Failure

from comet.errors import Unavailable
from comet.fanout.core import Fanout
from comet.hub.requests import PublishRequest, costOf, sizeOf
from comet.reactor.fairqueue import FairQueue

# How much a bus is asked to store at most that it has not stored yet, as L{costOf} counts;
# a request that costs more is stored alone.  A publisher waits for as much, and for one
# such request.  It is asked for half of this at a time, so that it has the next half when
# it is done with one.
MOST_ASKED: Final = 256

# The same while a reader waits for the bus.  A question takes a few steps, each of which
# may wait for what the bus was asked to store before.
MOST_WHILE_READING: Final = MOST_ASKED // 4

# How often a request that costs more than that lets readers go first: a poll asks where it
# begins, and then what there is.  Questions that come without an end do not keep it longer.
MOST_HELD: Final = 2

# What wait at most that the bus was not asked yet to store, in bytes; others are refused.
MOST_WAITING: Final = 128 * 1024 * 1024


class WaitingRequests:
    """
    Knows what the bus was asked to store, and has it asked for more once there is room.

    @ivar asked: What the bus is asked to store and has not answered, by its cost.

    @ivar size: How many bytes the requests take that wait.
    """

    def __init__(
        self,
        fanout: Fanout,
        isInstant: bool,
        store: Callable[[Sequence[PublishRequest]], object],
        fail: Callable[[Sequence[PublishRequest], Failure], object],
    ) -> None:
        """
        @param isInstant: Whether the bus stores at once.

        @param store: Stores some requests, or asks the bus to.

        @param fail: Refuses some requests.
        """
        self.asked = self.size = 0
        self._isInstant = isInstant
        self._store = store
        self._fail = fail
        self._turns = fanout.turns
        self._questions = fanout.questions
        self._queue: FairQueue[PublishRequest] = FairQueue()
        # How often the next large request has let readers go first, and whether it does now.
        self._held = 0
        self._isHolding = False

    def __len__(self) -> int:
        """
        How many requests wait that the bus was not asked yet to store.
        """
        return len(self._queue)

    @property
    def isBusy(self) -> bool:
        """
        Whether clients may have to wait for the bus: it was asked for something, or others
        wait already.
        """
        if self.asked or self.size:
            return True
        # A bus that stores at once is not asked to wait for its readers.
        return not self._isInstant and self._questions.isReading

    def add(self, requests: Sequence[PublishRequest]) -> None:
        """
        Store some requests once the bus has room for them.
        """
        for each in requests:
            if self.size > MOST_WAITING:
                self._fail([each], Failure(_full()))
                continue
            self.size += sizeOf(each.publications)
            self._queue.add(each.publisher, each, costOf(each.publications))
        self._storeNext()

    def _storeNext(self) -> None:
        """
        Ask the bus to store what waits, as far as there is room.
        """
        queue = self._queue
        most = MOST_WHILE_READING if self._questions.isReading else MOST_ASKED
        while queue:
            burst: list[PublishRequest] = []
            asked = self.asked
            cost = 0
            while queue and not (asked and asked + queue.nextCost() > most):
                if queue.nextCost() > MOST_WHILE_READING and self._readersFirst():
                    break
                if cost and cost + queue.nextCost() > most // 2:
                    break
                asked += queue.nextCost()
                cost += queue.nextCost()
                burst.append(queue.take())
            if not burst:
                return
            self.size -= sum([sizeOf(each.publications) for each in burst])
            self._store(burst)

    def _readersFirst(self) -> bool:
        """
        Tell whether a large request, the next that is to be stored, waits for readers: they
        would wait for all of it at each step of a question.
        """
        if self._isHolding:
            return True
        if self._held >= MOST_HELD or not self._questions.isReading:
            self._held = 0
            return False
        self._held += 1
        self._isHolding = True
        # In the next turn, when a reader that was answered may have asked on.  Behind those
        # that have work left, the bus would have nothing to do meanwhile.
        self._questions.afterReading(partial(self._turns.later, self._haveRead, True))
        return True

    def _haveRead(self) -> None:
        """
        What was asked when a large request was held is answered.
        """
        self._isHolding = False
        self._storeNext()

    def answered(self, cost: int) -> None:
        """
        The bus has answered what had this cost.
        """
        self.asked -= cost
        if self._queue:
            self._storeNext()

    def takeAll(self) -> list[PublishRequest]:
        """
        Remove all that wait.
        """
        self.size = 0
        return [self._queue.take() for _ in range(len(self._queue))]


def _full() -> Unavailable:
    """
    Make the error for a publication for which there is no room.
    """
    return Unavailable("nothing was stored: too many messages wait for the bus")
