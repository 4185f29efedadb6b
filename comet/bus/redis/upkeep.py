"""
A node's upkeep of the log: at each beat it drops old messages, and now and then it
checks that the log is still the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from comet.bus.redis.capabilities import BECAME_REPLICA, Capabilities, isDenial, recheck
from comet.bus.redis.faultlog import FaultLog
from comet.bus.redis.nodemembers import NodeMembers
from comet.bus.redis.notifications import Notifications
from comet.bus.redis.protocol import (
    RedisConnectionLost,
    RedisProtocol,
    RedisRefused,
    TooManyCommands,
)
from comet.bus.redis.replies import BadReply
from comet.bus.redis.settings import NodeSettings
from comet.bus.redis.store import Store
from comet.bus.redis.urls import RedisURL
from comet.model.cursors import Cursor

# How often a node drops old messages, if no other node does, in seconds; and
# after how many beats it checks that the log is still the same.
BEAT: Final = 1.0
BEATS_A_CHECK: Final = 3

# How many steps one beat takes at most.
_MOST_STEPS: Final = 100

# Why a new epoch begins.
_NEW_EPOCH: Final = {
    "new": "there is no log in it",
    "restart": "it was started anew, or is another one, and does not prove that it has everything",
    "behind": "messages that it had confirmed are not there",
    "other": "another node has begun it",
}


class Upkeep:
    """
    Keeps the log of a Redis in order, for as long as there is a connection.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        url: RedisURL,
        store: Store,
        nodeMembers: NodeMembers,
        notifications: Notifications,
        faults: FaultLog,
        settings: NodeSettings,
    ) -> None:
        """
        @param settings: What this node is configured with.
        """
        self._clock = clock
        self._url = str(url)
        self._store = store
        self._nodeMembers = nodeMembers
        self._notifications = notifications
        self._faults = faults
        self._settings = settings
        self._connection: RedisProtocol | None = None
        self._capabilities: Capabilities | None = None
        self._beat: IDelayedCall | None = None
        self._beats = 0
        self._sweeping: list[Deferred[None]] | None = None
        self._newEpoch = ""

    def configure(self, settings: Mapping[str, str]) -> None:
        """
        Tell the other nodes of other settings from the next check on.
        """
        self._settings = self._settings.changed(settings)

    # -- Beats

    def start(self, connection: RedisProtocol, capabilities: Capabilities) -> None:
        """
        Use a connection, whose log this node has joined, until L{stop} is called.
        """
        self._connection = connection
        self._capabilities = capabilities
        self._beat = self._clock.callLater(BEAT, self._onBeat)

    def stop(self) -> None:
        """
        Begin no more beats.
        """
        self._connection = None
        beat, self._beat = self._beat, None
        if beat is not None:
            beat.cancel()

    def _onBeat(self) -> None:
        self._beat = None
        connection = self._connection
        if connection is not None and connection.isUsable:
            done = Deferred.fromCoroutine(self._doBeat(connection))
            done.addErrback(self._failed, connection)
            done.addCallback(self._beatDone, connection)

    async def _doBeat(self, connection: RedisProtocol) -> None:
        self._beats += 1
        if self._beats % BEATS_A_CHECK == 0:
            await self.check(connection)
        await self._nodeMembers.tend(connection)
        # The lease is a bit shorter than a beat, so that one node sweeps at
        # each beat.
        more = await self._store.sweep(connection, int(BEAT * 900))
        for _ in range(_MOST_STEPS):
            if not more:
                break
            more = await self._store.sweep(connection)

    def _failed(self, failure: Failure, connection: RedisProtocol) -> None:
        error = failure.value
        if isinstance(error, RedisRefused) and error.code == "READONLY":
            connection.abort(BECAME_REPLICA)
        elif isinstance(error, RedisRefused) and isDenial(error):
            self._faults.logDenial(str(error))
        elif failure.check(BadReply):
            connection.abort(failure.getErrorMessage())
        elif not failure.check(RedisRefused, RedisConnectionLost, TooManyCommands):
            self._log.failure(
                "failed to drop old messages in Redis at {url}", failure, url=self._url
            )

    def _beatDone(self, result: None, connection: RedisProtocol) -> None:
        if connection is self._connection and self._beat is None:
            self._beat = self._clock.callLater(BEAT, self._onBeat)

    # -- Checks

    async def check(self, connection: RedisProtocol) -> None:
        """
        Check that the log is the one that this node knows, and begin one if
        there is none.
        """
        assert self._capabilities is not None
        self._capabilities = await recheck(connection, self._capabilities)
        await self.attach(connection, self._capabilities)

    async def attach(self, connection: RedisProtocol, capabilities: Capabilities) -> Cursor:
        """
        Join the log, or check that it is the same, and look for nodes that are
        configured differently.

        @return: The end of the log.
        """
        known = self._notifications.end
        attached = await self._store.attach(connection, capabilities, known, self._settings)
        why = attached.why
        if not why and known.epoch not in ("", attached.end.epoch):
            why = "other"
        if why and attached.end.epoch != self._newEpoch:
            # Several checks under way at once may all find it.
            self._newEpoch = attached.end.epoch
            # The first node that ever used this Redis has nothing to warn of.
            level = LogLevel.warn if known.epoch or why != "new" else LogLevel.info
            self._log.emit(
                level,
                "a new epoch begins in Redis at {url}: {reason}",
                url=self._url,
                reason=_NEW_EPOCH.get(why, why),
            )
        self._settings.compare(attached.others)
        return attached.end

    # -- Sweeping

    async def sweep(self, connection: RedisProtocol) -> None:
        """
        Drop some old messages, once for all callers that wait for it.
        """
        if self._sweeping is not None:
            waiting: Deferred[None] = Deferred()
            self._sweeping.append(waiting)
            await waiting
            return
        self._sweeping = []
        try:
            await self._store.sweep(connection)
        finally:
            sweeping, self._sweeping = self._sweeping, None
            for each in sweeping:
                each.callback(None)

    def beginSweep(self, connection: RedisProtocol) -> None:
        """
        Drop some old messages, while the caller goes on.
        """
        Deferred.fromCoroutine(self.sweep(connection)).addErrback(self._failed, connection)
