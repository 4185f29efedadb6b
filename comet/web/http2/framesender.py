"""
What goes to a client of HTTP/2: the frames of its streams, in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from comet.fanout.unsent import Unsent
from comet.http.http1 import checkHeader
from comet.reactor.turns import Turns
from comet.transports.unread import unreadBelow
from comet.web.http2.budgets import FRAMES_PER_BYTE, FRAMES_PER_SENT, Budget
from comet.web.http2.connectionstates import ConnectionStates
from comet.web.http2.http2stream import HTTP2Stream

# Bytes of finished responses that may wait for the client before no other
# request is begun.
MAX_UNSENT: Final = 1048576

# Bytes of frames other than bodies that may wait for a client that does not
# read, before its connection is cut.
MAX_UNSENT_FRAMES: Final = 262144


class FrameSender:
    """
    Sends to one client as much as its windows and the transport allow.

    @ivar transport: The transport of the connection, once there is one.

    @ivar owed: How many bytes of finished responses wait for the client.
    """

    # Any: endpoints make more than ITransport says.
    transport: Any

    __slots__ = (
        "_budget",
        "_isFull",
        "_late",
        "_ready",
        "_sent",
        "_states",
        "_turns",
        "_unsent",
        "owed",
        "transport",
    )

    def __init__(
        self, states: ConnectionStates, budget: Budget, unsent: Unsent, turns: Turns
    ) -> None:
        """
        @param states: What h2 keeps of the connection.

        @param budget: What the client earns by taking the frames of responses.

        @param unsent: Counts what waits for all clients.

        @param turns: Tells for how long to send at once.
        """
        self._turns = turns
        self._states = states
        self._budget = budget
        self._unsent = unsent
        # Streams that have something to send, in the order of their turns.
        self._ready: dict[HTTP2Stream, None] = {}
        self.owed = 0
        # How many bytes of responses the transport was given.
        self._sent = 0
        self._isFull = False
        # Bytes that were written since the transport is full.
        self._late = 0

    @property
    def isLeft(self) -> bool:
        """
        Whether there is more to send that neither a window nor the transport holds back,
        as there was no time for it.
        """
        return not self._isFull and len(self._ready) > 0

    @property
    def isBehind(self) -> bool:
        """
        Whether the client should take some responses before it gets others.
        """
        return self.owed > MAX_UNSENT

    def countTaken(self) -> int:
        """
        Return how many bytes of responses the client's system has had so far.  Only
        how this changes says something: other frames wait for the client, too.
        """
        return self._sent - unreadBelow(self.transport)

    def add(self, stream: HTTP2Stream) -> None:
        """
        A stream has something to send.
        """
        self._ready[stream] = None

    def opened(self, streams: Iterable[HTTP2Stream]) -> None:
        """
        The client has opened the windows of some streams.
        """
        for stream in streams:
            if stream.unsent:
                self._ready[stream] = None

    def finished(self, stream: HTTP2Stream) -> None:
        """
        All of a response was written to its stream.
        """
        self.owed += stream.unsent
        for piece in stream.pieces:
            self._unsent.keep(piece)
        self._ready[stream] = None

    def forget(self, stream: HTTP2Stream) -> None:
        """
        A stream is over.
        """
        self._ready.pop(stream, None)
        if stream.isFinished:
            self.owed -= stream.unsent
            for piece in stream.pieces:
                self._unsent.drop(piece)

    def close(self, streams: Iterable[HTTP2Stream]) -> None:
        """
        Send nothing more of any stream.

        @param streams: Those that are not over.
        """
        for stream in streams:
            self.forget(stream)

    def sendHead(self, ident: int, status: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """
        Make the head of a response.

        @raise ValueError: If a header has a bad name or value.

        @raise ProtocolError: If the head cannot be sent now.
        """
        # Before the first is encoded: what the encoder has added to its table
        # must be sent, or the client can read no other response.
        for name, value in headers:
            checkHeader(name, value)
        self._states.send_headers(ident, [(b":status", status), *headers])

    def sendAll(self, taken: Callable[[HTTP2Stream], None]) -> None:
        """
        Send until the windows or the transport allow no more, or the share of this turn is
        over.

        @param taken: Called with the stream of each frame that was sent.
        """
        turns = self._turns
        begun: float | None = None
        while self._ready and not self._isFull:
            stream = self._sendOne()
            if stream is not None:
                taken(stream)
            # Most have one frame to send: for these no clock is needed.
            if self._ready:
                now = turns.seconds()
                if begun is None:
                    begun = now
                elif now >= begun + turns.share:
                    break
        if begun is not None:
            turns.spend(begun)

    def _sendOne(self) -> HTTP2Stream | None:
        """
        Send one frame of the stream that is next.

        @return: The stream, or L{None} if its window is shut: it is ready again
            when the client opens the window.
        """
        stream = next(iter(self._ready))
        del self._ready[stream]
        states, ident, size = self._states, stream.ident, 0
        if stream.unsent:
            size = min(states.local_flow_control_window(ident), states.max_outbound_frame_size)
            if size <= 0:
                return None
            piece, count = next(iter(stream.pieces)), len(stream.pieces)
            data = stream.take(size)
            size = len(data)
            if stream.isFinished:
                self.owed -= size
                if len(stream.pieces) < count:
                    self._unsent.drop(piece)
            isEnd = stream.isFinished and not stream.unsent
            states.send_data(ident, data, end_stream=isEnd)
            self._sent += size
        elif stream.isFinished:
            states.end_stream(ident)
        self._budget.earn(FRAMES_PER_SENT + size * FRAMES_PER_BYTE)
        self.push()
        if stream.unsent:
            self._ready[stream] = None
        return stream

    def push(self) -> None:
        """
        Write the frames that are made.
        """
        data = self._states.takeFrames()
        if not data:
            return
        if self._isFull:
            self._late += len(data)
            if self._late > MAX_UNSENT_FRAMES:
                self.transport.abortConnection()
                return
        self.transport.write(data)

    def pause(self) -> None:
        """
        The transport is above its high-water mark.
        """
        self._isFull = True

    def resume(self) -> None:
        """
        The transport has sent all data.
        """
        self._isFull = False
        self._late = 0
