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
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from comet.client.basesubscription import BaseSubscription
from comet.client.batches import BATCH
from comet.client.blockingexchanges import Exchanges, NotYet
from comet.client.blockingnetwork import Call
from comet.client.clientcore import Core
from comet.client.clientreading import Reading
from comet.client.clientsteps import (
    Ask,
    Connect,
    Opening,
    Read,
    Request,
    Sleep,
    Step,
    Steps,
    Texts,
    Upgrade,
)
from comet.client.credential import Token
from comet.client.failures import Closed
from comet.client.received import Closing, Gap, History, Member, Message, Presence
from comet.client.requester import Timing
from comet.client.standing import Since

__all__ = [
    "Client",
    "Closing",
    "Gap",
    "History",
    "Member",
    "Message",
    "Presence",
    "Subscription",
    "Timing",
]

T = TypeVar("T")


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
        @param url: The root of the server's site, or the path at which comet is mounted.  At a port
            of raw TCP, C{tcp://HOST:PORT} or with TLS C{tls://HOST:PORT}, a client subscribes and
            does nothing else.

        @param token: A token, or a function that returns one.  It is called before the first
            request, again before the token expires, and when the server says that it has.

        @param key: A publish key or admin key, instead of a token.

        @param transport: C{websocket}, C{sse}, C{stream}, C{longpoll}, C{poll}, C{multipart},
            C{iframe} or C{jsonp}, or several of them, which are tried in their order; by default
            the first four.

        @param parameters: Added to the query of every request.

        @param timing: How long to wait for what.

        @param tls: How the server's certificate is verified; by default, by the certificates of the
            system.  httpx writes into it which protocols it speaks, so it should be for clients of
            HTTP only.

        @raise ValueError: If one of these is not allowed.
        """
        self._core = Core(url, time.monotonic, token, key, transport, parameters, timing)
        self._tls = tls
        # By processes: after a fork those of the parent are left alone.
        self._exchanges: dict[int, Exchanges] = {}
        self._isClosed = False
        # Those that sleep wake when the client or their subscription is closed.
        self._waking = threading.Condition()

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

    def history(self, channel: str, before: str, limit: int = 50) -> History:
        """
        Read the messages before a cursor, for scrolling back.

        @param before: A cursor, such as that of the oldest message that is shown.

        @param limit: How many at most, up to 1,000.
        """
        return self._run(self._core.history(channel, before, limit))

    def call(self, method: str, data: Any = None) -> Any:
        """
        Call a method of the application's backend, which the server asks by its hook.

        A call that was sent is not repeated: L{Unanswered<comet.client.failures.Unanswered>} means
        that it may have been made.

        @param data: A value of JSON.

        @return: What the method answers.
        """
        return self._run(self._core.call(method, data))

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
        with self._waking:
            self._isClosed = True
            self._waking.notify_all()
        exchanges = self._exchanges.get(os.getpid())
        if exchanges is not None:
            exchanges.close()

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

    def _do(self, step: Step, until: float | None = None, call: Call | None = None) -> object:
        """
        Do a step.

        @param until: When to raise L{NotYet}, if the step is not done by then.  It is for L{Texts}
            and L{Sleep} alone: the others cannot be interrupted and go on later.

        @param call: That which another thread may cancel.
        """
        self._check()
        if isinstance(step, Ask):
            return step.function()
        if call is None:
            call = callOf(step, until)
        if isinstance(step, Sleep):
            self._sleep(step, until, call)
            return None
        try:
            return self._exchange(step, call, until)
        except Exception:
            self._check()
            raise

    def _check(self) -> None:
        if self._isClosed:
            raise Closed("the client is closed") from None

    def _exchange(self, step: Opening | Read | Texts, call: Call, until: float | None) -> object:
        exchanges = self._ownExchanges()
        if isinstance(step, Request):
            return exchanges.request(step, call)
        if isinstance(step, Read):
            return exchanges.read(step, call)
        if isinstance(step, Upgrade):
            return exchanges.upgrade(step, call)
        if isinstance(step, Connect):
            return exchanges.connect(step, call)
        return exchanges.texts(step, call, until)

    def _sleep(self, step: Sleep, until: float | None, call: Call) -> None:
        end = step.until if until is None else min(until, step.until)
        with self._waking:
            self._waking.wait_for(
                lambda: self._isClosed or call.isCancelled, max(end - time.monotonic(), 0.0)
            )
        self._check()
        if end < step.until:
            raise NotYet

    def _wake(self) -> None:
        with self._waking:
            self._waking.notify_all()

    def _ownExchanges(self) -> Exchanges:
        process = os.getpid()
        found = self._exchanges.get(process)
        if found is None:
            for other in list(self._exchanges):
                self._exchanges.pop(other, None)
            # Of threads that come at the same time, all get that of the first.
            found = self._exchanges.setdefault(process, Exchanges(self._tls))
            if self._isClosed:
                found.close()
        return found


def callOf(step: Opening | Read | Texts | Sleep, until: float | None) -> Call:
    """
    Make the operation that does a step.

    @param until: When it is to end, if that is before the step's own deadline.
    """
    deadline = step.until if isinstance(step, Sleep) else step.deadline
    return Call(deadline if until is None else min(until, deadline))


class _Pending:
    """
    A step in a thread of its own.  So a caller's time may be over before the step is done, which
    goes on, and whose result the caller gets later.
    """

    def __init__(self, client: Client, step: Opening | Read, call: Call) -> None:
        self._client = client
        self._step = step
        self.call = call
        self._result: Any = None
        self._error: Exception | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="comet-client", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._client._do(self._step, None, self.call)
        except Exception as error:
            self._error = error
        self._done.set()

    def wait(self, until: float | None) -> bool:
        """
        Wait until it is done.

        @param until: At most so long.

        @return: Whether it is done.
        """
        return self._done.wait(None if until is None else max(until - time.monotonic(), 0.0))

    def result(self) -> object:
        """
        Return the result of the step, or raise its failure.
        """
        if self._error is not None:
            raise self._error
        return self._result

    def cancel(self) -> None:
        """
        End it, and wait for the thread.
        """
        self.call.cancel()
        self._thread.join()
        if not isinstance(self._step, Read) and self._result is not None:
            self._result.close()


class Subscription(BaseSubscription):
    """
    An iterator of messages and gaps.  It comes back by itself, without losing or repeating a
    message.

    An item is handled once the next is asked for, or C{handled} is called.
    """

    def __init__(self, client: Client, reading: Reading) -> None:
        super().__init__(reading)
        self._client = client
        self._pending: _Pending | None = None
        # For the three below.  A signal handler may close the subscription at any moment.
        self._lock = threading.RLock()
        self._isClosed = False
        # Whether a thread is in L{next}, which alone touches the reading then.
        self._isWaiting = False
        # What it waits for.
        self._call: Call | None = None

    def next(self, timeout: float | None = None) -> Message | Gap | None:
        """
        Wait for the next item.

        @param timeout: For how many seconds; by default for ever.

        @return: The item, or L{None} if the time is over.

        @raise Closed: If the client or the subscription is closed, perhaps by another thread.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            self._isWaiting = True
        try:
            return self._next(until)
        finally:
            with self._lock:
                self._isWaiting, self._call = False, None
                if self._isClosed:
                    self._end()

    def _next(self, until: float | None) -> Message | Gap | None:
        reading = self._reading
        while True:
            self._check()
            item = reading.take()
            if item is not None:
                return item
            step = reading.step()
            if step is None:
                continue
            try:
                result = self._do(step, until)
            except NotYet:
                return None
            except Exception as error:
                # Not of the connection that was closed with the subscription.
                self._check()
                reading.failed(error)
            else:
                if self._isClosed:
                    # The reading then closes what has come, and does not take it for the end.
                    reading.close()
                reading.done(result)

    def _check(self) -> None:
        if self._isClosed:
            raise Closed("the subscription is closed") from None

    def _do(self, step: Step, until: float | None) -> object:
        """
        Do a step, or wait on for the result of one that was begun.
        """
        if self._pending is None:
            if isinstance(step, Ask):
                return self._client._do(step)
            isShort = until is not None and isinstance(step, Opening | Read)
            call = callOf(step, None if isShort else until)
            with self._lock:
                self._check()
                self._call = call
            if not isShort:
                return self._client._do(step, until, call)
            assert isinstance(step, Opening | Read)
            self._pending = _Pending(self._client, step, call)
        pending = self._pending
        with self._lock:
            self._check()
            self._call = pending.call
        if not pending.wait(until):
            raise NotYet
        self._pending = None
        return pending.result()

    def close(self) -> None:
        """
        End it, and close its connection, from any thread: one that waits for an item waits no
        longer.  Only a connection that is being opened is waited for.
        """
        with self._lock:
            self._isClosed = True
            call = self._call
            if not self._isWaiting:
                self._end()
        if call is not None:
            call.cancel()
            self._client._wake()

    def _end(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, None
            if pending is not None:
                pending.cancel()
            self._reading.close()

    def __iter__(self) -> Iterator[Message | Gap]:
        return self

    def __next__(self) -> Message | Gap:
        try:
            item = self.next()
        except Closed:
            self._end()
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
