"""
An HTTP connection whose input waits: behind the request under way, or for another
turn.
"""

from __future__ import annotations

from typing import Final

from comet.http.pace import UNSENT_TIMEOUT
from comet.interfaces.sockets import ClientSocket
from comet.lean.httpedge import HTTPEdge
from comet.lean.timed import TimedConnection
from comet.transports.detach import MAX_HELD_INPUT

# How many bytes of publications are read in one turn at most.
MOST_READ: Final = 65536


class BufferedConnection(TimedConnection):
    """
    A connection that keeps a bounded part of its input.

    Where the client has sent several requests, some of them wait for another turn:
    see L{comet.reactor.turns}.

    @ivar buffer: The input that is not answered.
    """

    __slots__ = ("_isAnswering", "_isWaiting", "_mayRead", "buffer")

    def __init__(self, edge: HTTPEdge, socket: ClientSocket, fd: int) -> None:
        super().__init__(edge, socket, fd)
        self.buffer = b""
        # Whether requests are begun just now: what answers one of them at once does
        # not begin the next.
        self._isAnswering = False
        # Whether the buffer waits for another turn.
        self._isWaiting = False
        # How many bytes may still be read in this turn.
        self._mayRead = 0

    # -- For subclasses

    @property
    def _isUnderWay(self) -> bool:
        """
        Whether any request is under way.
        """
        raise NotImplementedError

    def _takeInput(self) -> None:
        """
        Deal with what is in the buffer.
        """
        raise NotImplementedError

    # -- What waits

    def _boundInput(self) -> None:
        """
        Bound the input that is kept behind the request under way, or for another
        turn.
        """
        isKept = self._isUnderWay or self._isWaiting
        if isKept and len(self.buffer) > MAX_HELD_INPUT:
            self.pauseProducing()
            reader = self.reader
            if reader is not None and reader.isListening:
                # The client does not wait for a message, or has forgotten it; and that
                # it leaves would not be noticed.
                reader.hurry()

    def goOnLater(self) -> None:
        """
        Take the slow path after a response: the client has sent more requests,
        or has not taken the response.
        """
        if self.unsent:
            # The next request waits until the client has taken this response.
            self.pauseProducing()
            self._unread = self._countUnread()
            self._waitNoLonger(UNSENT_TIMEOUT)
            return
        self._readAgain()
        if self.buffer and not self._isAnswering:
            self._waitForTurn()

    def _readAgain(self) -> None:
        """
        Read again, unless enough input waits.
        """
        if self.isPaused and len(self.buffer) <= MAX_HELD_INPUT:
            self.resumeProducing()

    def _waitForTurn(self) -> None:
        """
        Leave the rest of the input for another turn.
        """
        if not self._isWaiting:
            self._isWaiting = True
            self.edge.hub.turns.later(self._goOn)

    def _goOn(self) -> None:
        """
        Answer input that has waited for this turn.
        """
        self._isWaiting = False
        if self.fd < 0:
            return
        self._mayRead = MOST_READ
        try:
            self._takeInput()
            if not self._isWaiting and not self.unsent and self.fd >= 0:
                self._readAgain()
        except Exception:
            self.edge.broken(self)
