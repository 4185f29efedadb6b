"""
The scripts of the Redis bus over a connection that waits for each answer: for
tests of what the scripts do to the log.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hiredis import Reader, ReplyError, pack_command
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from comet.bus.idempotency import KeyBudget, keyReused
from comet.bus.redis.capabilities import Capabilities
from comet.bus.redis.holdings import Holdings
from comet.bus.redis.protocol import RedisRefused
from comet.bus.redis.queries import Queries
from comet.bus.redis.settings import NodeSettings
from comet.bus.redis.store import Store
from comet.bus.redis.storedreplies import KeyConflict
from comet.bus.redis.urls import RedisURL
from comet.interfaces.messagebus import IBusListener
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Message, Publication, Published
from comet.model.positions import HistoryPage, ReadResult, ResolvedStarts, StartPosition
from tests.bus.redis.case import ADVANCE, LOSE

SETTINGS = NodeSettings({}, "")
SERVER = Capabilities("run", isDurable=False, hasProof=False, policy="")


class DirectConnection:
    """
    A connection that has every answer before C{command} returns.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._reader = Reader(notEnoughData=Ellipsis)

    def command(self, *words: Any) -> Deferred[Any]:
        """
        See L{comet.bus.redis.protocol.RedisProtocol.command}.
        """
        self._socket.sendall(pack_command(words))
        while (reply := self._reader.gets()) is Ellipsis:
            self._reader.feed(self._socket.recv(65536))
        if isinstance(reply, ReplyError):
            return fail(RedisRefused(str(reply)))
        return succeed(reply)

    def close(self) -> None:
        """
        Close the connection.
        """
        self._socket.close()


class DirectBus:
    """
    The parts of a bus that concern only the log.
    """

    def __init__(
        self,
        port: int,
        url: RedisURL,
        clock: Clock,
        retention: Callable[[str], Retention],
        totalBytes: int,
        keyBudget: KeyBudget | None = None,
    ) -> None:
        """
        @param clock: The time, which Redis follows.
        """
        self.connection: Any = DirectConnection(port)
        self._state = f"{url.prefix}state"
        self._prefix = url.prefix
        self._clock = clock
        self._advanced = 0.0
        self._store = Store(url, retention, totalBytes, keyBudget=keyBudget)
        holdings = Holdings(self._store, self._attach, self._store.sweep)
        self._queries = Queries(self._store, holdings)
        self._listeners: list[IBusListener] = []
        self.end = Cursor("", 0)
        self._begin()

    def _wait(self, coroutine: Any) -> Any:
        results: list[Any] = []
        Deferred.fromCoroutine(coroutine).addBoth(results.append)
        [only] = results
        if hasattr(only, "raiseException"):
            only.raiseException()
        return only

    async def _attach(self, connection: Any) -> None:
        attached = await self._store.attach(connection, SERVER, Cursor("", 0), SETTINGS)
        self.end = attached.end

    def _begin(self) -> None:
        self._wait(self._attach(self.connection))
        # Further ahead than the duration of a test, and exact in half seconds.
        self._ask("HSET", self._state, "time", "4102444800")
        self._advanced = self._clock.seconds()

    def _ask(self, *words: Any) -> Any:
        results: list[Any] = []
        self.connection.command(*words).addCallback(results.append)
        return results[0]

    def _catchUp(self) -> None:
        """
        Advance the time of Redis to that of the clock, and drop what is due.
        """
        seconds = self._clock.seconds() - self._advanced
        if seconds:
            self._advanced += seconds
            self._ask("EVAL", ADVANCE, 1, self._state, seconds)
        while self._wait(self._store.sweep(self.connection)):
            pass

    @property
    def size(self) -> int:
        """
        How many bytes the held messages and channels count for, in Redis.
        """
        self._catchUp()
        return int(self._ask("HGET", self._state, "size"))

    def stop(self) -> Deferred[None]:
        """
        Delete the log, and close the connection.
        """
        self._ask("EVAL", LOSE, 0, self._prefix)
        self.connection.close()
        return succeed(None)

    def renew(self) -> None:
        """
        Delete the log, and begin another.
        """
        self._ask("EVAL", LOSE, 0, self._prefix)
        self._listeners.clear()
        self._begin()

    def publish(self, publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        Store publications, and tell the listeners.
        """
        self._catchUp()
        stored = self._wait(self._store.publish(self.connection, [publications]))
        (answers,) = stored.outcomes
        if isinstance(answers, KeyConflict):
            return fail(keyReused(publications[answers.index].key))
        messages = [
            Message(channel, answer.epoch, position, 0.0, b"")
            for answer in answers
            for channel, position in answer.positions.items()
        ]
        self.end = max([self.end, *(message.cursor for message in messages)])
        for listener in self._listeners:
            listener.messagesStored(messages)
        while self._wait(self._store.sweep(self.connection)):
            pass
        return succeed(answers)

    def forget(self, channel: str) -> Deferred[None]:
        """
        See L{IMessageBus.forget<comet.interfaces.messagebus.IMessageBus.forget>}.
        """
        return succeed(self._wait(self._store.forget(self.connection, channel)))

    def resolve(self, names: Mapping[str, StartPosition]) -> Deferred[ResolvedStarts]:
        """
        See L{IMessageBus.resolve<comet.interfaces.messagebus.IMessageBus.resolve>}.
        """
        self._catchUp()
        return succeed(self._wait(self._queries.resolve(self.connection, names)))

    def read(
        self, names: Sequence[str], after: Cursor, limit: int, maxBytes: int, upTo: int | None
    ) -> Deferred[ReadResult]:
        """
        See L{IMessageBus.read<comet.interfaces.messagebus.IMessageBus.read>}.
        """
        self._catchUp()
        return succeed(
            self._wait(self._queries.read(self.connection, names, after, limit, maxBytes, upTo))
        )

    def history(
        self, channel: str, before: Cursor | None, limit: int, maxBytes: int
    ) -> Deferred[HistoryPage]:
        """
        See L{IMessageBus.history<comet.interfaces.messagebus.IMessageBus.history>}.
        """
        self._catchUp()
        return succeed(
            self._wait(self._queries.history(self.connection, channel, before, limit, maxBytes))
        )

    def listen(self, listener: IBusListener, names: Iterable[str]) -> None:
        """
        Add a listener, which hears everything.
        """
        self._listeners.append(listener)
