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

# How long anything asked of the loop may take, in seconds.
_PATIENCE: Final = 10.0


class _End(asyncio.Protocol):
    """
    One of the two ends of a connection.
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
        See L{asyncio.Protocol}.  Neither side uses half a connection.
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
        Give all that comes to this end to the other.
        """
        self.other = other
        for data in self._early:
            other.transport.write(data)
        self._early.clear()

    def hold(self) -> None:
        """
        Take nothing.
        """
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def goOn(self) -> None:
        """
        Take what comes.
        """
        if not self.transport.is_closing():
            self.transport.resume_reading()


class _Connection:
    """
    One connection through a link, from who asked for it to whom it asked for.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self.front = _End(link, self)
        self.back: _End | None = None
        self._opening: asyncio.Task[None] | None = None

    def begin(self) -> _End:
        """
        Somebody has connected.
        """
        self._opening = asyncio.get_running_loop().create_task(self._connect())
        return self.front

    def made(self, end: _End) -> None:
        """
        One of its ends has its transport.
        """
        if end is self.front:
            self._link.connections.append(self)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        # The front end has its transport only now.
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
        Those that there are.
        """
        return [self.front] if self.back is None else [self.front, self.back]

    def ended(self) -> None:
        """
        One of its ends is lost.
        """
        if self in self._link.connections:
            self._link.connections.remove(self)

    def cut(self) -> None:
        """
        Break it: both sides see a reset, and what was on its way is lost.
        """
        for end in self.ends:
            plain = end.transport.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()


class Link:
    """
    A port that leads to another one, for as long as it does.

    @ivar port: Where to connect.

    @ivar target: Where that leads.

    @ivar connections: Those that are open; only for the proxies' thread.

    @ivar isStalled: Whether nothing goes through.
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
        Begin.
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
        Break connections.

        @param chance: Given how many there are, which one; or L{None} for all.

        @return: How many were broken.
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
        Take no new connections, or take them again.  Those that are open stay.
        """

        def refuse() -> None:
            self._isRefusing = isRefusing

        self._proxies.call(refuse)

    def stall(self, isStalled: bool) -> None:
        """
        Let nothing through, without breaking anything, or let it through again.
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
    Closes at once.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        See L{asyncio.Protocol}.
        """
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


class Proxies:
    """
    All links, and the thread that carries what goes through them.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> T:
        """
        Call something in the thread of the links, and wait for it.
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
        End all of it.
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
