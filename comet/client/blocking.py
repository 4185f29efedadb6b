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
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from comet.client.batches import BATCH
from comet.client.blockingsteps import StepRunner
from comet.client.blockingsubscription import Subscription
from comet.client.clientcore import Core
from comet.client.credential import Token
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
        self._runner = StepRunner(tls)

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
        return self._runner.run(self._core.publish(channel, data, event, key, exclude))

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
        return self._runner.run(self._core.publishMany(publications, batch))

    def presence(self, channel: str) -> Presence:
        """
        Ask who is in a channel.
        """
        return self._runner.run(self._core.presence(channel))

    def history(self, channel: str, before: str, limit: int = 50) -> History:
        """
        Read the messages before a cursor, for scrolling back.

        @param before: A cursor, such as that of the oldest message that is shown.

        @param limit: How many at most, up to 1,000.
        """
        return self._runner.run(self._core.history(channel, before, limit))

    def call(self, method: str, data: Any = None) -> Any:
        """
        Call a method of the application's backend, which the server asks by its hook.

        A call that was sent is not repeated: L{Unanswered<comet.client.failures.Unanswered>} means
        that it may have been made.

        @param data: A value of JSON.

        @return: What the method answers.
        """
        return self._runner.run(self._core.call(method, data))

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
        return Subscription(self._runner, self._core.subscribe(names, since, cursorFile, onClose))

    def close(self) -> None:
        """
        Close all connections, also from another thread.  Subscriptions end, and what is being
        published fails with L{Closed<comet.client.failures.Closed>}.
        """
        self._runner.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
