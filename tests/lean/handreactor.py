"""
A reactor that is turned by hand: real sockets, and time that stands still.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp
from twisted.internet.task import Clock
from twisted.python.failure import Failure

# How often it is turned at most while something is waited for, and for how many
# milliseconds it waits for the kernel each time.
MOST_TURNS = 2000
KERNEL = 5


class HandReactor(Clock):
    """
    As much of a reactor as listening on TCP takes.

    @ivar turns: How many turns had something to do.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: dict[Any, None] = {}
        self.writers: dict[Any, None] = {}
        self.turns = 0

    # -- As a reactor

    def addReader(self, reader: Any) -> None:
        """
        Tell it when there is something to read.
        """
        self.readers[reader] = None

    def removeReader(self, reader: Any) -> None:
        """
        Tell it no more.
        """
        self.readers.pop(reader, None)

    def addWriter(self, writer: Any) -> None:
        """
        Tell it when something can be written.
        """
        self.writers[writer] = None

    def removeWriter(self, writer: Any) -> None:
        """
        Tell it no more.
        """
        self.writers.pop(writer, None)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """
        Listen.
        """
        listening = tcp.Port(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def adoptStreamConnection(self, fileDescriptor: int, family: int, factory: Any) -> Any:
        """
        Go on with a connection.
        """
        return tcp.Server._fromConnectedSocket(fileDescriptor, family, factory, self)

    # -- By hand

    def turn(self, wait: int = 0) -> None:
        """
        Let everything happen that is due now.

        @param wait: For how many milliseconds of the world's own time the
            kernel may take.
        """
        self.advance(0)
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
            if why:
                self.removeReader(owner)
                self.removeWriter(owner)
                owner.connectionLost(Failure(why))
        self.advance(0)

    def until(self, isSo: Callable[[], Any]) -> Any:
        """
        Turn until something is so.

        @return: What is so.
        """
        for _ in range(MOST_TURNS):
            found = isSo()
            if found:
                return found
            self.turn(KERNEL)
        raise AssertionError("never so")

    def settle(self) -> None:
        """
        Turn until for some turns nothing has happened.
        """
        quiet = 0
        for _ in range(MOST_TURNS):
            before = self.turns
            self.turn(1)
            quiet = quiet + 1 if self.turns == before else 0
            if quiet == 3:
                return
        raise AssertionError("it is never quiet")
