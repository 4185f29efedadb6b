"""
Shares of time: a little of each client's work is done in every turn of the
reactor.

How it works
============

A client needs only a few bytes to ask for much: a segment of TCP has room for a
hundred requests, each of which may take some milliseconds.  So what is bounded is
not how many bytes of a client are dealt with in a turn, but for how long:

  - New input is dealt with at once, for a L{SHARE}; for less, the more clients wait,
    but for L{LEAST} in any case.  The clock is looked at after
    each request, frame or command behind which there is more input.

  - While others wait, or have sent something in the same moment, new input of more than
    L{MUCH} bytes waits behind them.  So those that send the most do not come first,
    however many they are.

  - What is done at once for all clients together is counted, too.  Once it has taken
    a L{TURN}, what else comes in before the next turn waits behind the others, however
    little it is.  So many clients that each ask for a little in the same moment are no
    longer turn than a few.

  - Clients come and go in crowds: all of them when a page opens, or a node ends.  To take
    a client that was never seen, or to end a connection, costs as much as dozens of
    polls.  So those that are there are served first; and the first request of a
    connection waits if the like of it was not asked before, and so does the end of a
    connection, once such work has taken a L{SHARE} of this turn, or while others wait.

  - Input that is left when the share is over stays with its connection, which is
    not read meanwhile, so it is what was read at once, and no more.  The connection
    waits in L{Turns}.

  - In each turn those that wait get one share each, in their order, until a
    L{SHARE} of time is over for all of them.  Then the reactor goes on with its timers and
    sockets, and with what a bus has answered.  A connection that still has input left goes
    to the end of the queue.

  - Those that waited only since the time of a turn was spent, and that have asked for
    little, come before those that have work left, or have just come, for as long as these
    would have.  What comes in while such clients wait is behind them, so they get the
    L{TURN} that there is for it, too.

So a client that asks for one thing at a time waits behind no queue, however many
others there are that ask for a thousand: what it waits for is a turn, and the
requests that were begun.

Nothing stops a request in its middle.  Those that may take longer than a share do
their work in parts: queries with patterns (L{comet.bus.memory.query}), readers
that catch up (L{comet.fanout.core}), large groups of polls
(L{comet.fanout.backlog}), compressed batches (L{comet.transports.latebatch}).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from comet.logging.clientlog import ClientLogger

# For how many seconds the input of one client is dealt with at once; and for how many
# where very many wait.
SHARE: Final = 0.001
LEAST: Final = 0.00025

# How many bytes of new input are more than a request and little else.
MUCH: Final = 2048

# For how many seconds of a turn what comes in is dealt with at once, of all clients together.
# Those that have waited get a SHARE, not each, but all of them.  A client waits for a few
# turns: what it has sent is read in one, and a bus on a disk or on another machine answers
# some turns later.  The own costs of a turn, some ten microseconds, are a small part.
TURN: Final = 0.002


def _nothing() -> None:
    """
    Do nothing.
    """


class Turns:
    """
    The queue of those that have work left.

    @ivar seconds: Tells the time of now, in seconds from any moment.

    @ivar share: For how many seconds the input of a client is dealt with that begins
        now.

    @ivar isSpent: Whether what was done at once has taken all of this turn's time.

    @ivar hasCompany: Whether several clients have sent something in this moment.

    @ivar isCrowded: Whether more clients come or go in this moment than there is time for:
        then what they need waits here.
    """

    _log = ClientLogger()

    def __init__(
        self,
        clock: IReactorTime,
        begin: Callable[[], None] = _nothing,
        end: Callable[[], None] = _nothing,
    ) -> None:
        """
        @param clock: A clock that is never set; see L{comet.reactor.clocks}.

        @param begin: Called before the work of each turn.

        @param end: Called after it.
        """
        self.seconds: Callable[[], float] = clock.seconds
        self.share = SHARE
        self.isSpent = False
        self.hasCompany = False
        self.isCrowded = False
        self._clock = clock
        self._begin = begin
        self._end = end
        # Those that have asked for little, and the others.
        self._light: deque[Callable[[], object]] = deque()
        self._waiting: deque[Callable[[], object]] = deque()
        self._turn: IDelayedCall | None = None
        # For how many seconds work was done at once, and until when that is counted.
        self._spent = 0.0
        self._counted = clock.seconds()
        self._renewal: IDelayedCall | None = None
        self._isGoingOn = False

    def __len__(self) -> int:
        """
        Return how many wait.
        """
        return len(self._light) + len(self._waiting)

    def mustWait(self, size: int) -> bool:
        """
        Return whether new input of a client has to wait for another turn.

        @param size: How many bytes it has.
        """
        if self.isSpent or self.isCrowded:
            return True
        # Those that have asked for as little are first, if they have waited.  Who has its turn
        # just now has waited, too.
        if self._light and not self._isGoingOn:
            return True
        return size > MUCH and (self.hasCompany or len(self) > 0)

    def spend(self, since: float) -> None:
        """
        Count work that was done at once, from some time until now.  Work within other
        work is counted once.  That of those that have waited is not counted: a
        L{SHARE} of it is done in any case.

        @param since: In seconds.
        """
        if self._isGoingOn:
            return
        now = self.seconds()
        self._spent += now - max(since, self._counted)
        self._counted = now
        # With little to do, no timer is needed.
        if self._spent > SHARE and self._renewal is None:
            self._renewal = self._clock.callLater(0, self._renew)
        self.isSpent = self._spent > TURN

    def _renew(self) -> None:
        """
        Another turn has begun.
        """
        self._renewal = None
        self._spent = 0.0
        self.isSpent = False

    def later(self, call: Callable[[], object], isLight: bool = False) -> None:
        """
        Call a function in another turn, after all that wait, or after all light ones.

        @param call: Does work for a L{share}.  If it has more to do, it calls this
            again.  If its client is gone by then, it does nothing.

        @param isLight: Whether the client has been served before, and asks for little:
            see L{comet.reactor.clientpace}.
        """
        (self._light if isLight else self._waiting).append(call)
        self._setShare()
        self._schedule()

    def _setShare(self) -> None:
        self.share = max(SHARE / (1 + len(self)), LEAST)

    def _schedule(self) -> None:
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._goOn)

    def _goOn(self) -> None:
        """
        Do the work of one turn.
        """
        self._turn = None
        # What is added meanwhile is for another turn.
        light, heavy = len(self._light), len(self._waiting)
        # The timer of the renewal may come after this one.
        isSpent, self.isSpent = self.isSpent, False
        self._isGoingOn = True
        self._begin()
        try:
            # Also the time of what comes in, which waits behind them.
            self._goOnIn(self._light, light, self.seconds() + SHARE + TURN)
            # Some of them in any case: light ones may come without end.
            self._goOnIn(self._waiting, heavy, self.seconds() + SHARE)
        finally:
            self._end()
            self._isGoingOn = False
            self.isSpent = isSpent
        if len(self):
            self._schedule()

    def _goOnIn(self, line: deque[Callable[[], object]], most: int, over: float) -> None:
        """
        Do the work of those in a line until the time is over.

        @param most: How many calls are made at most.
        """
        for _ in range(most):
            call = line.popleft()
            self._setShare()
            try:
                call()
            except Exception:
                self._log.failure("{call} failed, called in another turn", call=call)
            if self.seconds() >= over:
                break

    def finish(self) -> None:
        """
        Do all the work that waits.  No timer is left then.
        """
        while self._turn is not None:
            self._turn.cancel()
            self._goOn()
        if self._renewal is not None:
            self._renewal.cancel()
            self._renew()
