"""
Events of an C{epoll} for which there is no time yet.

An C{epoll} tells of a descriptor in each turn until its event is handled.  To be told
ten thousand events, of which some twenty are handled, takes more time than these
twenty.  So a descriptor whose event has to wait is taken out of the C{epoll}, and waits
in a line; it is put back once its event was handled.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from select import EPOLLERR, EPOLLHUP
from typing import Final, Protocol

# How many descriptors are taken out of the epoll in one turn, which takes about a
# millisecond.  The system tells of the others again.
MOST_ADDED: Final = 1024

# What an epoll tells of each descriptor, asked for or not.
_ALWAYS: Final = EPOLLERR | EPOLLHUP


class Poller(Protocol):
    """
    What is needed of an C{epoll}.
    """

    def register(self, fd: int, eventmask: int, /) -> None:
        """
        Watch a descriptor.
        """

    def modify(self, fd: int, eventmask: int, /) -> None:
        """
        Watch it for other events.
        """

    def unregister(self, fd: int, /) -> None:
        """
        Watch it no more.
        """


class WaitingEvents:
    """
    The line of descriptors that are out of an C{epoll}, each with its event.

    The owner of the C{epoll} calls L{modify} and L{unregister} here, so that it need not
    know which descriptors wait.  A descriptor is unregistered before it is closed.  One line
    may stand before another: then it is the C{epoll} of that.

    @ivar events: What waits, by descriptor; always the same table.
    """

    __slots__ = ("_poller", "_wanted", "events")

    def __init__(self, poller: Poller, wanted: Callable[[int], int]) -> None:
        """
        @param wanted: Returns the events for which a descriptor is to be watched now, for
            those that were added and not unregistered.
        """
        self._poller = poller
        self._wanted = wanted
        # In a plain dictionary the first one is found by a walk over all that were taken
        # before it.
        self.events: OrderedDict[int, int] = OrderedDict()

    def __len__(self) -> int:
        """
        Return how many descriptors wait.
        """
        return len(self.events)

    def modify(self, fd: int, events: int) -> None:
        """
        Watch a descriptor for other events; one that waits, once it is put back.
        """
        if fd not in self.events:
            self._poller.modify(fd, events)

    def register(self, fd: int, events: int) -> None:
        """
        Watch a descriptor, which does not wait.
        """
        self._poller.register(fd, events)

    def unregister(self, fd: int) -> None:
        """
        Forget a descriptor.
        """
        if self.events.pop(fd, None) is None:
            self._poller.unregister(fd)

    def add(self, happened: Iterable[tuple[int, int]]) -> None:
        """
        Let descriptors that are watched wait, behind all others: L{MOST_ADDED} of them.

        @param happened: The descriptors, each with its event; none waits already.
        """
        events, unregister = self.events, self._poller.unregister
        for (fd, event), _ in zip(happened, range(MOST_ADDED), strict=False):
            unregister(fd)
            events[fd] = event

    def handle(self, handle: Callable[[int, int], None], isOver: Callable[[], bool]) -> None:
        """
        Handle the events that have waited longest, and put their descriptors back.

        @param handle: Handles an event of a descriptor, which it may unregister.  If it
            raises an exception, the event waits on.

        @param isOver: Called after each event: whether to stop.
        """
        waiting, wanted = self.events, self._wanted
        while waiting:
            fd = next(iter(waiting))
            # Meanwhile it may have been paused.
            event = waiting[fd] & (wanted(fd) | _ALWAYS)
            if event:
                handle(fd, event)
            if fd in waiting:
                del waiting[fd]
                self._poller.register(fd, wanted(fd))
            if isOver():
                break
