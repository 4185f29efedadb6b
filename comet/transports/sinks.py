"""
Sinks of Twisted's transports.  Where possible they write straight to the
socket.

C{transport.write} keeps the data, has the reactor watch the socket, and sends
in the next turn, which costs three times as much as sending.  A direct sink
sends at once when no other data waits, and gives C{write} only what the socket
did not take.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from twisted.internet.interfaces import IPullProducer, IPushProducer, ITCPTransport
from twisted.internet.tcp import Server
from zope.interface import Attribute, Interface, implementer

from comet.fanout.logquestions import READ_BYTES
from comet.fanout.unsent import ownRest, sharedRest
from comet.interfaces.sinks import ISink, ISinkOwner
from comet.metrics.traffic import Traffic
from comet.reactor.plainsockets import isEmpty, isPlain, sendPlain
from comet.transports.vanished import socketOf, waitForProgram, watchForVanishing

# How many bytes a transport is given at once of what its client does not take.
PIECE: Final = 131072


def tune(transport: Any) -> None:
    """
    Prepare a connection for a long stay: send each message at once, and find
    out that a client has vanished, also when there is nothing to send to it.
    """
    connection = socketOf(transport)
    if connection is not None:
        watchForVanishing(connection)
    if ITCPTransport.providedBy(transport):
        # A Unix socket provides ITCPTransport, too, but has neither option.
        with suppress(OSError):
            transport.setTcpKeepAlive(True)
            transport.setTcpNoDelay(True)


class IConnectedSink(ISink):
    """
    A sink of a connection whose protocol tells it when the connection is lost.
    """

    traffic: Traffic = Attribute("""Where what is sent is counted.""")

    def inputEnded() -> None:
        """
        The client has closed its writing side: tell the owner.
        """

    def connectionLost() -> None:
        """
        The connection is lost.
        """


class IPromptTransport(Interface):
    """
    A transport that would join what is written in a turn, and can also take data that is
    joined already.
    """

    def writeNow(data: bytes) -> None:
        """
        Write behind all that was written, and send what the socket takes at once.

        @param data: At most L{PIECE} bytes.
        """


def makeSink(transport: Any, traffic: Traffic | None = None) -> IConnectedSink:
    """
    Make the best sink for a transport.

    @param transport: A connected stream transport without a producer.

    @param traffic: Where to count what is sent.
    """
    if IConnectedSink.providedBy(transport):
        # A connection of the lean edge is transport and sink in one.
        made: IConnectedSink = transport
        made.traffic.open += 1
        return made
    if IPromptTransport.providedBy(transport):
        return PromptSink(transport, traffic)
    return (DirectSink if isPlain(transport, Server) else BufferedSink)(transport, traffic)


def sendNow(transport: Any, data: bytes) -> bytes | memoryview:
    """
    Send to a transport that has a producer already, if that is possible at
    once.

    @return: The data that was not sent; empty if all was.
    """
    if isPlain(transport, Server) and isEmpty(transport):
        return ownRest(data, sendPlain(transport, data))
    return data


class TransportSink:
    """
    What all sinks share.

    @ivar transport: Where the data goes.

    @ivar traffic: Where it is counted.
    """

    __slots__ = ("_isBehind", "_owner", "_rest", "traffic", "transport")

    def __init__(self, transport: Any, traffic: Traffic | None = None) -> None:
        self.transport = transport
        self.traffic = Traffic() if traffic is None else traffic
        self.traffic.open += 1
        self._owner: ISinkOwner | None = None
        self._isBehind = False
        # What the transport was not given yet.  It would copy what many clients
        # may share.
        self._rest: bytes | memoryview = b""

    def attach(self, owner: ISinkOwner) -> None:
        """
        See L{ISink.attach}.
        """
        self._owner = owner

    def stalled(self, isStalled: bool) -> None:
        """
        See L{ISink.stalled}.
        """
        connection = socketOf(self.transport)
        if connection is not None:
            waitForProgram(connection, isStalled)

    def finish(self) -> None:
        """
        See L{ISink.finish}.
        """
        rest, self._rest = self._rest, b""
        if rest:
            self.transport.write(bytes(rest))
        self._unregister()
        self.transport.loseConnection()

    def _writePiece(self) -> None:
        """
        Give the transport some of the rest.
        """
        piece = bytes(self._rest[:PIECE])
        self._rest = sharedRest(self._rest, len(piece))
        self._give(piece)

    def _give(self, data: bytes) -> None:
        """
        Give the transport data.
        """
        self.transport.write(data)

    def abort(self) -> None:
        """
        See L{ISink.abort}.
        """
        self._unregister()
        self.transport.abortConnection()

    def inputEnded(self) -> None:
        """
        See L{IConnectedSink.inputEnded}.
        """
        if self._owner is not None:
            self._owner.inputEnded()

    def connectionLost(self) -> None:
        """
        The connection is lost: count it, and tell the owner.  The protocol on
        the transport calls this once.
        """
        self.traffic.open -= 1
        self._rest = b""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.sinkLost()

    def _unregister(self) -> None:
        raise NotImplementedError


@implementer(IConnectedSink, IPullProducer)
class DirectSink(TransportSink):
    """
    Sends to the socket of a plain TCP connection.  It is behind as soon as the
    socket does not take everything.
    """

    __slots__ = ("_isRegistering",)

    def __init__(self, transport: Any, traffic: Traffic | None = None) -> None:
        super().__init__(transport, traffic)
        self._isRegistering = False

    def write(self, data: bytes) -> bool:
        """
        See L{ISink.write}.
        """
        transport = self.transport
        size = len(data)
        self.traffic.dataOut += size
        if self._rest or transport.dataBuffer or transport._tempDataBuffer:
            return self._keep(data)
        sent = sendPlain(transport, data)
        if sent == size:
            return True
        # What one reader alone gets, when it catches up, is less.
        isShared = size > 2 * READ_BYTES
        return self._keep(sharedRest(data, sent) if isShared else data[sent:])

    def _keep(self, data: bytes | memoryview) -> bool:
        if self._rest:
            self._rest = b"".join((self._rest, data))
        else:
            self._rest = data
            self._writePiece()
        if not self._isBehind and not self.transport.disconnected:
            self._isBehind = True
            # A pull producer is asked for more whenever all data is sent,
            # however little it was; a push producer only after the high-water
            # mark.  But a pull producer is also asked once when it registers.
            self._isRegistering = True
            self.transport.registerProducer(self, False)
            self._isRegistering = False
        return False

    def resumeProducing(self) -> None:
        """
        The transport has sent all data.
        """
        if self._isRegistering:
            return
        if self._rest:
            self._writePiece()
            return
        self._unregister()
        if self._owner is not None:
            self._owner.sinkReady()

    def stopProducing(self) -> None:
        """
        The connection is lost, as L{TransportSink.connectionLost} will say.
        """

    def _unregister(self) -> None:
        if self._isBehind:
            self._isBehind = False
            self.transport.unregisterProducer()


@implementer(IPushProducer)
class PushProducerSink(TransportSink):
    """
    A sink that is behind from the moment at which the transport is above its
    high-water mark until all data is sent.  A subclass registers it as the
    transport's producer.
    """

    __slots__ = ()

    def pauseProducing(self) -> None:
        """
        The transport is above its high-water mark.
        """
        self._isBehind = True

    def resumeProducing(self) -> None:
        """
        The transport has sent all data.
        """
        if self._isBehind:
            self._isBehind = False
            if self._owner is not None:
                self._owner.sinkReady()

    def stopProducing(self) -> None:
        """
        The connection is lost, as L{TransportSink.connectionLost} will say.
        """


@implementer(IConnectedSink)
class BufferedSink(PushProducerSink):
    """
    Writes to any transport in the ordinary way.
    """

    __slots__ = ("_isRegistered",)

    def __init__(self, transport: Any, traffic: Traffic | None = None) -> None:
        super().__init__(transport, traffic)
        self._isRegistered = True
        transport.registerProducer(self, True)

    def write(self, data: bytes) -> bool:
        """
        See L{ISink.write}.
        """
        self.traffic.dataOut += len(data)
        if self._rest:
            self._rest = b"".join((self._rest, data))
        elif len(data) > PIECE:
            self._rest = data
            self._writePieces()
        else:
            self.transport.write(data)
        return not self._isBehind

    def _writePieces(self) -> None:
        """
        Give the transport the rest, a piece at a time, until it is full.
        """
        while self._rest and not self._isBehind:
            self._writePiece()

    def resumeProducing(self) -> None:
        """
        The transport has sent all data that it was given.
        """
        if self._isBehind:
            self._isBehind = False
            self._writePieces()
            if not self._isBehind and self._owner is not None:
                self._owner.sinkReady()

    def _unregister(self) -> None:
        if self._isRegistered:
            self._isRegistered = False
            self.transport.unregisterProducer()


class PromptSink(BufferedSink):
    """
    Writes to a transport that would join what is written in a turn.  A tick joins it
    already, and to wait for the turn's end takes a timer for each reader.
    """

    __slots__ = ()

    def write(self, data: bytes) -> bool:
        """
        See L{ISink.write}.
        """
        if self._rest or len(data) > PIECE:
            return super().write(data)
        self.traffic.dataOut += len(data)
        self.transport.writeNow(data)
        return not self._isBehind

    def _give(self, data: bytes) -> None:
        self.transport.writeNow(data)
