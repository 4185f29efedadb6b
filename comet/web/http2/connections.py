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
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError, StreamClosedError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol as BaseProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.transports.sinks import tune
from comet.web.http2.lengths import FrameLengths
from comet.web.http2.streams import HTTP2Stream

# How many bytes of whole answers may wait for the client before no other
# request is begun.
MAX_UNSENT: Final = 1048576

# How many bytes of anything but bodies may wait for a client that does not
# read, before its connection is cut.
MAX_UNSENT_FRAMES: Final = 262144

# How many bodies of the largest size may be kept while they come.
MAX_BODIES: Final = 4

# How many streams a client may reset at once, and in each second: to ask and to
# take it back costs it nothing.
MAX_RESETS: Final = 500.0
RESETS_PER_SECOND: Final = 50.0

# For how many seconds the last words to a client may wait to be taken.
LAST_WORDS: Final = 15.0


@implementer(IPushProducer)
class HTTP2Connection(BaseProtocol, TimeoutMixin):
    """
    One client.

    @ivar site: What answers.

    @ivar streams: Those that are open, by their numbers.

    @ivar isSecure: Whether nobody else reads it.
    """

    # Whatever the endpoint makes: more than the interface of a transport says.
    transport: Any

    _log = Logger()

    def __init__(self, site: Any) -> None:
        """
        @param site: A L{CometSite<comet.web.site.CometSite>}.
        """
        self.site = site
        self.streams: dict[int, HTTP2Stream] = {}
        self.isSecure = False
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._lengths = FrameLengths()
        # Those that have something to send, in the order in which they may.
        self._ready: dict[HTTP2Stream, None] = {}
        # Those that are not begun yet.
        self._parked: deque[HTTP2Stream] = deque()
        self._owed = 0
        self._late = 0
        self._isFull = False
        self._isBusy = False
        self._isOver = False
        self._isDraining = False
        self._resets = MAX_RESETS
        self._resetAt = site.reactor.seconds()
        self._aborting: IDelayedCall | None = None
        self._left: list[Deferred[None]] = []

    # -- Its life

    def callLater(self, seconds: float, call: Callable[[], None]) -> IDelayedCall:
        """
        Have something called by the reactor of the site.
        """
        delayed: IDelayedCall = self.site.reactor.callLater(seconds, call)
        return delayed

    def connectionMade(self) -> None:
        """
        A client came.
        """
        transport = self.transport
        self.isSecure = bool(ISSLTransport.providedBy(transport))
        tune(transport)
        transport.registerProducer(self, True)
        self.setTimeout(self.site.timeOut)
        self._h2.initiate_connection()
        self._push()

    def timeoutConnection(self) -> None:
        """
        For a while nothing came, and nothing could be sent.
        """
        served = [each for each in self.streams.values() if each.isComplete and not each.isFinished]
        if len(served) > len(self._parked):
            # It is the server's turn.
            self.setTimeout(self.site.timeOut)
        else:
            self._close(ErrorCodes.NO_ERROR)

    def drain(self) -> Deferred[None]:
        """
        Close the connection when everything that was asked is answered.

        @return: Fires when it is closed.
        """
        left: Deferred[None] = Deferred()
        self._left.append(left)
        self._isDraining = True
        self._flush()
        return left

    def _close(self, code: ErrorCodes | None) -> None:
        """
        Close the connection, with everything on it.

        @param code: What the client is told, unless it was told already.
        """
        if self._isOver:
            return
        if code is not None:
            self._h2.close_connection(code)
        self._push()
        self._isOver = True
        self.setTimeout(None)
        self._aborting = self.callLater(LAST_WORDS, self._abort)
        # Or it would wait for more.
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
        The client left.
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
        The client sent something.
        """
        if self._isOver:
            return
        if not self._lengths.check(data):
            self._close(ErrorCodes.FRAME_SIZE_ERROR)
            return
        try:
            events = self._h2.receive_data(data)
        except ProtocolError:
            # It has made its own last words.
            self._close(None)
            return
        self.resetTimeout()
        # Of what has come, some may say that a stream is over: nothing is sent
        # before all of it is understood.
        self._isBusy = True
        try:
            for event in events:
                self._happened(event)
        finally:
            self._isBusy = False
        self._flush()

    def _happened(self, event: Event) -> None:
        if self._isOver:
            return
        if isinstance(event, RequestReceived):
            self._begin(event)
        elif isinstance(event, DataReceived):
            self._take(event)
        elif isinstance(event, StreamEnded):
            self._complete(self.streams.get(event.stream_id or 0))
        elif isinstance(event, StreamReset):
            self._wasReset(self.streams.get(event.stream_id or 0))
        elif isinstance(event, WindowUpdated):
            self._opened(event.stream_id or 0)
        elif isinstance(event, RemoteSettingsChanged):
            # RFC 9113 6.9.2: it may have opened all windows.
            self._opened(0)
        elif isinstance(event, ConnectionTerminated):
            # RFC 9113 6.8 lets it wait for its answers; nothing can be sent
            # any more once h2 has seen this.
            self._close(None)

    def _begin(self, event: RequestReceived) -> None:
        ident = event.stream_id or 0
        stream = self.streams[ident] = HTTP2Stream(self, ident)
        isEmpty = event.stream_ended is not None
        headers: Any = event.headers
        stream.begun(headers, isEmpty)
        if not isEmpty and stream.isExpecting:
            # RFC 9110 10.1.1
            self.sendHead(stream, [(b":status", b"100")])

    def _take(self, event: DataReceived) -> None:
        stream = self.streams.get(event.stream_id or 0)
        if stream is not None:
            stream.received(event.data or b"")
            most = self.site.maxBody
            kept = sum(each.taken for each in self.streams.values() if each.taken <= most)
            if kept > most * MAX_BODIES:
                # RFC 9113 8.7: nothing was done, and it may be asked again.
                self.reset(stream, ErrorCodes.REFUSED_STREAM)
        size = event.flow_controlled_length or 0
        self._h2.acknowledge_received_data(size, event.stream_id or 0)

    def _complete(self, stream: HTTP2Stream | None) -> None:
        if stream is None:
            return
        stream.isComplete = True
        if self._owed > MAX_UNSENT or self._parked:
            self._parked.append(stream)
        else:
            stream.serve()

    def _wasReset(self, stream: HTTP2Stream | None) -> None:
        now = self.site.reactor.seconds()
        more = max(now - self._resetAt, 0) * RESETS_PER_SECOND
        self._resets = min(self._resets + more, MAX_RESETS) - 1
        self._resetAt = now
        if self._resets < 0:
            self._close(ErrorCodes.ENHANCE_YOUR_CALM)
        elif stream is not None:
            self._forget(stream, Failure(ConnectionLost("the client has reset the stream")))

    def _opened(self, ident: int) -> None:
        """
        The window of a stream is larger, or with 0 that of all.
        """
        for stream in [self.streams.get(ident)] if ident else self.streams.values():
            if stream is not None and stream.unsent:
                self._ready[stream] = None

    # -- What goes

    def sendHead(self, stream: HTTP2Stream, head: Sequence[tuple[bytes, bytes]]) -> None:
        """
        Send the head of an answer.
        """
        if stream.ident not in self.streams:
            return
        try:
            self._h2.send_headers(stream.ident, head)
        except StreamClosedError:
            # The client has reset it, which is about to be understood.
            return
        except ProtocolError:
            failure = Failure()
            if self.reset(stream, ErrorCodes.INTERNAL_ERROR):
                # It was not the client who closed everything.
                self._log.failure(
                    "the response on stream {stream} to {peer} cannot be sent over HTTP/2",
                    failure,
                    stream=stream.ident,
                    peer=self.transport.getPeer(),
                )
        self._push()

    def wake(self, stream: HTTP2Stream) -> None:
        """
        Send what waits in a stream, as far as the client takes it.
        """
        if stream.ident in self.streams:
            self._ready[stream] = None
            self._flush()

    def finished(self, stream: HTTP2Stream) -> None:
        """
        All of the answer was written.
        """
        self._owed += stream.unsent
        self.wake(stream)

    def reset(self, stream: HTTP2Stream, code: ErrorCodes) -> bool:
        """
        Give up a stream.

        @return: Whether the client had not given it up before.
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
        Send what can be sent, and begin what can be begun.
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
        Send one frame of the stream whose turn it is.
        """
        stream = next(iter(self._ready))
        del self._ready[stream]
        h2, ident = self._h2, stream.ident
        if stream.unsent:
            size = min(h2.local_flow_control_window(ident), h2.max_outbound_frame_size)
            if size <= 0:
                # The client will open the window, and so make it ready.
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
        All of an answer is sent.
        """
        if not stream.isComplete:
            # RFC 9113 8.1: the rest of the request is not wanted.
            self._h2.reset_stream(stream.ident, ErrorCodes.NO_ERROR)
        self._forget(stream, None)

    def _push(self) -> None:
        """
        Write the frames that were made.
        """
        data = self._h2.data_to_send()
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
        The client does not read.
        """
        self._isFull = True

    def resumeProducing(self) -> None:
        """
        The client has taken everything.
        """
        self._isFull = False
        self._late = 0
        self._flush()

    def stopProducing(self) -> None:
        """
        The connection is lost, as L{connectionLost} will say.
        """
