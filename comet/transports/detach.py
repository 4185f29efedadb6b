"""
To take a connection from under Twisted's HTTP: for good, when an answer never
ends, or for a while, to see what its client does.

C{twisted.web} keeps a request, its headers and a parser for every connection,
for as long as the answer takes; and it stops reading when the client sends
more than a little in the meantime, so that it does not notice when it leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IProtocol, IPushProducer, ITransport
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.server import Request
from zope.interface import implementer

from comet.timers import NOT_SET, TimerWheel
from comet.transports.sinks import IConnectedSink, tune

# How much a client may send while its request is on hold.  Twisted stops
# reading a little later.
MAX_HELD_INPUT: Final = 0x4000

# For how many seconds a client may leave an answer unread.
UNSENT_TIMEOUT: Final = 60.0


def isDetachable(request: Request) -> bool:
    """
    Whether the connection of a request is its alone, as it is with HTTP/1.
    """
    channel = request.channel
    return isinstance(channel, HTTPChannel) and channel.transport is not None


def setProtocol(transport: Any, protocol: IProtocol) -> None:
    """
    Let another protocol be given what a transport receives.
    """
    if isinstance(transport, ProtocolWrapper):
        transport.wrappedProtocol = protocol
    elif getattr(transport, "TLS", False):
        # After startTLS the transport's own protocol is the one that decrypts.
        transport.protocol.wrappedProtocol = protocol
    else:
        transport.protocol = protocol


def detach(request: Request, protocol: IProtocol) -> None:
    """
    Let a protocol have the connection of a request, for good.  The request is
    not to be touched any more, and Twisted forgets it.

    @param request: One that L{isDetachable}.
    """
    # Any: a method of it is shadowed below.
    channel: Any = request.channel
    transport = channel.transport
    channel.setTimeout(None)
    tune(transport)
    # Twisted does it when a request is finished, which this one never will be.
    if channel.factory is not None:
        channel.factory.log(request)
    # It may have been made to read only a little at once.
    vars(transport).pop("bufferSize", None)
    # The channel left itself there to be told when the buffer is full.
    transport.unregisterProducer()
    # It may have stopped reading.
    transport.resumeProducing()
    setProtocol(transport, protocol)
    # Twisted is still busy with what came together with the request.  It would
    # keep the rest, and stop reading if that is much.
    channel.rawDataReceived = protocol.dataReceived
    # They hold one another, and would wait for the garbage collector.
    channel.requests = []
    channel.transport = None
    request.notifications = []
    del request.channel
    protocol.makeConnection(transport)


@implementer(IProtocol)
class DetachedStream:
    """
    The protocol of a connection whose answer never ends: whatever the client
    still sends is thrown away, until it leaves.
    """

    __slots__ = ("_sink",)

    def __init__(self) -> None:
        self._sink: IConnectedSink | None = None

    def attach(self, sink: IConnectedSink) -> None:
        """
        Say which sink is to be told when the connection is lost.
        """
        self._sink = sink

    def makeConnection(self, transport: ITransport) -> None:
        """
        See L{IProtocol.makeConnection}.
        """

    def connectionMade(self) -> None:
        """
        See L{IProtocol.connectionMade}.
        """

    def dataReceived(self, data: bytes) -> None:
        """
        See L{IProtocol.dataReceived}.
        """
        if self._sink is not None:
            self._sink.traffic.dataIn += len(data)

    def connectionLost(self, reason: Failure) -> None:
        """
        See L{IProtocol.connectionLost}.
        """
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.connectionLost()

    def logPrefix(self) -> str:
        """
        What the reactor calls it in the log.
        """
        return "comet"


class HeldRequest:
    """
    Counts what else a client sends while its request is on hold.

    A client that sends more than Twisted would read is not waiting for the
    answer any more, and while nothing is read nobody notices if it leaves: so
    the hold ends.
    """

    __slots__ = ("_channel", "_hurry", "_left")

    def __init__(self, request: Request, hurry: Callable[[], None]) -> None:
        """
        @param hurry: Called when the client sends too much; ends the hold.
        """
        self._hurry = hurry
        self._left = MAX_HELD_INPUT
        # Any: a method of it is shadowed for as long as the hold lasts.
        channel: Any = request.channel
        # Twisted gives to this what comes after a request, also what came
        # together with it.
        channel.rawDataReceived = self.received
        self._channel = channel

    def release(self) -> None:
        """
        The hold is over.
        """
        channel, self._channel = self._channel, None
        if channel is not None:
            del channel.rawDataReceived

    def received(self, data: bytes) -> None:
        """
        The client has sent something.
        """
        HTTPChannel.rawDataReceived(self._channel, data)
        self._left -= len(data)
        if self._left < 0:
            self._hurry()


@implementer(IPushProducer)
class UnsentResponse:
    """
    What a client did not take of its response.  The next request on the
    connection, which may be there already, waits until it has: or a client
    that asks and does not read would fill the memory with answers.
    """

    def __init__(self, request: Request, wheel: TimerWheel) -> None:
        self._request = request
        self._wheel = wheel
        self._isPaused = False
        self.moment = NOT_SET

    def timedOut(self) -> None:
        """
        The client takes nothing.  Twisted has no time-out while it answers,
        and to close in peace would wait until all is taken.
        """
        transport: Any = self._request.channel.transport
        transport.abortConnection()

    def write(self, rest: bytes) -> None:
        """
        Write it.
        """
        transport: Any = self._request.channel.transport
        self._request.registerProducer(self, True)
        transport.write(rest)
        if self._isPaused:
            self._wheel.set(self, UNSENT_TIMEOUT)
        else:
            self._finish()

    def pauseProducing(self) -> None:
        """
        It is more than the transport likes to keep.
        """
        self._isPaused = True

    def resumeProducing(self) -> None:
        """
        The client has taken it.
        """
        self._finish()

    def stopProducing(self) -> None:
        """
        The client left, as the request will say.
        """
        self._wheel.clear(self)

    def _finish(self) -> None:
        self._wheel.clear(self)
        self._request.unregisterProducer()
        self._request.finish()
