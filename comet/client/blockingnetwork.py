"""
The connections of the client for threads, for C{httpcore} and for WebSockets.

The time limits of C{httpcore} are for each read, so that a server that sends a byte now and then
could hold a thread for ever.  Here the limit is that of the whole operation of a thread.  And an
operation can be ended from another thread, which sockets do not like: a socket that is being read
is shut down, which wakes its reader, and only then closed.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore


class Call:
    """
    One operation of a thread.

    @ivar isCancelled: Whether another thread has ended it.
    """

    def __init__(self, deadline: float) -> None:
        """
        @param deadline: In seconds, of C{time.monotonic}.
        """
        self._deadline = deadline
        self.isCancelled = False
        # That which is read or written just now.
        self.stream: Stream | None = None

    def left(self) -> float:
        """
        Return for how many seconds it may go on: more than 0.

        @raise httpcore.ReadTimeout: If its time is over.

        @raise httpcore.ReadError: If it was cancelled.
        """
        if self.isCancelled:
            raise httpcore.ReadError("it was cancelled")
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("its time is over")
        return left

    def cancel(self) -> None:
        """
        End it, from another thread.  A connection that is being opened is waited for.
        """
        self.isCancelled = True
        stream = self.stream
        if stream is not None:
            stream.close()


class Stream(httpcore.NetworkStream):
    """
    A connection, with or without TLS.
    """

    def __init__(self, network: Network, inner: httpcore.NetworkStream) -> None:
        self._network = network
        self._inner = inner
        self._lock = threading.Lock()
        self._isBusy = False
        self._isEnded = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """
        Wait for bytes; none once the server sends no more.
        """
        with self._inUse() as left:
            return self._inner.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """
        Send bytes.
        """
        with self._inUse() as left:
            self._inner.write(buffer, left)

    @contextmanager
    def _inUse(self) -> Iterator[float]:
        call = self._network.call
        left = call.left()
        with self._lock:
            if self._isEnded:
                raise httpcore.ReadError("the connection is closed")
            self._isBusy = True
        call.stream = self
        try:
            # Once more: it may have been cancelled when it had no stream yet.
            yield min(left, call.left())
        finally:
            call.stream = None
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._isBusy = False
            if self._isEnded:
                self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> Stream:
        """
        Go on with TLS.

        @return: The connection in place of this one.
        """
        with self._inUse() as left:
            inner = self._inner.start_tls(ssl_context, server_hostname, left)
        self._network.streams.discard(self)
        return self._network.opened(inner)

    def get_extra_info(self, info: str) -> Any:
        """
        See C{httpcore.NetworkStream}.
        """
        return self._inner.get_extra_info(info)

    def close(self) -> None:
        """
        Close it at once, from any thread.
        """
        self._network.streams.discard(self)
        with self._lock:
            self._isEnded = True
            if not self._isBusy:
                self._inner.close()
                return
            # Its reader wakes, and closes it.  To close it here could make the reader read from
            # another connection, which has got its number.
            sock: socket.socket = self._inner.get_extra_info("socket")
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                # It is not connected any more.
                pass


class Network(httpcore.NetworkBackend):
    """
    Opens the connections of one client.

    @ivar streams: Those that are open.
    """

    def __init__(self) -> None:
        self.streams: set[Stream] = set()
        self._inner = httpcore.SyncBackend()
        self._local = threading.local()
        self._isClosed = False

    @property
    def call(self) -> Call:
        """
        What this thread is doing.
        """
        call: Call = self._local.call
        return call

    @contextmanager
    def during(self, call: Call) -> Iterator[None]:
        """
        Do an operation in this thread.
        """
        self._local.call = call
        try:
            yield
        finally:
            del self._local.call

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Stream:
        """
        Open a connection.
        """
        try:
            left = self.call.left()
        except httpcore.ReadTimeout as error:
            raise httpcore.ConnectTimeout(str(error)) from None
        return self.opened(self._inner.connect_tcp(host, port, left, local_address, socket_options))

    def opened(self, inner: httpcore.NetworkStream) -> Stream:
        """
        Keep a connection that was opened.
        """
        stream = Stream(self, inner)
        self.streams.add(stream)
        if self._isClosed:
            # Meanwhile, by another thread.
            stream.close()
        return stream

    def close(self) -> None:
        """
        Close all connections, also those that are being opened, from any thread.
        """
        self._isClosed = True
        for stream in list(self.streams):
            stream.close()
