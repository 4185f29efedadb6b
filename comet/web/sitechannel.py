"""
A connection of HTTP/1, as the site serves it: a little of its input in every turn.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection as TCPConnection
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.access.lookups import Lookup
from comet.errors import CometError
from comet.model.clients import Client
from comet.reactor.returning import RETURNING
from comet.reactor.turns import MUCH
from comet.transports.detach import deliverHeld, setProtocol
from comet.transports.exchange import Exchange
from comet.transports.sinks import tune
from comet.transports.unread import unreadBelow
from comet.web.heads import HeadChannel

# Bytes of requests that are read at once.
READ_SIZE: Final = 8192

# Bytes of a body that are dealt with before the clock is looked at: each may be a chunk,
# and batches are parsed as they come.
BODY_PIECE: Final = 1024


@implementer(IHandshakeListener, IHalfCloseableProtocol)
class CometChannel(HeadChannel):
    """
    A connection of HTTP/1, until TLS has negotiated HTTP/2.

    Where the client has sent several requests, some of them wait for another
    turn: see L{comet.reactor.turns}.

    @ivar exchange: The exchange of the request under way, if comet answers it.

    @ivar paused: Whether the rest of the input waits for another turn.  Twisted
        parses no line meanwhile.

    @ivar identified: What has been found out of the client of the first request, before
        the connection was handed over.

    @ivar hasHeld: Whether the request under way is a poll that waits for a message: then
        its client comes back together with others, and waits behind those that do not.

    @ivar hasMorePieces: Whether more of what was read follows the piece that is
        parsed.
    """

    exchange: Exchange | None = None
    identified: Client | Lookup | CometError | None = None
    paused: bool
    hasHeld = False
    hasMorePieces = False
    _isInputOver = False
    _hasAnswered = False
    # When the share of this turn is over.
    _shareOver = 0.0

    def connectionMade(self) -> None:
        """
        Limit how much is read at once, and have the system watch the client: a poll
        may be held for minutes.
        """
        super().connectionMade()
        if self.site.isAdopting:
            self.identified = self.site.identified
        if self.site.isFull(self.transport) and not self.site.makeRoom(self):
            self.isEnding = True
            self.site.refuse(self.transport)
            return
        tune(self.transport)
        if isinstance(self.transport, TCPConnection):
            self.transport.bufferSize = READ_SIZE

    def dataReceived(self, data: bytes) -> None:
        """
        Parse input, and answer the requests in it, until the share of this turn
        is over.  Much input waits while others do.
        """
        if self.paused or self._busyReceiving:
            super().dataReceived(data)
            return
        turns = self.site.turns
        if turns.mustWait(len(data)) and self._isParsing:
            # The rest of a request may come in many pieces.
            isFresh = self._hasAnswered and not (self.requests or self._buffer)
            self._waitForTurn(isFresh and len(data) <= MUCH)
            super().dataReceived(data)
            return
        self._takeInput(data)

    @property
    def _isParsing(self) -> bool:
        """
        Whether input is parsed: the transport is not another protocol's, no request is
        under way, and the last response was not sent.
        """
        isOurs = self.transport is not None and not self.isEnding
        return isOurs and not self._handlingRequest

    def _takeInput(self, data: bytes) -> None:
        """
        Parse input, until the share of this turn is over.
        """
        turns = self.site.turns
        seconds = turns.seconds
        begun = seconds()
        self._shareOver = begun + turns.share
        # TLS reads more at once than plain TCP, and batches are parsed as they come.
        for start in range(0, len(data), READ_SIZE):
            isOurs = self.transport is not None and not self.paused
            if start and isOurs and seconds() >= self._shareOver:
                self._waitForTurn()
            if start and (self.paused or self._handlingRequest):
                # The rest is only kept: to add it piece by piece would copy all before it.
                self.hasMorePieces = False
                super().dataReceived(data[start:])
                break
            self.hasMorePieces = start + READ_SIZE < len(data)
            super().dataReceived(data[start : start + READ_SIZE])
        turns.spend(begun)
        if self.transport is not None and (self.requests or self._buffer):
            # The client sends its request in pieces, or waits for the answer.
            RETURNING.set(self.transport, True)

    def rawDataReceived(self, data: bytes) -> None:
        """
        A part of a body has arrived: take some of it, until the share of this turn is
        over.  What follows a request under way is kept as a whole.
        """
        if self._handlingRequest or len(data) <= BODY_PIECE:
            super().rawDataReceived(data)
            return
        hadMorePieces, self.hasMorePieces = self.hasMorePieces, True
        super().rawDataReceived(data[:BODY_PIECE])
        self.hasMorePieces = hadMorePieces
        # Twisted goes on with this, behind what it has put back of the piece.
        self._buffer += data[BODY_PIECE:]
        isOurs = self.transport is not None and not self.paused
        if isOurs and self.site.turns.seconds() >= self._shareOver:
            self._waitForTurn()

    def _waitForTurn(self, isLight: bool = False) -> None:
        """
        Leave the rest of the input for another turn, and read nothing meanwhile.

        @param isLight: See L{Turns.later<comet.reactor.turns.Turns.later>}.
        """
        self.paused = True
        self._networkProducer.pauseProducing()
        self.site.turns.later(self._goOn, isLight)

    def _goOn(self) -> None:
        """
        Answer input that has waited for this turn.
        """
        transport = self.transport
        if not self.paused or transport is None or transport.disconnecting:
            return
        self.paused = False
        if not self._waitingForTransport:
            self._networkProducer.resumeProducing()
        self._takeInput(self.clearLineBuffer())
        if self._isInputOver and self.transport is None:
            # Meanwhile the connection has become that of a stream.
            deliverHeld(self, True)
        elif self._isInputOver:
            self._endWithInput()

    def resumeProducing(self) -> None:
        """
        The transport takes more.  Read only if no input is left.
        """
        super().resumeProducing()
        if self.paused:
            self._networkProducer.pauseProducing()

    def readConnectionLost(self) -> None:
        """
        The client has closed its writing side.  Answer what it has asked, and
        close the connection then.  Requests of an application's resources are
        given up, as Twisted does: they may wait until the client leaves.
        """
        self._isInputOver = True
        self._endWithInput()

    def _endWithInput(self) -> None:
        """
        The client sends nothing more: end the connection after what it has asked.
        """
        if self.paused:
            return
        if self.exchange is None or self.isEnding:
            self.loseConnection()
        else:
            self.exchange.inputEnded()

    def writeConnectionLost(self) -> None:
        """
        See L{IHalfCloseableProtocol.writeConnectionLost}.
        """

    def requestDone(self, request: Any) -> None:
        """
        Go on with the next request, or close the connection after the last.
        """
        self.exchange = None
        self._hasAnswered = True
        RETURNING.set(self.transport, self.hasHeld)
        self.hasHeld = False
        if self._dataBuffer and self._buffer:
            # A share of time has ended while the request was under way: what waits
            # for another turn came after what Twisted keeps, which it would put
            # behind that.
            self._buffer = b"".join(self._dataBuffer) + self._buffer
            self._dataBuffer = []
        if self.paused:
            # There is more that waits already.
            super().requestDone(request)
            if self.paused and self.transport is not None:
                # Twisted reads on behind each request, and would keep whatever comes.
                self._networkProducer.pauseProducing()
            return
        # A response that comes later may come together with many others.
        if not self._busyReceiving or self.site.turns.seconds() >= self._shareOver:
            self.paused = True
        super().requestDone(request)
        if self.paused and self._buffer and self.persistent:
            self._waitForTurn()
            return
        self.paused = False
        if self._isInputOver and self.exchange is None and not self._buffer:
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Forget the request under way.
        """
        self.exchange = None
        self.paused = False
        self.site.channelClosed(self)
        super().connectionLost(reason)

    @property
    def isBusy(self) -> bool:
        """
        Whether a part of a request has come, or the client has not taken a response.
        """
        transport: Any = self.transport
        if transport is None:
            return False
        hasInput = self.requests or self._buffer or self._dataBuffer
        if hasInput or getattr(transport, "disconnecting", False):
            return True
        # To abort the connection would drop what the client has not taken, of what the
        # system has for it, too.
        return unreadBelow(transport) > 0

    @property
    def isIdle(self) -> bool:
        """
        Whether the connection has been asked, and waits for another request.
        """
        return self.transport is not None and self._hasAnswered and not self.isBusy

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """
        Let the connection end after a response of a server that drains.
        """
        if self.site.isDraining:
            # RFC 9112 9.6: the server says so in its last response.
            request.responseHeaders.setRawHeaders(b"connection", [b"close"])
            return False
        persists: bool = super().checkPersistence(request, version)
        return persists

    def handshakeCompleted(self) -> None:
        """
        TLS has negotiated a protocol.  If it is HTTP/2, another protocol takes
        the transport.
        """
        transport = self.transport
        if transport.negotiatedProtocol == b"h2":
            self.setTimeout(None)
            # The channel has registered itself as producer, to be told when the
            # buffer is full.
            transport.unregisterProducer()
            connection = self.site.makeConnection()
            setProtocol(transport, connection)
            connection.makeConnection(transport)
