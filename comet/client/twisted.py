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
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import (
    ConnectError,
    ConnectionClosed,
    ConnectionDone,
    DNSLookupError,
)
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.client.awaiting import GivenUp, Inbox, awaitItem, awaitSteps
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
from comet.reactor.clocks import steadyClock

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTCP, IReactorTime

    class _Reactor(IReactorTCP, IReactorTime):
        """
        What the client needs of a reactor.
        """


__all__ = ["Client", "Closing", "Gap", "Member", "Message", "Presence", "Subscription", "Timing"]

T = TypeVar("T")


@implementer(IHandshakeListener)
class _Connection(Protocol):
    """
    A connection that keeps what arrives until it is taken.

    @ivar opened: Fires when it may be used: with TLS, once the certificate is verified.
    """

    transport: ITCPTransport

    def __init__(self, client: Client, isSecure: bool) -> None:
        self._client = client
        self._isSecure = isSecure
        self._inbox = Inbox()
        self._isLost = False
        self._waiting: Deferred[None] | None = None
        self.opened: Deferred[None] = Deferred(lambda _: self.close())

    def connectionMade(self) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        self._client._connections.add(self)
        if not self._isSecure:
            self._open()

    def handshakeCompleted(self) -> None:
        """
        See L{IHandshakeListener}.
        """
        self._open()

    def _open(self) -> None:
        self.transport.setTcpNoDelay(True)
        self._fire(self.opened)

    def dataReceived(self, data: bytes) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        self._inbox.received(data)
        if self._inbox.isFull:
            self.transport.pauseProducing()  # type: ignore[attr-defined]
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        See L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
        self._client._connections.discard(self)
        self._isLost = True
        error = None if reason.check(ConnectionDone) else _asError(reason.value)
        self._inbox.end(error)
        if not self.opened.called:
            self.opened.errback(error or ConnectionResetError("the connection is closed"))
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None:
            self._fire(self._waiting)

    def _fire(self, waiting: Deferred[None]) -> None:
        if not waiting.called:
            waiting.callback(None)

    def send(self, data: bytes) -> None:
        """
        Take bytes to be sent.

        @raise OSError: If the connection is lost.
        """
        if self._isLost:
            raise self._inbox.error or ConnectionResetError("the connection is closed")
        self.transport.write(data)

    async def receive(self, deadline: float) -> bytes:
        """
        Wait for bytes.

        @raise OSError: If the connection is lost, or the time is over.
        """
        while True:
            isFull = self._inbox.isFull
            data = self._inbox.take()
            if data is not None:
                if isFull and not self._isLost:
                    self.transport.resumeProducing()  # type: ignore[attr-defined]
                return data
            self._waiting = Deferred()
            await self._client._until(self._waiting, deadline)

    def close(self) -> None:
        """
        See L{Connection<comet.client.clientsteps.Connection>}.
        """
        if not self._isLost:
            self.transport.abortConnection()


def _asError(error: BaseException | None) -> Exception:
    """
    Make of Twisted's error one that the core knows.
    """
    text = str(error) or "the connection is closed"
    module = type(error).__module__.partition(".")[0]
    if module == "service_identity" or "certificate verify failed" in text:
        return Untrusted(f"the certificate of the server: {text}")
    if isinstance(error, ConnectTimeout):
        return TimeoutError(text)
    return ConnectionResetError(text)


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
        self._clock: Any = steadyClock(reactor)
        self._core = Core(url, self._clock.seconds, token, key, transport, parameters, timing)
        self._tls = tls
        self._connections: set[_Connection] = set()
        self._waiting: set[Deferred[Any]] = set()
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
            self._core.close()
            for connection in list(self._connections):
                connection.close()
            for waiting in list(self._waiting):
                waiting.cancel()
            while self._connections:
                # They are lost in the next turn.
                await self._turn()

        return Deferred.fromCoroutine(close())

    def _turn(self) -> Deferred[None]:
        turn: Deferred[None] = Deferred()
        self._clock.callLater(0, turn.callback, None)
        return turn

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
        if isinstance(step, Receive):
            assert isinstance(step.connection, _Connection)
            return await step.connection.receive(step.deadline)
        if isinstance(step, Send):
            assert isinstance(step.connection, _Connection)
            step.connection.send(step.data)
        elif isinstance(step, Connect):
            return await self._connect(step)
        elif isinstance(step, Ask):
            token = step.function()
            return await token if isinstance(token, Awaitable) else token
        else:
            await self._sleep(step)
        return None

    async def _sleep(self, step: Sleep) -> None:
        sleeping: Deferred[None] = Deferred()
        try:
            await self._until(sleeping, step.until)
        except TimeoutError:
            # It is what this was waited for.
            pass

    async def _until(self, given: Deferred[T], deadline: float) -> T:
        """
        Wait for a result, but not longer than until a time.

        @raise TimeoutError: If the time is over.

        @raise CancelledError: If the caller has given up.
        """
        isOver = isCancelled = False

        def over() -> None:
            nonlocal isOver
            isOver = True
            waiting.cancel()

        def cancel(_: object) -> None:
            nonlocal isCancelled
            isCancelled = True
            given.cancel()

        def done(result: Any) -> None:
            # An endpoint may fail with another error when it is cancelled, or come too late.
            if not isCancelled:
                waiting.callback(result)
            elif isinstance(result, _Connection):
                result.close()

        waiting: Deferred[T] = Deferred(cancel)
        given.addBoth(done)
        timer = self._clock.callLater(max(deadline - self._clock.seconds(), 0), over)
        self._waiting.add(waiting)
        try:
            return await waiting
        except CancelledError:
            if isOver:
                raise TimeoutError from None
            raise
        finally:
            self._waiting.discard(waiting)
            if timer.active():
                timer.cancel()

    async def _connect(self, step: Connect) -> _Connection:
        seconds = max(step.deadline - self._clock.seconds(), 0.001)
        endpoint: Any = HostnameEndpoint(self._reactor, step.host, step.port, seconds)
        if step.isSecure:
            tls = self._tls
            if tls is None:
                from twisted.internet.ssl import optionsForClientTLS

                tls = optionsForClientTLS(step.host)
            endpoint = wrapClientTLS(tls, endpoint)
        factory = Factory.forProtocol(lambda: _Connection(self, step.isSecure))
        try:
            connecting: Deferred[_Connection] = endpoint.connect(factory)
            connection = await self._until(connecting, step.deadline)
        except (ConnectError, ConnectionClosed, DNSLookupError) as error:
            raise _asError(error) from error
        except ValueError as error:
            # The endpoint takes fewer names than the system's resolver: none with an underscore.
            raise OSError(str(error)) from error
        await self._until(connection.opened, step.deadline)
        return connection


class Subscription(BaseSubscription, AsyncIterator["Message | Gap"]):
    """
    An asynchronous iterator of messages and gaps.  It comes back by itself, without losing or
    repeating a message.

    An item is handled once the next is asked for, or C{handled} is called.
    """

    def __init__(self, client: Client, reading: Reading) -> None:
        super().__init__(reading)
        self._client = client

    def next(self) -> Deferred[Message | Gap]:
        """
        Wait for the next item, outside of coroutines.  One wait at a time is allowed.

        @return: Fires with the item.  Fails with L{Closed<comet.client.failures.Closed>} if the
            client is closed.  It may be cancelled, and loses nothing then.
        """
        return Deferred.fromCoroutine(self._next())

    async def _next(self) -> Message | Gap:
        try:
            return await awaitItem(self._reading, self._client._do)
        except GivenUp:
            raise CancelledError from None

    def close(self) -> Deferred[None]:
        """
        End it, and close its connection.

        @return: Fires in the next turn, when the connection is closed.
        """
        self._reading.close()
        return self._client._turn()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Message | Gap:
        try:
            return await self._next()
        except Closed:
            self._reading.close()
            raise StopAsyncIteration from None
