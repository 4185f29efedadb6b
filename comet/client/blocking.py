"""
A client for scripts, and for programs in threads: Flask, Django, Celery::

    from comet.client.blocking import Client

    client = Client("http://127.0.0.1:8080", key="…")
    client.publish("news", {"headline": "…"})

    for item in client.subscribe("news", since="earliest"):
        print(item)

A program makes one client and keeps it, so that its connections are used again.  Several threads
may use it at the same time; each iterates over subscriptions of its own.  After a fork it goes on
with connections of its own.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from comet.client.basesubscription import BaseSubscription
from comet.client.batches import BATCH
from comet.client.clientcore import Core
from comet.client.clientreading import Reading
from comet.client.clientsteps import Ask, Connect, Receive, Send, Sleep, Step, Steps
from comet.client.credential import Token
from comet.client.failures import Closed, Untrusted
from comet.client.received import Closing, Gap, Member, Message, Presence
from comet.client.requester import Timing
from comet.client.standing import Since

__all__ = ["Client", "Closing", "Gap", "Member", "Message", "Presence", "Subscription", "Timing"]

T = TypeVar("T")

_READ_SIZE = 65536


class _Connection:
    """
    A socket, with or without TLS.
    """

    def __init__(self, sock: socket.socket, sockets: set[socket.socket]) -> None:
        self._socket = sock
        self._sockets = sockets
        sockets.add(sock)

    def send(self, data: bytes, deadline: float) -> None:
        self._wait(deadline)
        self._socket.sendall(data)

    def receive(self, deadline: float) -> bytes:
        self._wait(deadline)
        return self._socket.recv(_READ_SIZE)

    def _wait(self, deadline: float) -> None:
        # Not 0, which would mean that the socket does not block.
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))

    def close(self) -> None:
        """
        See L{Connection<comet.client.clientsteps.Connection>}.
        """
        self._sockets.discard(self._socket)
        self._socket.close()


class Client:
    """
    Publishes and reads, and blocks the thread meanwhile.

    Each method raises the L{CometError<comet.errors.CometError>} that the server answers, or one of
    L{comet.client.failures}.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        key: str | None = None,
        transport: str | Sequence[str] | None = None,
        parameters: Mapping[str, str] | None = None,
        timing: Timing | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """
        @param url: The root of the server's site, or the path at which comet is mounted.

        @param token: A token, or a function that returns one.  It is called before the first
            request, and when the server says that the last token has expired.

        @param key: A publish key or admin key, instead of a token.

        @param transport: C{websocket}, C{sse}, C{stream} or C{longpoll}, or several of them, which
            are tried in their order; by default all.

        @param parameters: Added to the query of every request.

        @param timing: How long to wait for what.

        @param tls: How the server's certificate is verified; by default, by the certificates of the
            system.

        @raise ValueError: If one of these is not allowed.
        """
        self._core = Core(url, time.monotonic, token, key, transport, parameters, timing)
        self._tls = tls
        self._sockets: set[socket.socket] = set()
        self._process = os.getpid()
        self._closed = threading.Event()

    def publish(
        self,
        channel: str,
        data: Any,
        event: str | None = None,
        key: str | None = None,
        exclude: str | None = None,
    ) -> str:
        """
        Publish a message.  While there is no answer it is sent again, for 30 seconds by default,
        and is stored once.

        @param data: A value of JSON, or C{bytes}.

        @param event: The name of its event.

        @param key: An idempotency key; by default a random one.

        @param exclude: Readers with this id do not get the message.

        @return: Its cursor, once it is stored.
        """
        return self._run(self._core.publish(channel, data, event, key, exclude))

    def publishMany(
        self, publications: Iterable[Mapping[str, Any]], batch: int = BATCH
    ) -> list[str]:
        """
        Publish messages, in requests of many.  The server stores all of a request or none.  If one
        fails, those before it are stored.

        @param publications: Each is as the parameters of L{publish}: a mapping with C{channel} and
            C{data}, and perhaps C{event}, C{key} and C{exclude}.

        @param batch: The most messages of one request.

        @return: The cursor of each, once all are stored.
        """
        return self._run(self._core.publishMany(publications, batch))

    def presence(self, channel: str) -> Presence:
        """
        Ask who is in a channel.
        """
        return self._run(self._core.presence(channel))

    def subscribe(
        self,
        names: str | Sequence[str],
        since: Since = None,
        cursorFile: str | os.PathLike[str] | None = None,
        onClose: Callable[[Closing], object] | None = None,
    ) -> Subscription:
        """
        Read channels and patterns.

        @param since: Where to begin: C{"now"}, the default; C{"earliest"}; C{"-10"} for the last
            ten messages of each channel; a cursor; or a mapping from names to these.

        @param cursorFile: A file that holds the place of the subscription.  Once it exists it
            overrules C{since}.  It is written when an item is handled.

        @param onClose: Called each time that the connection is lost, with why, and with after how
            many seconds the client comes back.

        @return: An iterator of L{Message}s and L{Gap}s.  It connects when the first is asked for.
            While no server answers it tries for ever, also the first time.
        """
        return Subscription(self, self._core.subscribe(names, since, cursorFile, onClose))

    def close(self) -> None:
        """
        Close all connections, also from another thread.  Subscriptions end, and what is being
        published fails with L{Closed<comet.client.failures.Closed>}.
        """
        self._closed.set()
        self._core.close()
        for each in list(self._ownSockets()):
            try:
                # Unlike close, it wakes the thread that waits for the socket.
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                # It is not connected any more.
                pass

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                try:
                    result = self._do(step)
                except Exception as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            # Also after KeyboardInterrupt: closes the connection that was in use.
            steps.close()

    def _do(self, step: Step, until: float | None = None) -> object:
        """
        Do a step.

        @param until: When to raise L{_NotYet}, if the step is not done by then.
        """
        if self._closed.is_set():
            raise Closed("the client is closed")
        if isinstance(step, Receive):
            return self._receive(step, until)
        if isinstance(step, Send):
            connection = step.connection
            assert isinstance(connection, _Connection)
            connection.send(step.data, step.deadline)
            return None
        if isinstance(step, Sleep):
            end = step.until if until is None else min(until, step.until)
            if self._closed.wait(max(end - time.monotonic(), 0.0)):
                raise Closed("the client is closed")
            if end < step.until:
                raise _NotYet
            return None
        if isinstance(step, Ask):
            return step.function()
        return self._connect(step)

    def _receive(self, step: Receive, until: float | None) -> bytes:
        connection = step.connection
        assert isinstance(connection, _Connection)
        try:
            return connection.receive(step.deadline if until is None else min(until, step.deadline))
        except TimeoutError:
            if until is not None and until < step.deadline:
                raise _NotYet from None
            raise

    def _connect(self, step: Connect) -> _Connection:
        sock = socket.create_connection(
            (step.host, step.port), max(step.deadline - time.monotonic(), 0.001)
        )
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if step.isSecure:
                if self._tls is None:
                    self._tls = ssl.create_default_context()
                sock = self._tls.wrap_socket(sock, server_hostname=step.host)
        except ssl.SSLCertVerificationError as error:
            sock.close()
            raise Untrusted(f"the certificate of {step.host}: {error.verify_message}") from error
        except BaseException:
            sock.close()
            raise
        return _Connection(sock, self._ownSockets())

    def _ownSockets(self) -> set[socket.socket]:
        if self._process != os.getpid():
            # After a fork: to shut the others down would break them for the parent.
            self._sockets, self._process = set(), os.getpid()
        return self._sockets


class _NotYet(BaseException):
    """
    The time that the caller gives is over, and the step is not done.  The core does not see it.
    """


class Subscription(BaseSubscription):
    """
    An iterator of messages and gaps.  It comes back by itself, without losing or repeating a
    message.

    An item is handled once the next is asked for, or C{handled} is called.
    """

    def __init__(self, client: Client, reading: Reading) -> None:
        super().__init__(reading)
        self._client = client

    def next(self, timeout: float | None = None) -> Message | Gap | None:
        """
        Wait for the next item.

        @param timeout: For how many seconds; by default for ever.  A connection that is being
            opened is waited for all the same.

        @return: The item, or L{None} if the time is over.

        @raise Closed: If the client is closed.
        """
        until = None if timeout is None else time.monotonic() + timeout
        reading = self._reading
        while True:
            item = reading.take()
            if item is not None:
                return item
            step = reading.step()
            if step is None:
                continue
            try:
                result = self._client._do(step, until)
            except _NotYet:
                return None
            except Exception as error:
                reading.failed(error)
            else:
                reading.done(result)

    def close(self) -> None:
        """
        End it, and close its connection.
        """
        self._reading.close()

    def __iter__(self) -> Iterator[Message | Gap]:
        return self

    def __next__(self) -> Message | Gap:
        try:
            item = self.next()
        except Closed:
            self._reading.close()
            raise StopIteration from None
        assert item is not None
        return item

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
