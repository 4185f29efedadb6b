"""
The bus whose log is in Redis.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.bus.idempotency import KeyBudget, keyReused
from comet.bus.listeners import Listeners
from comet.bus.outcomes import onlyOutcome
from comet.bus.redis.capabilities import Capabilities, isDenial, recheck
from comet.bus.redis.holdings import Changed, Holdings
from comet.bus.redis.memberstore import Forgotten, MemberStore
from comet.bus.redis.notifications import Notifications
from comet.bus.redis.protocol import (
    RedisConnectionLost,
    RedisProtocol,
    RedisRefused,
    TooManyCommands,
)
from comet.bus.redis.queries import Queries
from comet.bus.redis.reconnect import ReconnectingConnection
from comet.bus.redis.replies import BadReply, KeyConflict, NoLog
from comet.bus.redis.settings import NodeSettings
from comet.bus.redis.statestore import StateStore
from comet.bus.redis.store import Store
from comet.bus.redis.subscriptions import Subscriptions
from comet.bus.redis.topics import Topics
from comet.bus.redis.urls import RedisURL
from comet.bus.refusals import Refusals
from comet.errors import CometError, Forbidden, Internal, Unavailable, Unknown
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
from comet.model.channels import isPattern
from comet.model.cursors import Cursor
from comet.model.held import Held
from comet.model.log import Retention
from comet.model.messages import Publication, Published
from comet.model.positions import HistoryPage, ReadResult, ResolvedStarts, StartPosition
from comet.model.presence import Holding, MemberBounds, MemberPage
from comet.model.state import StateEntry, StatePage
from comet.reactor.clocks import steadyClock

# For how many seconds a read waits for Redis to come back.
PATIENCE: Final = 5.0

# How many questions about channels are asked at once, and how many about patterns;
# others wait.
MOST_ASKED: Final = 32

# How often a node drops old messages, if no other node does, in seconds; and
# after how many beats it checks that the log is still the same.
BEAT: Final = 1.0
BEATS_A_CHECK: Final = 3

# How often a missing permission is logged at most, in seconds.
DENIAL_SECONDS: Final = 60.0

# How many steps one beat takes at most.
_MOST_STEPS: Final = 100

# The codes with which Redis refuses a command before it has begun.
_NOTHING_DONE: Final = frozenset(
    "BUSY CLUSTERDOWN LOADING MASTERDOWN MISCONF NOREPLICAS NOSCRIPT OOM READONLY".split()
)

# Why a new epoch begins.
_NEW_EPOCH: Final = {
    "new": "there is no log in it",
    "restart": "it was started anew, or is another one, and does not prove that it has everything",
    "behind": "messages that it had confirmed are not there",
    "other": "another node has begun it",
}

T = TypeVar("T")


@implementer(IBurstBus, IConfigurableBus, IMeasuredBus, INodesBus, IPresence, IStateBus)
class RedisBus:
    """
    Keeps its log in Redis, for all nodes with the same URL.

    A new epoch begins when Redis cannot prove that it still has all messages.

    @cvar memberBounds: How many members there may be; the same on all nodes.
    """

    memberBounds = MemberBounds()

    _log = Logger()

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
        self._clock = steadyClock(reactor)
        self._url = url
        self._refusals = Refusals(f"Redis at {url}")
        self._store = Store(url, retention, totalBytes, self._refused, keyBudget)
        self._state = StateStore(self._store)
        self._settings = NodeSettings(_common(totalBytes, settings), str(url))
        self._queries = Queries(self._store, Holdings(self._store, self._check, self._sweep))
        self._listeners = Listeners()
        topics = Topics(f"{self._store.topicPrefix}m:")
        self._notifications = Notifications(
            self._store.topicPrefix, topics, self._listeners, self._refused
        )
        self._subscriptions = Subscriptions(topics, f"{self._store.topicPrefix}head")
        self._reconnecting = ReconnectingConnection(reactor, url, self, self._begin)
        self._connection: RedisProtocol | None = None
        self._capabilities: Capabilities | None = None
        self._waiting: list[Deferred[None]] = []
        # A question about a pattern may have hundreds of steps: those about channels do
        # not wait behind it.
        self._asking = DeferredSemaphore(MOST_ASKED)
        self._askingWide = DeferredSemaphore(MOST_ASKED)
        self._beat: IDelayedCall | None = None
        self._beats = 0
        self._sweeping: list[Deferred[None]] | None = None
        self._deniedAt: float | None = None
        self._newEpoch = ""
        self._troubledAt: float | None = None
        self._isStopped = False
        self._members = MemberStore(self._store, self.memberBounds)
        self._forgotten: Callable[[], None] = _nothing

    @property
    def isAvailable(self) -> bool:
        """
        See L{IMessageBus}.
        """
        return self._connection is not None and self._connection.isUsable

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
        self._settings = self._settings.changed(_common(totalBytes, settings))

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
        self._endBeat()
        self._tellWaiting()
        return self._reconnecting.stop()

    def _begin(self, connection: RedisProtocol, capabilities: Capabilities) -> Deferred[None]:
        return Deferred.fromCoroutine(self._makeReady(connection, capabilities))

    async def _makeReady(self, connection: RedisProtocol, capabilities: Capabilities) -> None:
        # Subscribe first, and ask for the end of the log then: so no message is
        # missed in between.
        topics = await self._subscriptions.begin(connection)
        isFirst = not self.end.epoch
        end = await self._attach(connection, capabilities)
        self._capabilities = capabilities
        self._connection = connection
        self._subscriptions.began(connection, topics)
        self._notifications.began(end, isFirst)
        self._beat = self._clock.callLater(BEAT, self._onBeat)
        self._tellWaiting()

    def lost(self, connection: RedisProtocol, reason: str) -> None:
        """
        See L{IPushListener.lost<comet.bus.redis.protocol.IPushListener.lost>}.
        """
        if connection is self._connection:
            self._connection = None
            self._subscriptions.lost()
            self._endBeat()
            if not self._isStopped:
                self._reconnecting.troubled(
                    "the connection to Redis at {url} is lost: {reason}", reason
                )
        self._reconnecting.lost(connection)

    def pushed(self, topic: bytes, data: bytes) -> None:
        """
        See L{IPushListener.pushed<comet.bus.redis.protocol.IPushListener.pushed>}.
        """
        if self._connection is not None:
            self._notifications.pushed(topic, data)

    def _refused(self, reason: object) -> None:
        self._refusals.refused(reason, self._clock.seconds())

    def paused(self) -> None:
        """
        See L{IPushListener.paused<comet.bus.redis.protocol.IPushListener.paused>}.
        """
        if self._connection is not None:
            self._notifications.flush()

    def _tellWaiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    async def _whenReady(self, until: float) -> RedisProtocol:
        """
        Wait for a usable connection.

        @param until: The time at which to give up, in the seconds of the
            clock.

        @raise Unavailable: If there is none by then.
        """
        while True:
            connection = self._connection
            if connection is not None and connection.isUsable:
                return connection
            left = until - self._clock.seconds()
            if left <= 0 or self._isStopped:
                raise Unavailable("Redis does not answer; try again")
            waiting: Deferred[None] = Deferred(self._waiting.remove)
            self._waiting.append(waiting)
            waiting.addTimeout(left, self._clock, lambda result, timeout: None)
            await waiting

    # -- Expiry and checks

    def _endBeat(self) -> None:
        beat, self._beat = self._beat, None
        if beat is not None:
            beat.cancel()

    def _onBeat(self) -> None:
        self._beat = None
        connection = self._connection
        if connection is not None and connection.isUsable:
            done = Deferred.fromCoroutine(self._doBeat(connection))
            done.addErrback(self._beatFailed, connection)
            done.addCallback(self._beatDone, connection)

    async def _doBeat(self, connection: RedisProtocol) -> None:
        self._beats += 1
        if self._beats % BEATS_A_CHECK == 0:
            await self._check(connection)
        await self._tend(connection)
        # The lease is a bit shorter than a beat, so that one node sweeps at
        # each beat.
        more = await self._store.sweep(connection, int(BEAT * 900))
        for _ in range(_MOST_STEPS):
            if not more:
                break
            more = await self._store.sweep(connection)

    def _beatFailed(self, failure: Failure, connection: RedisProtocol) -> None:
        error = failure.value
        if isinstance(error, RedisRefused) and error.code == "READONLY":
            connection.abort("this Redis has become a replica")
        elif isinstance(error, RedisRefused) and isDenial(error):
            self._logDenial(str(error))
        elif failure.check(BadReply):
            connection.abort(failure.getErrorMessage())
        elif not failure.check(RedisRefused, RedisConnectionLost, TooManyCommands):
            self._log.failure(
                "failed to drop old messages in Redis at {url}", failure, url=str(self._url)
            )

    def _beatDone(self, result: None, connection: RedisProtocol) -> None:
        if connection is self._connection and self._beat is None and not self._isStopped:
            self._beat = self._clock.callLater(BEAT, self._onBeat)

    async def _check(self, connection: RedisProtocol) -> None:
        """
        Check that the log is the one that this node knows, and begin one if
        there is none.
        """
        assert self._capabilities is not None
        self._capabilities = await recheck(connection, self._capabilities)
        await self._attach(connection, self._capabilities)

    async def _attach(self, connection: RedisProtocol, capabilities: Capabilities) -> Cursor:
        """
        Join the log, or check that it is the same, and look for nodes that are
        configured differently.

        @return: The end of the log.
        """
        known = self.end
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
                url=str(self._url),
                reason=_NEW_EPOCH.get(why, why),
            )
        self._settings.compare(attached.others)
        return attached.end

    async def _sweep(self, connection: RedisProtocol) -> None:
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
        connection = self._connection
        if connection is None or not connection.isUsable:
            return fail(Unavailable("Redis does not answer; nothing was stored"))
        return Deferred.fromCoroutine(self._publish(connection, requests))

    async def _storing(self, connection: RedisProtocol, store: Callable[[], Awaitable[T]]) -> T:
        """
        Run a script that stores, and begin a log where there is none.

        @raise CometError: If it fails: what the caller is told.
        """
        try:
            try:
                return await store()
            except NoLog:
                # Redis was emptied: begin a new epoch.
                await self._check(connection)
            return await store()
        except (TooManyCommands, NoLog):
            raise Unavailable("Redis has too much to do; nothing was stored") from None
        except RedisConnectionLost as error:
            self._logTrouble(f"the connection broke before a message was confirmed: {error}")
            raise Unknown("the connection to Redis broke before it answered") from None
        except BadReply as error:
            connection.abort(str(error))
            raise Unknown("Redis sent an answer that is not valid") from None
        except RedisRefused as error:
            if error.code == "READONLY":
                connection.abort("this Redis has become a replica")
            if error.code != "ERR" and isDenial(error):
                raise self._denied(error, "nothing was stored") from None
            if error.code in _NOTHING_DONE:
                self._logTrouble(f"nothing was stored: {error}")
                raise Unavailable("Redis refused it; nothing was stored") from None
            self._logTrouble(f"failed to store: {error}")
            raise Unknown("Redis failed while it stored the message") from None

    def _checkPushed(self, connection: RedisProtocol, cursor: Cursor) -> None:
        """
        Check that a stored message was heard.

        @raise Unknown: If not.
        """
        if cursor > self.end:
            # The message was pushed before the answer was sent, and must have
            # arrived: a proxy in between does not pass pushes on.
            connection.abort("a stored message was not pushed")
            raise Unknown("Redis has not pushed the message that it has stored")

    async def _publish(
        self, connection: RedisProtocol, requests: Sequence[Sequence[Publication]]
    ) -> Sequence[Outcome]:
        stored = await self._storing(connection, lambda: self._store.publish(connection, requests))
        outcomes: list[Outcome] = []
        cursors: list[Cursor] = []
        for publications, outcome in zip(requests, stored.outcomes, strict=True):
            if isinstance(outcome, KeyConflict):
                outcomes.append(keyReused(publications[outcome.index].key))
            else:
                cursors += [each.cursor for each in outcome]
                outcomes.append(outcome)
        if cursors:
            self._checkPushed(connection, max(cursors))
        if stored.more:
            Deferred.fromCoroutine(self._sweep(connection)).addErrback(self._beatFailed, connection)
        return outcomes

    def forget(self, channel: str) -> Deferred[None]:
        """
        See L{IMessageBus.forget}.
        """
        return self._ask(lambda connection: self._store.forget(connection, channel))

    # -- Reading

    def _ask(
        self, question: Callable[[RedisProtocol], Awaitable[T]], names: Iterable[str] = ()
    ) -> Deferred[T]:
        """
        Ask Redis.  After a lost connection, ask again on the next one.

        @param names: The names that are asked about.
        """
        until = self._clock.seconds() + PATIENCE
        asking = self._askingWide if any(map(isPattern, names)) else self._asking
        asked: Deferred[T] = asking.run(
            lambda: Deferred.fromCoroutine(self._askPatiently(question, until))
        )
        return asked

    async def _askPatiently(
        self, question: Callable[[RedisProtocol], Awaitable[T]], until: float
    ) -> T:
        while True:
            connection = await self._whenReady(until)
            try:
                return await question(connection)
            except (RedisConnectionLost, Changed, NoLog):
                if self._clock.seconds() >= until:
                    raise Unavailable("Redis did not answer; try again") from None
            except TooManyCommands:
                raise Unavailable("too many commands wait for Redis; try again") from None
            except BadReply as error:
                self._logTrouble(f"an answer is not valid: {error}")
                connection.abort(str(error))
            except RedisRefused as error:
                if isDenial(error):
                    raise self._denied(error, "the log cannot be read") from None
                if error.code != "READONLY":
                    self._logTrouble(f"the log cannot be read: {error}")
                    raise Unavailable("Redis refused it; try again") from None
                connection.abort("this Redis has become a replica")
            except Forbidden as error:
                self._logDenial(error.detail)
                raise

    def _denied(self, error: RedisRefused, what: str) -> CometError:
        """
        Make the error for a caller whose question Redis denies to its user.

        @param what: What that means for the caller.
        """
        self._logDenial(str(error))
        return Internal(f"{what}: Redis does not allow it to this server; the log says why")

    def _logDenial(self, reason: str) -> None:
        """
        Log what the user may not do, unless that was logged lately: clients may
        cause it as often as they like.
        """
        now = self._clock.seconds()
        if self._deniedAt is None or now - self._deniedAt >= DENIAL_SECONDS:
            self._deniedAt = now
            self._log.error(
                "Redis at {url} does not allow its user to do what is needed: {reason}; the "
                "permissions of a user are in the book, under 'Share one log between nodes'",
                url=str(self._url),
                reason=reason,
            )

    def _logTrouble(self, reason: str) -> None:
        """
        Log what Redis said, unless such a line was logged lately: clients are
        not told it, and may cause it as often as they like.
        """
        now = self._clock.seconds()
        if self._troubledAt is None or now - self._troubledAt >= DENIAL_SECONDS:
            self._troubledAt = now
            self._log.error(
                "trouble with Redis at {url}: {reason}", url=str(self._url), reason=reason
            )

    def resolve(self, names: Mapping[str, StartPosition]) -> Deferred[ResolvedStarts]:
        """
        See L{IMessageBus.resolve}.
        """
        return self._ask(lambda connection: self._queries.resolve(connection, names), names)

    def read(
        self, names: Sequence[str], after: Cursor, limit: int, maxBytes: int, upTo: int | None
    ) -> Deferred[ReadResult]:
        """
        See L{IMessageBus.read}.
        """
        return self._ask(
            lambda connection: self._queries.read(connection, names, after, limit, maxBytes, upTo),
            names,
        )

    def history(
        self, channel: str, before: Cursor | None, limit: int, maxBytes: int
    ) -> Deferred[HistoryPage]:
        """
        See L{IMessageBus.history}.
        """
        return self._ask(
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
            entry, cursor = await self._storing(
                connection, lambda: self._state.put(connection, change, key, seconds, most)
            )
            self._checkPushed(connection, cursor)
            return entry

        return self._change(put)

    def dropState(self, change: Publication, key: str) -> Deferred[bool]:
        """
        See L{IStateBus.dropState<comet.interfaces.statebus.IStateBus.dropState>}.
        """

        async def drop(connection: RedisProtocol) -> bool:
            cursor = await self._storing(
                connection, lambda: self._state.drop(connection, change, key)
            )
            if cursor is not None:
                self._checkPushed(connection, cursor)
            return cursor is not None

        return self._change(drop)

    def _change(self, change: Callable[[RedisProtocol], Coroutine[Any, Any, T]]) -> Deferred[T]:
        connection = self._connection
        if connection is None or not connection.isUsable:
            return fail(Unavailable("Redis does not answer; nothing was stored"))
        return Deferred.fromCoroutine(change(connection))

    def readState(self, channel: str, after: str, limit: int) -> Deferred[StatePage]:
        """
        See L{IStateBus.readState<comet.interfaces.statebus.IStateBus.readState>}.
        """

        async def read(connection: RedisProtocol) -> StatePage:
            try:
                return await self._state.page(connection, channel, after, limit)
            except NoLog:
                await self._check(connection)
            return await self._state.page(connection, channel, after, limit)

        return self._ask(read)

    def measure(self) -> Deferred[Held]:
        """
        See L{IMeasuredBus.measure}.
        """
        return self._ask(self._store.measure)

    # -- Members

    def attachPresence(self, forgotten: Callable[[], None]) -> None:
        """
        See L{IPresence.attachPresence<comet.interfaces.memberbus.IPresence.attachPresence>}.
        """
        self._forgotten = forgotten

    def setPresence(self, holdings: Sequence[Holding]) -> Deferred[Sequence[Holding]]:
        """
        See L{IPresence.setPresence<comet.interfaces.memberbus.IPresence.setPresence>}.
        """
        connection = self._connection
        if connection is None or not connection.isUsable:
            return fail(Unavailable("Redis does not answer; nothing was stored"))
        return Deferred.fromCoroutine(self._setPresence(connection, holdings))

    async def _setPresence(
        self, connection: RedisProtocol, holdings: Sequence[Holding]
    ) -> Sequence[Holding]:
        try:
            done, refused = await self._storing(
                connection, lambda: self._members.set(connection, holdings, self.end.epoch)
            )
        except Forgotten:
            self._wasForgotten()
            raise Unavailable("this node was cut off: all it has is to be said anew") from None
        self._checkPushed(connection, done.end)
        if done.more:
            Deferred.fromCoroutine(self._sweep(connection)).addErrback(self._beatFailed, connection)
        return refused

    def _wasForgotten(self) -> None:
        self._members.beginAnew(self.end.epoch)
        self._forgotten()

    def membersOf(self, channel: str, after: str | None, limit: int) -> Deferred[MemberPage]:
        """
        See L{IPresence.membersOf<comet.interfaces.memberbus.IPresence.membersOf>}.
        """
        return self._ask(lambda connection: self._members.list(connection, channel, after, limit))

    async def _tend(self, connection: RedisProtocol) -> None:
        """
        Prove that this node lives, and do what is to do for members of all nodes.
        """
        try:
            for _ in range(_MOST_STEPS):
                if not await self._members.tend(connection):
                    break
        except Forgotten:
            self._wasForgotten()
        except NoLog:
            # The next check begins one.
            pass

    # -- Listening

    def countListening(self, channel: str) -> Deferred[int]:
        """
        See L{INodesBus.countListening<comet.interfaces.busabilities.INodesBus.countListening>}.
        """
        return self._ask(lambda connection: self._store.countListening(connection, channel))

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

        listening = Deferred.fromCoroutine(
            self._askPatiently(
                lambda connection: self._subscriptions.confirm(connection, wanted),
                self._clock.seconds() + PATIENCE,
            )
        )
        return listening.addErrback(failed)

    def unlisten(self, listener: IBusListener, names: Iterable[str]) -> None:
        """
        See L{IMessageBus.unlisten}.
        """
        wanted = list(names)
        self._listeners.remove(listener, wanted)
        self._subscriptions.remove(self._connection, listener, wanted)


def _nothing() -> None:
    pass


def _common(totalBytes: int, settings: Mapping[str, str] | None) -> dict[str, str]:
    """
    Return what all nodes should have in common.
    """
    return {"history-total-bytes": str(totalBytes), **(settings or {})}
