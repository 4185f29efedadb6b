"""
A port whose clients are in an C{epoll} of their own, behind one descriptor of
the reactor's.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from select import EPOLLIN
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.capacity import fullFrom, openFiles
from comet.clientlog import ClientLogger
from comet.lean.edge import MAX_EVENTS, Edge
from comet.timers import NOT_SET
from comet.transports.vanished import watchForVanishing
from comet.turns import TURN

# How many clients are accepted in one turn.
MAX_ACCEPTED: Final = 64

# How many events and new clients are handled before the reactor goes on with
# others, if there is time for them.
MAX_HANDLED: Final = 256

# For how many seconds no client is accepted once the system has no room.
FULL_PAUSE: Final = 0.5

# accept(2): the errors that are not the client's fault.
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@implementer(IListeningPort, IReadDescriptor)
class LeanPort:
    """
    Listens in the place of a port of Twisted's, with its socket.
    """

    _log = ClientLogger()

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
        self._makeConnection = makeConnection
        self._socket: socket.socket = port.socket
        self._fd: int = port.fileno()
        self._full = fullFrom(openFiles())
        self._isListening = True
        self._isAccepting = False
        # The events of the last poll for which there was no time, and whether one
        # of the others was that of the port.
        self._unhandled: list[tuple[int, int]] = []
        self._hasNewClients = False
        # Accepted sockets inherit these options.
        watchForVanishing(self._socket)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port.stopReading()
        self.startReading()
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
            self._edge.epoll.register(self._fd, EPOLLIN)

    def stopReading(self) -> None:
        """
        Accept no clients until L{startReading} is called.
        """
        self._edge.hub.fanout.wheel.clear(self)
        if self._isAccepting:
            self._isAccepting = False
            self._edge.epoll.unregister(self._fd)

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
        epoll = self._edge.epoll
        return -1 if epoll.closed else epoll.fileno()

    def doRead(self) -> None:
        """
        Handle the events of the connections, and accept new clients.
        """
        try:
            self._handleEvents()
        except Exception:
            # The reactor would drop this descriptor, and all connections with it.
            self._log.failure("Handling the events of {host} failed", host=self.getHost())

    def _handleEvents(self) -> None:
        over = self._edge.seconds() + TURN
        handled, count = 0, 2
        # Where several events come at once, more are on their way.  Polling again
        # costs less than another turn of the reactor.
        while count > 1 and handled < MAX_HANDLED:
            count = self._handleSome(over)
            handled += count
            if self._unhandled:
                break

    def _handleSome(self, over: float) -> int:
        """
        Handle the events that there are by now.

        @param over: When the time for that is over, in seconds of the hub's clock.

        @return: The number of events and accepted clients.
        """
        edge = self._edge
        if edge.epoll.closed:
            return 0
        # Events for which there was no time come first.  If they were asked for
        # anew, those of the busiest clients would come first each time.
        happened, self._unhandled = self._unhandled, []
        if not happened:
            happened = edge.epoll.poll(0, MAX_EVENTS)
        if not happened:
            return 0
        fanout, connections, seconds = edge.hub.fanout, edge.connections, edge.seconds
        handled = 0
        fanout.beginTurn()
        try:
            for fd, events in happened:
                handled += 1
                connection = connections.get(fd)
                if connection is not None:
                    try:
                        connection.ready(events)
                    except Exception:
                        edge.broken(connection)
                    if seconds() >= over:
                        self._unhandled = happened[handled:]
                        break
                elif fd == self._fd:
                    self._hasNewClients = True
            # Last, since a new client may get a descriptor that was closed just
            # now, and of which an event is still in the list.
            if self._hasNewClients and not self._unhandled:
                self._hasNewClients = False
                handled += self._accept()
        finally:
            fanout.endTurn()
        return handled

    def _accept(self) -> int:
        """
        Accept the clients that wait.

        @return: Their number.
        """
        for count in range(MAX_ACCEPTED):
            if not self._isAccepting:
                return count
            try:
                client, _ = self._socket.accept()
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
            client.setblocking(False)
            fd = client.fileno()
            if fd >= self._full and not self._edge.makeRoom():
                self._edge.refuse(client)
                continue
            try:
                self._makeConnection(client, fd)
            except Exception:
                # A connection that fails must not keep the others from beginning.
                self._edge.beginFailed(client)
        return MAX_ACCEPTED

    def timedOut(self) -> None:
        """
        Try again to accept clients: the system may have room.
        """
        self.startReading()

    def connectionLost(self, reason: Failure) -> None:
        """
        Close all connections: the reactor stops.
        """
        self._edge.closeAll()
        self._end()

    def _end(self) -> None:
        """
        Leave the reactor, and close the C{epoll}.
        """
        self._isAccepting = self._isListening = False
        self._unhandled.clear()
        self._edge.reactor.removeReader(self)
        self._edge.epoll.close()
        self._edge.spare.close()
