"""
A client for programs with Twisted::

    from comet.client.twisted import Client

    async def follow(client):
        await client.publish("news", {"headline": "…"})
        async for item in client.subscribe("news", since="earliest"):
            print(item)

    client = Client("http://127.0.0.1:8080", key="…")
    Deferred.fromCoroutine(follow(client))

A program makes one client and keeps it, so that its connections are used again.  All methods are
called in the reactor's thread.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.python.failure import Failure

from comet.client.awaiting import CancelledToken, GivenUp, awaitItem, awaitSteps
from comet.client.basesubscription import BaseSubscription
from comet.client.batches import BATCH
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
    Upgrade,
)
from comet.client.credential import Token
from comet.client.failures import Closed
from comet.client.received import Closing, Gap, History, Member, Message, Presence
from comet.client.requester import Timing
from comet.client.standing import Since
from comet.client.twistedexchanges import Exchanges
from comet.client.twistedwaiting import Waits
from comet.reactor.clocks import steadyClock

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTCP, IReactorTime

    class _Reactor(IReactorTCP, IReactorTime):
        """
        What the client needs of a reactor.
        """


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
    Publishes and reads.

    The Deferreds fail with the L{CometError<comet.errors.CometError>} that the server answers, or
    with one of L{comet.client.failures}.  They may be cancelled.
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
        tls: IOpenSSLClientConnectionCreator | None = None,
        reactor: _Reactor | None = None,
    ) -> None:
        """
        The parameters are those of L{comet.client.blocking.Client}, but the function for tokens may
        return a Deferred or be a coroutine function.

        @param tls: How the server's certificate is verified, as
            C{twisted.internet.ssl.optionsForClientTLS} makes it; by default,
            by the certificates of the system.

        @param reactor: By default the one that is installed.

        @raise ValueError: If one of these is not allowed.
        """
        if reactor is None:
            from twisted.internet import reactor as installed

            reactor = installed  # type: ignore[assignment]
        assert reactor is not None
        self._reactor = reactor
        clock: Any = steadyClock(reactor)
        self._core = Core(url, clock.seconds, token, key, transport, parameters, timing)
        self._waits = Waits(clock)
        self._exchanges = Exchanges(reactor, self._waits, tls)
        self._isClosed = False

    def publish(
        self,
        channel: str,
        data: Any,
        event: str | None = None,
        key: str | None = None,
        exclude: str | None = None,
    ) -> Deferred[str]:
        """
        Publish a message.  See L{comet.client.blocking.Client.publish}.

        @return: Fires with its cursor, once it is stored.
        """
        return self._run(self._core.publish(channel, data, event, key, exclude))

    def publishMany(
        self, publications: Iterable[Mapping[str, Any]], batch: int = BATCH
    ) -> Deferred[list[str]]:
        """
        Publish messages, in requests of many.  See L{comet.client.blocking.Client.publishMany}.

        @return: Fires with the cursor of each, once all are stored.
        """
        return self._run(self._core.publishMany(publications, batch))

    def presence(self, channel: str) -> Deferred[Presence]:
        """
        Ask who is in a channel.
        """
        return self._run(self._core.presence(channel))

    def history(self, channel: str, before: str, limit: int = 50) -> Deferred[History]:
        """
        Read the messages before a cursor.  See L{comet.client.blocking.Client.history}.
        """
        return self._run(self._core.history(channel, before, limit))

    def call(self, method: str, data: Any = None) -> Deferred[Any]:
        """
        Call a method of the application's backend.  See L{comet.client.blocking.Client.call}.

        @return: Fires with what it answers.
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
        Read channels and patterns.  See L{comet.client.blocking.Client.subscribe}.

        @return: An asynchronous iterator of L{Message}s and L{Gap}s.  It connects when the first is
            asked for.
        """
        return Subscription(self, self._core.subscribe(names, since, cursorFile, onClose))

    def close(self) -> Deferred[None]:
        """
        Close all connections.  Subscriptions end, and what is being published fails with
        L{Closed<comet.client.failures.Closed>}.

        @return: Fires when the connections are closed.
        """

        async def close() -> None:
            self._isClosed = True
            self._waits.cancel()
            await self._exchanges.close()

        return Deferred.fromCoroutine(close())

    def _run(self, steps: Steps[T]) -> Deferred[T]:
        async def run() -> T:
            try:
                return await awaitSteps(steps, self._do)
            except GivenUp:
                raise CancelledError from None

        return Deferred.fromCoroutine(run())

    async def _do(self, step: Step) -> object:
        """
        Do a step.

        @raise GivenUp: If the caller's Deferred is cancelled.  The same step may be done again.
        """
        try:
            self._check()
            result = await self._doing(step)
            self._check()
        except CancelledError:
            self._check()
            raise GivenUp from None
        return result

    def _check(self) -> None:
        if self._isClosed:
            raise Closed("the client is closed")

    async def _doing(self, step: Step) -> object:
        exchanges = self._exchanges
        if isinstance(step, Request):
            return await exchanges.request(step)
        if isinstance(step, Read):
            return await exchanges.read(step)
        if isinstance(step, Upgrade):
            return await exchanges.upgrade(step)
        if isinstance(step, Connect):
            return await exchanges.connect(step)
        if isinstance(step, Ask):
            token = step.function()
            return await self._ask(token) if isinstance(token, Awaitable) else token
        if isinstance(step, Sleep):
            await self._sleep(step)
            return None
        return await exchanges.texts(step)

    async def _ask(self, giving: Awaitable[str]) -> str:
        """
        Wait for a token, but not for longer than the client is open.
        """

        async def give() -> str:
            try:
                return await giving
            except CancelledError:
                # By itself; where the caller gives up, this is heard of no more.
                raise CancelledToken from None

        return await self._waits.forever(Deferred.fromCoroutine(give()))

    async def _sleep(self, step: Sleep) -> None:
        sleeping: Deferred[None] = Deferred()
        try:
            await self._waits.until(sleeping, step.until)
        except TimeoutError:
            # It is what this was waited for.
            pass


class _Begun:
    """
    A step that goes on when the caller gives up its wait.
    """

    def __init__(self, doing: Deferred[Any]) -> None:
        self._doing = doing
        self._isDone = self._isEnded = False
        self._result: Any = None
        self._waiting: Deferred[None] | None = None
        doing.addBoth(self._done)

    def _done(self, result: Any) -> None:
        self._isDone, self._result = True, result
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.callback(None)
        if self._isEnded:
            self._dispose()

    async def wait(self) -> None:
        """
        Wait until it is done.  The wait may be cancelled.
        """
        if not self._isDone:
            self._waiting = Deferred()
            await self._waiting

    def result(self) -> object:
        """
        Return its result, or raise its failure.
        """
        if isinstance(self._result, Failure):
            self._result.raiseException()
        result: object = self._result
        return result

    def end(self) -> None:
        """
        Give it up.
        """
        self._isEnded = True
        if self._isDone:
            self._dispose()
        else:
            self._doing.cancel()

    def _dispose(self) -> None:
        if hasattr(self._result, "close"):
            self._result.close()


class Subscription(BaseSubscription, AsyncIterator["Message | Gap"]):
    """
    An asynchronous iterator of messages and gaps.  It comes back by itself, without losing or
    repeating a message.

    An item is handled once the next is asked for, or C{handled} is called.
    """

    def __init__(self, client: Client, reading: Reading) -> None:
        super().__init__(reading)
        self._client = client
        self._begun: _Begun | None = None

    def next(self) -> Deferred[Message | Gap]:
        """
        Wait for the next item, outside of coroutines.  One wait at a time is allowed.

        @return: Fires with the item.  Fails with L{Closed<comet.client.failures.Closed>} if the
            client is closed.  It may be cancelled, and loses nothing then.
        """
        return Deferred.fromCoroutine(self._next())

    async def _next(self) -> Message | Gap:
        try:
            return await awaitItem(self._reading, self._do)
        except GivenUp:
            raise CancelledError from None

    def close(self) -> Deferred[None]:
        """
        End it, and close its connection.

        @return: Fires in the next turn, when the connection is closed.
        """
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.end()
        self._reading.close()
        return self._client._waits.turn()

    async def _do(self, step: Step) -> object:
        """
        Do a step, or wait on for the result of one that was begun.
        """
        if self._begun is None:
            # The others end when their connection is closed.
            if not isinstance(step, Opening | Sleep | Ask):
                return await self._client._do(step)
            self._begun = _Begun(Deferred.fromCoroutine(self._client._do(step)))
        try:
            await self._begun.wait()
        except CancelledError:
            raise GivenUp from None
        begun, self._begun = self._begun, None
        if begun is None:
            raise Closed("the subscription is closed")
        return begun.result()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Message | Gap:
        try:
            return await self._next()
        except Closed:
            self._reading.close()
            raise StopAsyncIteration from None
