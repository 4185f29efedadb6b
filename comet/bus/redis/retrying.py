"""
Asks Redis what changes nothing, and asks again after a lost connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime

from comet.bus.redis.capabilities import BECAME_REPLICA, isDenial
from comet.bus.redis.faultlog import FaultLog
from comet.bus.redis.holdings import Changed
from comet.bus.redis.protocol import (
    RedisConnectionLost,
    RedisProtocol,
    RedisRefused,
    TooManyCommands,
)
from comet.bus.redis.replies import BadReply, NoLog
from comet.bus.redis.usable import UsableConnection
from comet.errors import Forbidden, Unavailable
from comet.model.channels import isPattern

# For how many seconds a question waits for Redis to come back.
PATIENCE: Final = 5.0

# How many questions about channels are asked at once, and how many about patterns;
# others wait.
MOST_ASKED: Final = 32

T = TypeVar("T")


class Retrying:
    """
    Asks questions, of which a bounded number is under way.
    """

    def __init__(self, usable: UsableConnection, clock: IReactorTime, faults: FaultLog) -> None:
        self._usable = usable
        self._clock = clock
        self._faults = faults
        # A question about a pattern may have hundreds of steps: those about channels do
        # not wait behind it.
        self._narrow = DeferredSemaphore(MOST_ASKED)
        self._wide = DeferredSemaphore(MOST_ASKED)

    def ask(
        self, question: Callable[[RedisProtocol], Awaitable[T]], names: Iterable[str] = ()
    ) -> Deferred[T]:
        """
        Ask Redis, once there is room among the questions that are under way.

        @param names: The names that are asked about.

        @return: Fails with L{Unavailable} if Redis does not answer within L{PATIENCE}.
        """
        until = self._clock.seconds() + PATIENCE
        asking = self._wide if any(map(isPattern, names)) else self._narrow
        asked: Deferred[T] = asking.run(
            lambda: Deferred.fromCoroutine(self._askPatiently(question, until))
        )
        return asked

    def askAtOnce(self, question: Callable[[RedisProtocol], Awaitable[T]]) -> Deferred[T]:
        """
        Ask Redis regardless of how many questions are under way.
        """
        until = self._clock.seconds() + PATIENCE
        return Deferred.fromCoroutine(self._askPatiently(question, until))

    async def _askPatiently(
        self, question: Callable[[RedisProtocol], Awaitable[T]], until: float
    ) -> T:
        while True:
            connection = await self._usable.toAsk(until)
            try:
                return await question(connection)
            except (RedisConnectionLost, Changed, NoLog):
                if self._clock.seconds() >= until:
                    raise Unavailable("Redis did not answer; try again") from None
            except TooManyCommands:
                raise Unavailable("too many commands wait for Redis; try again") from None
            except BadReply as error:
                self._faults.logTrouble(f"an answer is not valid: {error}")
                connection.abort(str(error))
            except RedisRefused as error:
                if isDenial(error):
                    raise self._faults.denied(error, "the log cannot be read") from None
                if error.code != "READONLY":
                    self._faults.logTrouble(f"the log cannot be read: {error}")
                    raise Unavailable("Redis refused it; try again") from None
                connection.abort(BECAME_REPLICA)
            except Forbidden as error:
                self._faults.logDenial(error.detail)
                raise
