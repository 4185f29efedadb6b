"""
A reactor over C{epoll} that serves those who are there before those who come and go.

Twisted's handles all events that it finds in one turn, in any order: of ten thousand
clients that come at once it reads every request before it goes on, and one that was
there waits behind them all.  This one takes clients that were never heard, clients that
leave, and ports with new clients last, for a limited time: the system tells of the rest
again in the next turn.  C{twistd comet} runs on it with Twisted's edge; the lean edge
does the same for its own clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLRDHUP
from typing import Any, Final
from weakref import WeakValueDictionary

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.internet.tcp import Port, Server
from twisted.python.log import callWithLogger

from comet.reactor.turns import TURN

# How many events are taken from the epoll at once: more clients than that may wait for
# another turn before one that is there.
MAX_EVENTS: Final = 8192

# For how many seconds of a turn those are handled that come and go.  Once requests have
# taken a turn's time the others wait in L{Turns<comet.reactor.turns.Turns>}, which takes a tenth
# of the time: so most of a crowd is asked for only once.
CROWD: Final = 2 * TURN

# The events of a client that has left.
_GONE: Final = EPOLLERR | EPOLLHUP | EPOLLRDHUP


class CrowdEPollReactor(EPollReactor):
    """
    Twisted's reactor over C{epoll}, fair to clients that are there.
    """

    def __init__(self) -> None:
        # The descriptors of accepted connections of which something was heard, and these
        # connections: another one may get the same descriptor later.
        self._heard: set[int] = set()
        self._heardOf: WeakValueDictionary[int, Server] = WeakValueDictionary()
        super().__init__()

    def _add(
        self, xer: Any, primary: Any, other: Any, selectables: Any, event: int, antievent: int
    ) -> None:
        """
        Watch a descriptor, and the client's leaving wherever its input is watched.
        """
        fd = xer.fileno()
        if fd in self._heard and self._heardOf.get(fd) is not xer:
            self._heard.discard(fd)
        super()._add(xer, primary, other, selectables, _orEnd(event), _orEnd(antievent))

    def _remove(
        self, xer: Any, primary: Any, other: Any, selectables: Any, event: int, antievent: int
    ) -> None:
        """
        Watch a descriptor no more for one kind of event.
        """
        super()._remove(xer, primary, other, selectables, _orEnd(event), _orEnd(antievent))

    def doPoll(self, timeout: float | None) -> None:
        """
        Wait for events, and handle them: of a crowd as many as there is time for.

        @param timeout: For how many seconds to wait at most; L{None} for ever.
        """
        happened = self._poller.poll(-1 if timeout is None else timeout, MAX_EVENTS)
        crowd = self._handleKnown(happened)
        if crowd:
            self._handleCrowd(crowd, self.seconds() + CROWD)

    doIteration = doPoll

    def _handleKnown(self, happened: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """
        Handle all events but those of a crowd.

        @return: Those of a crowd: of clients first, then of ports.
        """
        selectables, heard, handle = self._selectables, self._heard, self._doReadOrWrite
        crowd: list[tuple[int, int]] = []
        ports: list[tuple[int, int]] = []
        for fd, event in happened:
            selectable = selectables.get(fd)
            if selectable is None:
                continue
            if fd in heard and not event & _GONE:
                callWithLogger(selectable, handle, selectable, fd, event)
            elif isinstance(selectable, Server):
                crowd.append((fd, event))
            elif isinstance(selectable, Port):
                # Last, since a new client may get a descriptor that was closed just now,
                # and of which an event is still in the list.
                ports.append((fd, event))
            else:
                callWithLogger(selectable, handle, selectable, fd, event)
        return crowd + ports

    def _handleCrowd(self, crowd: Sequence[tuple[int, int]], over: float) -> None:
        """
        Handle events until the time is over; the rest is dropped, as the system tells of
        it again.

        @param over: As C{seconds} tells it.
        """
        selectables, seconds = self._selectables, self.seconds
        for fd, event in crowd:
            selectable = selectables.get(fd)
            if selectable is None:
                continue
            if isinstance(selectable, Server):
                self._heard.add(fd)
                self._heardOf[fd] = selectable
            callWithLogger(selectable, self._doReadOrWrite, selectable, fd, event)
            if seconds() >= over:
                break


def _orEnd(events: int) -> int:
    """
    Add the client's leaving to events, where its input is among them.
    """
    return events | EPOLLRDHUP if events & EPOLLIN else events


def install() -> None:
    """
    Install this reactor.
    """
    installReactor(CrowdEPollReactor())
