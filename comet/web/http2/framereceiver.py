"""
What comes from a client of HTTP/2: its frames, as events.

Faults that RFC 9113 has end one stream, and frames for streams that are over, are
found here.  h2 gets the frames that it takes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from attrs import frozen
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

from comet.web.heads import MAX_FIELDS, MAX_FIELDS_SIZE
from comet.web.http2.budgets import (
    FRAMES_PER_RECEIVED,
    FRAMES_PER_SECOND,
    MAX_FRAMES,
    Budget,
    costOf,
)
from comet.web.http2.connectionstates import MAX_STREAMS, ConnectionStates
from comet.web.http2.fields import Malformed, RequestHead, checkTrailers, readRequest
from comet.web.http2.frames import ConnectionFault, Frame, FrameReader, Kind

# RFC 9113 6.5.2: bytes that the fields of one block may have, beside the URL: each
# counts for 32 more than it has.
FIELDS_SIZE: Final = MAX_FIELDS_SIZE + 32 * MAX_FIELDS

# The same with the URL, however many channels it may name.  h2 takes at most 64
# frames for a block.
MOST_FIELDS: Final = 524288

# How many bytes of a body one event has at most.  A frame may have hundreds of lines of a
# batch, and to read them all takes longer than the share of a client.
BODY_PIECE: Final = 2048


@frozen
class RequestBegun:
    """
    The head of a request has arrived.

    @ivar ident: The number of its stream.

    @ivar head: The head.

    @ivar isEmpty: Whether the request has no body.
    """

    ident: int
    head: RequestHead
    isEmpty: bool


@frozen
class StreamFault:
    """
    A fault of the client's, by which its stream is reset, RFC 9113 5.4.2.

    @ivar ident: The number of the stream.

    @ivar code: The code for the client.

    @ivar reason: What was wrong, for the log.
    """

    ident: int
    code: ErrorCodes
    reason: str


@frozen
class Goodbye:
    """
    The client begins no more streams.

    @ivar code: Why: it has found an error, or has enough, which is
        C{NO_ERROR}.
    """

    code: int


Received = (
    RequestBegun | StreamFault | Goodbye | DataReceived | StreamEnded | StreamReset | WindowUpdated
)


class FrameReceiver:
    """
    Reads the frames of one client.

    @ivar states: What h2 keeps of the connection.

    @ivar budget: How many frames that carry nothing the client may still send.
    """

    __slots__ = ("_frames", "_streams", "_unended", "budget", "states")

    def __init__(self, maxLine: int, streams: Collection[int], now: float) -> None:
        """
        @param maxLine: How many bytes the first line of a request may have, if
            it were one of HTTP/1.

        @param streams: The numbers of the open streams, which the caller keeps.

        @param now: The time, in seconds.
        """
        # What the settings tell the client.
        mostFields = min(maxLine + FIELDS_SIZE, MOST_FIELDS)
        self.states = ConnectionStates(mostFields)
        self.budget = Budget(MAX_FRAMES, FRAMES_PER_SECOND, now)
        self._frames = FrameReader(2 * mostFields)
        self._streams = streams
        # The stream whose trailers do not end it.
        self._unended = 0

    @property
    def isWithin(self) -> bool:
        """
        Whether a frame or a field block has begun, and is not whole.
        """
        return self._frames.isWithin

    def feed(self, data: bytes, now: float) -> Iterator[Received | None]:
        """
        Yield what the frames that end in this data say.  Each event is to be dealt
        with before the next is taken.  Of a frame that says nothing to the caller,
        yield L{None}: it took time, too.

        @param now: The time, in seconds.

        @raise ConnectionFault: At the first frame that ends the connection.

        @raise ProtocolError: At such a frame, if h2 has found the fault, and has
            made the last frame for the client.
        """
        self.budget.fill(now)
        for frame in self._frames.feed(data):
            events = self._receive(frame)
            if not events:
                yield None
            for event in events:
                read = self._read(event)
                if isinstance(read, DataReceived):
                    yield from _inPieces(read)
                else:
                    yield read

    def _receive(self, frame: Frame) -> Sequence[Received | Event]:
        """
        Deal with one frame.

        @return: What it says: where h2 has read it, in h2's events.
        """
        ident, kind, fault = frame.ident, frame.kind, frame.fault
        isKnown = ident % 2 == 1 and ident <= self.states.highest_inbound_stream_id
        isOver = isKnown and ident not in self._streams
        self._account(frame, isOver)
        if not isKnown and (fault is not None or (kind == Kind.RST_STREAM and ident)):
            # RFC 9113 5.1: no stream can be reset that was never open.
            raise ConnectionFault(
                fault or ErrorCodes.PROTOCOL_ERROR,
                f"{frame.name} is at fault, or cannot come, on stream {ident} that is not open",
            )
        if fault is not None:
            if kind == Kind.DATA:
                self._discard(frame.size)
            reason = f"{frame.name} with {frame.size} bytes"
            return () if isOver else (StreamFault(ident, fault, reason),)
        if kind is None or kind == Kind.PRIORITY:
            # RFC 9113 5.3.2 and 5.5: servers may, and must, ignore them.
            return ()
        if kind == Kind.GOAWAY:
            # h2 is not told, since it would send nothing more.
            return (Goodbye(int.from_bytes(frame.body[4:8], "big")),)
        if kind == Kind.HEADERS and isKnown and not frame.isEnd:
            # RFC 9113 8.1: such trailers make the request malformed.  h2 would
            # end the connection.
            self._unended = ident
            frame.end()
        return self.states.receive_data(frame.encode())

    def _account(self, frame: Frame, isOver: bool) -> None:
        """
        Charge the client for a frame that carries nothing.

        @param isOver: Whether its stream is over: such a frame is late, or
            means nothing.
        """
        cost = costOf(frame) or int(isOver)
        if cost:
            if not self.budget.spend(cost):
                raise ConnectionFault(
                    ErrorCodes.ENHANCE_YOUR_CALM,
                    f"too many frames that carry nothing, the last was {frame.name}",
                )
        elif frame.kind == Kind.DATA and frame.hasData:
            self.budget.earn(FRAMES_PER_RECEIVED)

    def _discard(self, size: int) -> None:
        """
        Account for DATA that h2 does not get.
        """
        if size > self.states.inbound_flow_control_window:
            raise ConnectionFault(
                ErrorCodes.FLOW_CONTROL_ERROR, f"DATA of {size} bytes is more than the window"
            )
        self.states.giveBack(size)

    def _read(self, event: Received | Event) -> Received | None:
        """
        Replace an event of h2's that tells too little.

        @return: None if there is nothing to do for the caller.
        """
        if isinstance(event, RequestReceived):
            return self._begin(event.stream_id or 0, event.stream_ended is not None)
        if isinstance(event, TrailersReceived):
            return self._end(event.stream_id or 0)
        if isinstance(event, RemoteSettingsChanged):
            self.states.boundTable()
            # RFC 9113 6.9.2: new settings may open the windows of all streams.
            return WindowUpdated(stream_id=0, delta=0)
        return event if isinstance(event, Received) else None

    def _begin(self, ident: int, isEmpty: bool) -> Received:
        """
        Read the head of a request.
        """
        fields = self.states.fields.take()
        if len(self._streams) >= MAX_STREAMS:
            # RFC 9113 8.7: the client may send the request again.
            reason = f"{MAX_STREAMS} streams are open"
            return StreamFault(ident, ErrorCodes.REFUSED_STREAM, reason)
        try:
            head = readRequest(fields)
            if isEmpty and head.length:
                # RFC 9113 8.1.1
                raise Malformed(f"no body, {head.length} bytes are declared")
        except Malformed as error:
            return StreamFault(ident, ErrorCodes.PROTOCOL_ERROR, str(error))
        return RequestBegun(ident, head, isEmpty)

    def _end(self, ident: int) -> StreamFault | None:
        """
        Check the trailers of a request.
        """
        fields = self.states.fields.take()
        if ident not in self._streams:
            return None
        try:
            if self._unended == ident:
                raise Malformed("trailers that do not end the stream")
            checkTrailers(fields)
        except Malformed as error:
            return StreamFault(ident, ErrorCodes.PROTOCOL_ERROR, str(error))
        return None


def _inPieces(event: DataReceived) -> Iterator[DataReceived]:
    """
    Tell of a large frame of a body as if it were several.  What it takes of the window beside
    its data, its padding, is told with the last.
    """
    ident, data, left = event.stream_id, event.data or b"", event.flow_controlled_length or 0
    while len(data) > BODY_PIECE:
        piece, data = data[:BODY_PIECE], data[BODY_PIECE:]
        yield DataReceived(stream_id=ident, data=piece, flow_controlled_length=BODY_PIECE)
        left -= BODY_PIECE
    yield DataReceived(stream_id=ident, data=data, flow_controlled_length=left)
