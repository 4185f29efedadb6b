"""
A port whose clients are in an C{epoll} of their own, behind one descriptor of
the reactor's.
"""

from __future__ import annotations

import errno
import math
import socket
from collections.abc import Callable, Mapping, Sequence
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLRDHUP
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.lean.comebacks import MOST_KEPT
from comet.lean.edge import Edge
from comet.lean.epollreactor import MAX_EVENTS, LeanEPollReactor
from comet.limits.acceptshare import AcceptShare
from comet.limits.capacity import fullFrom, openFiles
from comet.logging.clientlog import ClientLogger
from comet.reactor.timers import NOT_SET
from comet.reactor.turns import LEAST, SHARE, TURN
from comet.reactor.waitingevents import WaitingEvents
from comet.transports.vanished import watchForVanishing

# How many clients are accepted in one turn.
MAX_ACCEPTED: Final = 64

# For how many seconds of a turn polls that come back are handled, at least.  Those of one turn
# share what is found out for the first of them: in turns of half this time ten thousand of
# them cost twice as much.
RETURNING: Final = 0.004

# How many events and new clients are handled before the reactor goes on with
# others, if there is time for them.
MAX_HANDLED: Final = 256

# For how many seconds no client is accepted once the system has no room.
FULL_PAUSE: Final = 0.5

# The events of a client that has left.
_GONE: Final = EPOLLERR | EPOLLHUP | EPOLLRDHUP

# accept(2): the errors that are not the client's fault.
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@implementer(IListeningPort, IReadDescriptor)
class LeanPort:
    """
    Listens in the place of a port of Twisted's, with its socket.
    """

    _log = ClientLogger()

    left: Sequence[tuple[int, int]]

    def __init__(
        self, port: Any, edge: Edge, makeConnection: Callable[[socket.socket, int], object]
    ) -> None:
        """
        @param port: A port of Twisted's that listens on TCP.

        @param makeConnection: Makes a connection of the edge of an accepted
            socket and its descriptor.
        """
        self.timerSlot = NOT_SET
        self._port = port
        self._edge = edge
        self.seconds = edge.seconds
        self.connections: Mapping[int, Any] = edge.connections
        self.waiting: Mapping[int, int] = edge.waiting.events
        self.returning: Mapping[int, int] = edge.returning.events
        # One attribute each, since the reactor calls both in every turn.
        self.beginTurn = edge.hub.fanout.beginTurn
        self.endTurn = edge.hub.fanout.endTurn
        self._makeConnection = makeConnection
        # Any: the annotations of the library leave out the call on which its own accept()
        # stands, which looks up the family and the kind of the socket each time: nine
        # calls of Python functions for a client.
        self._socket: Any = port.socket
        self._kind = (int(port.socket.family), int(port.socket.type), port.socket.proto)
        self.fd: int = port.fileno()
        self._full = fullFrom(openFiles())
        self._isListening = True
        self._isAccepting = False
        siblings = edge.hub.siblings
        self._share: AcceptShare | None = None
        if siblings is not None:
            siblings.watch(edge.connections)
            self._share = AcceptShare(self, edge.hub.clock, siblings.room)
        # The events of the last poll for which there was no time, and whether one
        # of the others was that of the port.
        self.left = ()
        self._hasNewClients = False
        # Asks for another turn, for events that wait, where the reactor does not look.
        self._call: IDelayedCall | None = None
        self._isEnded = False
        # Accepted sockets inherit these options.
        watchForVanishing(self._socket)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port.stopReading()
        self.startReading()
        if isinstance(edge.reactor, LeanEPollReactor):
            edge.reactor.addPort(self)
        else:
            edge.reactor.addReader(self)

    # -- As a port

    def startListening(self) -> None:
        """
        Do nothing: the port listens already.
        """

    def getHost(self) -> Any:
        """
        See L{IListeningPort.getHost}.
        """
        return self._port.getHost()

    def startReading(self) -> None:
        """
        Accept clients.
        """
        if self._isListening and not self._isAccepting:
            self._isAccepting = True
            self._edge.epoll.register(self.fd, EPOLLIN)

    def stopReading(self) -> None:
        """
        Accept no clients until L{startReading} is called.
        """
        self._edge.hub.fanout.wheel.clear(self)
        if self._share is not None:
            self._share.cancel()
        if self._isAccepting:
            self._isAccepting = False
            self._edge.epoll.unregister(self.fd)

    def stopListening(self) -> Deferred[None]:
        """
        See L{IListeningPort.stopListening}.  The connections stay, and each ends
        after its next response.
        """
        self.stopReading()
        self._edge.drain()
        self._isListening = False
        self._edge.whenEmpty(self._end)
        stopped: Deferred[None] = maybeDeferred(self._port.stopListening)
        return stopped

    @property
    def isBusy(self) -> bool:
        """
        Whether a request is under way.
        """
        return any(connection.isBusy for connection in self._edge.connections.values())

    def cutConnections(self) -> bool:
        """
        Close the connections that are left, after L{stopListening}.

        @return: False: they are closed when this returns.
        """
        self._edge.end()
        self._end()
        return False

    # -- As a descriptor of the reactor's

    def logPrefix(self) -> str:
        """
        See L{ILoggingContext.logPrefix
        <twisted.internet.interfaces.ILoggingContext.logPrefix>}.
        """
        return "comet"

    def fileno(self) -> int:
        """
        Return the descriptor of the C{epoll}.
        """
        return -1 if self._isEnded else self._edge.epoll.fileno()

    def doRead(self) -> None:
        """
        Handle the events of the connections, and accept new clients.
        """
        try:
            self._handleEvents()
        except Exception:
            # The reactor would drop this descriptor, and all connections with it.
            self.handlingFailed()

    def _handleEvents(self) -> None:
        over = self._edge.seconds() + TURN
        handled, count = 0, 2
        # Where several events come at once, more are on their way.  Polling again
        # costs less than another turn of the reactor.
        while count > 1 and handled < MAX_HANDLED and not self._isEnded:
            # Events for which there was no time come first.  If they were asked for
            # anew, those of the busiest clients would come first each time.
            happened = self.left or self._edge.epoll.poll(0, MAX_EVENTS)
            if not (happened or self.waiting or self.returning):
                break
            count = self.handle(happened, over)
            handled += count
            if self.left or self.waiting or self.returning:
                break
        # The epoll, and so the reactor, tells nothing of those that wait.
        if (self.waiting or self.returning) and self._call is None:
            self._call = self._edge.hub.clock.callLater(0, self._goOn)

    def _goOn(self) -> None:
        self._call = None
        if not self._isEnded:
            self.doRead()

    # -- As a port of a L{LeanEPollReactor}

    def handlingFailed(self) -> None:
        """
        See L{PolledPort.handlingFailed<comet.lean.epollreactor.PolledPort.handlingFailed>}.
        """
        self._log.failure("Handling the events of {host} failed", host=self.getHost())

    def handle(self, happened: Sequence[tuple[int, int]], over: float) -> int:
        """
        See L{PolledPort.handle<comet.lean.epollreactor.PolledPort.handle>}.

        @return: The number of events and accepted clients.
        """
        edge = self._edge
        self.left = ()
        fanout, connections, seconds = edge.hub.fanout, edge.connections, edge.seconds
        handled = 0
        polls: list[tuple[int, int]] = []
        crowd: list[tuple[int, int]] = []
        edge.turn += 1
        if len(edge.comebacks) > MOST_KEPT:
            edge.comebacks.clear()
        edge.hub.turns.hasCompany = len(happened) > 1
        fanout.beginTurn()
        try:
            for fd, events in happened:
                handled += 1
                connection = connections.get(fd)
                if connection is not None:
                    if connection.isNew or events & _GONE:
                        crowd.append((fd, events))
                        continue
                    if connection.isPolling:
                        polls.append((fd, events))
                        continue
                    try:
                        connection.ready(events)
                    except Exception:
                        edge.broken(connection)
                    if seconds() >= over:
                        self.left = happened[handled:]
                        break
                elif fd == self.fd:
                    self._hasNewClients = True
            if polls or self.returning:
                self._handleReturning(polls, over)
            if crowd or self.waiting:
                self._handleCrowd(crowd, over)
            # Last, since a new client may get a descriptor that was closed just
            # now, and of which an event is still in the list.
            if self._hasNewClients and not self.left:
                self._hasNewClients = False
                handled += self._accept()
        finally:
            edge.hub.turns.hasCompany = False
            fanout.endTurn()
        return handled

    def _handleReturning(self, happened: Sequence[tuple[int, int]], over: float) -> None:
        """
        Handle the events of polls that come back: all of a channel that were answered with the
        same message.  They are behind other clients, and in their order; so a client that
        publishes waits for a turn, and not for thousands of them.
        """
        # Some of them in any case: others may ask without end.
        over = max(over, self.seconds() + RETURNING)
        self._handleInLine(self._edge.returning, happened, over)

    def _handleCrowd(self, happened: Sequence[tuple[int, int]], over: float) -> None:
        """
        Handle the events of those that come and go, which may be thousands in one moment:
        behind those that are there, and in their order.  Where the time is over the rest
        waits, and the C{epoll} does not tell of it meanwhile.
        """
        waiting, turns = self._edge.waiting, self._edge.hub.turns
        begun = self.seconds()
        if turns:
            # They have their time in each turn, and what is read now may wait behind them.
            over = min(over, begun + SHARE)
        turns.isCrowded = len(turns) > 0 or len(waiting) > 0
        # Some of them in any case.
        over = max(over, begun + LEAST)
        try:
            self._handleInLine(waiting, happened, over, begun + SHARE)
        finally:
            turns.isCrowded = False

    def _handleInLine(
        self,
        line: WaitingEvents,
        happened: Sequence[tuple[int, int]],
        over: float,
        crowdedFrom: float = math.inf,
    ) -> None:
        """
        Handle events behind those that wait in a line.  What there is no time for waits there.

        @param over: When the time is over.

        @param crowdedFrom: From when on the clients are a L{crowd<comet.reactor.turns.Turns>}.
        """
        edge, seconds = self._edge, self.seconds
        events, connections = iter(happened), edge.connections
        # Some may be closed by now: with a message for them, or beside another one.
        opened = (each for each in events if each[0] in connections)

        def isOver() -> bool:
            now = seconds()
            if now >= crowdedFrom:
                edge.hub.turns.isCrowded = True
            return now >= over

        first = min(over, crowdedFrom)
        if line.events:
            line.add(opened)
            line.handle(self._handleOne, isOver)
            return
        for fd, event in events:
            if fd in connections:
                # Without a call for each: thousands of polls may come back together.
                connection = connections[fd]
                try:
                    connection.ready(event)
                except Exception:
                    edge.broken(connection)
                if seconds() >= first and isOver():
                    line.add(opened)
                    break

    def _handleOne(self, fd: int, events: int) -> None:
        """
        Handle an event of an open connection.
        """
        edge = self._edge
        connection = edge.connections[fd]
        try:
            connection.ready(events)
        except Exception:
            edge.broken(connection)

    def _accept(self) -> int:
        """
        Accept the clients that wait, or those of them that are this worker's share.

        @return: Their number.
        """
        share = self._share
        return self.acceptSome(MAX_ACCEPTED if share is None else share.allowed(MAX_ACCEPTED))

    def acceptSome(self, most: int) -> int:
        """
        See L{AcceptingPort.acceptSome<comet.limits.acceptshare.AcceptingPort.acceptSome>}.
        """
        most = min(most, MAX_ACCEPTED)
        for count in range(most):
            if not self._isAccepting:
                return count
            try:
                fd, _ = self._socket._accept()
            except BlockingIOError:
                return count
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._edge.hub.refusals.add(f"{error.strerror}, so new ones wait")
                    self.stopReading()
                    self._edge.hub.fanout.wheel.set(self, FULL_PAUSE)
                    return count
                # The client has left already.
                continue
            client = socket.socket(*self._kind, fd)
            client.setblocking(False)
            if fd >= self._full and not self._edge.makeRoom():
                self._edge.refuse(client)
                continue
            try:
                self._makeConnection(client, fd)
            except Exception:
                # A connection that fails must not keep the others from beginning.
                self._edge.beginFailed(client)
        return most

    def timedOut(self) -> None:
        """
        Try again to accept clients: the system may have room.
        """
        self.startReading()

    def connectionLost(self, reason: Failure) -> None:
        """
        Close all connections: the reactor stops.
        """
        self.cutConnections()

    def _end(self) -> None:
        """
        Leave the reactor, and close the C{epoll}.
        """
        self._isAccepting = self._isListening = False
        if self._share is not None:
            self._share.cancel()
        self._isEnded, self.left = True, ()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        reactor = self._edge.reactor
        if isinstance(reactor, LeanEPollReactor):
            reactor.removePort(self)
        else:
            reactor.removeReader(self)
            self._edge.epoll.close()
        self._edge.spare.close()
