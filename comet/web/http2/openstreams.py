"""
The open streams of one connection of HTTP/2: what is done with the frames for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from h2.errors import ErrorCodes
from h2.events import DataReceived
from h2.exceptions import ProtocolError, StreamClosedError
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from comet.http.pace import BODY_TIME, extended
from comet.logging.clientlog import ClientLogger
from comet.web.http2.budgets import MAX_RESETS, RESETS_PER_SECOND, Budget
from comet.web.http2.connectionstates import ConnectionStates
from comet.web.http2.fields import refusalOf
from comet.web.http2.framereceiver import RequestBegun, StreamFault
from comet.web.http2.frames import ConnectionFault
from comet.web.http2.framesender import FrameSender
from comet.web.http2.http2stream import HTTP2Stream, StreamCarrier

# Bodies of the largest size that may be kept while they arrive.
MAX_BODIES: Final = 4


class OpenStreams:
    """
    Begins the streams of one client, gives them what comes, and ends them.  It makes
    frames, and leaves it to its connection to write them.

    @ivar waiting: The streams with complete requests that are not begun yet, in the
        order of their ends.
    """

    __slots__ = ("_isOver", "_resets", "_sender", "_site", "_states", "_streams", "waiting")

    _log = ClientLogger()

    def __init__(
        self,
        streams: dict[int, HTTP2Stream],
        site: Any,
        states: ConnectionStates,
        sender: FrameSender,
    ) -> None:
        """
        @param streams: The open streams, by their numbers, which only this object changes.

        @param site: A L{CometSite<comet.web.site.CometSite>}.

        @param states: What h2 keeps of the connection.

        @param sender: Sends the frames of the streams.
        """
        self._streams = streams
        self._site = site
        self._states = states
        self._sender = sender
        self._resets = Budget(MAX_RESETS, RESETS_PER_SECOND, site.clock.seconds())
        self._isOver = False
        self.waiting: dict[HTTP2Stream, None] = {}

    @property
    def isServing(self) -> bool:
        """
        Whether the client waits for the response to a request that was begun.
        """
        streams = self._streams.values()
        served = [each for each in streams if each.isComplete and not each.isFinished]
        return len(served) > len(self.waiting)

    # -- What comes

    def begin(self, event: RequestBegun, carrier: StreamCarrier) -> HTTP2Stream:
        """
        Begin a stream.

        @param carrier: The connection of the stream.
        """
        head = event.head
        refusal = refusalOf(head, self._site.maxLine)
        if refusal is not None:
            head = head.short()
        stream = self._streams[event.ident] = HTTP2Stream(carrier, event.ident)
        stream.begun(head, event.isEmpty, refusal)
        if not event.isEmpty:
            stream.due = self._site.seconds() + BODY_TIME
        return stream

    def take(self, event: DataReceived, carrier: StreamCarrier) -> None:
        """
        Give a stream a part of its request's body.

        @raise ConnectionFault: If the client has had too many streams reset.
        """
        ident = event.stream_id or 0
        stream = self._streams.get(ident)
        if stream is not None:
            data = event.data or b""
            stream.received(data)
            stream.due = extended(stream.due, self._site.seconds(), len(data))
            most = self._site.maxBody
            kept = sum(each.taken for each in self._streams.values() if each.taken <= most)
            if stream.length is not None and stream.arrived > stream.length:
                # RFC 9113 8.1.1
                reason = f"more than the {stream.length} bytes that are declared"
                self.fault(StreamFault(ident, ErrorCodes.PROTOCOL_ERROR, reason), carrier)
            elif kept > most * MAX_BODIES:
                # RFC 9113 8.7: the request was not processed, and may be
                # repeated.
                self.reset(stream, ErrorCodes.REFUSED_STREAM)
        if not self._isOver:
            self._states.acknowledge_received_data(event.flow_controlled_length or 0, ident)

    def complete(self, ident: int, carrier: StreamCarrier) -> None:
        """
        All of a request has arrived: it waits for its turn.

        @raise ConnectionFault: If the client has had too many streams reset.
        """
        stream = self._streams.get(ident)
        if stream is None:
            return
        if stream.length is not None and stream.arrived < stream.length:
            # RFC 9113 8.1.1
            reason = f"{stream.arrived} bytes, {stream.length} are declared"
            self.fault(StreamFault(ident, ErrorCodes.PROTOCOL_ERROR, reason), carrier)
            return
        stream.isComplete = True
        self.waiting[stream] = None

    def serveNext(self) -> None:
        """
        Begin the request that has waited longest.
        """
        stream = next(iter(self.waiting))
        del self.waiting[stream]
        stream.serve()

    # -- What goes

    def sendHead(
        self,
        stream: HTTP2Stream,
        status: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        carrier: StreamCarrier,
    ) -> bool:
        """
        Make the head of a response.  Reset the stream if it cannot be sent.

        @return: Whether it is made.
        """
        try:
            self._sender.sendHead(stream.ident, status, headers)
        except StreamClosedError:
            # The client has reset the stream; the event is still to be dealt
            # with.
            return False
        except (ProtocolError, ValueError):
            failure = Failure()
            if self.reset(stream, ErrorCodes.INTERNAL_ERROR):
                # The response is at fault, and not a client that has reset the
                # stream.
                self._log.failure(
                    "the response on stream {stream} to {peer} cannot be sent over HTTP/2",
                    failure,
                    stream=stream.ident,
                    peer=carrier.transport.getPeer(),
                )
            return False
        return True

    # -- How they end

    def fault(self, fault: StreamFault, carrier: StreamCarrier) -> None:
        """
        Reset a stream by the client's fault.

        @raise ConnectionFault: If the client has had too many streams reset.
        """
        self._log.debug(
            "resetting stream {stream} of {peer}: {reason}",
            stream=fault.ident,
            peer=carrier.transport.getPeer(),
            reason=fault.reason,
        )
        stream = self._streams.get(fault.ident)
        if stream is not None:
            self.reset(stream, fault.code)
        else:
            self._states.reset_stream(fault.ident, fault.code)
        self._spendReset()

    def wasReset(self, ident: int) -> None:
        """
        The client has reset a stream.

        @raise ConnectionFault: If it has reset too many.
        """
        self._spendReset()
        stream = self._streams.get(ident)
        if stream is not None:
            self.forget(stream, Failure(ConnectionLost("the client has reset the stream")))

    def _spendReset(self) -> None:
        """
        Count a stream that ends by the client's doing, and end the connection if there
        are too many: the work for them may be lost.
        """
        self._resets.fill(self._site.clock.seconds())
        if not self._resets.spend(1):
            raise ConnectionFault(ErrorCodes.ENHANCE_YOUR_CALM, "too many streams were reset")

    def reset(self, stream: HTTP2Stream, code: ErrorCodes) -> bool:
        """
        Give up a stream.

        @param code: The code for the client.

        @return: False if the client had given it up before.
        """
        if stream.ident not in self._streams:
            return False
        isTold = True
        try:
            self._states.reset_stream(stream.ident, code)
        except ProtocolError:
            isTold = False
        self.forget(stream, Failure(ConnectionDone()))
        return isTold

    def stopRequest(self, stream: HTTP2Stream) -> None:
        """
        Have the client send no more of a request: all of its response is sent.
        """
        # RFC 9113 8.1: the rest of the request is not needed.  It may have come, and
        # only wait for its turn: then nothing is left to reset.
        with suppress(StreamClosedError):
            self._states.reset_stream(stream.ident, ErrorCodes.NO_ERROR)

    def forget(self, stream: HTTP2Stream, reason: Failure | None) -> None:
        """
        A stream is over.

        @param reason: Why, or L{None} if the response was sent.
        """
        del self._streams[stream.ident]
        self.waiting.pop(stream, None)
        self._sender.forget(stream)
        stream.gone(reason)

    def abandon(self, reason: Failure) -> None:
        """
        Give up all streams: the connection is over.
        """
        self._isOver = True
        streams = list(self._streams.values())
        # Others look at the same dictionary.
        self._streams.clear()
        self._sender.close(streams)
        self.waiting.clear()
        for stream in streams:
            stream.gone(reason)
