"""
Raw TCP, for plugins and programs: commands and envelopes, one JSON object a
line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IAddress, ITransport
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.errors import CometError, TooLarge
from comet.fanout.streams import LAST_WORDS, StreamReader
from comet.framing.policy import REQUEST
from comet.framing.tcp import Line, LineDecoder, LineShape, Overlong
from comet.hub import Hub
from comet.interfaces import ISinkOwner
from comet.model.clients import ANONYMOUS, Client
from comet.model.messages import Close
from comet.model.positions import StartPositions
from comet.timers import NOT_SET
from comet.transports.flashpolicy import makeFlashPolicy
from comet.transports.session import Session
from comet.transports.sinks import IConnectedSink, makeSink, tune
from comet.transports.throttle import InputThrottle

# For how many seconds a client may be silent before its first line.
FIRST_LINE: Final = 60.0


@implementer(ISinkOwner)
class CometProtocol(Protocol):
    """
    One client.

    The first line's terminator, LF or NUL (as Flash's C{XMLSocket} has it), is
    used both ways from then on.
    """

    # Whatever the endpoint makes: more than the interface of a transport says.
    transport: Any
    _throttle: InputThrottle

    def __init__(self, hub: Hub, identify: Callable[[Any], Client]) -> None:
        """
        @param identify: Tells who a transport is from, as
            L{CometFactory.client} does.
        """
        self.hub = hub
        self._identify = identify
        self.moment = NOT_SET
        self._decoder = LineDecoder(hub.settings.limits.maxCommandBytes)
        self._sink: IConnectedSink | None = None
        self._session: Session | None = None
        self._traffic = hub.metrics.of("tcp")

    def connectionMade(self) -> None:
        """
        A client came.
        """
        self._traffic.requests += 1
        self._throttle = InputThrottle(self.hub.clock, self.transport, self._taken)
        tune(self.transport)
        self.hub.fanout.wheel.set(self, FIRST_LINE)

    def attend(
        self, sink: IConnectedSink, client: Client, reader: StreamReader, shape: LineShape
    ) -> None:
        """
        Deal with what is received after the first line, for a reader that has
        begun.  To be called in the place of C{makeConnection}.

        @param sink: Where the reader writes to, which is the transport, too.
        """
        self.transport = self._sink = sink
        self._decoder.terminator = shape.terminator
        self._throttle = throttle = InputThrottle(self.hub.clock, sink, self._taken)
        self._session = Session(self.hub, client, reader, shape, throttle)

    @property
    def reader(self) -> StreamReader | None:
        """
        Who reads, from the first line to the end of the connection.
        """
        return None if self._session is None else self._session.reader

    def timedOut(self) -> None:
        """
        The client has not said anything, or does not take the last that was
        said to it.
        """
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        The client said something.
        """
        self._traffic.dataIn += len(data)
        self._throttle.dataReceived(data)

    def _taken(self, data: bytes) -> None:
        """
        Deal with some of what the client said.
        """
        for line in self._decoder.feed(data):
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
        The first line has come: it is known how to talk.
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
        It is a Flash player that asks whether a movie may connect here.
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

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The client left.
        """
        self.hub.fanout.wheel.clear(self)
        self._throttle.stop()
        if self._sink is not None:
            self._sink.connectionLost()


class CometFactory(ServerFactory):
    """
    Serves raw TCP over a hub: listen with it on any stream endpoint.
    """

    noisy = False

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def client(self, transport: ITransport) -> Client:
        """
        Who a connection is from.  Override it to tell by its address, or by
        the certificate that it came with.

        @raise CometError: If that is nobody.
        """
        return ANONYMOUS

    def buildProtocol(self, addr: IAddress | None) -> CometProtocol:
        """
        A client came.
        """
        protocol = CometProtocol(self.hub, self.client)
        protocol.factory = self
        return protocol
