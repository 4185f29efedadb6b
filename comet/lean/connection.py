"""
One socket in the C{epoll} of the lean edge: data is sent to it at once, and what
the kernel does not take waits here.
"""

from __future__ import annotations

from collections.abc import Iterable
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from socket import SHUT_RDWR, SO_LINGER, SOL_SOCKET
from struct import pack
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import ITransport
from zope.interface import implementer

from comet.fanout.unsent import sharedRest
from comet.interfaces.sockets import ClientSocket
from comet.lean.edge import READING, Edge

# How many bytes are read at once.
READ_SIZE: Final = 8192

_GONE: Final = EPOLLERR | EPOLLHUP

# struct linger: on, for 0 seconds.  The kernel drops what is unsent.
_NO_LINGER: Final = pack("ii", 1, 0)


@implementer(ITransport)
class Connection:
    """
    One connection.

    Subclasses implement L{received}, L{drained} and L{gone}.

    @ivar edge: The edge that the connection is on.

    @ivar socket: The socket, which does not block.

    @ivar fd: The descriptor of the socket; -1 once the connection is closed or
        given away.

    @ivar unsent: Bytes that the socket has not taken.

    @ivar isPaused: True while nothing is read.

    @cvar readSize: How many bytes are read at once.

    @cvar isNew: See L{EdgeConnection<comet.lean.edge.EdgeConnection>}; and so is
        C{isPolling}.
    """

    readSize: int = READ_SIZE
    isNew: bool = False
    isPolling: bool = False

    __slots__ = ("_isFinishing", "edge", "fd", "isPaused", "socket", "unsent")

    edge: Edge

    def __init__(self, edge: Edge, socket: ClientSocket, fd: int) -> None:
        self.edge = edge
        self.socket = socket
        self.fd = fd
        self.unsent: bytes | memoryview = b""
        self.isPaused = False
        self._isFinishing = False

    # -- For subclasses

    def received(self, data: bytes) -> None:
        """
        Handle input of the client.
        """
        raise NotImplementedError

    def graceOver(self) -> None:
        """
        See L{EdgeConnection.graceOver<comet.lean.edge.EdgeConnection.graceOver>}.
        """

    def inputEnded(self) -> None:
        """
        The client has closed its writing side.  It may read on, or may have left:
        only writing to it tells.  Called again when the connection is read again.
        """
        self.close()

    def drained(self) -> None:
        """
        The socket has taken everything that waited.
        """

    def gone(self) -> None:
        """
        The connection is closed, by the client or by the server.  Called once.
        """

    @property
    def isBusy(self) -> bool:
        """
        See L{EdgeConnection.isBusy<comet.lean.edge.EdgeConnection.isBusy>}.
        """
        return bool(self.unsent or self._isFinishing)

    @property
    def isIdle(self) -> bool:
        """
        See L{EdgeConnection.isIdle<comet.lean.edge.EdgeConnection.isIdle>}.
        """
        return False

    # -- Events

    def ready(self, events: int) -> None:
        """
        See L{EdgeConnection.ready<comet.lean.edge.EdgeConnection.ready>}.
        """
        if events & EPOLLOUT:
            self._drain()
        if not events & EPOLLIN:
            if events & _GONE:
                self._lost()
            return
        if self.fd < 0 or self.isPaused or self._isFinishing:
            return
        try:
            data = self.socket.recv(self.readSize)
        except BlockingIOError:
            return
        except OSError:
            self._lost()
            return
        if data:
            self.received(data)
            return
        self.endInput()

    def endInput(self) -> None:
        """
        The client says nothing more.
        """
        # Watched for input, the socket would tell its end in each turn.
        self.pauseProducing()
        if self.edge.hub.turns.isCrowded:
            self.edge.hangups.add(self._endInput)
        else:
            self.inputEnded()

    def _endInput(self) -> None:
        """
        The end of the input has waited for its turn; meanwhile the connection may have gone.
        """
        if self.fd >= 0:
            self.inputEnded()

    def _lost(self) -> None:
        """
        The client has closed the connection.  What that means to others waits if very
        many do so in this moment.
        """
        if not self.edge.hub.turns.isCrowded:
            self.close()
        elif self.fd >= 0:
            # The least that keeps the system from telling of it again.
            self.leave()
            self.edge.hangups.add(self._bury)

    def _bury(self) -> None:
        self.socket.close()
        self.gone()

    def _drain(self) -> None:
        if self.fd < 0:
            return
        if self.unsent:
            try:
                sent = self.socket.send(self.unsent)
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            self._took(sent)
            if self.unsent:
                return
        if self._isFinishing:
            self._shutdown()
            return
        self.watch()
        self.drained()

    def push(self, data: bytes) -> bool:
        """
        Send data, and keep what the socket does not take.

        @return: True if the socket took all of it.
        """
        if self.unsent or self.fd < 0:
            self.keep(data)
            return False
        try:
            sent = self.socket.send(data)
        except OSError:
            # The buffer is full or the connection broken: an event will tell.
            sent = 0
        if sent == len(data):
            return True
        self.keep(self._rest(data, sent))
        return False

    def _rest(self, data: bytes, sent: int) -> bytes | memoryview:
        """
        Return what is to be kept of some data.  A subclass that sends what many
        clients get returns a view.
        """
        return data[sent:]

    def keep(self, rest: bytes | memoryview) -> None:
        """
        Send bytes once the socket takes them.
        """
        if self.fd >= 0:
            self.unsent = b"".join((self.unsent, rest)) if self.unsent else rest
            self.watch()

    def _took(self, sent: int) -> None:
        """
        The socket has taken some of what waited.
        """
        unsent = self.unsent
        isShared = isinstance(unsent, memoryview)
        self.unsent = sharedRest(unsent, sent) if isShared else unsent[sent:]

    def watch(self) -> None:
        """
        Ask the C{epoll} for the events that the connection waits for now.
        """
        if self.fd >= 0:
            self.edge.watch(self.fd, self.wanted)

    @property
    def wanted(self) -> int:
        """
        See L{EdgeConnection.wanted<comet.lean.edge.EdgeConnection.wanted>}.
        """
        events = 0 if self.isPaused or self._isFinishing else READING
        return events | EPOLLOUT if self.unsent or self._isFinishing else events

    # -- As a transport of Twisted's

    def write(self, data: bytes) -> Any:
        """
        Send data, after all that was written before.
        """
        return self.push(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        See L{ITransport.writeSequence}.
        """
        self.write(b"".join(data))

    def pauseProducing(self) -> None:
        """
        Stop reading.
        """
        self.isPaused = True
        self.watch()

    def resumeProducing(self) -> None:
        """
        Read again.
        """
        self.isPaused = False
        self.watch()

    def finish(self) -> None:
        """
        Close the connection once all is sent.
        """
        self._isFinishing = True
        self.watch()

    def abort(self) -> None:
        """
        Close the connection now, and drop what is unsent.
        """
        if self.fd >= 0:
            self.socket.setsockopt(SOL_SOCKET, SO_LINGER, _NO_LINGER)
            self.leave()
            self.socket.close()
            # The caller is in the middle of its work, and must not be re-entered.
            self.edge.hub.turns.later(self.gone)

    loseConnection = finish
    abortConnection = abort

    def getHost(self) -> IPv4Address | IPv6Address:
        """
        Return the address of the server.
        """
        return self.edge.address(self.socket.getsockname())

    def getPeer(self) -> IPv4Address | IPv6Address:
        """
        Return the address of the client.  Its host is empty once the client has
        reset the connection: the system has forgotten it then.
        """
        return self.edge.peerOf(self.socket) or IPv4Address("TCP", "", 0)

    # -- The end

    def leave(self) -> None:
        """
        See L{EdgeConnection.leave<comet.lean.edge.EdgeConnection.leave>}.
        """
        self.edge.forget(self.fd)
        self.fd = -1

    def _shutdown(self) -> None:
        try:
            # close() alone would leave the connection open while a forked process
            # holds the socket, too.
            self.socket.shutdown(SHUT_RDWR)
        except OSError:
            # The client has closed it already.
            pass
        self.close()

    def close(self) -> None:
        """
        Close the connection.  Does nothing if it is closed.
        """
        if self.fd >= 0:
            self.leave()
            self.socket.close()
            self.gone()
