"""
Tests for L{comet.bus.redis.reconnect}.
"""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import provider

from comet.bus.redis.capabilities import Capabilities
from comet.bus.redis.protocol import RedisProtocol
from comet.bus.redis.reconnect import ReconnectingConnection
from tests.bus.redis.case import RedisCase, theReactor, until, wait


class Holder:
    """
    Never makes a connection ready.

    @ivar asked: How many connections it was to make ready.
    """

    reconnecting: ReconnectingConnection

    def __init__(self) -> None:
        self.asked = 0

    def begin(self, connection: RedisProtocol, capabilities: Capabilities) -> Deferred[None]:
        """
        Do not answer.
        """
        self.asked += 1
        return Deferred()

    def lost(self, connection: RedisProtocol, reason: str) -> None:
        """
        See L{IPushListener<comet.bus.redis.protocol.IPushListener>}.
        """
        self.reconnecting.lost(connection)

    def pushed(self, topic: bytes, data: bytes) -> None:
        """
        See L{IPushListener<comet.bus.redis.protocol.IPushListener>}.
        """

    def paused(self) -> None:
        """
        See L{IPushListener<comet.bus.redis.protocol.IPushListener>}.
        """


class ReconnectTests(RedisCase):
    """
    L{ReconnectingConnection}.
    """

    async def test_notReadyInTime(self) -> None:
        """
        A connection that is not made ready in time is closed, which is logged in one
        line with the reason, and there is another attempt.
        """
        told: list[str] = []

        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            if "reason" in event:
                told.append(str(event["reason"]))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        holder = Holder()
        url = evolve(self.url, timeout=0.1)
        reconnecting = ReconnectingConnection(theReactor(), url, holder, holder.begin)
        holder.reconnecting = reconnecting
        wait(reconnecting.start())
        self.addCleanup(reconnecting.stop)
        expected = "the connection was not ready after 0.4 seconds"
        await until(lambda: holder.asked > 1 and expected in told, 30)
