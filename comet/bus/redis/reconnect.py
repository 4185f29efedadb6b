"""
Keeps a connection to Redis, and connects again after a loss.
"""

from __future__ import annotations

from collections.abc import Callable
from random import uniform
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.bus.redis.capabilities import (
    CannotUse,
    Capabilities,
    checkGreeting,
    greet,
    inspect,
    refusal,
)
from comet.bus.redis.endpoints import ConnectionFactory, endpointOf, reasonOf
from comet.bus.redis.protocol import IPushListener, RedisConnectionLost, RedisProtocol, RedisRefused
from comet.bus.redis.urls import RedisURL
from comet.errors import CometError
from comet.reactor.clocks import steadyClock

# How long to wait before the next attempt, in seconds: at first, and at most.
FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 3.0

# The errors of a Redis that is away, or not ready yet.
_EXPECTED: Final = (CometError, ConnectError, RedisConnectionLost, OSError, RedisRefused)


class ReconnectingConnection:
    """
    Connects, and connects again after growing delays.

    Twisted's C{ClientService} cannot be used: it does not handle a connection
    that is lost while it is made ready.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        url: RedisURL,
        pushListener: IPushListener,
        ready: Callable[[RedisProtocol, Capabilities], Deferred[None]],
    ) -> None:
        """
        @param pushListener: Takes the pushes.  It has to pass each call of C{lost}
            on to L{lost}.

        @param ready: Makes a new connection ready.  If it fails, the connection
            is closed.
        """
        self._reactor = reactor
        self._clock = clock = steadyClock(reactor)
        self._url = url
        self._factory = ConnectionFactory(lambda: RedisProtocol(clock, pushListener, url.timeout))
        self._ready = ready
        self._endpoint: IStreamClientEndpoint | None = None
        self._connection: RedisProtocol | None = None
        self._attempt: Deferred[None] | None = None
        self._retry: IDelayedCall | None = None
        self._failures = 0
        self._isGivenUp = False
        self._started: Deferred[None] | None = None
        self._stopped: Deferred[None] | None = None
        self._trouble: tuple[str, str] | None = None
        self._warned = ""

    def start(self) -> Deferred[None]:
        """
        Connect.

        @return: Fires when a connection is ready.  Fails with L{CometError} if
            there cannot be one until the operator changes something.
        """
        try:
            self._endpoint = endpointOf(self._url, self._reactor)
        except CometError:
            return fail(Failure())
        self._started = started = Deferred[None]()
        self._connect()
        return started

    def stop(self) -> Deferred[None]:
        """
        Close the connection, and make no other.

        @return: Fires when it is closed.
        """
        self._stopped = stopped = Deferred[None]()
        started, self._started = self._started, None
        retry, self._retry = self._retry, None
        if retry is not None:
            retry.cancel()
        if started is not None:
            started.cancel()
        if self._connection is not None:
            # Commands that wait to be sent are of no use any more.
            self._connection.abort("the bus was stopped")
        elif self._attempt is not None:
            self._attempt.cancel()
        self._tellStopped()
        return stopped

    def _tellStopped(self) -> None:
        if self._attempt is None and self._connection is None and self._stopped is not None:
            stopped, self._stopped = self._stopped, Deferred()
            stopped.callback(None)

    def _connect(self) -> None:
        self._retry = None
        # The attempt may fail before this method returns.
        self._attempt = attempt = Deferred.fromCoroutine(self._make())
        attempt.addCallbacks(self._made, self._notMade)

    async def _make(self) -> None:
        url = self._url
        assert self._endpoint is not None
        # An endpoint has a time limit of its own, which comes first, except where
        # the reactor's clock was set back.
        limit = 4 * url.timeout * (1 + len(url.hosts))
        connected = self._endpoint.connect(self._factory)
        connected.addTimeout(limit, self._clock, onTimeoutCancel=_tooLate)
        connection = cast(RedisProtocol, await connected)
        self._connection = connection
        try:
            # The time limit also ends an attempt in which Redis accepts the
            # connection and then answers too slowly, or this process stood still.
            await Deferred.fromCoroutine(self._prepare(connection)).addTimeout(
                4 * url.timeout, self._clock, onTimeoutCancel=_notReady
            )
        except BaseException as error:
            connection.abort(str(error))
            raise

    async def _prepare(self, connection: RedisProtocol) -> None:
        url = self._url
        checkGreeting(await greet(connection, url.username, url.password, url.db))
        capabilities = await inspect(connection, isNamed=not url.service)
        self._warn(capabilities)
        try:
            await self._ready(connection, capabilities)
        except RedisRefused as error:
            raise refusal(error) from None

    def _made(self, result: None) -> None:
        self._attempt = None
        self._failures = 0
        if self._trouble is not None:
            self._trouble = None
            self._log.info("connected to Redis at {url} again", url=str(self._url))
        started, self._started = self._started, None
        if started is not None:
            started.callback(None)
        if self._connection is None:
            # The connection was lost as soon as it was ready.
            self._connectLater()

    def _notMade(self, failure: Failure) -> None:
        self._attempt = None
        error = failure.value
        if self._stopped is not None:
            self._tellStopped()
            return
        if isinstance(error, CannotUse) and self._started is not None:
            started, self._started = self._started, None
            self._isGivenUp = True
            started.errback(failure)
            return
        if not isinstance(error, _EXPECTED):
            self._log.failure("failed to connect to Redis at {url}", failure, url=str(self._url))
        self.troubled("Redis cannot be used at {url}: {reason}; trying again", reasonOf(error))
        if self._connection is None:
            self._connectLater()

    def lost(self, connection: RedisProtocol) -> None:
        """
        Take the news that a connection is closed, and connect again.
        """
        if connection is self._connection:
            self._connection = None
            if self._stopped is not None:
                self._tellStopped()
            elif self._attempt is None:
                self._connectLater()

    def _connectLater(self) -> None:
        """
        Schedule the next attempt, after a random delay: so not all nodes
        connect at the same moment.
        """
        if self._retry is None and self._stopped is None and not self._isGivenUp:
            pause = min(LONGEST_DELAY, FIRST_DELAY * 1.5 ** min(self._failures, 20))
            self._failures += 1
            self._retry = self._clock.callLater(pause * uniform(0.5, 1.0), self._connect)

    def troubled(self, format: str, reason: str) -> None:
        """
        Log a fault, unless it is the one that was logged last.

        @param format: The log line, with the fields C{url} and C{reason}.
        """
        if (format, reason) != self._trouble and self._stopped is None:
            self._trouble = (format, reason)
            self._log.warn(format, url=str(self._url), reason=reason)

    def _warn(self, capabilities: Capabilities) -> None:
        if capabilities.policy not in ("", "noeviction", self._warned):
            self._log.warn(
                "Redis at {url} has maxmemory-policy {policy}: when it is full, it drops messages, "
                "and tells no node; set it to noeviction",
                url=str(self._url),
                policy=capabilities.policy,
            )
        self._warned = capabilities.policy


def _tooLate(result: object, timeout: float) -> None:
    """
    Fail in the place of a connection that was not made in time.

    @raise RedisConnectionLost: Always.
    """
    raise RedisConnectionLost(f"no connection for {timeout:g} seconds")


def _notReady(result: object, timeout: float) -> None:
    """
    Fail in the place of a connection that was not made ready in time.

    @raise RedisConnectionLost: Always.
    """
    raise RedisConnectionLost(f"the connection was not ready after {timeout:g} seconds")
