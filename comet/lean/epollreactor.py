"""
A reactor that asks one C{epoll} for the events of lean connections and of all else.

On a reactor of Twisted's the lean edge has an C{epoll} of its own behind one
descriptor.  Each turn then asks the system twice, and makes twenty calls of Python
functions around the event of one client.  This reactor has them the other way round:
lean connections are in its C{epoll}, and what Twisted watches stands behind one
descriptor in it.  C{twistd comet} runs on it where no other reactor is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from select import EPOLLIN, epoll
from typing import Any, Final, Protocol

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor

from comet.reactor.turns import TURN

# How many events are taken from the epoll at once.  Of all that are taken, clients that
# come or go have to wait for the others: see L{LeanPort.handle
# <comet.lean.port.LeanPort.handle>}.
MAX_EVENTS: Final = 8192


class PolledPort(Protocol):
    """
    What the reactor needs of a lean port.

    @ivar fd: The descriptor of the port.

    @ivar connections: Its connections, by descriptor; always the same table.

    @ivar left: The events for which there was no time.

    @ivar waiting: The events of clients that come or go of which the C{epoll} does not tell,
        by descriptor; always the same table.

    @ivar returning: The same of polls that come back.

    @ivar seconds: Tells the time of now, in seconds from any moment.
    """

    fd: int
    connections: Mapping[int, Any]
    left: Sequence[tuple[int, int]]
    waiting: Mapping[int, int]
    returning: Mapping[int, int]
    seconds: Callable[[], float]

    def handle(self, happened: Sequence[tuple[int, int]], over: float) -> int:
        """
        Handle events of the port and its connections: only those that were left, if there
        are any.

        @param over: When the time for that is over, as L{seconds} tells it.

        @return: How many were handled.
        """

    def beginTurn(self) -> None:
        """
        See L{Fanout.beginTurn<comet.fanout.core.Fanout.beginTurn>}.
        """

    def endTurn(self) -> None:
        """
        See L{Fanout.endTurn<comet.fanout.core.Fanout.endTurn>}.
        """

    def handlingFailed(self) -> None:
        """
        L{handle} or L{endTurn} raised the exception that is being handled: log it.
        """


class LeanEPollReactor(EPollReactor):
    """
    Twisted's reactor over C{epoll}, which handles the events of lean connections
    itself.

    @ivar edgeEpoll: Watches the lean connections and ports, and what watches all else.
    """

    def __init__(self) -> None:
        self.edgeEpoll = epoll()
        self._ports: tuple[PolledPort, ...] = ()
        self._isStopping = False
        super().__init__()
        self._others: int = self._poller.fileno()
        self.edgeEpoll.register(self._others, EPOLLIN)

    def addPort(self, port: PolledPort) -> None:
        """
        Give a lean port its events from now on.
        """
        self._ports = (*self._ports, port)

    def removePort(self, port: PolledPort) -> None:
        """
        Give a lean port no more events.
        """
        self._ports = tuple(each for each in self._ports if each is not port)

    def removeAll(self) -> list[Any]:
        """
        See L{IReactorFDSet.removeAll<twisted.internet.interfaces.IReactorFDSet.removeAll>}.
        """
        ports, self._ports = self._ports, ()
        return [*super().removeAll(), *ports]

    def stop(self) -> None:
        """
        See L{IReactorCore.stop<twisted.internet.interfaces.IReactorCore.stop>}.
        """
        self._isStopping = True
        super().stop()

    def iterate(self, delay: float = 0.0) -> None:
        """
        See L{IReactorCore.iterate<twisted.internet.interfaces.IReactorCore.iterate>}.
        """
        self.runUntilCurrent()
        self._pollOnce(delay)

    def doIteration(self, delay: float | None) -> None:
        """
        Wait for events and handle them, until Twisted's part of the reactor has something
        to do.

        @param delay: For how many seconds to wait at most; L{None} for ever.
        """
        # What was stopped before this has had its shutdown begun.
        self._isStopping = False
        while self._pollOnce(delay) and self.running and not self._isStopping:
            delay = self.timeout()
            if delay is not None and delay <= 0.0:
                break

    def _pollOnce(self, delay: float | None) -> bool:
        """
        Wait for events, and handle those that come first.

        @return: Whether all are handled, and Twisted's part has nothing more to do than its
            timers.
        """
        ports, isDone = self._ports, True
        for port in ports:
            if port.left or port.waiting or port.returning:
                delay = 0.0
        happened = self.edgeEpoll.poll(-1 if delay is None else delay, MAX_EVENTS)
        # What Twisted watches comes first: a bus that answers is waited for by clients that
        # are there already.
        for event in happened:
            if event[0] == self._others:
                self._pollOthers()
                # What other threads ask for is called by Twisted's part.
                isDone = not self.threadCallQueue
                break
        for port in ports:
            mine = list(port.left)
            if not mine:
                # A port that is handled first may close connections, and accept none whose
                # descriptor another one of these events names: it accepts last.
                own, connections = port.fd, port.connections
                for event in happened:
                    if event[0] in connections or event[0] == own:
                        mine.append(event)
            # Beside those that were left, new ones wait: the system tells of them again.
            # Together they would be more in each turn of a busy port, which accepts no
            # client while any is left.
            if mine or port.waiting or port.returning:
                try:
                    port.handle(mine, port.seconds() + TURN)
                except Exception:
                    # The others have to have their events.
                    port.handlingFailed()
                if port.left or port.waiting or port.returning:
                    isDone = False
        return isDone and bool(happened)

    def _pollOthers(self) -> None:
        """
        Handle the events of what Twisted watches.  What a bus tells meanwhile goes to the
        readers at the end, without a timer and another turn for it.
        """
        ports = self._ports
        for port in ports:
            port.beginTurn()
        try:
            self.doPoll(0)
        finally:
            for port in ports:
                try:
                    port.endTurn()
                except Exception:
                    port.handlingFailed()


def install() -> None:
    """
    Install this reactor.
    """
    installReactor(LeanEPollReactor())
