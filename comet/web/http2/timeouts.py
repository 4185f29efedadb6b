"""
What a client of HTTP/2 has time for: to send the rest of a frame or a field block,
and of the body of each request, and to take the responses that are finished.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from h2.errors import ErrorCodes

from comet.http.pace import HEAD_TIME, UNSENT_TIMEOUT, extended
from comet.web.http2.framereceiver import StreamFault
from comet.web.http2.framesender import FrameSender
from comet.web.http2.http2stream import HTTP2Stream

# The timer wheel may call this much early, in seconds.
EARLY: Final = 0.01


class Timeouts:
    """
    The deadlines of one connection, which sets its timer by them.

    @ivar frame: When the frame or the field block that comes has to go on; infinite
        while none does.

    @ivar responses: When the client has to have taken more of finished responses;
        infinite while none waits.
    """

    __slots__ = ("_seconds", "_taken", "frame", "responses")

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: Tells the time of the timer's clock.
        """
        self._seconds = seconds
        self.frame = self.responses = math.inf
        # What the client had taken when that was last looked at.
        self._taken = 0

    @property
    def next(self) -> float:
        """
        The deadline that comes first.
        """
        return min(self.frame, self.responses)

    def received(self, size: int, isWithin: bool) -> None:
        """
        Give the client time for the rest of a frame, or a field block.

        @param size: How many bytes came last.

        @param isWithin: Whether they end within one.
        """
        if not isWithin:
            self.frame = math.inf
            return
        now = self._seconds()
        isBegun = self.frame != math.inf
        self.frame = extended(self.frame, now, size) if isBegun else now + HEAD_TIME

    def watchTaking(self, sender: FrameSender) -> None:
        """
        Give the client time for the finished responses that wait for it, if there
        are any.
        """
        if not sender.owed:
            self.responses = math.inf
        elif self.responses == math.inf:
            self._taken = sender.countTaken()
            self.responses = self._seconds() + UNSENT_TIMEOUT

    @property
    def isFrameLate(self) -> bool:
        """
        Whether a frame or a field block comes too slowly.
        """
        return self.frame <= self._seconds() + EARLY

    def late(
        self, streams: Mapping[int, HTTP2Stream], sender: FrameSender
    ) -> Iterator[StreamFault]:
        """
        Yield what is too slow: the bodies that come so, and the finished responses that
        are taken so.  Each is to be dealt with before the next is taken.

        @param streams: The open streams, by their numbers.
        """
        now = self._seconds()
        for stream in list(streams.values()):
            isAwaited = not (stream.isComplete or stream.isFinished)
            if isAwaited and stream.due <= now + EARLY:
                reason = "the body of its request comes too slowly"
                yield StreamFault(stream.ident, ErrorCodes.CANCEL, reason)
        if self._isTakingLate(now, sender):
            for stream in list(streams.values()):
                if stream.isFinished and stream.unsent:
                    reason = "its response is taken too slowly"
                    yield StreamFault(stream.ident, ErrorCodes.CANCEL, reason)

    def nextOf(self, streams: Mapping[int, HTTP2Stream]) -> float:
        """
        Return the deadline that comes first, those of the streams' bodies among them.
        """
        bodies = (each.due for each in streams.values() if not (each.isComplete or each.isFinished))
        return min(self.next, min(bodies, default=math.inf))

    def _isTakingLate(self, now: float, sender: FrameSender) -> bool:
        """
        Give the client more time for what it has taken of responses.

        @return: Whether it has taken them too slowly: it may keep the connection
            busy in other ways for any time.
        """
        if self.responses <= now + EARLY:
            before, self._taken = self._taken, sender.countTaken()
            taken = self._taken - before
            self.responses = extended(self.responses, now, taken, UNSENT_TIMEOUT)
        return self.responses <= now + EARLY
