"""
Links that can be broken: a TCP proxy for each, on an event loop in a thread of
its own.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

# How long a call in the loop may take, in seconds.
_PATIENCE: Final = 10.0


class _End(asyncio.Protocol):
    """
    One of the two ends of a connection through a link.
    """

    transport: asyncio.Transport

    def __init__(self, link: Link, connection: _Connection) -> None:
        self._link = link
        self._connection = connection
        self.other: _End | None = None
        self._early: list[bytes] = []
        self.isLost = False
        self._isEarlyEnd = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        See L{asyncio.Protocol}.
        """
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._connection.made(self)
        if self._link.isStalled:
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """
        See L{asyncio.Protocol}.
        """
        if self.other is None:
            self._early.append(data)
        else:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """
        See L{asyncio.Protocol}.  Half-closed connections are not supported.
        """
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """
        See L{asyncio.Protocol}.
        """
        self.isLost = True
        if self.other is not None:
            if error is None:
                self.other.transport.close()
            else:
                self.other.transport.abort()
        self._connection.ended()

    def pause_writing(self) -> None:
        """
        See L{asyncio.Protocol}.
        """
        if self.other is not None:
            self.other.hold()

    def resume_writing(self) -> None:
        """
        See L{asyncio.Protocol}.
        """
        if self.other is not None and not self._link.isStalled:
            self.other.goOn()

    def join(self, other: _End) -> None:
        """
        Pass all that comes to this end to the other.
        """
        self.other = other
        for data in self._early:
            other.transport.write(data)
        self._early.clear()

    def hold(self) -> None:
        """
        Stop reading.
        """
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def goOn(self) -> None:
        """
        Read again.
        """
        if not self.transport.is_closing():
            self.transport.resume_reading()


class _Connection:
    """
    One connection through a link, from a client to the target.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self.front = _End(link, self)
        self.back: _End | None = None
        self._opening: asyncio.Task[None] | None = None

    def begin(self) -> _End:
        """
        Make the end of a client that has connected.
        """
        self._opening = asyncio.get_running_loop().create_task(self._connect())
        return self.front

    def made(self, end: _End) -> None:
        """
        Note that one of its ends has its transport.
        """
        if end is self.front:
            self._link.connections.append(self)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        # The client's end has its transport only in the next turn of the loop.
        await asyncio.sleep(0)
        try:
            _, back = await loop.create_connection(
                lambda: _End(self._link, self), "127.0.0.1", self._link.target
            )
        except OSError:
            self.front.transport.abort()
            return
        if self.front.isLost:
            back.transport.close()
            return
        self.back = back
        back.join(self.front)
        self.front.join(back)

    @property
    def ends(self) -> list[_End]:
        """
        Return the ends that exist.
        """
        return [self.front] if self.back is None else [self.front, self.back]

    def ended(self) -> None:
        """
        Note that one of its ends is lost.
        """
        if self in self._link.connections:
            self._link.connections.remove(self)

    def cut(self) -> None:
        """
        Cut the connection: both sides see a reset, and bytes on their way are
        lost.
        """
        for end in self.ends:
            plain = end.transport.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()


class Link:
    """
    A port that forwards connections to another one, and can be broken.

    @ivar port: The port for clients.

    @ivar target: The port to which it forwards.

    @ivar connections: The open connections; only for the proxies' thread.

    @ivar isStalled: Whether no bytes pass.
    """

    def __init__(self, proxies: Proxies, target: int) -> None:
        self._proxies = proxies
        self.target = target
        self.port = 0
        self.connections: list[_Connection] = []
        self.isStalled = False
        self._isRefusing = False

    async def listen(self) -> None:
        """
        Listen on the port.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    def _accept(self) -> asyncio.Protocol:
        if self._isRefusing:
            return _Refusal()
        return _Connection(self).begin()

    def cut(self, chance: Callable[[int], int] | None = None) -> int:
        """
        Cut connections.

        @param chance: Chooses one connection, given their number; L{None} for
            all.

        @return: The number of connections that were cut.
        """

        def cut() -> int:
            chosen = list(self.connections)
            if chance is not None and chosen:
                chosen = [chosen[chance(len(chosen))]]
            for connection in chosen:
                connection.cut()
            return len(chosen)

        return self._proxies.call(cut)

    def refuse(self, isRefusing: bool) -> None:
        """
        Refuse new connections, or accept them again.  Open connections stay.
        """

        def refuse() -> None:
            self._isRefusing = isRefusing

        self._proxies.call(refuse)

    def stall(self, isStalled: bool) -> None:
        """
        Hold all bytes without cutting a connection, or let them pass again.
        """

        def stall() -> None:
            self.isStalled = isStalled
            for connection in self.connections:
                for end in connection.ends:
                    if isStalled:
                        end.hold()
                    else:
                        end.goOn()

        self._proxies.call(stall)


class _Refusal(asyncio.Protocol):
    """
    A connection that is closed at once.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        See L{asyncio.Protocol}.
        """
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


class Proxies:
    """
    All links, and the thread that runs them.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> T:
        """
        Call a function in the thread of the links, and wait for its result.
        """

        async def called() -> T:
            return function()

        return self._run(called())

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_PATIENCE)

    def link(self, target: int) -> Link:
        """
        Make a link to a port of 127.0.0.1.
        """
        link = Link(self, target)
        self._run(link.listen())
        return link

    def close(self) -> None:
        """
        Close all links, and end the thread.
        """

        async def stop() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._run(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()
