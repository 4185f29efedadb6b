"""
A hub for the tests of an application: no port, no file, and a clock that stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import Clock

from comet.access.lookups import Lookup
from comet.bus.memory.bus import MemoryBus
from comet.http.credentials import Credentials
from comet.http.request import RequestHead
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.interfaces.access import IAccess
from comet.model.clients import Client
from comet.model.log import Retention
from comet.model.messages import Message
from comet.model.patterns import matchesAny
from comet.testing.case import EPOCH_SECONDS, Listener
from comet.testing.memoryclient import MemoryClient


class MemoryHub(Hub):
    """
    A hub whose bus is in memory, and whose clock stands still until a test advances it.

    It checks rights and limits as every hub does.  What is published is stored at once;
    readers get it, and the publisher gets its answer, when the turn ends::

        hub = MemoryHub()
        reader = MemoryClient(hub)
        reader.subscribe("news")
        hub.publish("news", "hello")
        hub.advance()
        assert reader.data == ["hello"]

    @ivar clock: The clock of all timers, and of the times of messages.  It begins in
        2026.
    """

    clock: Clock

    def __init__(
        self,
        access: IAccess | None = None,
        settings: Settings | None = None,
        retention: Callable[[str], Retention] = lambda channel: Retention(),
    ) -> None:
        """
        @param access: As for L{Hub}.

        @param settings: As for L{Hub}.

        @param retention: Returns how much to hold of a channel, given its name.
        """
        clock = Clock()
        clock.advance(EPOCH_SECONDS)
        bus = MemoryBus(clock, retention, wallClock=clock.seconds)
        super().__init__(bus, clock, settings, access)
        self.leases.now = clock.seconds
        self._heard = Listener()
        bus.start()
        bus.listen(self._heard, ["**"])

    def advance(self, seconds: float = 0.0) -> None:
        """
        End the turn, and let time go on: readers get what was published, publishers
        are answered, and what is due is done.
        """
        self.clock.advance(seconds)

    def published(self, names: str | Sequence[str] = "**") -> list[Message]:
        """
        Return all messages that were published to some channels, from the beginning
        of the test, in their order.

        @param names: Channels and patterns.
        """
        self.bursts.store()
        wanted = [names] if isinstance(names, str) else names
        # The memory bus lets a listener hear every channel.
        return [each for each in self._heard.messages if matchesAny(wanted, each.channel)]

    def countReaders(self, channel: str) -> int:
        """
        Count the readers of a channel: those of the application, clients, and
        requests.
        """
        readers = self.fanout.readers
        return sum(matchesAny(reader.progress.names, channel) for reader in readers)

    def connect(
        self,
        token: str | None = None,
        cookies: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
        transport: str = "websocket",
    ) -> Deferred[MemoryClient]:
        """
        Make a client that shows something of itself, which the access object
        identifies.

        @param token: A key or token, in the header C{Authorization}.

        @param cookies: By name.  They count.

        @param headers: Others, by name.

        @param address: The client's IP address.

        @param transport: The name of the transport.

        @return: Fires with the client.  Fails with a
            L{CometError<comet.errors.CometError>} if it is refused.
        """
        shown = {name.lower(): text for name, text in (headers or {}).items()}
        if token is not None:
            shown["authorization"] = f"Bearer {token}"
        if cookies:
            shown["cookie"] = "; ".join(f"{name}={text}" for name, text in cookies.items())

        def valuesOf(name: bytes) -> Sequence[bytes]:
            text = shown.get(name.decode("ascii").lower())
            return () if text is None else (text.encode("utf-8"),)

        head = RequestHead(b"GET", (), b"", (1, 1), valuesOf, False)
        credentials = Credentials(transport, head, lambda: address, takesCookies=True)
        known = maybeDeferred(lambda: _known(self.identify(credentials)))
        return known.addCallback(lambda client: MemoryClient(self, client))


def _known(known: Client | Lookup) -> Deferred[Client]:
    """
    Wait for a client.
    """
    if isinstance(known, Client):
        return succeed(known)
    found: Deferred[Client] = Deferred(lambda _: known.abandon())
    known.then(found.callback, found.errback)
    return found
