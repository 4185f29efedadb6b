"""
A connection to Redis that comes back, however it was lost.
"""

from __future__ import annotations

from collections.abc import Callable
from random import uniform
from typing import Any, Final

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

# How long it waits before it tries again, in seconds: at first, and at most.
FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 3.0

# What goes wrong when Redis is away, or is not ready: it is tried again.
_EXPECTED: Final = (CometError, ConnectError, RedisConnectionLost, OSError, RedisRefused)


class ReconnectingConnection:
    """
    Connects, and connects again with growing pauses.

    Twisted's C{ClientService} would do, were it not for connections that end
    while they are made ready.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        url: RedisURL,
        hearing: IPushListener,
        ready: Callable[[RedisProtocol, Capabilities], Deferred[None]],
    ) -> None:
        """
        @param hearing: Who hears what is pushed; it passes on to L{lost} what
            it is told.

        @param ready: Makes a connection ready that was inspected; it is closed
            when that fails.
        """
        self._reactor = reactor
        self._url = url
        self._factory = ConnectionFactory(lambda: RedisProtocol(reactor, hearing, url.timeout))
        self._ready = ready
        self._endpoint: IStreamClientEndpoint | None = None
        self._connection: RedisProtocol | None = None
        self._attempt: Deferred[None] | None = None
        self._retry: IDelayedCall | None = None
        self._failures = 0
        self._isGivenUp = False
        self._started: Deferred[None] | None = None
        self._stopped: Deferred[None] | None = None
        self._trouble = ""
        self._warned = ""

    def start(self) -> Deferred[None]:
        """
        Connect.

        @return: Fires when there is a connection that is ready.  Fails with
            L{CometError} if there will be none before somebody changes
            something.
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
        Let go of the connection, and make no other.

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
            # Nothing that is left to be said would help anybody.
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
        # It may be over at once.
        self._attempt = attempt = Deferred.fromCoroutine(self._make())
        attempt.addCallbacks(self._made, self._notMade)

    async def _make(self) -> None:
        url = self._url
        assert self._endpoint is not None
        connection: Any = await self._endpoint.connect(self._factory)
        self._connection = connection
        try:
            # Also when Redis accepts us, and then never says enough.
            await Deferred.fromCoroutine(self._prepare(connection)).addTimeout(
                4 * url.timeout, self._reactor
            )
        except BaseException as error:
            connection.abort(str(error))
            raise

    async def _prepare(self, connection: RedisProtocol) -> None:
        url = self._url
        checkGreeting(await greet(connection, url.username, url.password, url.db))
        server = await inspect(connection, isNamed=not url.service)
        self._warn(server)
        try:
            await self._ready(connection, server)
        except RedisRefused as error:
            raise refusal(error) from None

    def _made(self, result: None) -> None:
        self._attempt = None
        self._failures = 0
        if self._trouble:
            self._trouble = ""
            self._log.info("Redis is back: {url}", url=str(self._url))
        started, self._started = self._started, None
        if started is not None:
            started.callback(None)
        if self._connection is None:
            # It was lost as soon as it was ready.
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
            self._log.failure("while the link to Redis was made", failure)
        self.troubled(f"Redis cannot be used at {self._url}: {reasonOf(error)}; trying again")
        if self._connection is None:
            self._connectLater()

    def lost(self, connection: RedisProtocol) -> None:
        """
        A connection is closed.
        """
        if connection is self._connection:
            self._connection = None
            if self._stopped is not None:
                self._tellStopped()
            elif self._attempt is None:
                self._connectLater()

    def _connectLater(self) -> None:
        """
        Try again soon, but not all nodes at the same moment.
        """
        if self._retry is None and self._stopped is None and not self._isGivenUp:
            pause = min(LONGEST_DELAY, FIRST_DELAY * 1.5 ** min(self._failures, 20))
            self._failures += 1
            self._retry = self._reactor.callLater(pause * uniform(0.5, 1.0), self._connect)

    def troubled(self, text: str) -> None:
        """
        Log what is wrong, if it is not what was wrong before.
        """
        if text != self._trouble and self._stopped is None:
            self._trouble = text
            self._log.warn("{text}", text=text)

    def _warn(self, server: Capabilities) -> None:
        if server.policy not in ("", "noeviction", self._warned):
            self._log.warn(
                "Redis at {url} has maxmemory-policy {policy}: when it is full it drops keys of "
                "ours, and messages with them, and nobody is told; set noeviction",
                url=str(self._url),
                policy=server.policy,
            )
        self._warned = server.policy
