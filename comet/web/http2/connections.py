"""
One connection of HTTP/2, and the streams on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from h2.errors import ErrorCodes
from h2.events import DataReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError, StreamClosedError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol as BaseProtocol
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.http.pace import BODY_TIME, extended
from comet.logging.clientlog import ClientLogger
from comet.reactor.returning import setReturning
from comet.reactor.timers import NOT_SET
from comet.transports.connected import connectionFailed
from comet.transports.sinks import tune
from comet.web.http2.budgets import MAX_RESETS, RESETS_PER_SECOND, Budget
from comet.web.http2.fields import refusalOf
from comet.web.http2.framereceiver import (
    FrameReceiver,
    Goodbye,
    Received,
    RequestBegun,
    StreamFault,
)
from comet.web.http2.frames import ConnectionFault
from comet.web.http2.framesender import FrameSender
from comet.web.http2.http2stream import HTTP2Stream
from comet.web.http2.timeouts import EARLY, Timeouts

# Bodies of the largest size that may be kept while they arrive.
MAX_BODIES: Final = 4

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

    _log = ClientLogger()

    def __init__(self, site: Any) -> None:
        """
        @param site: A L{CometSite<comet.web.site.CometSite>}.
        """
        self.site = site
        self.streams: dict[int, HTTP2Stream] = {}
        self.isSecure = False
        now = site.clock.seconds()
        self._receiver = FrameReceiver(site.maxLine, self.streams.keys(), now)
        self._states = self._receiver.states
        self._sender = FrameSender(self._states, self._receiver.budget, site.unsent)
        self._resets = Budget(MAX_RESETS, RESETS_PER_SECOND, now)
        # Input that is not read, and the events of what is being read.
        self._input = b""
        self._events: Iterator[Received | None] | None = None
        # Complete requests that are not begun yet, in the order of their ends.
        self._waiting: dict[HTTP2Stream, None] = {}
        # Whether input and requests wait for another turn.
        self._isWaiting = False
        self._isBusy = False
        self._isOver = False
        self._timeouts = Timeouts(site.seconds)
        self.timerSlot = NOT_SET
        self._isDraining = False
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
        transport = self._sender.transport = self.transport
        self.isSecure = bool(ISSLTransport.providedBy(transport))
        tune(transport)
        transport.registerProducer(self, True)
        self.setTimeout(self.site.timeOut)
        self._states.begin()
        self._push()

    def timeoutConnection(self) -> None:
        """
        For the time of the timeout nothing arrived, and nothing could be sent.
        """
        served = [each for each in self.streams.values() if each.isComplete and not each.isFinished]
        if len(served) > len(self._waiting):
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
            self._states.close_connection(code)
        self._push()
        self._isOver = True
        self.setTimeout(None)
        self.site.wheel.clear(self)
        self._aborting = self.callLater(LAST_WORDS, self._abort)
        # A registered producer would keep loseConnection waiting.
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._abandon(Failure(ConnectionDone()))

    def _abort(self) -> None:
        self._aborting = None
        self.transport.abortConnection()

    def _abandon(self, reason: Failure) -> None:
        streams = list(self.streams.values())
        # The receiver looks at the same dictionary.
        self.streams.clear()
        self._sender.close(streams)
        self._waiting.clear()
        self._input, self._events = b"", None
        for stream in streams:
            stream.gone(reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Give up all streams, and tell the callers of L{drain}.
        """
        self._isOver = True
        self.setTimeout(None)
        self.site.wheel.clear(self)
        if self._aborting is not None:
            self._aborting.cancel()
            self._aborting = None
        self._abandon(reason)
        # TLS would keep the connection, which keeps it.
        self.transport.unregisterProducer()
        if not self._isBusy:
            # No transport calls this while it is written to; what is under way would
            # need the states.
            self._states.discard()
        self.site.connectionClosed(self)
        left, self._left = self._left, []
        for each in left:
            each.callback(None)

    @property
    def isBehind(self) -> bool:
        """
        Whether the client should take some responses before it gets others.
        """
        return self._sender.isBehind

    # -- What comes

    def dataReceived(self, data: bytes) -> None:
        """
        Deal with what the frames say, and then begin requests, until the share of
        this turn is over.
        """
        if self._isOver:
            return
        self.resetTimeout()
        self._input += data
        if not self._isWaiting:
            # RFC 7541: requests take less room than in HTTP/1.
            if self.site.turns.mustWait(4 * len(data)):
                self._waitForTurn()
            else:
                self._work()
        if not self._isOver:
            self._measure(len(data))

    def _measure(self, size: int) -> None:
        """
        Give the client time for the rest of a frame, which is read behind others.

        @param size: How many bytes came last.
        """
        isWithin = self._receiver.isWithin
        setReturning(self.transport, isWithin)
        self._timeouts.received(size, isWithin)
        self._watch()

    def _watch(self) -> None:
        """
        Be called when the next of the deadlines comes.
        """
        if (due := self._timeouts.next) != math.inf:
            self.site.wheel.setBy(self, due)

    def timedOut(self) -> None:
        """
        See L{Timed.timedOut<comet.reactor.timers.Timed.timedOut>}.  End what comes too
        slowly, the connection with its frame or the stream with its body; and the
        streams whose responses are taken too slowly.
        """
        now = self.site.seconds()
        timeouts = self._timeouts
        if timeouts.frame <= now + EARLY:
            self._close(ErrorCodes.NO_ERROR)
            return
        due = math.inf
        for stream in list(self.streams.values()):
            if stream.isComplete or stream.isFinished or self._isOver:
                continue
            if stream.due <= now + EARLY:
                reason = "the body of its request comes too slowly"
                self._fault(StreamFault(stream.ident, ErrorCodes.CANCEL, reason))
            else:
                due = min(due, stream.due)
        if timeouts.isTakingLate(now, self._sender):
            for stream in list(self.streams.values()):
                if stream.isFinished and stream.unsent and not self._isOver:
                    reason = "its response is taken too slowly"
                    self._fault(StreamFault(stream.ident, ErrorCodes.CANCEL, reason))
        due = min(due, timeouts.next)
        if due != math.inf and not self._isOver:
            self.site.wheel.set(self, due - now)

    def _work(self) -> None:
        """
        Deal with input and requests that wait, for a share of time.
        """
        turns = self.site.turns
        begun: float = turns.seconds()
        over = begun + turns.share
        self._isBusy = True
        try:
            self._receive(over)
        except (ConnectionFault, ProtocolError) as error:
            self._log.debug(
                "closing the HTTP/2 connection of {peer}: {reason}",
                peer=self.transport.getPeer(),
                reason=str(error),
            )
            # h2 has made the last frame for its own errors.
            self._close(error.code if isinstance(error, ConnectionFault) else None)
        except Exception:
            self._failed()
        finally:
            self._isBusy = False
        self._serve(over)
        self._flush()
        turns.spend(begun)

    def _receive(self, over: float) -> None:
        """
        Deal with events until the share is over.
        """
        seconds = self.site.turns.seconds
        while self._hasInput:
            if self._events is None:
                data, self._input = self._input, b""
                self._events = self._receiver.feed(data, self.site.clock.seconds())
            for event in self._events:
                self._happened(event)
                if self._isOver or seconds() >= over:
                    return
            self._events = None

    @property
    def _hasInput(self) -> bool:
        return self._events is not None or bool(self._input)

    def _serve(self, over: float) -> None:
        """
        Begin requests until the share is over.  None is begun while there may be
        frames behind it: one of them may reset the stream.
        """
        sender, seconds = self._sender, self.site.turns.seconds
        self._isBusy = True
        try:
            while self._waiting and not self._hasInput and seconds() < over:
                if sender.isBehind:
                    sender.sendAll(self._wasTaken)
                    if sender.isBehind:
                        return
                self._serveNext()
        except Exception:
            self._failed()
        finally:
            self._isBusy = False

    def _failed(self) -> None:
        """
        Cut the connection, and deal with nothing that has come: the exception being
        handled was raised.
        """
        self._input, self._events = b"", None
        self._waiting.clear()
        connectionFailed(self.transport)

    def _waitForTurn(self) -> None:
        """
        Leave input and requests for another turn, and read nothing meanwhile.
        """
        if not self._isWaiting:
            self._isWaiting = True
            self.transport.pauseProducing()
            self.site.turns.later(self._goOn)

    def _goOn(self) -> None:
        """
        Deal with what has waited for this turn.
        """
        self._isWaiting = False
        if self._isOver:
            return
        self.transport.resumeProducing()
        self._work()
        if not self._isOver:
            self._measure(0)

    def _happened(self, event: Received | None) -> None:
        if isinstance(event, RequestBegun):
            self._begin(event)
        elif isinstance(event, DataReceived):
            self._take(event)
        elif isinstance(event, StreamEnded):
            self._complete(self.streams.get(event.stream_id or 0))
        elif isinstance(event, StreamReset):
            self._wasReset(self.streams.get(event.stream_id or 0))
        elif isinstance(event, StreamFault):
            self._fault(event)
        elif isinstance(event, WindowUpdated):
            self._opened(event.stream_id or 0)
        elif isinstance(event, Goodbye):
            self._saidGoodbye(event)

    def _begin(self, event: RequestBegun) -> None:
        head = event.head
        refusal = refusalOf(head, self.site.maxLine)
        if refusal is not None:
            head = head.short()
        stream = self.streams[event.ident] = HTTP2Stream(self, event.ident)
        stream.begun(head, event.isEmpty, refusal)
        if not event.isEmpty:
            stream.due = self.site.seconds() + BODY_TIME
            self.site.wheel.setBy(self, stream.due)
        if stream.isExpecting:
            # RFC 9110 10.1.1
            self.sendHead(stream, b"100", ())

    def _take(self, event: DataReceived) -> None:
        """
        Give a stream a part of its request's body.
        """
        ident = event.stream_id or 0
        stream = self.streams.get(ident)
        if stream is not None:
            data = event.data or b""
            stream.received(data)
            stream.due = extended(stream.due, self.site.seconds(), len(data))
            most = self.site.maxBody
            kept = sum(each.taken for each in self.streams.values() if each.taken <= most)
            if stream.length is not None and stream.arrived > stream.length:
                # RFC 9113 8.1.1
                reason = f"more than the {stream.length} bytes that are declared"
                self._fault(StreamFault(ident, ErrorCodes.PROTOCOL_ERROR, reason))
            elif kept > most * MAX_BODIES:
                # RFC 9113 8.7: the request was not processed, and may be
                # repeated.
                self.reset(stream, ErrorCodes.REFUSED_STREAM)
        if not self._isOver:
            self._states.acknowledge_received_data(event.flow_controlled_length or 0, ident)

    def _complete(self, stream: HTTP2Stream | None) -> None:
        """
        All of a request has arrived: it waits for its turn.
        """
        if stream is None:
            return
        if stream.length is not None and stream.arrived < stream.length:
            # RFC 9113 8.1.1
            reason = f"{stream.arrived} bytes, {stream.length} are declared"
            self._fault(StreamFault(stream.ident, ErrorCodes.PROTOCOL_ERROR, reason))
            return
        stream.isComplete = True
        self._waiting[stream] = None

    def _serveNext(self) -> None:
        """
        Begin the request that has waited longest.
        """
        stream = next(iter(self._waiting))
        del self._waiting[stream]
        stream.serve()

    def _saidGoodbye(self, event: Goodbye) -> None:
        """
        The client begins no more streams.  RFC 9113 6.8 lets it wait for its
        responses.
        """
        if event.code == ErrorCodes.NO_ERROR:
            self._isDraining = True
        else:
            self._close(ErrorCodes.NO_ERROR)

    def _fault(self, fault: StreamFault) -> None:
        """
        Reset a stream by the client's fault.
        """
        self._log.debug(
            "resetting stream {stream} of {peer}: {reason}",
            stream=fault.ident,
            peer=self.transport.getPeer(),
            reason=fault.reason,
        )
        stream = self.streams.get(fault.ident)
        if stream is not None:
            self.reset(stream, fault.code)
        else:
            self._states.reset_stream(fault.ident, fault.code)
        self._spendReset()

    def _spendReset(self) -> None:
        """
        Count a stream that ends by the client's doing, and close the connection
        if there are too many: the work for them may be lost.
        """
        self._resets.fill(self.site.clock.seconds())
        if not self._resets.spend(1):
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
        if not ident:
            self._sender.opened(self.streams.values())
        elif ident in self.streams:
            self._sender.opened((self.streams[ident],))

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
            self._sender.sendHead(stream.ident, status, headers)
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
            self._sender.add(stream)
            self._flush()

    def finished(self, stream: HTTP2Stream) -> None:
        """
        All of a response was written to its stream.
        """
        if stream.ident in self.streams:
            self._sender.finished(stream)
            self._flush()

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
            self._states.reset_stream(stream.ident, code)
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
        self._waiting.pop(stream, None)
        self._sender.forget(stream)
        stream.gone(reason)

    def _flush(self) -> None:
        """
        Send what the windows and the transport allow.  Requests that wait have a
        turn then, if the client has taken enough.
        """
        if self._isBusy or self._isOver:
            return
        sender = self._sender
        self._isBusy = True
        try:
            sender.sendAll(self._wasTaken)
        except Exception:
            self._failed()
        finally:
            self._isBusy = False
        if not self._isOver:
            sender.push()
            if sender.owed or self._timeouts.responses != math.inf:
                self._timeouts.watchTaking(sender)
                self._watch()
            if self._hasInput or (self._waiting and not sender.isBehind):
                self._waitForTurn()
            elif self._isDraining and not self.streams:
                self._close(ErrorCodes.NO_ERROR)

    def _wasTaken(self, stream: HTTP2Stream) -> None:
        """
        A frame of a response is sent.
        """
        self.resetTimeout()
        if stream.unsent:
            return
        if stream.isFinished:
            if not stream.isComplete:
                # RFC 9113 8.1: the rest of the request is not needed.  It may have
                # come, and only wait for its turn: then nothing is left to reset.
                with suppress(StreamClosedError):
                    self._states.reset_stream(stream.ident, ErrorCodes.NO_ERROR)
            self._forget(stream, None)
        else:
            stream.drained()

    def _push(self) -> None:
        """
        Write the frames that are made.
        """
        if not self._isOver:
            self._sender.push()

    def pauseProducing(self) -> None:
        """
        The transport is above its high-water mark.
        """
        self._sender.pause()

    def resumeProducing(self) -> None:
        """
        The transport has sent all data.
        """
        self._sender.resume()
        self._flush()

    def stopProducing(self) -> None:
        """
        The connection is lost, as L{connectionLost} will say.
        """
