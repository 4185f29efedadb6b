"""
A reactor that tests turn by hand: it has real sockets, and time that stands still.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

from twisted.internet import tcp
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.fanout.doubles import TurnClock

# How many turns a test waits for a condition, and for how many milliseconds each
# of them waits for the kernel.
MAX_TURNS = 2000
KERNEL_WAIT = 5


class HandReactor(Clock):
    """
    The parts of a reactor that listening on TCP needs.

    @ivar turns: How many turns had something to do.
    """

    def __init__(self) -> None:
        super().__init__()
        # The clock of a reactor is C code, and calls of Python functions are counted.
        self.seconds = partial(attrgetter("rightNow"), self)  # type: ignore[method-assign]
        self.readers: dict[Any, None] = {}
        self.writers: dict[Any, None] = {}
        self.turns = 0

    # -- As a reactor

    def addReader(self, reader: Any) -> None:
        """
        See L{IReactorFDSet<twisted.internet.interfaces.IReactorFDSet>}.
        """
        self.readers[reader] = None

    def removeReader(self, reader: Any) -> None:
        """
        See L{IReactorFDSet<twisted.internet.interfaces.IReactorFDSet>}.
        """
        self.readers.pop(reader, None)

    def addWriter(self, writer: Any) -> None:
        """
        See L{IReactorFDSet<twisted.internet.interfaces.IReactorFDSet>}.
        """
        self.writers[writer] = None

    def removeWriter(self, writer: Any) -> None:
        """
        See L{IReactorFDSet<twisted.internet.interfaces.IReactorFDSet>}.
        """
        self.writers.pop(writer, None)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """
        See L{IReactorTCP<twisted.internet.interfaces.IReactorTCP>}.
        """
        listening = tcp.Port(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def adoptStreamConnection(self, fileDescriptor: int, family: int, factory: Any) -> Any:
        """
        See L{IReactorSocket<twisted.internet.interfaces.IReactorSocket>}.
        """
        return tcp.Server._fromConnectedSocket(fileDescriptor, family, factory, self)

    # -- By hand

    def turn(self, wait: int = 0) -> None:
        """
        Make the calls that are due, and handle the events of the sockets.

        @param wait: For how many milliseconds of real time the kernel may take.
        """
        self.advance(0)
        self._handleEvents(wait)
        self.advance(0)

    def _handleEvents(self, wait: int) -> None:
        poll = select.poll()
        owners = {each.fileno(): each for each in (*self.readers, *self.writers)}
        for fd, owner in owners.items():
            wanted = select.POLLIN if owner in self.readers else 0
            poll.register(fd, wanted | (select.POLLOUT if owner in self.writers else 0))
        happened = poll.poll(wait)
        self.turns += bool(happened)
        for fd, events in happened:
            owner = owners[fd]
            why = None
            if events & ~select.POLLOUT and owner in self.readers:
                why = owner.doRead()
            if not why and events & select.POLLOUT and owner in self.writers:
                why = owner.doWrite()
            if isinstance(why, ConnectionDone) and events & select.POLLIN:
                self.removeReader(owner)
                owner.readConnectionLost(Failure(why))
            elif why:
                self.removeReader(owner)
                self.removeWriter(owner)
                owner.connectionLost(Failure(why))

    def until(self, isSo: Callable[[], Any]) -> Any:
        """
        Turn until a condition is true.

        @return: What the condition returned.
        """
        for _ in range(MAX_TURNS):
            found = isSo()
            if found:
                return found
            self.turn(KERNEL_WAIT)
        raise AssertionError("the condition has not come true")

    def settle(self) -> None:
        """
        Turn until three turns in a row had nothing to do.
        """
        quiet = 0
        for _ in range(MAX_TURNS):
            before = self.turns
            self.turn(1)
            quiet = quiet + 1 if self.turns == before else 0
            if quiet == 3:
                return
        raise AssertionError("there was something to do in every turn")


class SteppingReactor(HandReactor, TurnClock):
    """
    A reactor in whose turns only those calls are made that were due before, as in a
    real one.
    """

    def turn(self, wait: int = 0) -> None:
        """
        See L{HandReactor.turn}.
        """
        TurnClock.turn(self)
        self._handleEvents(wait)
