"""
Raw TCP, for plugins and programs: commands and envelopes, each a JSON object on
a line of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, ITransport
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.errors import CometError, TooLarge
from comet.fanout.streams import LAST_WORDS, StreamReader
from comet.framing.flashpolicy import REQUEST
from comet.framing.tcp import Line, LineDecoder, LineShape, Overlong
from comet.hub import Hub
from comet.interfaces import ISinkOwner
from comet.model.clients import ANONYMOUS, Client
from comet.model.messages import Close
from comet.model.positions import StartPositions
from comet.timers import NOT_SET
from comet.transports.connected import Connections
from comet.transports.flashpolicy import makeFlashPolicy
from comet.transports.session import Session
from comet.transports.sinks import IConnectedSink, makeSink, tune
from comet.transports.throttle import InputThrottle

# Seconds that a client may be silent before its first line.
FIRST_LINE: Final = 60.0


@implementer(ISinkOwner, IHalfCloseableProtocol)
class CometProtocol(Protocol):
    """
    The protocol of one client.

    The client ends its first line with LF, or with NUL as Flash's C{XMLSocket}
    does.  From then on both sides use that terminator.
    """

    # Any: endpoints make more than ITransport says.
    transport: Any
    factory: Any
    _throttle: InputThrottle

    # Lines that wait for another turn.
    _lines: Sequence[Line] = ()

    def __init__(self, hub: Hub, identify: Callable[[Any], Client]) -> None:
        """
        @param identify: Returns the client of a transport, as
            L{CometFactory.client} does.
        """
        self.hub = hub
        self._identify = identify
        self.timerSlot = NOT_SET
        self._decoder = LineDecoder(hub.settings.limits.maxCommandBytes)
        self._sink: IConnectedSink | None = None
        self._session: Session | None = None
        self._traffic = hub.metrics.of("tcp")

    def connectionMade(self) -> None:
        """
        Count the client, and wait for its first line.
        """
        self._traffic.requests += 1
        self._throttle = InputThrottle(self.hub.turns, self.transport, self._take)
        tune(self.transport)
        self.hub.fanout.wheel.set(self, FIRST_LINE)

    def attend(
        self, sink: IConnectedSink, client: Client, reader: StreamReader, shape: LineShape
    ) -> None:
        """
        Take over after the first line, from an edge that has begun the reader
        itself.  Called instead of C{makeConnection}.

        @param sink: The reader's sink, which is the transport, too.
        """
        self.transport = self._sink = sink
        self._decoder.terminator = shape.terminator
        self._throttle = throttle = InputThrottle(self.hub.turns, sink, self._take)
        self._session = Session(self.hub, client, reader, shape, throttle)

    @property
    def reader(self) -> StreamReader | None:
        """
        The reader, from the first line to the end of the connection; else
        L{None}.
        """
        return None if self._session is None else self._session.reader

    def timedOut(self) -> None:
        """
        The client has sent no line in time, or has not taken the last words to
        it.
        """
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Count the data, and give it to the throttle.
        """
        self._traffic.dataIn += len(data)
        self._throttle.dataReceived(data)

    def _take(self, data: bytes) -> bool:
        """
        Carry out the lines in a piece of the client's input.

        @return: Whether some are left for another turn.
        """
        lines: Sequence[Line] = self._decoder.feed(data)
        if self._lines:
            lines, self._lines = (*self._lines, *lines), ()
        for number, line in enumerate(lines):
            if number and not self._throttle.mayGoOn:
                self._lines = lines[number:]
                return True
            self._carryOut(line)
        return False

    def _carryOut(self, line: Line) -> None:
        if self._sink is None:
            self._begin(line)
        session = self._session
        if session is None:
            return
        if isinstance(line, Overlong):
            most = self.hub.settings.limits.maxCommandBytes
            session.refuse(None, TooLarge(f"a line has at most {most} bytes"))
        else:
            session.commandReceived(line)

    def _begin(self, line: Line) -> None:
        """
        Begin a session: the first line tells which terminator the client uses.
        """
        self.hub.fanout.wheel.clear(self)
        terminator = self._decoder.terminator or b"\n"
        shape = LineShape(terminator)
        self._sink = sink = makeSink(self.transport, self._traffic)
        if not isinstance(line, Overlong) and line + terminator == REQUEST:
            self._answerPolicy(sink)
            return

        def makeReader() -> StreamReader:
            return StreamReader(self.hub.fanout, shape, sink, None, self)

        try:
            client = self._identify(self.transport)
            reader = self.hub.openStream(client, (), StartPositions(), makeReader)
        except CometError as error:
            close = Close(
                "draining" if self.hub.isDraining else error.code, error.detail, error.retryAfter
            )
            sink.write(shape.frame([shape.close(self.hub.end, close)]))
            sink.finish()
            self.hub.fanout.wheel.set(self, LAST_WORDS)
        else:
            self._session = Session(self.hub, client, reader, shape, self._throttle)

    def _answerPolicy(self, sink: IConnectedSink) -> None:
        """
        Answer a Flash player that asks whether a movie may connect to this
        port.
        """
        port = getattr(self.transport.getHost(), "port", None)
        sink.write(makeFlashPolicy(self.hub, self.transport, () if port is None else (port,)))
        sink.finish()
        self.hub.fanout.wheel.set(self, LAST_WORDS)

    def sinkReady(self) -> None:
        """
        See L{ISinkOwner.sinkReady}.
        """
        if self._session is not None:
            self._session.sinkReady()

    def sinkLost(self) -> None:
        """
        See L{ISinkOwner.sinkLost}.
        """
        self._session = None

    def inputEnded(self) -> None:
        """
        See L{ISinkOwner.inputEnded}.
        """
        self._throttle.endInput(self._inputTaken)

    def readConnectionLost(self) -> None:
        """
        See L{IHalfCloseableProtocol.readConnectionLost}.
        """
        self.inputEnded()

    def writeConnectionLost(self) -> None:
        """
        See L{IHalfCloseableProtocol.writeConnectionLost}.
        """

    def _inputTaken(self) -> None:
        """
        Carry out the last line, which may have no terminator, and end the
        connection unless the client reads names.
        """
        for line in self._decoder.end():
            self._carryOut(line)
        if self._session is None:
            self._finish()
        else:
            self._session.inputEnded(self._finish)

    def _finish(self) -> None:
        """
        Close the connection once the client has taken what was written.
        """
        reader = self.reader
        if reader is not None:
            reader.leave()
        if self._sink is None:
            self.transport.loseConnection()
        else:
            self._sink.finish()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Stop the timeout, and tell the sink.
        """
        if self.factory is not None:
            self.factory.connections.discard(self)
        self.hub.fanout.wheel.clear(self)
        self._throttle.stop()
        if self._sink is not None:
            self._sink.connectionLost()


class CometFactory(ServerFactory):
    """
    Serves raw TCP over a hub.  Listen with it on any stream endpoint.

    Subclass it and override C{client} to identify clients.

    @ivar connections: The connections that Twisted's edge has.
    """

    noisy = False

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.connections = Connections()

    def client(self, transport: ITransport) -> Client:
        """
        Return the client of a connection.  Override it to identify clients by
        their address, or by their TLS certificate.  Called once a connection,
        when its first line has come.

        @raise CometError: If the client cannot be identified.
        """
        return ANONYMOUS

    def cutConnections(self) -> bool:
        """
        Close the connections that are left, when the server stops.

        @return: Whether there was any.
        """
        return self.connections.cut()

    def buildProtocol(self, addr: IAddress | None) -> CometProtocol:
        """
        Make the protocol of one client.
        """
        protocol = CometProtocol(self.hub, self.client)
        protocol.factory = self
        self.connections.add(protocol)
        return protocol
