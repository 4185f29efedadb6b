"""
A server in memory, for tests of programs that use L{comet.client}: its clients have no
sockets.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred

from comet.access.rights import Access
from comet.client.batches import CONTENT_TYPE, batches
from comet.client.cursorfile import CursorFile
from comet.client.received import Closing, History, Presence, readEnvelope, readPresence
from comet.client.standing import Since, Standing
from comet.errors import Unavailable
from comet.framing.batchreader import readBatch
from comet.framing.envelope import encodeEnvelope
from comet.framing.members import encodePage
from comet.hub.hubsettings import Settings
from comet.interfaces.access import IAccess
from comet.model.channels import parseChannel
from comet.model.clients import Client
from comet.model.cursors import parseCursor
from comet.model.messages import Message
from comet.model.positions import HistoryPage
from comet.model.presence import MOST_LISTED
from comet.reactor.threads import held
from comet.testing.memoryhub import MemoryHub
from comet.testing.memoryreading import MemoryReading

T = TypeVar("T")


class MemoryServer:
    """
    Stands for a server.  Any thread may use it, and its clients::

        server = MemoryServer()
        client = BlockingStandIn(server, key=server.key)
        placeOrder(client, "tea")
        assert [each.data for each in server.published("orders")] == [{"item": "tea"}]

    @ivar key: The publish key, unless there is an access object with keys of its own.

    @ivar hub: The hub behind it.  Use it only while nothing else uses the server.
    """

    def __init__(
        self,
        access: IAccess | None = None,
        settings: Settings | None = None,
        presence: Sequence[str] = (),
        opened: Sequence[str] = (),
    ) -> None:
        """
        @param access: Who may do what; by default every client may read, and the holder of
            the key may publish.

        @param settings: As for L{MemoryHub}.

        @param presence: Channels and patterns of which presence is kept.

        @param opened: Channels and patterns to which every client may publish.
        """
        self.key = "the-key-of-a-server-in-memory"
        self.hub = MemoryHub(Access(self.key, opened) if access is None else access, settings)
        if presence:
            self.hub.keepPresence([(each, True) for each in presence])
        # Held while the hub is used; waited for by those who wait for an item.
        self.changed = threading.Condition(threading.RLock())
        # Called, in any thread, after something may have come for a reader.
        self.wakers: set[Callable[[], object]] = set()

    # -- For tests

    def published(self, names: str | Sequence[str] = "**") -> list[Message]:
        """
        Return all messages that were published to some channels, in their order.

        @param names: Channels and patterns.
        """
        with self.held():
            return self.hub.published(names)

    def countReaders(self, channel: str) -> int:
        """
        Count the readers of a channel.
        """
        with self.held():
            return self.hub.countReaders(channel)

    def publish(self, channel: str, data: Any, event: str | None = None) -> str:
        """
        Publish in the server's own name, as another program does.

        @return: The cursor of the message.
        """
        return str(self.wait(lambda: self.hub.publish(channel, data, event)))

    def disconnect(self, client: str) -> None:
        """
        End what a client reads.  It comes back.
        """
        self.wait(lambda: self.hub.disconnect(client))

    def advance(self, seconds: float) -> None:
        """
        Let time go on for the server: members leave, keys are forgotten.
        """
        with self.held():
            self.hub.advance(seconds)
            self.tell()

    # -- For stand-ins

    @contextmanager
    def held(self) -> Iterator[None]:
        """
        Use the hub, in any thread: no other one does meanwhile.
        """
        with self.changed, held():
            yield

    def wait(self, call: Callable[[], Deferred[T]]) -> T:
        """
        Call the hub, and end the turn.

        @return: What the Deferred fires with.

        @raise CometError: What it fails with.
        """
        results: list[T] = []
        failures: list[BaseException] = []
        with self.held():
            call().addCallbacks(results.append, lambda failure: failures.append(failure.value))
            # What it takes is done in turns, and none of it waits for time.
            for _ in range(_TURNS):
                self.hub.advance()
                if results or failures:
                    break
            self.tell()
        if failures:
            raise failures[0]
        if not results:
            raise Unavailable("the server in memory waits for something that the test has to do")
        return results[0]

    def tell(self) -> None:
        """
        Something may have come for a reader.
        """
        self.changed.notify_all()
        for wake in list(self.wakers):
            wake()

    def identified(self, token: str | None) -> Client:
        """
        Return the client that shows a token or key, or nothing.

        @raise CometError: If it is refused.
        """
        return self.wait(lambda: self.hub.connect(token)).client


# In how many turns an answer comes at most.
_TURNS = 100


class StandIn:
    """
    What the stand-ins of all clients have in common: the same as a client without I/O has
    for the real ones.
    """

    def __init__(self, server: MemoryServer, token: str | None = None) -> None:
        self.server = server
        self.isClosed = False
        self._token = token
        self.readings: set[MemoryReading] = set()

    @property
    def client(self) -> Client:
        """
        The client, as the server knows it.
        """
        return self.server.identified(self._token)

    def publishMany(self, publications: Iterable[Mapping[str, Any]], batch: int) -> list[str]:
        """
        Publish messages.

        @return: The cursor of each.
        """
        server, cursors = self.server, []
        for lines in batches(publications, batch):
            limits, client = server.hub.settings.limits, self.client
            body = b"".join(lines)
            stored = readBatch(CONTENT_TYPE, body, limits, client.publisher)
            answers = server.wait(partial(server.hub.store, client, stored))
            cursors += [str(each.cursor) for each in answers]
        return cursors

    def presence(self, channel: str) -> Presence:
        """
        Ask who is in a channel.
        """
        hub, client = self.server.hub, self.client
        page = self.server.wait(lambda: hub.membersFor(client, channel, None, MOST_LISTED))
        return readPresence(encodePage(page))

    def history(self, channel: str, before: str, limit: int) -> History:
        """
        Read the messages before a cursor.
        """
        hub, client = self.server.hub, self.client
        parseCursor(before)

        def read() -> Deferred[HistoryPage]:
            hub.check(client, [parseChannel(channel)])
            return hub.history(channel, before, limit)

        page = self.server.wait(lambda: maybeDeferred(read))
        envelopes = [readEnvelope(encodeEnvelope(each, time=True)) for each in page.messages]
        messages = tuple(message for each in envelopes for _, message in each.messages)
        return History(messages, page.more, page.isGap)

    def call(self, method: str, data: Any) -> Any:
        """
        Call a method of the hooks that the test has given the hub.
        """
        hub, client = self.server.hub, self.client
        return self.server.wait(lambda: hub.call(client, parseChannel(method), data)).get("data")

    def subscribe(
        self,
        names: str | Sequence[str],
        since: Since,
        cursorFile: str | os.PathLike[str] | None,
        onClose: Callable[[Closing], object] | None,
    ) -> MemoryReading:
        """
        Begin a subscription.  It reads once its first item is asked for.
        """
        asked = [names] if isinstance(names, str) else list(names)
        file = None if cursorFile is None else CursorFile(cursorFile)
        if file is not None:
            kept = file.read(asked)
            since = since if kept is None else kept
        reading = MemoryReading(self, Standing(asked, since), file, onClose)
        self.readings.add(reading)
        return reading

    def close(self) -> None:
        """
        End all subscriptions.
        """
        self.isClosed = True
        for reading in list(self.readings):
            reading.close()
