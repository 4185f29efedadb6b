"""
What has come from a client of HTTP/2 and waits to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from comet.web.http2.framereceiver import FrameReceiver, Received


class PendingInput:
    """
    The input of one client, which is read for a share of time in each turn: see
    L{comet.reactor.turns}.

    @ivar data: What no frame is read of.  The owner adds to it.
    """

    __slots__ = ("_events", "_receiver", "_site", "data")

    def __init__(self, receiver: FrameReceiver, site: Any) -> None:
        """
        @param receiver: Reads the frames.

        @param site: A L{CometSite<comet.web.site.CometSite>}.
        """
        self._receiver = receiver
        self._site = site
        self.data = b""
        # The events of what is being read.
        self._events: Iterator[Received | None] | None = None

    @property
    def isLeft(self) -> bool:
        """
        Whether there is any.
        """
        return self._events is not None or bool(self.data)

    def read(self, happened: Callable[[Received | None], None], over: float) -> None:
        """
        Read frames until the share is over.

        @param happened: Called with each event.  It may call L{clear}.

        @param over: When that is.

        @raise ConnectionFault: See L{FrameReceiver.feed}.

        @raise ProtocolError: See L{FrameReceiver.feed}.
        """
        seconds = self._site.turns.seconds
        while self.isLeft:
            if self._events is None:
                data, self.data = self.data, b""
                self._events = self._receiver.feed(data, self._site.clock.seconds())
            for event in self._events:
                happened(event)
                if self._events is None or seconds() >= over:
                    return
            self._events = None

    def clear(self) -> None:
        """
        Read nothing any more.
        """
        self.data, self._events = b"", None
