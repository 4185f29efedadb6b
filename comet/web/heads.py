"""
The heads of HTTP/1 requests, within bounds, and the ends of connections whose
client has to be told an error before it has sent all of its request.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, datetimeToString

from comet.errors import BadRequest, CometError, HeadTooLarge, TooLarge, URLTooLong
from comet.framing.publications import Limits
from comet.http.http1 import encodeResponse
from comet.http.pace import BODY_TIME, HEAD_TIME, LEAST_RATE, UNSENT_TIMEOUT, extended
from comet.http.request import beginsHead, isBrokenHead, isBrokenLine
from comet.http.responses import Headers, Response, problem
from comet.logging.clientlog import ClientLogger
from comet.reactor.timers import NOT_SET
from comet.transports.connected import connectionFailed
from comet.transports.detach import joinPieces
from comet.transports.unread import unreadBelow

# How many bytes the headers of a request may have together, and how many there
# may be.
MAX_FIELDS_SIZE: Final = 16384
MAX_FIELDS: Final = 500

# How many bytes of a head that is too large are discarded until it ends.  Up to
# there the server waits for the headers that say to which page it answers.
MAX_DISCARDED: Final = 1048576

# How many bytes of a request line that is too long are looked at.
_LINE_START: Final = 1024

# For how many seconds a connection that the server ends waits for the client to
# read the last response and to close.
LINGER_TIME: Final = 5.0

# The timer wheel may call this much early, in seconds.
_EARLY: Final = 0.01

# How a record of TLS begins that opens a connection (RFC 8446 5.1).
_TLS: Final = b"\x16\x03"

_KEPT: Final = (b"host:", b"origin:")

# A length with so many digits that Python does not make a number of them.
_ENDLESS: Final = re.compile(rb"content-length:[ \t]*[0-9]{1001}", re.IGNORECASE)


class HeadChannel(HTTPChannel):
    """
    A connection of HTTP/1 that bounds the heads of requests.

    A head that is too large is read to its end, and discarded but for what the
    response depends on.  Then L{refusal} is set when the request is told its
    length, and the request has to refuse itself.

    @ivar maxLine: How many bytes a request line may have.

    @ivar refusal: Why the request is refused whose head comes, or L{None}.

    @ivar isEnding: Whether the last response was sent.
    """

    # Any: endpoints make more than ITransport says.
    transport: Any
    site: Any

    # Twisted logs a line for each client that is silent for too long.
    _log = ClientLogger()

    maxHeaders = MAX_FIELDS
    maxLine = Limits().maxLineBytes

    refusal: CometError | None = None
    isEnding = False
    timerSlot = NOT_SET
    # When the head or the body that comes has to be whole, or to go on.
    _due = math.inf
    _isSkipping = False
    _discarded = 0
    _skipped = b""
    # What the client had not taken when it was last found to be silent.
    _unread = 0

    def connectionMade(self) -> None:
        """
        Set the bound on the first request line.
        """
        super().connectionMade()
        self.maxLine = getattr(self.site, "maxLine", self.maxLine)
        self.MAX_LENGTH = self.maxLine

    # -- Input

    def dataReceived(self, data: bytes) -> None:
        """
        Parse input, or discard it once the connection ends.
        """
        if self.isEnding:
            return
        size, transport = len(data), self.transport
        try:
            while data and not self.isEnding:
                if self._isSkipping:
                    data = self._skip(data)
                else:
                    super().dataReceived(data)
                    data, self._skipped = self._skipped, b""
            self._checkRest(size)
            self._keepPace(size)
        except Exception:
            # The transport may be another protocol's by now.
            connectionFailed(transport)

    def _skip(self, data: bytes) -> bytes:
        """
        Discard the rest of a line.

        @return: What follows the line.
        """
        self.resetTimeout()
        line, end, rest = (self._skipped + data).partition(b"\r\n")
        # The end of the line may come in two pieces.
        self._skipped = b"" if end else data[-1:]
        self._isSkipping = not end
        self._discard(len(line))
        return rest

    def _keepPace(self, size: int) -> None:
        """
        Give the client time for the rest of a head or a body.

        @param size: How many bytes came last.
        """
        period, site = self.timeOut, self.site
        if period is None or self.isEnding or self.transport is None:
            return
        if not self.line_mode:
            now, most = site.seconds(), min(BODY_TIME, period)
            isBegun = self._due != math.inf
            self._due = extended(self._due, now, size, most) if isBegun else now + most
        elif self._due != math.inf:
            # However much more of the head comes.
            return
        elif self._isSkipping or self._buffer or self._receivedHeaderSize:
            self._due = site.seconds() + min(HEAD_TIME, period)
            if site.isAdopting:
                # It has begun on the lean edge.
                self._due = min(self._due, site.headDue)
        else:
            return
        site.wheel.setBy(self, self._due)

    def timedOut(self) -> None:
        """
        See L{Timed.timedOut<comet.reactor.timers.Timed.timedOut>}.
        """
        left = self._due - self.site.seconds()
        if left > _EARLY:
            if left != math.inf:
                self.site.wheel.set(self, left)
        elif self.transport is not None and not self.isEnding:
            super().timeoutConnection()

    def _isInTime(self) -> None:
        """
        A head or a body is whole.
        """
        self._due = math.inf
        self.site.wheel.clear(self)

    def allHeadersReceived(self) -> None:
        """
        A head is whole: what comes next is its body.
        """
        if self._due != math.inf:
            self._isInTime()
        super().allHeadersReceived()

    def requestDone(self, request: Any) -> None:
        """
        A request is answered.  The next head may have begun.
        """
        super().requestDone(request)
        self._unread = 0
        self._keepPace(0)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is closed.
        """
        self._isInTime()
        super().connectionLost(reason)

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > MAX_DISCARDED and self.refusal is not None:
            self.refuse(self.refusal)

    def _checkRest(self, size: int) -> None:
        """
        Refuse what will never become a request head, instead of waiting for it.

        @param size: How many bytes came last.
        """
        transport = self.transport
        if not self.line_mode or self._isSkipping or self._busyReceiving or self.paused:
            return
        if self.isEnding or transport is None or transport.disconnecting:
            return
        # All that is left is the beginning of a line.
        rest = self._buffer
        if isBrokenHead(rest[-size - 1 :]) or not (self._receivedHeaderSize or beginsHead(rest)):
            self._respondToBadRequestAndDisconnect()

    def lineReceived(self, line: bytes) -> bool:
        """
        A line of a head has arrived.

        @return: Whether the connection ends, so that the rest of the input is
            not parsed.
        """
        if self.isEnding:
            return True
        if isBrokenLine(line) or not (self._receivedHeaderSize or beginsHead(line)):
            # A line must not pass that is refused when it comes piece by piece.
            self.refuse(BadRequest(_whyBad(line)))
            return True
        if self.refusal is not None:
            self._discard(len(line))
            if self.isEnding or (line and not line.lower().startswith(_KEPT)):
                return self.isEnding
            # Twisted has bounds of its own, which what is kept must not reach.
            self.totalHeadersSize += len(line)
            self.maxHeaders += 1
        elif not self._receivedHeaderSize:
            self.totalHeadersSize = len(line) + MAX_FIELDS_SIZE
            if line:
                # The request line is here: what follows are headers.
                self.MAX_LENGTH = MAX_FIELDS_SIZE
        elif line and self._isHeadFull(line):
            self.refusal = self._headTooLarge()
            return self.lineReceived(line)
        super().lineReceived(line)
        return self.isEnding

    def headerReceived(self, line: bytes) -> bool:
        """
        A header has come whole.

        @return: Whether to go on.
        """
        if _ENDLESS.match(line):
            self.refuse(TooLarge("Content-Length has more digits than a body may have bytes"))
            return False
        taken: bool = super().headerReceived(line)
        return taken

    def _isHeadFull(self, line: bytes) -> bool:
        # The header before this line is counted when the next line has come; before
        # the first header there is none.
        isFirst = self._receivedHeaderSize == self.totalHeadersSize - MAX_FIELDS_SIZE
        return (
            self._receivedHeaderSize + len(line) > self.totalHeadersSize
            or self._receivedHeaderCount + 1 + (not isFirst) > self.maxHeaders
        )

    def lineLengthExceeded(self, line: bytes) -> None:
        """
        A line is too long: skip the rest of it, but go on with the head.

        @param line: The beginning of the line, and what has arrived behind it.
        """
        # What follows would be discarded before it is looked at, if it came later.
        if isBrokenHead(line[: self.MAX_LENGTH + 1]):
            self.refuse(BadRequest(_whyBad(line[: self.MAX_LENGTH + 1])))
            return
        self._isSkipping = True
        self._skipped = line
        if self._receivedHeaderSize:
            self.refusal = self.refusal or self._headTooLarge()
            return
        # Only what is before the query decides who answers.
        method, _, target = line[:_LINE_START].partition(b"?")[0].partition(b" ")
        self.refusal = URLTooLong(
            f"the request line has more than {self.maxLine} bytes, the most that is allowed"
        )
        super().lineReceived(b"%b %b HTTP/1.1" % (method, target))
        self.MAX_LENGTH = MAX_FIELDS_SIZE
        self.totalHeadersSize = self._receivedHeaderSize + MAX_FIELDS_SIZE

    def _headTooLarge(self) -> HeadTooLarge:
        return HeadTooLarge(
            f"the request has more than {MAX_FIELDS} headers, or they have more than "
            f"{MAX_FIELDS_SIZE} bytes, the most that is allowed"
        )

    def rawDataReceived(self, data: bytes) -> None:
        """
        A part of a body has arrived, or input behind a request that waits.
        """
        if not self.isEnding:
            joinPieces(self)
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        """
        The request is complete: get ready for the next one.
        """
        if not self.isEnding:
            if self._due != math.inf:
                self._isInTime()
            self.MAX_LENGTH = self.maxLine
            super().allContentReceived()

    # -- The end

    def refuse(self, error: CometError, cors: Headers = (), address: str | None = None) -> None:
        """
        Send an error as the last response of the connection, before all of the
        request has arrived.

        @param cors: Headers for the page that asked.

        @param address: That of the client, if the head has come; else that of the
            connection is logged.
        """
        # A site of an application's own may be another one.
        refused = getattr(self.site, "refused", None)
        if refused is not None:
            refused.add(error.code)
        response = problem(error)
        log = getattr(self.site, "logRefused", None)
        if log is not None:
            line = (getattr(self, "_command", b""), getattr(self, "_path", b""))
            if address is None:
                address = str(getattr(self.getPeer(), "host", "") or "")
            log(address, line, response.status, len(response.body))
        self.end(Response(response.status, (*response.headers, *cors), response.body))

    def end(self, response: Response) -> None:
        """
        Send the last response of the connection.

        A client may send all of a large body before it reads.  If the
        connection was closed then, the client's system would drop the response
        unread (RFC 9112 9.6).  So only the writing side is closed, and the
        server discards what still comes, for a while.
        """
        encoded = encodeResponse(
            (1, 1), response.status, response.headers, response.body, False, datetimeToString()
        )
        if getattr(self, "_command", None) == b"HEAD":
            encoded = encoded[: len(encoded) - len(response.body)]
        self.isEnding = True
        self._isInTime()
        transport = self.transport
        transport.write(encoded)
        transport.unregisterProducer()
        self.setTimeout(LINGER_TIME)
        # The channel may have stopped reading.
        transport.resumeProducing()
        if ISSLTransport.providedBy(transport):
            # TLS ends its side with an alert, and reads on until the client
            # does.
            transport.loseConnection()
        elif hasattr(transport, "loseWriteConnection"):
            transport.loseWriteConnection()
        else:
            # Such a transport cannot close one side alone.
            transport.loseConnection()

    def timeoutConnection(self) -> None:
        """
        The client was silent for too long.  It may still read a large response.
        """
        before, self._unread = self._unread, unreadBelow(self.transport)
        period = self.timeOut
        if self.isEnding:
            self.transport.abortConnection()
        elif not self._unread or period is None or period < UNSENT_TIMEOUT:
            super().timeoutConnection()
        elif not before or before - self._unread >= LEAST_RATE * period:
            self.setTimeout(period)
        else:
            self.transport.abortConnection()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """
        Twisted calls this for what is not HTTP.
        """
        if not self.isEnding:
            self.refuse(BadRequest(_whyBad(self._buffer)))


def _whyBad(rest: bytes) -> str:
    if rest.startswith(_TLS):
        return "this port takes plain HTTP, and the client began with TLS"
    if b"\n" in rest and b"\r\n" not in rest:
        return "a line ends with LF alone; HTTP/1.1 has CR LF"
    return "the request is not a well-formed request of HTTP/1.1 (RFC 9112)"
