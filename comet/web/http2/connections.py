"""
One connection of HTTP/2, and the streams on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError, StreamClosedError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import WindowUpdateFrame
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol as BaseProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.http.http1 import checkHeader
from comet.transports.sinks import tune
from comet.web.heads import MAX_FIELDS, MAX_FIELDS_SIZE
from comet.web.http2.fields import (
    FieldDecoder,
    Malformed,
    checkTrailers,
    readRequest,
    refusalOf,
)
from comet.web.http2.frames import PREFACE, ConnectionFault, Frame, FrameReader, Kind
from comet.web.http2.http2stream import HTTP2Stream

# Bytes of finished responses that may wait for the client before no other
# request is begun.
MAX_UNSENT: Final = 1048576

# Bytes of frames other than bodies that may wait for a client that does not
# read, before its connection is cut.
MAX_UNSENT_FRAMES: Final = 262144

# Bodies of the largest size that may be kept while they arrive.
MAX_BODIES: Final = 4

# RFC 9113 5.1.2: streams that may be open at once.
MAX_STREAMS: Final = 100

# RFC 9113 6.5.2: bytes that the fields of one block may have, beside the URL: each
# counts for 32 more than it has.
FIELDS_SIZE: Final = MAX_FIELDS_SIZE + 32 * MAX_FIELDS

# The same with the URL, however many channels it may name.  h2 takes at most 64
# frames for a block.
MOST_FIELDS: Final = 524288

# RFC 9113 6.5.2: bytes of the table with which the fields of responses are
# compressed.
MAX_TABLE: Final = 4096

# Streams that a client may reset, or have reset by its faults, in a burst, and
# in each second after that: a client can ask and reset at no cost to itself.
MAX_RESETS: Final = 500.0
RESETS_PER_SECOND: Final = 50.0

# Seconds that the last frames to a client may wait to be taken.
LAST_WORDS: Final = 15.0


@implementer(IPushProducer)
class HTTP2Connection(BaseProtocol, TimeoutMixin):
    """
    The protocol of one client.

    @ivar site: The L{CometSite<comet.web.site.CometSite>}, which makes the
        requests.

    @ivar streams: The open streams, by their numbers.

    @ivar isSecure: Whether the connection is encrypted.
    """

    # Any: endpoints make more than ITransport says.
    transport: Any

    _log = Logger()

    def __init__(self, site: Any) -> None:
        """
        @param site: A L{CometSite<comet.web.site.CometSite>}.
        """
        self.site = site
        self.streams: dict[int, HTTP2Stream] = {}
        self.isSecure = False
        self._h2 = H2Connection(
            H2Configuration(
                client_side=False,
                header_encoding=None,
                # The decoder keeps the fields from h2.
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
                # h2 would find a bad header when it has encoded others.
                validate_outbound_headers=False,
            )
        )
        # What the settings tell the client.
        self._mostFields = min(site.maxLine + FIELDS_SIZE, MOST_FIELDS)
        # A larger head gets an error as response.  It must be decoded for that,
        # so it may not be of any size.
        self._frames = FrameReader(2 * self._mostFields)
        self._decoder = self._h2.decoder = FieldDecoder(2 * self._mostFields)
        # Frames that h2 does not make.
        self._extra = bytearray()
        # The stream whose trailers do not end it.
        self._unended = 0
        # Streams that have something to send, in the order of their turns.
        self._ready: dict[HTTP2Stream, None] = {}
        # Complete requests that are not begun yet.
        self._parked: deque[HTTP2Stream] = deque()
        self._owed = 0
        self._late = 0
        self._isFull = False
        self._isBusy = False
        self._isOver = False
        self._isDraining = False
        self._resets = MAX_RESETS
        self._resetAt = site.clock.seconds()
        self._aborting: IDelayedCall | None = None
        self._left: list[Deferred[None]] = []

    # -- Its life

    def callLater(self, seconds: float, call: Callable[[], None]) -> IDelayedCall:
        """
        Schedule a call on the site's clock.
        """
        delayed: IDelayedCall = self.site.clock.callLater(seconds, call)
        return delayed

    def connectionMade(self) -> None:
        """
        Send the server's preface and settings.
        """
        transport = self.transport
        self.isSecure = bool(ISSLTransport.providedBy(transport))
        tune(transport)
        transport.registerProducer(self, True)
        self.setTimeout(self.site.timeOut)
        self._h2.local_settings = self._settings(MAX_STREAMS)
        self._h2.initiate_connection()
        # h2 would end the connection over a stream too many.  This side counts
        # the streams instead.
        self._h2.local_settings = self._settings(2**31 - 1)
        # The client's frames come without it.
        self._h2.receive_data(PREFACE)
        self._push()

    def _settings(self, streams: int) -> Settings:
        values = {
            SettingCodes.MAX_CONCURRENT_STREAMS: streams,
            SettingCodes.MAX_HEADER_LIST_SIZE: self._mostFields,
        }
        return Settings(client=False, initial_values=values)

    def timeoutConnection(self) -> None:
        """
        For the time of the timeout nothing arrived, and nothing could be sent.
        """
        served = [each for each in self.streams.values() if each.isComplete and not each.isFinished]
        if len(served) > len(self._parked):
            # The client waits for the server.
            self.setTimeout(self.site.timeOut)
        else:
            self._close(ErrorCodes.NO_ERROR)

    def drain(self) -> Deferred[None]:
        """
        Close the connection once all requests on it are answered.

        @return: Fires when the connection is closed.
        """
        left: Deferred[None] = Deferred()
        self._left.append(left)
        self._isDraining = True
        self._flush()
        return left

    def _close(self, code: ErrorCodes | None) -> None:
        """
        Close the connection, and give up all streams.

        @param code: The code for the client, or L{None} if h2 has told it
            already.
        """
        if self._isOver:
            return
        if code is not None:
            self._h2.close_connection(code)
        self._push()
        self._isOver = True
        self.setTimeout(None)
        self._aborting = self.callLater(LAST_WORDS, self._abort)
        # A registered producer would keep loseConnection waiting.
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._abandon(Failure(ConnectionDone()))

    def _abort(self) -> None:
        self._aborting = None
        self.transport.abortConnection()

    def _abandon(self, reason: Failure) -> None:
        streams, self.streams = self.streams, {}
        self._ready.clear()
        self._parked.clear()
        for stream in streams.values():
            stream.gone(reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Give up all streams, and tell the callers of L{drain}.
        """
        self._isOver = True
        self.setTimeout(None)
        if self._aborting is not None:
            self._aborting.cancel()
            self._aborting = None
        self._abandon(reason)
        self.site.connectionClosed(self)
        left, self._left = self._left, []
        for each in left:
            each.callback(None)

    # -- What comes

    def dataReceived(self, data: bytes) -> None:
        """
        Have h2 read the frames, and deal with what they say.
        """
        if self._isOver:
            return
        self.resetTimeout()
        # A later frame may reset a stream: nothing is sent before all frames
        # are dealt with.
        self._isBusy = True
        try:
            for frame in self._frames.feed(data):
                self._receive(frame)
        except (ConnectionFault, ProtocolError) as error:
            self._log.debug(
                "closing the HTTP/2 connection of {peer}: {reason}",
                peer=self.transport.getPeer(),
                reason=str(error),
            )
            # h2 has made the last frame for its own errors.
            self._close(error.code if isinstance(error, ConnectionFault) else None)
        finally:
            self._isBusy = False
        self._flush()

    def _receive(self, frame: Frame) -> None:
        """
        Deal with one frame.

        @raise ConnectionFault: If it ends the connection.

        @raise ProtocolError: If it does so, and h2 has found out.
        """
        if self._isOver:
            return
        ident, kind = frame.ident, frame.kind
        isKnown = ident % 2 == 1 and ident <= self._h2.highest_inbound_stream_id
        if frame.fault is not None or (kind == Kind.RST_STREAM and ident):
            if not isKnown:
                # RFC 9113 5.1: no stream can be reset that was never open.
                raise ConnectionFault(
                    frame.fault or ErrorCodes.PROTOCOL_ERROR,
                    f"{kind.name} is at fault, or cannot come, on stream {ident} that is not open",
                )
        if frame.fault is not None:
            if kind == Kind.DATA:
                self._discard(frame.size)
            if ident in self.streams:
                self._fault(ident, frame.fault, f"{kind.name} with {frame.size} bytes")
            return
        if kind == Kind.GOAWAY:
            self._saidGoodbye(frame)
            return
        if kind == Kind.HEADERS and isKnown and not frame.isEnd:
            # RFC 9113 8.1: such trailers make the request malformed.  h2 would
            # end the connection.
            self._unended = ident
            frame.end()
        for event in self._h2.receive_data(frame.encode()):
            self._happened(event)

    def _discard(self, size: int) -> None:
        """
        Account for DATA that h2 does not get.
        """
        if size > self._h2.inbound_flow_control_window:
            raise ConnectionFault(
                ErrorCodes.FLOW_CONTROL_ERROR, f"DATA of {size} bytes is more than the window"
            )
        # RFC 9113 6.9: DATA counts also where it is in error.
        self._extra += WindowUpdateFrame(0, window_increment=size).serialize()

    def _saidGoodbye(self, frame: Frame) -> None:
        """
        The client begins no more streams.  RFC 9113 6.8 lets it wait for its
        responses.  h2 is not told, since it would send nothing more.
        """
        if int.from_bytes(frame.body[4:8], "big") == ErrorCodes.NO_ERROR:
            self._isDraining = True
        else:
            self._close(ErrorCodes.NO_ERROR)

    def _happened(self, event: Event) -> None:
        if self._isOver:
            return
        if isinstance(event, RequestReceived):
            self._begin(event)
        elif isinstance(event, DataReceived):
            self._take(event)
        elif isinstance(event, TrailersReceived):
            self._ending(event.stream_id or 0)
        elif isinstance(event, StreamEnded):
            self._complete(self.streams.get(event.stream_id or 0))
        elif isinstance(event, StreamReset):
            self._wasReset(self.streams.get(event.stream_id or 0))
        elif isinstance(event, WindowUpdated):
            self._opened(event.stream_id or 0)
        elif isinstance(event, RemoteSettingsChanged):
            # RFC 9113 6.9.2: new settings may open the windows of all streams.
            self._opened(0)
            self._boundTable()

    def _boundTable(self) -> None:
        """
        Bound what the client can have the encoder keep.
        """
        # RFC 7541 4.2: the table may be smaller than the client allows, and
        # only the smallest and the last of several changes are sent.
        encoder = self._h2.encoder
        if encoder.header_table_size > MAX_TABLE:
            encoder.header_table_size = MAX_TABLE
        changes = [min(size, MAX_TABLE) for size in encoder.table_size_changes]
        encoder.table_size_changes = [min(changes), changes[-1]] if changes else []

    def _begin(self, event: RequestReceived) -> None:
        ident = event.stream_id or 0
        isEmpty = event.stream_ended is not None
        if len(self.streams) >= MAX_STREAMS:
            # RFC 9113 8.7: the client may send the request again.
            self._fault(ident, ErrorCodes.REFUSED_STREAM, f"{MAX_STREAMS} streams are open")
            return
        try:
            head = readRequest(self._decoder.fields)
            if isEmpty and head.length:
                # RFC 9113 8.1.1
                raise Malformed(f"no body, {head.length} bytes are declared")
        except Malformed as error:
            self._fault(ident, ErrorCodes.PROTOCOL_ERROR, str(error))
            return
        stream = self.streams[ident] = HTTP2Stream(self, ident)
        stream.begun(head, isEmpty, refusalOf(head, self.site.maxLine))
        if not isEmpty and stream.isExpecting:
            # RFC 9110 10.1.1
            self.sendHead(stream, b"100", ())

    def _ending(self, ident: int) -> None:
        """
        Trailers have arrived.
        """
        if ident not in self.streams:
            return
        try:
            if self._unended == ident:
                raise Malformed("trailers that do not end the stream")
            checkTrailers(self._decoder.fields)
        except Malformed as error:
            self._fault(ident, ErrorCodes.PROTOCOL_ERROR, str(error))

    def _take(self, event: DataReceived) -> None:
        ident = event.stream_id or 0
        stream = self.streams.get(ident)
        if stream is not None:
            stream.received(event.data or b"")
            most = self.site.maxBody
            kept = sum(each.taken for each in self.streams.values() if each.taken <= most)
            if stream.length is not None and stream.arrived > stream.length:
                # RFC 9113 8.1.1
                reason = f"more than the {stream.length} bytes that are declared"
                self._fault(ident, ErrorCodes.PROTOCOL_ERROR, reason)
            elif kept > most * MAX_BODIES:
                # RFC 9113 8.7: the request was not processed, and may be
                # repeated.
                self.reset(stream, ErrorCodes.REFUSED_STREAM)
        if not self._isOver:
            self._h2.acknowledge_received_data(event.flow_controlled_length or 0, ident)

    def _complete(self, stream: HTTP2Stream | None) -> None:
        if stream is None:
            return
        if stream.length is not None and stream.arrived < stream.length:
            # RFC 9113 8.1.1
            reason = f"{stream.arrived} bytes, {stream.length} are declared"
            self._fault(stream.ident, ErrorCodes.PROTOCOL_ERROR, reason)
            return
        stream.isComplete = True
        if self._owed > MAX_UNSENT or self._parked:
            self._parked.append(stream)
        else:
            stream.serve()

    def _fault(self, ident: int, code: ErrorCodes, reason: str) -> None:
        """
        Reset a stream by the client's fault, RFC 9113 5.4.2.

        @param code: The code for the client.

        @param reason: What was wrong, for the log.
        """
        self._log.debug(
            "resetting stream {stream} of {peer}: {reason}",
            stream=ident,
            peer=self.transport.getPeer(),
            reason=reason,
        )
        stream = self.streams.get(ident)
        if stream is not None:
            self.reset(stream, code)
        else:
            self._h2.reset_stream(ident, code)
        self._spendReset()

    def _spendReset(self) -> None:
        """
        Count a stream that ends by the client's doing, and close the connection
        if there are too many: the work for them may be lost.
        """
        now = self.site.clock.seconds()
        more = max(now - self._resetAt, 0) * RESETS_PER_SECOND
        self._resets = min(self._resets + more, MAX_RESETS) - 1
        self._resetAt = now
        if self._resets < 0:
            self._close(ErrorCodes.ENHANCE_YOUR_CALM)

    def _wasReset(self, stream: HTTP2Stream | None) -> None:
        self._spendReset()
        if not self._isOver and stream is not None:
            self._forget(stream, Failure(ConnectionLost("the client has reset the stream")))

    def _opened(self, ident: int) -> None:
        """
        A window was opened.

        @param ident: The number of the stream, or 0 for the connection's own
            window.
        """
        for stream in [self.streams.get(ident)] if ident else self.streams.values():
            if stream is not None and stream.unsent:
                self._ready[stream] = None

    # -- What goes

    def sendHead(
        self, stream: HTTP2Stream, status: bytes, headers: Sequence[tuple[bytes, bytes]]
    ) -> None:
        """
        Send the head of a response.
        """
        if stream.ident not in self.streams:
            return
        try:
            # Before the first is encoded: what the encoder has added to its table
            # must be sent, or the client can read no other response.
            for name, value in headers:
                checkHeader(name, value)
            self._h2.send_headers(stream.ident, [(b":status", status), *headers])
        except StreamClosedError:
            # The client has reset the stream; the event is still to be dealt
            # with.
            return
        except (ProtocolError, ValueError):
            failure = Failure()
            if self.reset(stream, ErrorCodes.INTERNAL_ERROR):
                # The response is at fault, and not a client that has reset the
                # stream.
                self._log.failure(
                    "the response on stream {stream} to {peer} cannot be sent over HTTP/2",
                    failure,
                    stream=stream.ident,
                    peer=self.transport.getPeer(),
                )
        self._push()

    def wake(self, stream: HTTP2Stream) -> None:
        """
        Send what waits in a stream, as far as the client's window allows.
        """
        if stream.ident in self.streams:
            self._ready[stream] = None
            self._flush()

    def finished(self, stream: HTTP2Stream) -> None:
        """
        All of a response was written to its stream.
        """
        self._owed += stream.unsent
        self.wake(stream)

    def reset(self, stream: HTTP2Stream, code: ErrorCodes) -> bool:
        """
        Give up a stream.

        @param code: The code for the client.

        @return: False if the client had given it up before.
        """
        if stream.ident not in self.streams:
            return False
        isTold = True
        try:
            self._h2.reset_stream(stream.ident, code)
        except ProtocolError:
            isTold = False
        self._forget(stream, Failure(ConnectionDone()))
        self._flush()
        return isTold

    def _forget(self, stream: HTTP2Stream, reason: Failure | None) -> None:
        """
        A stream is over.

        @param reason: Why, or L{None} if the response was sent.
        """
        del self.streams[stream.ident]
        self._ready.pop(stream, None)
        if stream in self._parked:
            self._parked.remove(stream)
        if stream.isFinished:
            self._owed -= stream.unsent
        stream.gone(reason)

    def _flush(self) -> None:
        """
        Send what the windows and the transport allow, and begin requests that
        wait.
        """
        if self._isBusy or self._isOver:
            return
        self._isBusy = True
        try:
            while not self._isOver:
                while self._ready and not self._isFull:
                    self._sendOne()
                if not self._parked or self._owed > MAX_UNSENT:
                    break
                self._parked.popleft().serve()
        finally:
            self._isBusy = False
        self._push()
        if self._isDraining and not self.streams:
            self._close(ErrorCodes.NO_ERROR)

    def _sendOne(self) -> None:
        """
        Send one frame of the stream that is next.
        """
        stream = next(iter(self._ready))
        del self._ready[stream]
        h2, ident = self._h2, stream.ident
        if stream.unsent:
            size = min(h2.local_flow_control_window(ident), h2.max_outbound_frame_size)
            if size <= 0:
                # The stream is ready again when the client opens the window.
                return
            data = stream.take(size)
            if stream.isFinished:
                self._owed -= len(data)
            h2.send_data(ident, data, end_stream=stream.isFinished and not stream.unsent)
        elif stream.isFinished:
            h2.end_stream(ident)
        self.resetTimeout()
        self._push()
        if stream.unsent:
            self._ready[stream] = None
        elif stream.isFinished:
            self._sent(stream)
        else:
            stream.drained()

    def _sent(self, stream: HTTP2Stream) -> None:
        """
        All of a response is sent.
        """
        if not stream.isComplete:
            # RFC 9113 8.1: the rest of the request is not needed.
            self._h2.reset_stream(stream.ident, ErrorCodes.NO_ERROR)
        self._forget(stream, None)

    def _push(self) -> None:
        """
        Write the frames that h2 has made.
        """
        data = self._h2.data_to_send() + bytes(self._extra)
        self._extra.clear()
        if not data or self._isOver:
            return
        if self._isFull:
            self._late += len(data)
            if self._late > MAX_UNSENT_FRAMES:
                self.transport.abortConnection()
                return
        self.transport.write(data)

    def pauseProducing(self) -> None:
        """
        The transport is above its high-water mark.
        """
        self._isFull = True

    def resumeProducing(self) -> None:
        """
        The transport has sent all data.
        """
        self._isFull = False
        self._late = 0
        self._flush()

    def stopProducing(self) -> None:
        """
        The connection is lost, as L{connectionLost} will say.
        """
