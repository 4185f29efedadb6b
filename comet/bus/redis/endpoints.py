"""
Connects to the Redis that a URL names, also by way of sentinels.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from zope.interface import implementer

from comet.bus.redis.capabilities import CannotUse, greet
from comet.bus.redis.protocol import RedisConnectionLost, RedisProtocol, RedisRefused
from comet.bus.redis.urls import RedisURL
from comet.reactor.clocks import steadyClock


class ConnectionFactory(Factory):
    """
    Makes the protocol of a connection.
    """

    noisy = False

    def __init__(self, make: Callable[[], RedisProtocol]) -> None:
        self._make = make

    def buildProtocol(self, addr: object) -> RedisProtocol:
        """
        See L{Factory.buildProtocol}.
        """
        return self._make()


class _NoPushes:
    """
    Ignores pushes: for a connection to a sentinel, which is asked once.
    """

    def pushed(self, topic: bytes, data: bytes) -> None:
        """
        Do nothing: a sentinel pushes nothing here.
        """

    def paused(self) -> None:
        """
        Do nothing.
        """

    def lost(self, connection: RedisProtocol, reason: str) -> None:
        """
        Do nothing: the failed command tells the caller.
        """


@implementer(IStreamClientEndpoint)
class SentinelEndpoint:
    """
    Connects to the Redis that the sentinels call the master.
    """

    def __init__(
        self,
        reactor: Any,
        url: RedisURL,
        endpoint: Callable[[str, int], IStreamClientEndpoint],
    ) -> None:
        """
        @param endpoint: Makes an endpoint for a host and port.
        """
        self._clock = steadyClock(reactor)
        self._url = url
        self._endpoint = endpoint
        self._hosts = list(url.hosts)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        See L{IStreamClientEndpoint.connect}.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        reasons = []
        for host, port in list(self._hosts):
            try:
                master = await self._ask(host, port)
            except (ConnectError, OSError, RedisConnectionLost, RedisRefused, CannotUse) as error:
                reasons.append(f"{host}:{port}: {error}")
                # Ask the sentinels that answered before those that failed.
                self._hosts.remove((host, port))
                self._hosts.append((host, port))
            else:
                return await self._endpoint(*master).connect(protocolFactory)
        raise RedisConnectionLost("no sentinel knows the master: " + "; ".join(reasons))

    async def _ask(self, host: str, port: int) -> tuple[str, int]:
        url = self._url
        factory = ConnectionFactory(lambda: RedisProtocol(self._clock, _NoPushes(), url.timeout))
        connection = cast(RedisProtocol, await self._endpoint(host, port).connect(factory))
        try:
            await greet(connection, url.sentinelUsername, url.sentinelPassword)
            found = await connection.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", url.service)
        finally:
            connection.abort("the sentinel has answered")
        if found is None:
            raise RedisConnectionLost(f"the sentinel knows no service {url.service!r}")
        return _masterOf(found)


def _masterOf(found: Any) -> tuple[str, int]:
    """
    Read where a sentinel says that the master is.

    @raise RedisConnectionLost: If that is no host and port: the others are asked.
    """
    try:
        host, port = found
        address = host.decode("ascii"), int(port)
    except (AttributeError, TypeError, ValueError):
        raise RedisConnectionLost(f"{found!r:.100} is not where a master is") from None
    if not (address[0] and 0 < address[1] < 65536):
        raise RedisConnectionLost(f"{found!r:.100} is not where a master is")
    return address


def endpointOf(url: RedisURL, reactor: Any) -> IStreamClientEndpoint:
    """
    Make an endpoint that connects to the Redis of a URL.

    @raise CannotUse: If TLS cannot be used.
    """
    if url.path:
        return UNIXClientEndpoint(reactor, url.path, timeout=url.timeout)

    def plain(host: str, port: int) -> IStreamClientEndpoint:
        return HostnameEndpoint(reactor, host, port, timeout=url.timeout)

    endpoint: Callable[[str, int], IStreamClientEndpoint] = plain
    if url.isTLS:
        # TLS needs an extra that may not be installed.
        from comet.bus.redis.tls import securely

        endpoint = securely(url, plain)
    if url.service:
        return SentinelEndpoint(reactor, url, endpoint)
    return endpoint(*url.hosts[0])


def reasonOf(error: BaseException | None) -> str:
    """
    Return why a connection failed, in a few words.
    """
    cause: object = getattr(error, "osError", None)
    if isinstance(cause, int) and cause > 0:
        # The text of the system is clearer than Twisted's text around it.
        return os.strerror(cause)
    return str(error) or type(error).__name__
