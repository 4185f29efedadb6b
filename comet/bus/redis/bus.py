"""
The bus whose log is in Redis.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.bus.idempotency import KeyBudget
from comet.bus.listeners import Listeners
from comet.bus.outcomes import onlyOutcome
from comet.bus.redis.capabilities import Capabilities
from comet.bus.redis.faultlog import FaultLog
from comet.bus.redis.holdings import Holdings
from comet.bus.redis.logwriter import LogWriter
from comet.bus.redis.memberstore import MemberStore
from comet.bus.redis.nodemembers import NodeMembers
from comet.bus.redis.notifications import Notifications
from comet.bus.redis.protocol import RedisProtocol
from comet.bus.redis.queries import Queries
from comet.bus.redis.reconnect import ReconnectingConnection
from comet.bus.redis.replies import NoLog
from comet.bus.redis.retrying import Retrying
from comet.bus.redis.settings import NodeSettings
from comet.bus.redis.statestore import StateStore
from comet.bus.redis.store import Store
from comet.bus.redis.subscriptions import Subscriptions
from comet.bus.redis.topics import Topics
from comet.bus.redis.upkeep import Upkeep
from comet.bus.redis.urls import RedisURL
from comet.bus.redis.usable import UsableConnection
from comet.bus.refusals import Refusals
from comet.interfaces.busabilities import (
    IBurstBus,
    IConfigurableBus,
    IMeasuredBus,
    INodesBus,
    Outcome,
)
from comet.interfaces.memberbus import IPresence
from comet.interfaces.messagebus import IBusListener
from comet.interfaces.statebus import IStateBus
from comet.model.cursors import Cursor
from comet.model.held import Held
from comet.model.log import Retention
from comet.model.messages import Publication, Published
from comet.model.positions import HistoryPage, ReadResult, ResolvedStarts, StartPosition
from comet.model.presence import Holding, MemberBounds, MemberPage
from comet.model.state import StateEntry, StatePage
from comet.reactor.clocks import steadyClock

T = TypeVar("T")


@implementer(IBurstBus, IConfigurableBus, IMeasuredBus, INodesBus, IPresence, IStateBus)
class RedisBus:
    """
    Keeps its log in Redis, for all nodes with the same URL.

    A new epoch begins when Redis cannot prove that it still has all messages.

    @cvar memberBounds: How many members there may be; the same on all nodes.
    """

    memberBounds = MemberBounds()

    def __init__(
        self,
        reactor: Any,
        url: RedisURL,
        retention: Callable[[str], Retention] = lambda channel: Retention(),
        totalBytes: int = 268435456,
        settings: Mapping[str, str] | None = None,
        keyBudget: KeyBudget | None = None,
    ) -> None:
        """
        @param reactor: Connects, and schedules calls.

        @param retention: Returns how much to hold of a channel, given its name.
            It must be the same on all nodes.

        @param totalBytes: How many bytes to hold in all; the same on all nodes.
            Above that, the oldest messages are dropped first.

        @param settings: The values of other options that all nodes should have
            in common, by name.  Nodes that differ log a warning.

        @param keyBudget: How many bytes idempotency keys may count for, beside
            C{totalBytes}; the same on all nodes.
        """
        self._clock = clock = steadyClock(reactor)
        self._store = store = Store(url, retention, totalBytes, self._refused, keyBudget)
        self._refusals = Refusals(f"Redis at {url}")
        self._listeners = Listeners()
        topics = Topics(f"{store.topicPrefix}m:")
        self._notifications = notifications = Notifications(
            store.topicPrefix, topics, self._listeners, self._refused
        )
        self._subscriptions = Subscriptions(topics, f"{store.topicPrefix}head")
        self._reconnecting = ReconnectingConnection(reactor, url, self, self._begin)
        self._usable = usable = UsableConnection(clock)
        faults = FaultLog(url, clock)
        self._members = MemberStore(store, self.memberBounds)
        self._nodeMembers = NodeMembers(self._members, notifications)
        self._upkeep = upkeep = Upkeep(
            clock,
            url,
            store,
            self._nodeMembers,
            notifications,
            faults,
            NodeSettings(_common(totalBytes, settings), str(url)),
        )
        self._writer = LogWriter(store, upkeep, notifications, faults)
        self._retrying = Retrying(usable, clock, faults)
        self._queries = Queries(store, Holdings(store, upkeep.check, upkeep.sweep))
        self._state = StateStore(store)
        self._isStopped = False

    @property
    def isAvailable(self) -> bool:
        """
        See L{IMessageBus}.
        """
        return self._usable.isThere

    @property
    def end(self) -> Cursor:
        """
        See L{IMessageBus}.
        """
        return self._notifications.end

    def configure(
        self,
        retention: Callable[[str], Retention],
        totalBytes: int,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """
        See L{IConfigurableBus.configure}.
        """
        self._store.configure(retention, totalBytes)
        self._upkeep.configure(_common(totalBytes, settings))

    # -- The connection

    def start(self) -> Deferred[None]:
        """
        See L{IMessageBus.start}.
        """
        return self._reconnecting.start()

    def stop(self) -> Deferred[None]:
        """
        See L{IMessageBus.stop}.
        """
        self._isStopped = True
        self._listeners.clear()
        self._upkeep.stop()
        self._usable.stop()
        return self._reconnecting.stop()

    def _begin(self, connection: RedisProtocol, capabilities: Capabilities) -> Deferred[None]:
        return Deferred.fromCoroutine(self._makeReady(connection, capabilities))

    async def _makeReady(self, connection: RedisProtocol, capabilities: Capabilities) -> None:
        # Subscribe first, and ask for the end of the log then: so no message is
        # missed in between.
        topics = await self._subscriptions.begin(connection)
        isFirst = not self.end.epoch
        end = await self._upkeep.attach(connection, capabilities)
        self._usable.use(connection)
        self._subscriptions.began(connection, topics)
        self._notifications.began(end, isFirst)
        self._upkeep.start(connection, capabilities)
        self._usable.tellWaiting()

    def lost(self, connection: RedisProtocol, reason: str) -> None:
        """
        See L{IPushListener.lost<comet.bus.redis.protocol.IPushListener.lost>}.
        """
        if self._usable.lost(connection):
            self._subscriptions.lost()
            self._upkeep.stop()
            if not self._isStopped:
                self._reconnecting.troubled(
                    "the connection to Redis at {url} is lost: {reason}", reason
                )
        self._reconnecting.lost(connection)

    def pushed(self, topic: bytes, data: bytes) -> None:
        """
        See L{IPushListener.pushed<comet.bus.redis.protocol.IPushListener.pushed>}.
        """
        if self._usable.connection is not None:
            self._notifications.pushed(topic, data)

    def _refused(self, reason: object) -> None:
        self._refusals.refused(reason, self._clock.seconds())

    def paused(self) -> None:
        """
        See L{IPushListener.paused<comet.bus.redis.protocol.IPushListener.paused>}.
        """
        if self._usable.connection is not None:
            self._notifications.flush()

    # -- Writing

    def publish(self, publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        See L{IMessageBus.publish}.
        """
        if not publications:
            return succeed([])
        return self.publishBurst([publications]).addCallback(onlyOutcome)

    def publishBurst(
        self, requests: Sequence[Sequence[Publication]]
    ) -> Deferred[Sequence[Outcome]]:
        """
        See L{IBurstBus.publishBurst<comet.interfaces.busabilities.IBurstBus.publishBurst>}.
        All are stored by one script.
        """
        return self._change(lambda connection: self._writer.publish(connection, requests))

    def _change(self, change: Callable[[RedisProtocol], Awaitable[T]]) -> Deferred[T]:
        """
        Store something by way of the connection that there is now.

        @return: Fails with L{Unavailable<comet.errors.Unavailable>} if there is none.
        """

        async def changed() -> T:
            return await change(self._usable.toStore())

        return Deferred.fromCoroutine(changed())

    def forget(self, channel: str) -> Deferred[None]:
        """
        See L{IMessageBus.forget}.
        """
        return self._retrying.ask(lambda connection: self._store.forget(connection, channel))

    # -- Reading

    def resolve(self, names: Mapping[str, StartPosition]) -> Deferred[ResolvedStarts]:
        """
        See L{IMessageBus.resolve}.
        """
        return self._retrying.ask(
            lambda connection: self._queries.resolve(connection, names), names
        )

    def read(
        self, names: Sequence[str], after: Cursor, limit: int, maxBytes: int, upTo: int | None
    ) -> Deferred[ReadResult]:
        """
        See L{IMessageBus.read}.
        """
        return self._retrying.ask(
            lambda connection: self._queries.read(connection, names, after, limit, maxBytes, upTo),
            names,
        )

    def history(
        self, channel: str, before: Cursor | None, limit: int, maxBytes: int
    ) -> Deferred[HistoryPage]:
        """
        See L{IMessageBus.history}.
        """
        return self._retrying.ask(
            lambda connection: self._queries.history(connection, channel, before, limit, maxBytes)
        )

    # -- State

    def putState(
        self, change: Publication, key: str, seconds: float | None, most: int
    ) -> Deferred[StateEntry]:
        """
        See L{IStateBus.putState<comet.interfaces.statebus.IStateBus.putState>}.
        """

        async def put(connection: RedisProtocol) -> StateEntry:
            entry, cursor = await self._writer.run(
                connection, lambda: self._state.put(connection, change, key, seconds, most)
            )
            self._writer.checkPushed(connection, cursor)
            return entry

        return self._change(put)

    def dropState(self, change: Publication, key: str) -> Deferred[bool]:
        """
        See L{IStateBus.dropState<comet.interfaces.statebus.IStateBus.dropState>}.
        """

        async def drop(connection: RedisProtocol) -> bool:
            cursor = await self._writer.run(
                connection, lambda: self._state.drop(connection, change, key)
            )
            if cursor is not None:
                self._writer.checkPushed(connection, cursor)
            return cursor is not None

        return self._change(drop)

    def readState(self, channel: str, after: str, limit: int) -> Deferred[StatePage]:
        """
        See L{IStateBus.readState<comet.interfaces.statebus.IStateBus.readState>}.
        """

        async def read(connection: RedisProtocol) -> StatePage:
            try:
                return await self._state.page(connection, channel, after, limit)
            except NoLog:
                await self._upkeep.check(connection)
            return await self._state.page(connection, channel, after, limit)

        return self._retrying.ask(read)

    def measure(self) -> Deferred[Held]:
        """
        See L{IMeasuredBus.measure}.
        """
        return self._retrying.ask(self._store.measure)

    # -- Members

    def attachPresence(self, forgotten: Callable[[], None]) -> None:
        """
        See L{IPresence.attachPresence<comet.interfaces.memberbus.IPresence.attachPresence>}.
        """
        self._nodeMembers.attach(forgotten)

    def setPresence(self, holdings: Sequence[Holding]) -> Deferred[Sequence[Holding]]:
        """
        See L{IPresence.setPresence<comet.interfaces.memberbus.IPresence.setPresence>}.
        """

        async def set(connection: RedisProtocol) -> Sequence[Holding]:
            done, refused = await self._writer.run(
                connection, lambda: self._nodeMembers.set(connection, holdings)
            )
            self._writer.checkPushed(connection, done.end)
            if done.more:
                self._upkeep.beginSweep(connection)
            return refused

        return self._change(set)

    def membersOf(self, channel: str, after: str | None, limit: int) -> Deferred[MemberPage]:
        """
        See L{IPresence.membersOf<comet.interfaces.memberbus.IPresence.membersOf>}.
        """
        return self._retrying.ask(
            lambda connection: self._members.list(connection, channel, after, limit)
        )

    # -- Listening

    def countListening(self, channel: str) -> Deferred[int]:
        """
        See L{INodesBus.countListening<comet.interfaces.busabilities.INodesBus.countListening>}.
        """
        return self._retrying.ask(
            lambda connection: self._store.countListening(connection, channel)
        )

    def listen(self, listener: IBusListener, names: Iterable[str]) -> Deferred[None]:
        """
        See L{IMessageBus.listen}.
        """
        wanted = list(names)
        self._listeners.add(listener, wanted)
        self._subscriptions.add(listener, wanted)

        def failed(failure: Failure) -> Failure:
            self.unlisten(listener, wanted)
            return failure

        listening = self._retrying.askAtOnce(
            lambda connection: self._subscriptions.confirm(connection, wanted)
        )
        return listening.addErrback(failed)

    def unlisten(self, listener: IBusListener, names: Iterable[str]) -> None:
        """
        See L{IMessageBus.unlisten}.
        """
        wanted = list(names)
        self._listeners.remove(listener, wanted)
        self._subscriptions.remove(self._usable.connection, listener, wanted)


def _common(totalBytes: int, settings: Mapping[str, str] | None) -> dict[str, str]:
    """
    Return what all nodes should have in common.
    """
    return {"history-total-bytes": str(totalBytes), **(settings or {})}
