"""
Connections of a client in an event loop, but for those of HTTP, and what arrives on any.
"""

from __future__ import annotations

import asyncio
from typing import cast

from comet.client.awaiting import Inbox
from comet.client.failures import Silent
from comet.client.httpxfailures import asFailure


class Arrivals:
    """
    An inbox that a coroutine can wait for.  The streams of asyncio would make a task for each wait
    that has a limit.
    """

    def __init__(self) -> None:
        self.inbox = Inbox()
        self._waiting: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """
        Something has arrived.
        """
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def take(self, deadline: float) -> bytes:
        """
        Wait for bytes; none at the end.  A wait may be cancelled, and loses nothing.

        @raise Silent: If the time is over.
        """
        while True:
            data = self.inbox.take()
            if data is not None:
                return data
            loop = asyncio.get_running_loop()
            waiting = self._waiting = loop.create_future()
            timer = loop.call_at(deadline, _timeOut, waiting)
            try:
                await waiting
            finally:
                timer.cancel()
                self._waiting = None


def _timeOut(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_exception(Silent("the server has sent nothing for too long", wasSent=True))


class Connection(asyncio.Protocol):
    """
    A connection that is read no further than the program takes what comes.
    """

    def __init__(self, sockets: set[Connection], host: str) -> None:
        """
        @param sockets: The connections that are open, of which it is one.

        @param host: Where it leads to: the host, and its port.
        """
        self._sockets = sockets
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        # Whether the server takes so little that answers to its pings wait.
        self._isClogged = False
        self.arrivals = Arrivals()
        self._host = host

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self._transport = cast("asyncio.Transport", transport)
        self._sockets.add(self)

    def data_received(self, data: bytes) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self.arrivals.inbox.received(data)
        if self.arrivals.inbox.isFull:
            self._throttle()
        self.arrivals.wake()

    def pause_writing(self) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self._isClogged = True
        self._throttle()

    def resume_writing(self) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self._isClogged = False
        self._throttle()

    def _throttle(self) -> None:
        """
        Read on, or stop to read until there is room for what comes and for what it is answered.
        """
        if self._transport is None or self._transport.is_closing():
            return
        if self._isClogged or self.arrivals.inbox.isFull:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def eof_received(self) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self.arrivals.inbox.end()
        self.arrivals.wake()

    def connection_lost(self, error: Exception | None) -> None:
        """
        See C{asyncio.Protocol}.
        """
        self._sockets.discard(self)
        self._transport = None
        self.arrivals.inbox.end(None if error is None else asFailure(error, self._host, True))
        self.arrivals.wake()

    async def read(self, deadline: float) -> bytes:
        """
        Wait for bytes; none at the end.
        """
        data = await self.arrivals.take(deadline)
        self._throttle()
        return data

    def write(self, data: bytes) -> None:
        """
        Send bytes, if there are any.
        """
        if data and self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """
        See L{Socket<comet.client.clientsteps.Socket>}.
        """
        # A subscription that the program has not closed may be freed after the loop has ended.
        if self._transport is not None and not self._loop.is_closed():
            self._transport.abort()
