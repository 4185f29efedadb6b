"""
The members of channels on a bus in a database: what is said of them, and when they leave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.bus.gracetimer import GraceTimer
from comet.bus.sqlite.memberstore import MembersSet, MemberStore
from comet.bus.sqlite.store import Stored
from comet.bus.sqlite.sweeper import SWEEP_SECONDS
from comet.bus.sqlite.writing import WriteLine
from comet.errors import CometError
from comet.model.presence import MOST_TOGETHER, Holding


class BusMembers:
    """
    Has members join and leave, in the thread that writes.

    @ivar forgotten: Called when what was said of clients is lost, and has to be said anew.
    """

    _log = Logger()

    def __init__(
        self,
        members: MemberStore,
        line: WriteLine,
        tell: Callable[[Stored], Deferred[None]],
        failed: Callable[[Failure], Failure],
        clock: IReactorTime,
        seconds: Callable[[], float],
        wallClock: Callable[[], float],
        path: Callable[[], str],
    ) -> None:
        """
        @param members: The members, for the thread that writes.

        @param line: Hands writes to that thread.

        @param tell: Tells the listeners what was stored.

        @param failed: Called with why a change failed.  The caller gets what it returns.

        @param seconds: Returns the time in seconds since 1970, as if the clock of the
            system had not been set.

        @param wallClock: Returns the time, in seconds since 1970.

        @param path: Returns the path of the file, for the log.
        """
        self.forgotten: Callable[[], None] = _nothing
        self._members = members
        self._line = line
        self._tell = tell
        self._failed = failed
        self._seconds = seconds
        self._wallClock = wallClock
        self._path = path
        self._graceTimer = GraceTimer(clock, seconds, self._leave)
        self._isOpen = False

    def start(self) -> None:
        """
        Let members leave when it is time: those that an earlier self left have their grace
        from now on.
        """
        self._isOpen = True
        self._leave()

    def stop(self) -> None:
        """
        Let no more members leave.
        """
        self._isOpen = False
        self._graceTimer.stop()

    def set(self, holdings: Sequence[Holding]) -> Deferred[Sequence[Holding]]:
        """
        See L{IPresence.setPresence<comet.interfaces.memberbus.IPresence.setPresence>}.
        """
        return self._change(partial(self._members.set, holdings, self._wallClock()))

    def _change(self, change: Callable[[], MembersSet]) -> Deferred[Sequence[Holding]]:
        # Members are in no publication, so these need not wait for each other.
        return self._line.do(change, isBeside=True).addCallbacks(self._isSet, self._isNotSet)

    def _isSet(self, done: MembersSet) -> Deferred[Sequence[Holding]]:
        self._graceTimer.nextAt(done.nextDue if self._isOpen else None)
        return self._tell(done.stored).addCallback(lambda _: done.refused)

    def _isNotSet(self, failure: Failure) -> Failure:
        # What was said since the last commit is gone from memory, too.
        self._graceTimer.nextAt(self._seconds() + SWEEP_SECONDS if self._isOpen else None)
        if self._isOpen:
            self.forgotten()
        return self._failed(failure)

    def _leave(self) -> None:
        left = self._change(partial(self._members.expire, MOST_TOGETHER, self._wallClock()))
        left.addErrback(self._notLeft)

    def _notLeft(self, failure: Failure) -> None:
        if not failure.check(CometError):
            self._log.failure("failed to let members leave in {path}", failure, path=self._path())


def _nothing() -> None:
    pass
