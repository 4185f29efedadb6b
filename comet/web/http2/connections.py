"""
One connection of HTTP/2: its life, its turns, and when it writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from h2.errors import ErrorCodes
from h2.events import DataReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol as BaseProtocol
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.logging.clientlog import ClientLogger
from comet.reactor.clientpace import ClientPace
from comet.reactor.returning import RETURNING
from comet.reactor.timers import NOT_SET
from comet.transports.connected import connectionFailed
from comet.transports.sinks import tune
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
from comet.web.http2.openstreams import OpenStreams
from comet.web.http2.pendinginput import PendingInput
from comet.web.http2.timeouts import Timeouts

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
        self._sender = FrameSender(self._states, self._receiver.budget, site.unsent, site.turns)
        self._open = OpenStreams(self.streams, site, self._states, self._sender)
        self._input = PendingInput(self._receiver, site)
        # Whether input and requests wait for another turn.
        self._isWaiting = False
        self._pace = ClientPace(site.turns)
        # Whether a request was answered.
        self._hasAnswered = False
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
        if self._open.isServing:
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
        self._input.clear()
        self._open.abandon(reason)

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
        self._input.data += data
        # RFC 7541: requests take less room than in HTTP/1.
        size = 4 * len(data)
        self._pace.size += size
        if not self._isWaiting:
            if self.site.turns.mustWait(size):
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
        # Those that are there come before those that come and go.
        RETURNING.set(self.transport, isWithin or not self._hasAnswered)
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
        timeouts = self._timeouts
        if timeouts.isFrameLate:
            self._close(ErrorCodes.NO_ERROR)
            return
        for fault in timeouts.late(self.streams, self._sender):
            self._resetFor(fault)
            if self._isOver:
                return
        due = timeouts.nextOf(self.streams)
        if due != math.inf:
            self.site.wheel.set(self, due - self.site.seconds())

    def _resetFor(self, fault: StreamFault) -> None:
        """
        Reset a stream that is too slow.
        """
        try:
            self._open.fault(fault, self)
        except ConnectionFault as error:
            self._close(error.code)
        else:
            self._flush()

    def _work(self) -> None:
        """
        Deal with input and requests that wait, for a share of time.
        """
        turns = self.site.turns
        begun: float = turns.seconds()
        over = begun + turns.share
        self._isBusy = True
        try:
            self._input.read(self._happened, over)
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
        begun = self._pace.worked(begun, isDone=False)
        self._flush()
        isLeft = self._isWaiting or self._open.waiting or self._receiver.isWithin
        self._pace.worked(begun, not isLeft)

    def _serve(self, over: float) -> None:
        """
        Begin requests until the share is over.  None is begun while there may be
        frames behind it: one of them may reset the stream.
        """
        sender, seconds = self._sender, self.site.turns.seconds
        waiting, pending = self._open.waiting, self._input
        self._isBusy = True
        try:
            while waiting and not pending.isLeft and seconds() < over:
                if sender.isBehind:
                    sender.sendAll(self._wasTaken)
                    if sender.isBehind:
                        return
                self._open.serveNext()
        except Exception:
            self._failed()
        finally:
            self._isBusy = False

    def _failed(self) -> None:
        """
        Cut the connection, and deal with nothing that has come: the exception being
        handled was raised.
        """
        self._input.clear()
        self._open.waiting.clear()
        connectionFailed(self.transport)

    def _waitForTurn(self) -> None:
        """
        Leave input and requests for another turn, and read nothing meanwhile.
        """
        if not self._isWaiting:
            self._isWaiting = True
            self.transport.pauseProducing()
            isLight = self._hasAnswered and self._pace.isLight
            self.site.turns.later(self._goOn, isLight)

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
            stream = self._open.begin(event, self)
            if not event.isEmpty:
                self._await(stream)
        elif isinstance(event, DataReceived):
            self._open.take(event, self)
        elif isinstance(event, StreamEnded):
            self._open.complete(event.stream_id or 0, self)
        elif isinstance(event, StreamReset):
            self._open.wasReset(event.stream_id or 0)
        elif isinstance(event, StreamFault):
            self._open.fault(event, self)
        elif isinstance(event, WindowUpdated):
            self._opened(event.stream_id or 0)
        elif isinstance(event, Goodbye):
            self._saidGoodbye(event)

    def _await(self, stream: HTTP2Stream) -> None:
        """
        Await the body of a request.
        """
        self.site.wheel.setBy(self, stream.due)
        if stream.isExpecting:
            # RFC 9110 10.1.1
            self.sendHead(stream, b"100", ())

    def _saidGoodbye(self, event: Goodbye) -> None:
        """
        The client begins no more streams.  RFC 9113 6.8 lets it wait for its
        responses.
        """
        if event.code == ErrorCodes.NO_ERROR:
            self._isDraining = True
        else:
            self._close(ErrorCodes.NO_ERROR)

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
        if not self._hasAnswered:
            self._hasAnswered = True
            RETURNING.set(self.transport, self._receiver.isWithin)
        if self._open.sendHead(stream, status, headers, self):
            self._sender.push()
        else:
            self._flush()

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
        isTold = self._open.reset(stream, code)
        self._flush()
        return isTold

    def _flush(self) -> None:
        """
        Send what the windows and the transport allow, for a share of time.  Requests that
        wait have a turn then, if the client has taken enough.
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
            isServed = self._open.waiting and not sender.isBehind
            if sender.isLeft or self._input.isLeft or isServed:
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
                self._open.stopRequest(stream)
            self._open.forget(stream, None)
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
