"""
The response of a WSGI application, at the pace of its client.

What the client has not taken is kept, so that the thread of the application is free for
other requests.  Both what is kept of one response and of all together is bounded; beyond
that the thread waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from zope.interface import implementer

from comet.http.pace import UNSENT_TIMEOUT, extended
from comet.reactor.clocks import steadyClock
from comet.transports.unread import unreadBelow

# How many bytes of one response are kept before its application waits: most pages are
# smaller, and of a large file no more is made than that.
RESPONSE_BYTES: Final = 1024 * 1024

# How many bytes are kept of all responses together.
ALL_BYTES: Final = 64 * 1024 * 1024

# How many bytes are written at a time: what Twisted keeps before it says that the client
# is behind.
PIECE: Final = 65536

# A client that has less time left than this, in seconds, has none.
_EARLY: Final = 0.01


class Gone(Exception):
    """
    The client is gone, or the server stops: the application need not go on.
    """


class Room:
    """
    Counts what is kept of all responses of an application.

    @ivar kept: How many bytes there are.

    @ivar most: How many there may be before applications wait.

    @ivar changed: What the threads of all responses wait for: room that one leaves is
        room for another.
    """

    def __init__(self, most: int = ALL_BYTES) -> None:
        self.kept = 0
        self.most = most
        self.changed = threading.Condition()

    @property
    def isFull(self) -> bool:
        """
        Whether there is no more room.
        """
        return self.kept >= self.most


@implementer(IPushProducer)
class Pace:
    """
    Writes one response as its client takes it.  The connection of a client that takes too
    little is cut: what is kept for it would stay for any time.
    """

    def __init__(self, reactor: Any, request: Any, room: Room | None = None) -> None:
        """
        @param room: Counts what is kept of all responses.
        """
        self._clock = steadyClock(reactor)
        self._request = request
        self._room = Room() if room is None else room
        # Runs while the client is behind.
        self._timer: IDelayedCall | None = None
        # When the client has to have taken more, and what it had not taken when that
        # was last looked at.
        self._due = 0.0
        self._unread = 0
        # What the client has not taken, and how many bytes of the first are written.
        self._chunks: deque[bytes] = deque()
        self._offset = 0
        self._kept = 0
        # The thread of the application waits for a change of what follows, and of what
        # is kept.
        self._changed = self._room.changed
        self._isPaused = self._isFinished = self._isOver = False
        request.registerProducer(self, True)
        request.notifyFinish().addBoth(lambda _: self.stopProducing())

    # -- In the reactor's thread

    def write(self, data: bytes) -> None:
        """
        Write a part of the response, or keep it.
        """
        if self._isOver:
            return
        self._chunks.append(data)
        self._count(len(data))
        self._flush()

    def finish(self) -> None:
        """
        The response is complete: it ends once its client has taken it.
        """
        if not self._isOver:
            self._isFinished = True
            self._flush()

    def loseConnection(self) -> None:
        """
        The application has failed in the middle of its response: cut that short.
        """
        if not self._isOver:
            self._end()
            self._request.loseConnection()

    def _flush(self) -> None:
        """
        Write what is kept, until the client is behind.
        """
        while self._chunks and not self._isPaused:
            data = self._chunks[0]
            piece = data[self._offset : self._offset + PIECE]
            self._offset += len(piece)
            if self._offset >= len(data):
                self._chunks.popleft()
                self._offset = 0
                # As long as a part is kept, all of it takes room.
                self._count(-len(data))
            self._request.write(piece)
        if self._isFinished and not self._chunks and not self._isOver:
            self._end()
            self._request.finish()

    def _count(self, size: int) -> None:
        with self._changed:
            self._kept += size
            self._room.kept += size
            if size < 0:
                self._changed.notify_all()

    def _end(self) -> None:
        self.stopProducing()
        self._request.unregisterProducer()

    def pauseProducing(self) -> None:
        """
        The client is behind.
        """
        self._isPaused = True
        # A stream of HTTP/2 has none: its connection cuts clients that are too slow.
        transport = self._request.channel.transport
        if transport is not None and self._timer is None:
            self._unread = unreadBelow(transport)
            self._due = self._clock.seconds() + UNSENT_TIMEOUT
            self._timer = self._clock.callLater(UNSENT_TIMEOUT, self._timedOut, transport)

    def _timedOut(self, transport: Any) -> None:
        """
        Give a client more time for what it has taken, or cut its connection.
        """
        before, self._unread = self._unread, unreadBelow(transport)
        now = self._clock.seconds()
        self._due = extended(self._due, now, before - self._unread, UNSENT_TIMEOUT)
        if self._due > now + _EARLY:
            self._timer = self._clock.callLater(self._due - now, self._timedOut, transport)
        else:
            self._timer = None
            transport.abortConnection()

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def resumeProducing(self) -> None:
        """
        The client has caught up.
        """
        self._stopTimer()
        self._isPaused = False
        self._flush()

    def stopProducing(self) -> None:
        """
        The response is over, or the client is gone.
        """
        self._stopTimer()
        self._chunks.clear()
        with self._changed:
            self._room.kept -= self._kept
            self._kept = 0
            self._isOver = True
            self._changed.notify_all()

    # -- In the thread of the response

    def wait(self) -> None:
        """
        Wait until more may be written.

        @raise Gone: If the client is gone.
        """
        self._waitUntil(lambda: self._kept < RESPONSE_BYTES and self._hasRoom)

    def waitForRoom(self) -> None:
        """
        Nothing more is written: wait while too much is kept of all responses.

        @raise Gone: If the client is gone.
        """
        self._waitUntil(lambda: self._hasRoom)

    @property
    def _hasRoom(self) -> bool:
        return not (self._kept and self._room.isFull)

    def _waitUntil(self, mayGoOn: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._isOver or mayGoOn())
            if self._isOver:
                raise Gone
