"""
Raw TCP, for plugins and programs: commands and envelopes, each a JSON object on
a line of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.access.lookups import Lookup
from comet.errors import BadMessage, CometError, TooLarge
from comet.fanout.polls import HALF_CLOSED
from comet.fanout.states import State
from comet.fanout.streams import LAST_WORDS, StreamReader
from comet.framing.commands import CommandError, Fields, encodeError, readFields
from comet.framing.firstline import FirstBytes
from comet.framing.flashpolicy import REQUEST
from comet.framing.tcp import Line, LineDecoder, LineShape, Overlong
from comet.http.credentials import Credentials
from comet.hub.hub import Hub
from comet.interfaces.sinks import ISinkOwner
from comet.model.clients import Client
from comet.model.messages import Close
from comet.model.positions import StartPositions
from comet.reactor.timers import NOT_SET
from comet.transports.connected import Connections
from comet.transports.flashpolicy import makeFlashPolicy
from comet.transports.partial import PartialCommand
from comet.transports.peers import addressOf, certificateOf, isSecure
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

    The first line has to be a JSON object, or the request for Flash's policy file.
    A connection that begins otherwise is refused at its first wrong byte: it may be
    the request of a web page, whose body has lines that would be carried out.
    """

    # Any: endpoints make more than ITransport says.
    transport: Any
    factory: Any
    _throttle: InputThrottle

    # Lines that wait for another turn.
    _lines: Sequence[Line] = ()

    # The line that has half come.
    _partial: PartialCommand | None = None

    # What finds out which client this is, once its first line has come.
    _lookup: Lookup | None = None

    # Whether the client has closed its writing side meanwhile.
    _isInputTaken = False

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.timerSlot = NOT_SET
        self._decoder = LineDecoder(hub.settings.limits.maxCommandBytes)
        self._firstBytes = FirstBytes()
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
        if self._isOver:
            self._lines = ()
            self._dropPartial()
            return False
        lines: Sequence[Line] = self._decoder.feed(data)
        if self._sink is None and not self._firstBytes.feed(data):
            self._refuse(BadMessage("the first line on raw TCP has to be a JSON object"))
            return False
        if self._lines:
            lines, self._lines = (*self._lines, *lines), ()
        hasRest = False
        for number, line in enumerate(lines):
            if self._lookup is not None:
                # Until then it is read, so that it is seen whether the client leaves.
                self._throttle.pauseProducing()
            if self._lookup is not None or (number and not self._throttle.mayGoOn):
                self._lines = lines[number:]
                hasRest = True
                break
            self._carryOut(line)
        if self._decoder.length or self._partial is not None:
            self._partCame(data)
        return hasRest

    @property
    def _isOver(self) -> bool:
        """
        Whether nothing more is carried out: the client was refused, answered with
        the policy file, or sent away.
        """
        session = self._session
        if session is None:
            return self._sink is not None and self._lookup is None
        return session.reader.state is State.CLOSED

    def _partCame(self, data: bytes) -> None:
        """
        See to the line that has not ended, or that has ended just now.

        @param data: What has come last.
        """
        if self._isOver:
            self._dropPartial()
            return
        decoder, partial = self._decoder, self._partial
        if partial is not None and decoder.terminator is not None and decoder.terminator in data:
            self._endPartial()
            partial = None
        if decoder.length:
            if partial is None:
                partial = PartialCommand(self.hub, self._throttle, self._giveUp)
                self._partial = partial
            partial.wentOn(decoder.length, decoder.held)

    def _endPartial(self) -> None:
        partial, self._partial = self._partial, None
        if partial is not None:
            partial.end()

    def _dropPartial(self) -> None:
        """
        Keep nothing of a line that has half come.
        """
        self._endPartial()
        self._decoder.end()

    def _giveUp(self, close: Close) -> None:
        """
        End the connection of a client whose line has half come.
        """
        self._dropPartial()
        if self._session is None:
            # As if it had sent nothing.
            self.timedOut()
        else:
            self._session.reader.close(close)

    def _carryOut(self, line: Line) -> None:
        if self._sink is None:
            self._firstLineReceived(line)
        elif self._session is None:
            # The first line was refused.
            pass
        elif isinstance(line, Overlong):
            self._session.commandReceived(CommandError(None, self._tooLong()))
        else:
            self._session.commandReceived(line)

    def _firstLineReceived(self, line: Line) -> None:
        """
        Begin a session with its first command, or end the connection.
        """
        if isinstance(line, Overlong):
            # It may be no object.
            self._refuse(self._tooLong())
        elif line + self._terminator == REQUEST:
            self._answerPolicy(self._makeSink())
        else:
            try:
                fields = readFields(line, self.hub.settings.limits)
            except CommandError as error:
                self._refuse(error.error)
            else:
                self._identify(fields)

    def _tooLong(self) -> TooLarge:
        most = self.hub.settings.limits.maxCommandBytes
        return TooLarge(f"a line has at most {most} bytes")

    @property
    def _terminator(self) -> bytes:
        """
        The terminator that the client uses, as its first line tells.
        """
        return self._decoder.terminator or b"\n"

    def _makeSink(self) -> IConnectedSink:
        """
        Make the sink: what is written to the client is known now.
        """
        self.hub.fanout.wheel.clear(self)
        self._sink = sink = makeSink(self.transport, self._traffic)
        return sink

    def _refuse(self, error: CometError) -> None:
        """
        Answer what the connection began with, and end it.
        """
        self.hub.fanout.tally.refused.add(error.code)
        self._endWith(self._makeSink(), encodeError(None, error) + self._terminator)
        self._dropPartial()

    def _endWith(self, sink: IConnectedSink, lastWords: bytes) -> None:
        sink.write(lastWords)
        sink.finish()
        self.hub.fanout.wheel.set(self, LAST_WORDS)

    def _identify(self, fields: Fields) -> None:
        """
        Find out which client this is, and begin a session with its first command.

        @param fields: The command.
        """
        sink = self._makeSink()
        try:
            known = self.hub.identify(self._credentials())
        except CometError as error:
            self._refuseClient(sink, error)
            return
        if isinstance(known, Client):
            self._begin(sink, known, fields)
            return
        self._lookup = known

        def goOn(call: Callable[[], None]) -> None:
            self._lookup = None
            call()
            if self._isInputTaken:
                self._inputTaken()
            if self._session is None:
                self._throttle.resumeProducing()
            else:
                self._session.unthrottle()

        known.then(
            lambda client: goOn(lambda: self._begin(sink, client, fields)),
            lambda error: goOn(lambda: self._refuseClient(sink, error)),
        )

    def _credentials(self) -> Credentials:
        transport = self.transport
        return Credentials(
            "tcp",
            getAddress=lambda: self.address,
            isSecure=isSecure(transport),
            getCertificate=partial(certificateOf, transport),
        )

    @property
    def address(self) -> str:
        """
        See L{Peer.address<comet.limits.clientlimits.Peer.address>}.
        """
        return addressOf(self.transport)

    def _begin(self, sink: IConnectedSink, client: Client, fields: Fields) -> None:
        """
        Begin a session, if the client may have one.

        @param fields: The first command.
        """
        shape = LineShape(self._terminator)

        def makeReader() -> StreamReader:
            return StreamReader(self.hub.fanout, shape, sink, None, self)

        try:
            reader = self.hub.openStream(
                client, (), StartPositions(), makeReader, peer=self, transport="tcp"
            )
        except CometError as error:
            self._refuseClient(sink, error)
        else:
            self._session = Session(self.hub, client, reader, shape, self._throttle)
            self._session.commandReceived(fields)

    def _refuseClient(self, sink: IConnectedSink, error: CometError) -> None:
        """
        Tell a client that it can have no session, and end the connection.
        """
        shape = LineShape(self._terminator)
        self.hub.fanout.tally.refused.add(error.code)
        code = "draining" if self.hub.isDraining else error.code
        close = Close(code, error.detail, error.retryAfter)
        self._endWith(sink, shape.frame([shape.close(self.hub.fanout.end(), close)]))

    def _answerPolicy(self, sink: IConnectedSink) -> None:
        """
        Answer a Flash player that asks whether a movie may connect to this
        port.
        """
        port = getattr(self.transport.getHost(), "port", None)
        ports = () if port is None else (port,)
        self._endWith(sink, makeFlashPolicy(self.hub, self.transport, ports))

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
        session, self._session = self._session, None
        if session is not None:
            session.clientLeft()

    def inputEnded(self) -> None:
        """
        See L{ISinkOwner.inputEnded}.
        """
        if self._lookup is not None:
            self._lookup.hurry(HALF_CLOSED)
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
        if self._lookup is not None:
            self._isInputTaken = True
            return
        self._endPartial()
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
        self._endPartial()
        lookup, self._lookup = self._lookup, None
        if lookup is not None:
            lookup.abandon()
        if self.factory is not None:
            self.factory.connections.discard(self)
        self.hub.fanout.wheel.clear(self)
        self._throttle.stop()
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.connectionLost()


class CometFactory(ServerFactory):
    """
    Serves raw TCP over a hub.  Listen with it on any stream endpoint.

    @ivar connections: The connections that Twisted's edge has.

    @ivar turns: The shares of time.
    """

    noisy = False

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.turns = hub.turns
        self.connections = Connections()

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
        protocol = CometProtocol(self.hub)
        protocol.factory = self
        self.connections.add(protocol)
        return protocol
