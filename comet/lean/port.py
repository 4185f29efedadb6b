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
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.lean.edge import MOST_EVENTS, Edge
from comet.timers import NOT_SET

# How many clients are accepted in one turn.
MOST_ACCEPTED: Final = 64

# After how many events and newcomers others have their turn.
MOST_AT_ONCE: Final = 256

# For how many seconds nobody is accepted when the system has no room.
FULL: Final = 0.5

# accept(2): what is not the client's fault.
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@implementer(IListeningPort, IReadDescriptor)
class LeanPort:
    """
    Listens in the place of a port of Twisted's, with its socket.
    """

    _log = Logger()

    def __init__(
        self, port: Any, edge: Edge, makeWire: Callable[[Edge, socket.socket, int], object]
    ) -> None:
        """
        @param port: A port of TCP that listens.

        @param makeWire: Makes of a socket that was accepted, and its
            descriptor, one of the connections of the edge.
        """
        self.timerSlot = NOT_SET
        self._port = port
        self._edge = edge
        self._makeWire = makeWire
        self._accepting: socket.socket = port.socket
        self._fd: int = port.fileno()
        self._isListening = True
        self._isAccepting = False
        # What is accepted has these from the beginning.
        self._accepting.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._accepting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port.stopReading()
        self.startReading()
        edge.reactor.addReader(self)

    # -- As a port

    def startListening(self) -> None:
        """
        Do nothing: it listens.
        """

    def getHost(self) -> Any:
        """
        See L{IListeningPort.getHost}.
        """
        return self._port.getHost()

    def startReading(self) -> None:
        """
        Accept whoever comes.
        """
        if self._isListening and not self._isAccepting:
            self._isAccepting = True
            self._edge.epoll.register(self._fd, EPOLLIN)

    def stopReading(self) -> None:
        """
        Accept nobody for now.
        """
        self._edge.hub.fanout.wheel.clear(self)
        if self._isAccepting:
            self._isAccepting = False
            self._edge.epoll.unregister(self._fd)

    def stopListening(self) -> Deferred[None]:
        """
        See L{IListeningPort.stopListening}.  The connections stay.
        """
        self.stopReading()
        self._isListening = False
        self._edge.whenEmpty(self._end)
        stopped: Deferred[None] = maybeDeferred(self._port.stopListening)
        return stopped

    # -- As a descriptor

    def logPrefix(self) -> str:
        """
        What the reactor calls it in the log.
        """
        return "comet"

    def fileno(self) -> int:
        """
        The descriptor of the C{epoll}.
        """
        epoll = self._edge.epoll
        return -1 if epoll.closed else epoll.fileno()

    def doRead(self) -> None:
        """
        Something happened to some of the clients, or there are new ones.
        """
        try:
            self._deal()
        except Exception:
            # The reactor would take it for the end of all of them.
            self._log.failure("a turn failed")

    def _deal(self) -> None:
        dealt, count = 0, 2
        # Where several come at once, more are on their way: to look again costs
        # less than another round of the reactor.
        while count > 1 and dealt < MOST_AT_ONCE:
            count = self._turn()
            dealt += count

    def _turn(self) -> int:
        """
        Deal with what has happened by now.

        @return: How much that was.
        """
        edge = self._edge
        if edge.epoll.closed:
            return 0
        happened = edge.epoll.poll(0, MOST_EVENTS)
        if not happened:
            return 0
        isNew = False
        fanout, connections = edge.hub.fanout, edge.connections
        fanout.beginTurn()
        try:
            for fd, events in happened:
                connection = connections.get(fd)
                if connection is not None:
                    try:
                        connection.ready(events)
                    except Exception:
                        edge.broken(connection)
                elif fd == self._fd:
                    isNew = True
            # Last: a descriptor that was closed just now may come again.
            accepted = self._accept() if isNew else 0
        finally:
            fanout.endTurn()
        return len(happened) + accepted

    def _accept(self) -> int:
        """
        Let those in who have come.

        @return: How many these are.
        """
        for count in range(MOST_ACCEPTED):
            if not self._isAccepting:
                return count
            try:
                client, _ = self._accepting.accept()
            except BlockingIOError:
                return count
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._log.error(
                        "nobody is accepted for a moment: {error}", error=error.strerror
                    )
                    self.stopReading()
                    self._edge.hub.fanout.wheel.set(self, FULL)
                    return count
                # The client has left already.
                continue
            client.setblocking(False)
            try:
                self._makeWire(self._edge, client, client.fileno())
            except Exception:
                # Nothing that is wrong with this one may reach the others.
                self._edge.failed(client)
        return MOST_ACCEPTED

    def timedOut(self) -> None:
        """
        There may be room again.
        """
        self.startReading()

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor stops.
        """
        self._edge.closeAll()
        self._end()

    def _end(self) -> None:
        """
        There is nothing more to be told of.
        """
        self._isAccepting = self._isListening = False
        self._edge.reactor.removeReader(self)
        self._edge.epoll.close()
        self._edge.spare.close()
