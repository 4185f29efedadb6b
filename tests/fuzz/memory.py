"""
A server in memory, for bytes that are tried by the thousand: comet's own hub, bus
and protocols, on a clock and transports of the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.logger import LogEvent, formatEventAsClassicLogText, globalLogPublisher

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.bus.redis.protocol import RedisConnectionLost, RedisProtocol, RedisRefused
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.model.log import Retention
from comet.server.proxied import ProxiedFactory
from comet.transports.tcp import CometFactory
from comet.web.resources import CometResource
from comet.web.site import CometSite
from tests.fuzz.corpus import PREFACE, SETTINGS, UPGRADE_REQUEST
from tests.transports.wire import Wire
from tests.web.http2.case import SecureTransport

# After how many conversations there is a new server, and how long the old one is
# given until nothing may be left of its clients, in seconds.
CONVERSATIONS: Final = 200
SETTLING: Final = 400.0

# How often a client tries to leave.
LEAVING: Final = 1000


class Fault(AssertionError):
    """
    The server logged an error, or something is left of a client.
    """


class _Pushes:
    """
    Takes the pushes of a connection to Redis.

    @ivar data: What was pushed.
    """

    def __init__(self) -> None:
        self.data: list[bytes] = []

    def pushed(self, topic: bytes, data: bytes) -> None:
        """
        Keep it.
        """
        self.data.append(data)

    def paused(self) -> None:
        """
        Do nothing.
        """

    def lost(self, connection: RedisProtocol, reason: str) -> None:
        """
        Do nothing.
        """


class MemoryServer:
    """
    The server.
    """

    def __init__(self) -> None:
        self._errors: list[LogEvent] = []
        # Any: zope's interfaces do not know that a method is an observer.
        self._observer: Any = self._note
        self._begin()

    def _begin(self) -> None:
        self._left = CONVERSATIONS
        self._clock = Clock()
        self._clock.advance(1000)
        bus = MemoryBus(
            self._clock, lambda channel: Retention(messages=5), wallClock=self._clock.seconds
        )
        access = Access("0123456789abcdef", ["open/**"])
        self._hub = Hub(bus, self._clock, Settings(), access)
        self._site = CometSite(CometResource(self._hub), 1 << 22, 1 << 16, reactor=self._clock)

    def http1(self, pieces: Sequence[bytes]) -> bytes:
        """
        Let a client of HTTP/1 send some pieces.

        @return: What it gets.
        """
        return self._talk(Wire(self._site), pieces)

    def http2(self, pieces: Sequence[bytes]) -> bytes:
        """
        Let a client of HTTP/2 send some pieces after the preface.
        """
        wire = Wire(self._site, SecureTransport())
        wire.transport.protocol.handshakeCompleted()
        return self._talk(wire, (PREFACE + SETTINGS, *pieces))

    def webSocket(self, pieces: Sequence[bytes]) -> bytes:
        """
        Let a client send some pieces on an open WebSocket.
        """
        return self._talk(Wire(self._site), (UPGRADE_REQUEST, *pieces))

    def proxied(self, pieces: Sequence[bytes]) -> bytes:
        """
        Let a proxy send some pieces, of which the first begins with its header.
        """
        return self._talk(Wire(ProxiedFactory(self._site)), pieces)

    def redis(self, pieces: Sequence[bytes]) -> bytes:
        """
        Let Redis send some pieces, as replies to commands and pushes.
        """
        listener, transport = _Pushes(), StringTransportWithDisconnection()
        connection = RedisProtocol(self._clock, listener, 5.0)
        transport.protocol = connection
        connection.makeConnection(transport)
        answers = [connection.command("EVALSHA"), connection.subscribe("SUBSCRIBE", [b"a", b"b"])]
        for answer in answers:
            answer.addErrback(lambda failure: failure.trap(RedisRefused, RedisConnectionLost))
        for piece in pieces:
            connection.dataReceived(piece)
        connection.connectionLost()
        self._turn([])
        return b"".join(listener.data)

    def tcp(self, pieces: Sequence[bytes]) -> bytes:
        """
        Let a client of raw TCP send some pieces.
        """
        return self._talk(Wire(CometFactory(self._hub)), pieces)

    def _talk(self, wire: Wire, pieces: Sequence[bytes]) -> bytes:
        globalLogPublisher.addObserver(self._observer)
        try:
            for piece in pieces:
                if wire.isOpen:
                    wire.send(piece)
                    self._turn([wire])
            came = wire.take()
            for _ in range(LEAVING):
                # The server notices only while it reads: on a busy machine much of what
                # came may wait for its share of time.
                if not wire.isOpen:
                    break
                wire.leave()
                self._turn([wire])
                wire.take()
            self._left -= 1
            if self._left <= 0 or self._errors:
                self._settle()
        finally:
            globalLogPublisher.removeObserver(self._observer)
        return came

    def _note(self, event: LogEvent) -> None:
        if event.get("log_failure") is not None or event.get("isError"):
            self._errors.append(event)

    def _turn(self, wires: Sequence[Wire]) -> None:
        clock = self._clock
        clock.advance(0)
        while any(call.getTime() <= clock.seconds() for call in clock.getDelayedCalls()):
            clock.advance(0)
            for wire in wires:
                wire.settle()

    def _settle(self) -> None:
        """
        Check that nothing was logged, and that nothing is left of any client;
        and go on with a new server.

        @raise Fault: If something is.
        """
        errors, self._errors = self._errors, []
        fanout, clock = self._hub.fanout, self._clock
        readers = [*fanout.readers, *fanout.leaving.readers]
        self._hub.bus.stop()
        for _ in range(40):
            clock.advance(SETTLING / 40)
        calls, groups = clock.getDelayedCalls(), len(fanout.registry)
        self._begin()
        if errors:
            raise Fault("\n".join(str(formatEventAsClassicLogText(event)) for event in errors[:3]))
        if readers or calls or groups:
            raise Fault(f"left: {readers[:3]}, {calls[:3]}, {groups} groups")

    def check(self) -> None:
        """
        Check the server now, and not after some conversations more.

        @raise Fault: As above.
        """
        self._settle()
