"""
Take a connection from under Twisted's HTTP: for good, when a response never
ends, or for the time of a hold, to notice what its client does.

For as long as a response is not finished, C{twisted.web} keeps a request, its
headers and a parser for the connection.  It also stops reading when the client
sends more than a little in the meantime, so it would not notice that the client
leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ITransport,
)
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.server import Request
from zope.interface import implementer

from comet.fanout.core import Fanout
from comet.fanout.unsent import ownRest
from comet.http.pace import UNSENT_TIMEOUT, extended
from comet.reactor.returning import RETURNING
from comet.reactor.timers import NOT_SET
from comet.transports.sinks import PIECE, IConnectedSink, tune
from comet.transports.unread import unreadBelow
from comet.transports.vanished import socketOf, waitForReader

# Bytes that a client may send while its request is on hold.  Twisted stops
# reading a little later.
MAX_HELD_INPUT: Final = 0x4000

# In how many pieces a channel keeps the input behind a request that waits.
MAX_PIECES: Final = 64

# The timer wheel may call this much early, in seconds.
_EARLY: Final = 0.01


def joinPieces(channel: Any) -> None:
    """
    Join the input that a channel keeps behind a request that waits, if it is in
    many pieces.  Twisted adds up their sizes for each one that comes: to a client
    that sends single bytes it would do work that grows with their square.
    """
    if len(channel._dataBuffer) > MAX_PIECES:
        channel._dataBuffer = [b"".join(channel._dataBuffer)]


def isDetachable(request: Request) -> bool:
    """
    Return whether a request has a connection to itself, as in HTTP/1.  A stream
    of HTTP/2 has not.
    """
    channel = request.channel
    return isinstance(channel, HTTPChannel) and channel.transport is not None


def hasInputBehind(request: Request) -> bool:
    """
    Return whether the client has sent something behind a request of HTTP/1 that is
    whole.  Twisted deals with that once the request is answered.
    """
    # Any: what has come behind a request is private to Twisted, and only comet's own
    # channel passes on its input in pieces.
    channel: Any = request.channel
    if not isDetachable(request):
        return False
    hasMore = channel._buffer or getattr(channel, "hasMorePieces", False)
    return bool(hasMore or any(channel._dataBuffer))


def connectionOf(request: Request) -> object:
    """
    Return what stands for the connection by which a request came: all requests of a
    connection have the same.
    """
    # A stream of HTTP/2 is a channel of its own.
    channel: object = request.channel
    return getattr(channel, "_conn", channel)


def sharedConnectionOf(request: Request) -> object | None:
    """
    Return what stands for the connection that a request shares with others; L{None} if
    it has one to itself.
    """
    return None if isDetachable(request) else connectionOf(request)


def setProtocol(transport: Any, protocol: IProtocol) -> None:
    """
    Give what a transport receives to another protocol.
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
    Give the connection of a request to a protocol, for good.  The caller must
    not touch the request any more, and Twisted forgets it.

    @param request: A request that L{isDetachable}.
    """
    # Any: a method of it is shadowed below.
    channel: Any = request.channel
    transport = channel.transport
    channel.setTimeout(None)
    tune(transport)
    RETURNING.set(transport, False)
    # Twisted logs a request when it is finished, which this one never will be.
    if channel.factory is not None:
        channel.factory.log(request)
    # The site may have limited how much is read at once.
    vars(transport).pop("bufferSize", None)
    # The channel has registered itself as producer, to be told when the buffer
    # is full.
    transport.unregisterProducer()
    # The channel may have stopped reading.
    transport.resumeProducing()
    setProtocol(transport, protocol)
    # Twisted is still parsing what arrived together with the request.  It would
    # keep the rest, and stop reading if the rest is large.
    channel.rawDataReceived = protocol.dataReceived
    # Channel and request refer to each other, and would wait for the garbage
    # collector.
    channel.requests = []
    channel.transport = None
    vars(channel).pop("exchange", None)
    request.notifications = []
    del request.channel
    protocol.makeConnection(transport)


def deliverHeld(channel: Any, isInputOver: bool) -> None:
    """
    Give a protocol, for which a connection was L{detached<detach>}, what the client
    had sent while its request was on hold.

    @param channel: The channel of the request.

    @param isInputOver: Whether the client has closed its writing side since.
    """
    held, channel._dataBuffer = b"".join(channel._dataBuffer), []
    protocol = channel.rawDataReceived.__self__
    if held:
        protocol.dataReceived(held)
    if isInputOver:
        protocol.readConnectionLost()


@implementer(IProtocol, IHalfCloseableProtocol)
class DetachedStream:
    """
    The protocol of a connection whose response never ends.  It discards what
    the client still sends, until the client leaves.
    """

    __slots__ = ("_sink",)

    def __init__(self) -> None:
        self._sink: IConnectedSink | None = None

    def attach(self, sink: IConnectedSink) -> None:
        """
        Name the sink to tell when the connection is lost.
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

    def readConnectionLost(self) -> None:
        """
        See L{IHalfCloseableProtocol.readConnectionLost}.
        """
        if self._sink is not None:
            self._sink.inputEnded()

    def writeConnectionLost(self) -> None:
        """
        See L{IHalfCloseableProtocol.writeConnectionLost}.
        """

    def connectionLost(self, reason: Failure) -> None:
        """
        See L{IProtocol.connectionLost}.
        """
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.connectionLost()

    def logPrefix(self) -> str:
        """
        See
        L{ILoggingContext.logPrefix<twisted.internet.interfaces.ILoggingContext>}.
        """
        return "comet"


def giveTimeToRead(request: Request, size: int) -> None:
    """
    Give the client of a request more time to acknowledge a large response, until
    the next of its requests is held.

    @param request: A request that L{isDetachable}.
    """
    # Any: it is noted on the channel.
    channel: Any = request.channel
    connection = socketOf(channel.transport)
    if connection is not None:
        waitForReader(connection, size)
        channel.isGivenTime = True


class HeldRequest:
    """
    Counts what a client sends while its request is on hold.

    Twisted stops reading from a client that sends too much, and where nothing
    is read, it is not seen that the client leaves.  A client that sends so much
    does not wait for the response any more, so the hold ends.
    """

    __slots__ = ("_channel", "_hurry", "_left")

    def __init__(self, request: Request, hurry: Callable[[], None]) -> None:
        """
        @param hurry: Called when the client has sent too much; ends the hold.
        """
        self._hurry = hurry
        self._left = MAX_HELD_INPUT
        # Any: a method of it is shadowed for as long as the hold lasts.
        channel: Any = request.channel
        # Twisted calls this with what follows the request, also with what
        # arrived together with it.
        channel.rawDataReceived = self.received
        self._channel = channel
        if vars(channel).pop("isGivenTime", False):
            connection = socketOf(channel.transport)
            if connection is not None:
                waitForReader(connection, 0)

    def release(self) -> None:
        """
        The hold is over: give the channel its own method back.
        """
        channel, self._channel = self._channel, None
        if channel is not None:
            del channel.rawDataReceived

    def received(self, data: bytes) -> None:
        """
        The client sent something after its request.
        """
        joinPieces(self._channel)
        HTTPChannel.rawDataReceived(self._channel, data)
        self._left -= len(data)
        if self._left < 0:
            self._hurry()


@implementer(IPushProducer)
class UnsentResponse:
    """
    The rest of a response, which the client has not taken yet.  The next
    request on the connection, which may have arrived already, waits until it
    has.  Without this, a client that asks and does not read would fill the
    memory with responses.

    The transport is given a piece at a time: it would copy bytes that many
    clients may share.
    """

    def __init__(self, request: Request, fanout: Fanout) -> None:
        self._request = request
        self._fanout = fanout
        self._rest: bytes | memoryview = b""
        self._counted = 0
        self._isPaused = False
        # When the client has to have taken more, and what it had not taken when
        # that was last looked at.
        self._due = 0.0
        self._unread = 0
        self.timerSlot = NOT_SET

    def timedOut(self) -> None:
        """
        Cut the connection of a client that takes too little.  Twisted has no
        timeout while a response is under way, and C{loseConnection} would wait
        until the client has taken all of it.
        """
        before, self._unread = self._unread, self._countUnread()
        now = self._fanout.seconds()
        self._due = extended(self._due, now, before - self._unread, UNSENT_TIMEOUT)
        if self._due > now + _EARLY:
            self._fanout.wheel.set(self, self._due - now)
        else:
            transport: Any = self._request.channel.transport
            transport.abortConnection()

    def _countUnread(self) -> int:
        return len(self._rest) + unreadBelow(self._request.channel.transport)

    def write(self, rest: bytes | memoryview) -> None:
        """
        Write the rest, and finish the request once the client has taken it.
        """
        self._rest = rest
        self._counted = len(rest)
        self._fanout.unsent.add(self._counted)
        self._request.notifyFinish().addBoth(self._ended)
        self._request.registerProducer(self, True)
        self._writePieces()
        if self._isPaused:
            self._unread = self._countUnread()
            self._due = self._fanout.seconds() + UNSENT_TIMEOUT
            self._fanout.wheel.set(self, UNSENT_TIMEOUT)

    def _writePieces(self) -> None:
        transport: Any = self._request.channel.transport
        while self._rest and not self._isPaused:
            piece = bytes(self._rest[:PIECE])
            self._rest = ownRest(self._rest, len(piece))
            transport.write(piece)
        if not self._isPaused:
            self._request.unregisterProducer()
            self._request.finish()

    def _ended(self, reason: object) -> None:
        """
        The response is taken, or the connection is lost.
        """
        self._fanout.wheel.clear(self)
        self._fanout.unsent.add(-self._counted)
        self._counted = 0
        self._rest = b""

    def pauseProducing(self) -> None:
        """
        The rest is above the transport's high-water mark.
        """
        self._isPaused = True

    def resumeProducing(self) -> None:
        """
        The client has taken what was written.
        """
        self._isPaused = False
        self._writePieces()

    def stopProducing(self) -> None:
        """
        The connection is lost, as the request will say.
        """
