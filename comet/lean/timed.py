"""
An HTTP connection that gives its client time: to send a request, and to take a
response.
"""

from __future__ import annotations

import math
from typing import Final

from comet.fanout.polls import PollReader
from comet.fanout.states import State
from comet.http.pace import UNSENT_TIMEOUT, extended
from comet.interfaces.sockets import ClientSocket
from comet.lean.connection import Connection
from comet.lean.httpedge import HTTPEdge
from comet.reactor.timers import NOT_SET
from comet.transports.unread import unreadIn
from comet.transports.vanished import waitForReader

# The timer wheel may call this much early, in seconds.
_EARLY: Final = 0.01


class TimedConnection(Connection):
    """
    A connection with one timer, which is that of the client, or of its held poll.

    @ivar reader: The reader of the held poll, if there is one.

    @ivar due: When the client, or the held poll, has had its time: in seconds of
        the reactor's clock.  Infinite while only the bus is waited for.
    """

    # The connection is on the timer wheel in any case, and times its polls.
    keepsTime = True

    edge: HTTPEdge

    __slots__ = ("_isRefused", "_unread", "due", "reader", "timerSlot")

    def __init__(self, edge: HTTPEdge, socket: ClientSocket, fd: int) -> None:
        super().__init__(edge, socket, fd)
        self.timerSlot = NOT_SET
        self.due = 0.0
        self.reader: PollReader[bytes] | None = None
        # What the client had not taken of a large response when that was last looked
        # at.
        self._unread = 0
        # Whether a request was refused that had not come whole: the connection
        # ends then.
        self._isRefused = False

    def _waitNoLonger(self, seconds: float) -> None:
        """
        Give the client this long, although the wheel may call later.
        """
        self._wait(seconds)
        self.edge.hub.fanout.wheel.setBy(self, self.due)

    def _wait(self, seconds: float) -> None:
        """
        Give the client this long.

        Mostly the connection is on the timer wheel already.  It is left there,
        and put on it again when that time is over: this is called with each
        response, and a timer is seldom needed.
        """
        self.due = self.edge.seconds() + seconds
        if self.timerSlot == NOT_SET:
            self.edge.hub.fanout.wheel.set(self, seconds)

    def graceOver(self) -> None:
        """
        See L{EdgeConnection.graceOver<comet.lean.edge.EdgeConnection.graceOver>}.
        """
        if not self.due:
            self._wait(self.edge.idleTimeout)

    def timedOut(self) -> None:
        """
        See L{Timed.timedOut<comet.reactor.timers.Timed.timedOut>}.  The client or the
        held poll may have been given more time since the timer was set.
        """
        left = self.due - self.edge.seconds()
        if left == math.inf or self.fd < 0:
            return
        if left > _EARLY:
            # A poll may be answered at any time; from then on the client has the
            # idle time, so the timer must not come later than that.
            self.edge.hub.fanout.wheel.set(self, min(left, self.edge.idleTimeout))
        elif self.reader is not None:
            reader, self.reader = self.reader, None
            if reader.state is State.CLOSED:
                # Its response waits in the backlog.
                self._wait(self.edge.idleTimeout)
            else:
                reader.timedOut()
        elif self.unsent or self._unread:
            self._giveTimeToTake()
        else:
            self.close()

    def _giveTimeToTake(self) -> None:
        """
        Give a client more time for what it has taken of a response, or cut the
        connection.  One that has taken all is idle.
        """
        before, self._unread = self._unread, self._countUnread()
        now = self.edge.seconds()
        if not self._isRefused:
            self.due = extended(self.due, now, before - self._unread, UNSENT_TIMEOUT)
        if not self._unread:
            self.close()
        elif self.due > now + _EARLY:
            self.edge.hub.fanout.wheel.set(self, self.due - now)
        else:
            # finish() would wait for the client to take it.
            self.abort()

    def _watchReading(self, size: int) -> None:
        """
        Give the client time to read a large response, of which the system may have
        taken all.
        """
        if self.fd >= 0:
            self._unread = self._countUnread()
            self._wait(max(UNSENT_TIMEOUT, self.edge.idleTimeout))
            waitForReader(self.socket, size)

    def _countUnread(self) -> int:
        return len(self.unsent) + unreadIn(self.socket)

    # -- What is unsent is counted

    def keep(self, rest: bytes | memoryview) -> None:
        """
        See L{Connection.keep}.
        """
        if self.fd >= 0:
            self.edge.hub.fanout.unsent.add(len(rest))
        super().keep(rest)

    def _took(self, sent: int) -> None:
        self.edge.hub.fanout.unsent.add(-sent)
        super()._took(sent)

    def leave(self) -> None:
        """
        See L{Connection.leave}.
        """
        self.edge.hub.fanout.unsent.add(-len(self.unsent))
        self.unsent = b""
        super().leave()
