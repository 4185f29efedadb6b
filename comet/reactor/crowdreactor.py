"""
A reactor over C{epoll} that serves those who are there before those who come and go.

Twisted's handles all events that it finds in one turn, in any order: of ten thousand
clients that come at once it reads every request before it goes on, and one that was
there waits behind them all.  This one takes clients that were never heard, and clients
that leave, behind all others and for a limited time; the rest waits for the next turns
(L{comet.reactor.waitingevents}).  It does the same with clients that may wait a little
longer than others (L{comet.reactor.returning}).  C{twistd comet} runs on it with
Twisted's edge; the lean edge does the same for its own clients.

What it needs of Twisted's reactor beside its interface is in L{USED}, and tests look
whether it is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, epoll
from typing import Any, Final
from weakref import ref

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.internet.tcp import Port, Server
from twisted.python.log import callWithLogger

from comet.reactor.returning import BEGINNING, RETURNING
from comet.reactor.turns import SHARE, TURN
from comet.reactor.waitingevents import WaitingEvents

# The attributes of Twisted's reactor that are no part of its interface.
USED: Final = ("_doReadOrWrite", "_poller", "_reads", "_selectables", "_writes")

# How many events are taken from the epoll at once: more clients than that may wait for
# another turn before one that is there.
MAX_EVENTS: Final = 8192

# For how many seconds of a turn those are handled that come and go: half as long as what
# they have begun before, which has a L{TURN<comet.reactor.turns.TURN>} of its own.
CROWD: Final = SHARE

# The events of a client that has left.
_GONE: Final = EPOLLERR | EPOLLHUP | EPOLLRDHUP

# A descriptor, its event, and what has the descriptor.
_Event = tuple[int, int, Any]


class CrowdPoller:
    """
    The C{epoll} of the reactor, in which the client's leaving is watched for wherever its
    input is, and from which descriptors may be taken out.

    @ivar returning: The descriptors of clients that come back, or are in the middle of a
        request, and have to wait: they are out of the C{epoll}.

    @ivar waiting: Those of clients that come and go.
    """

    def __init__(self, poller: epoll, reads: set[int], writes: set[int]) -> None:
        """
        @param reads: The descriptors that are watched for input.

        @param writes: Those that are watched for room for output.
        """
        self._poller = poller
        self._reads = reads
        self._writes = writes
        self.returning = WaitingEvents(poller, self._wanted)
        self.waiting = WaitingEvents(self.returning, self._wanted)
        self.poll = poller.poll
        self.fileno = poller.fileno
        self.close = poller.close
        self.unregister = self.waiting.unregister

    def _wanted(self, fd: int) -> int:
        events = EPOLLIN | EPOLLRDHUP if fd in self._reads else 0
        return events | EPOLLOUT if fd in self._writes else events

    def register(self, fd: int, events: int) -> None:
        """
        Watch a descriptor.
        """
        self._poller.register(fd, _orEnd(events))

    def modify(self, fd: int, events: int) -> None:
        """
        Watch it for other events.
        """
        self.waiting.modify(fd, _orEnd(events))


class CrowdEPollReactor(EPollReactor):
    """
    Twisted's reactor over C{epoll}, fair to clients that are there.
    """

    def __init__(self) -> None:
        super().__init__()
        self._poller = CrowdPoller(self._poller, self._reads, self._writes)
        # By descriptor: the accepted connection of which something was heard.  Another one
        # may get the same descriptor later.
        self._heard: dict[int, ref[Server]] = {}

    def doPoll(self, timeout: float | None) -> None:
        """
        Wait for events, and handle them: of a crowd, and of polls that come back, as many
        as there is time for.

        @param timeout: For how many seconds to wait at most; L{None} for ever.
        """
        returning, waiting = self._poller.returning, self._poller.waiting
        if waiting or returning:
            timeout = 0.0
        happened = self._poller.poll(-1 if timeout is None else timeout, MAX_EVENTS)
        over = self.seconds() + TURN
        polls, crowd, ports = self._handleKnown(happened)
        if polls or returning:
            # Some of them in any case: others may ask without end.
            self._handleInLine(returning, polls, max(over, self.seconds() + SHARE))
        if crowd or waiting:
            self._handleInLine(waiting, crowd, self.seconds() + CROWD)
        # Last, since a new client may get a descriptor that was closed just now, and of
        # which an event is still in a list; but in each turn, however large the crowd is.
        for fd, event, port in ports:
            if self._selectables.get(fd) is port:
                self._handle(fd, event)

    doIteration = doPoll

    def _handleKnown(
        self, happened: Sequence[tuple[int, int]]
    ) -> tuple[list[_Event], list[_Event], list[_Event]]:
        """
        Handle all events but those of polls that come back, of a crowd, and of ports.

        @return: Those of the polls, those of the crowd, and those of ports.
        """
        selectables, heard = self._selectables, self._heard
        polls: list[_Event] = []
        crowd: list[_Event] = []
        ports: list[_Event] = []
        for fd, event in happened:
            selectable = selectables.get(fd)
            if selectable is None:
                continue
            if isinstance(selectable, Server):
                known = heard.get(fd)
                isNew = known is None or known() is not selectable or BEGINNING.isSet(selectable)
                if isNew or event & _GONE:
                    crowd.append((fd, event, selectable))
                    continue
                if RETURNING.isSet(selectable):
                    polls.append((fd, event, selectable))
                    continue
            elif isinstance(selectable, Port):
                ports.append((fd, event, selectable))
                continue
            self._handle(fd, event)
        return polls, crowd, ports

    def _handleInLine(self, line: WaitingEvents, happened: Sequence[_Event], over: float) -> None:
        """
        Handle events behind those that wait in a line, until the time is over; the rest
        waits there.
        """
        selectables, seconds = self._selectables, self.seconds
        # Some may be closed by now, and their descriptors those of others.
        events = ((fd, event) for fd, event, each in happened if selectables.get(fd) is each)
        if line:
            line.add(events)
            line.handle(self._handleOne, lambda: seconds() >= over)
            return
        for fd, event in events:
            self._handleOne(fd, event)
            if seconds() >= over:
                line.add(events)
                break

    def _handleOne(self, fd: int, event: int) -> None:
        """
        Handle an event of a client that had to wait, which is known from now on.
        """
        self._heard[fd] = ref(self._selectables[fd])
        self._handle(fd, event)

    def _handle(self, fd: int, event: int) -> None:
        selectable = self._selectables[fd]
        callWithLogger(selectable, self._doReadOrWrite, selectable, fd, event)


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
