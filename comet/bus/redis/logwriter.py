"""
Stores in Redis: a script is run once, and the caller is told whether it was stored, or
that this cannot be known.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from comet.bus.idempotency import keyReused
from comet.bus.redis.capabilities import BECAME_REPLICA, isDenial
from comet.bus.redis.faultlog import FaultLog
from comet.bus.redis.notifications import Notifications
from comet.bus.redis.protocol import (
    RedisConnectionLost,
    RedisProtocol,
    RedisRefused,
    TooManyCommands,
)
from comet.bus.redis.replies import BadReply, NoLog
from comet.bus.redis.store import Store
from comet.bus.redis.storedreplies import KeyConflict
from comet.bus.redis.upkeep import Upkeep
from comet.errors import Unavailable, Unknown
from comet.interfaces.busabilities import Outcome
from comet.model.cursors import Cursor
from comet.model.messages import Publication, Published

# The codes with which Redis refuses a command before it has begun.
_NOTHING_DONE: Final = frozenset(
    "BUSY CLUSTERDOWN LOADING MASTERDOWN MISCONF NOREPLICAS NOSCRIPT OOM READONLY".split()
)

T = TypeVar("T")


class LogWriter:
    """
    Runs the scripts that store.
    """

    def __init__(
        self, store: Store, upkeep: Upkeep, notifications: Notifications, faults: FaultLog
    ) -> None:
        self._store = store
        self._upkeep = upkeep
        self._notifications = notifications
        self._faults = faults

    async def run(self, connection: RedisProtocol, store: Callable[[], Awaitable[T]]) -> T:
        """
        Run a script that stores, and begin a log where there is none.

        @param store: Runs the script.  It is called again if there was no log.

        @raise CometError: If it fails: what the caller is told.
        """
        try:
            try:
                return await store()
            except NoLog:
                # Redis was emptied: begin a new epoch.
                await self._upkeep.check(connection)
            return await store()
        except (TooManyCommands, NoLog):
            raise Unavailable("Redis has too much to do; nothing was stored") from None
        except RedisConnectionLost as error:
            self._faults.logTrouble(f"the connection broke before a message was confirmed: {error}")
            raise Unknown("the connection to Redis broke before it answered") from None
        except BadReply as error:
            connection.abort(str(error))
            raise Unknown("Redis sent an answer that is not valid") from None
        except RedisRefused as error:
            if error.code == "READONLY":
                connection.abort(BECAME_REPLICA)
            if error.code != "ERR" and isDenial(error):
                raise self._faults.denied(error, "nothing was stored") from None
            if error.code in _NOTHING_DONE:
                self._faults.logTrouble(f"nothing was stored: {error}")
                raise Unavailable("Redis refused it; nothing was stored") from None
            self._faults.logTrouble(f"failed to store: {error}")
            raise Unknown("Redis failed while it stored the message") from None

    def checkPushed(self, connection: RedisProtocol, cursor: Cursor) -> None:
        """
        Check that a stored message was heard.

        @raise Unknown: If not.
        """
        if cursor > self._notifications.end:
            # The message was pushed before the answer was sent, and must have
            # arrived: a proxy in between does not pass pushes on.
            connection.abort("a stored message was not pushed")
            raise Unknown("Redis has not pushed the message that it has stored")

    async def publish(
        self, connection: RedisProtocol, requests: Sequence[Sequence[Publication]]
    ) -> Sequence[Outcome]:
        """
        Store requests by one script.

        @return: The outcome of each.
        """
        stored = await self.run(connection, lambda: self._store.publish(connection, requests))
        outcomes: list[Outcome] = []
        done: list[Published] = []
        for publications, outcome in zip(requests, stored.outcomes, strict=True):
            if isinstance(outcome, KeyConflict):
                outcomes.append(keyReused(publications[outcome.index].key))
            else:
                done += outcome
                outcomes.append(outcome)
        if done:
            newest = max([max(each.positions.values()) for each in done])
            self.checkPushed(connection, Cursor(done[0].epoch, newest))
        if stored.more:
            self._upkeep.beginSweep(connection)
        return outcomes
