"""
A socket in the C{epoll} of the lean edge: what is sent goes straight to it, and
what it does not take waits.
"""

from __future__ import annotations

from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from socket import SHUT_RDWR, SO_LINGER, SOL_SOCKET, socket
from struct import pack
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.address import IPv4Address, IPv6Address

if TYPE_CHECKING:
    from comet.lean.edge import Edge

# How many bytes are read at once: what they say is dealt with at once.
READ: Final = 8192

_GONE: Final = EPOLLERR | EPOLLHUP

# On, and not for a second: what is unsent is thrown away.
_AT_ONCE: Final = pack("ii", 1, 0)


class Connection:
    """
    One connection.

    A subclass says in L{received}, L{drained} and L{gone} what happens then.

    @ivar edge: What all connections share.

    @ivar socket: The socket, which does not block.

    @ivar fd: Its descriptor; -1 when it is closed, or somebody else's.

    @ivar rest: What was to be sent and was not taken.

    @ivar isPaused: Whether nothing is read for now.

    @cvar appetite: How many bytes are read at once.
    """

    appetite: int = READ

    __slots__ = ("_isFinishing", "edge", "fd", "isPaused", "rest", "socket")

    def __init__(self, edge: Edge, socket: socket, fd: int) -> None:
        self.edge = edge
        self.socket = socket
        self.fd = fd
        self.rest = b""
        self.isPaused = False
        self._isFinishing = False

    # -- What a subclass says

    def received(self, data: bytes) -> None:
        """
        The client has sent something.
        """
        raise NotImplementedError

    def stays(self) -> None:
        """
        A moment ago the client came, and is there still.
        """

    def drained(self) -> None:
        """
        All is sent that had to wait.
        """

    def gone(self) -> None:
        """
        The connection is closed, whoever closed it.  Said once.
        """

    # -- What happens

    def ready(self, events: int) -> None:
        """
        Something can be read, or written, or the connection is broken.
        """
        if events & EPOLLOUT:
            self._drain()
        if not events & EPOLLIN:
            if events & _GONE:
                self.close()
            return
        if self.fd < 0 or self.isPaused or self._isFinishing:
            return
        try:
            data = self.socket.recv(self.appetite)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.received(data)
        else:
            # Also where only its writing side is closed: so does Twisted.
            self.close()

    def _drain(self) -> None:
        if self.fd < 0:
            return
        if self.rest:
            try:
                sent = self.socket.send(self.rest)
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            self.rest = self.rest[sent:]
            if self.rest:
                return
        if self._isFinishing:
            self._shutdown()
            return
        self.watch()
        self.drained()

    def push(self, data: bytes) -> bool:
        """
        Send, or keep what cannot be sent.

        @return: Whether all of it was sent.
        """
        if self.rest or self.fd < 0:
            self.keep(data)
            return False
        try:
            sent = self.socket.send(data)
        except OSError:
            # Full, or broken: in both cases the next event will tell.
            sent = 0
        if sent == len(data):
            return True
        self.keep(data[sent:])
        return False

    def keep(self, rest: bytes) -> None:
        """
        Send this when the socket takes it.
        """
        if self.fd >= 0:
            self.rest += rest
            self.watch()

    def watch(self) -> None:
        """
        Be told of what is waited for.
        """
        if self.fd >= 0:
            events = 0 if self.isPaused or self._isFinishing else EPOLLIN
            if self.rest or self._isFinishing:
                events |= EPOLLOUT
            self.edge.watch(self.fd, events)

    # -- As a transport of Twisted's

    def write(self, data: bytes) -> Any:
        """
        Send, after all that was written before.
        """
        return self.push(data)

    def pauseProducing(self) -> None:
        """
        Read no more for now.
        """
        self.isPaused = True
        self.watch()

    def resumeProducing(self) -> None:
        """
        Read on.
        """
        self.isPaused = False
        self.watch()

    def finish(self) -> None:
        """
        Close the connection when all is sent.
        """
        self._isFinishing = True
        self.watch()

    def abort(self) -> None:
        """
        Close the connection, whatever is unsent.
        """
        if self.fd >= 0:
            self.socket.setsockopt(SOL_SOCKET, SO_LINGER, _AT_ONCE)
            self.leave()
            self.socket.close()
            # Whoever aborts it is in the midst of something.
            self.edge.later(self.gone)

    loseConnection = finish
    abortConnection = abort

    def getHost(self) -> IPv4Address | IPv6Address:
        """
        The address of the server.
        """
        return self.edge.address(self.socket.getsockname())

    def getPeer(self) -> IPv4Address | IPv6Address:
        """
        The address of the client.
        """
        return self.edge.address(self.socket.getpeername())

    # -- Its end

    def leave(self) -> None:
        """
        Be told of no more events.
        """
        self.edge.forget(self.fd)
        self.fd = -1

    def _shutdown(self) -> None:
        try:
            # Also for those that have it, too, from before a fork.
            self.socket.shutdown(SHUT_RDWR)
        except OSError:
            # The client was faster.
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
