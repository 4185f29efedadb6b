"""
The limits of clients, as the hub applies them: how much each may publish, how many
commands a connection may send, how many readers and sockets each may have.

They hold over all connections of a client to this process.  A client that may
publish to every channel has none.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Protocol

from attrs import frozen

from comet.errors import TooMany
from comet.limits.addresses import countsAs
from comet.limits.connectioncounts import ConnectionCounts
from comet.limits.rates import Buckets, Rate
from comet.model.clients import Client

# For how many seconds of its rate a connection may send commands at once.
COMMAND_BURST: Final = 10.0


class Peer(Protocol):
    """
    The other end of a connection, or of a request.
    """

    @property
    def address(self) -> str:
        """
        The client's IP address, as far as trusted proxies tell it; empty if it has
        none.
        """


@frozen
class Nowhere:
    """
    The peer of what has no connection, as the application itself.
    """

    address: str = ""


NOWHERE: Final = Nowhere()


@frozen
class ClientSettings:
    """
    How much one client may do.  0 is no limit.

    @ivar publishRate: How many messages a second a client may publish: one that has
        a name, over all its connections; else an address.

    @ivar commandRate: How many commands a second a connection may send, beside
        those that publish.

    @ivar connectionsPerClient: How many readers and sockets a client with a name
        may have.

    @ivar connectionsPerAddress: How many an address may have.
    """

    publishRate: float = 0.0
    commandRate: float = 100.0
    connectionsPerClient: int = 0
    connectionsPerAddress: int = 0


class ClientLimits:
    """
    Applies the limits of clients.

    @ivar commands: How many commands a connection may send; L{None} for any number.

    @ivar isLimitingPublishers: Whether there is a limit on what is published.

    @ivar isCountingReaders: Whether there is a limit on readers.

    @ivar connections: Counts readers.
    """

    def __init__(self, settings: ClientSettings, seconds: Callable[[], float]) -> None:
        """
        @param seconds: Returns the time, in seconds from any moment after 0.
        """
        self._seconds = seconds
        self.connections = ConnectionCounts()
        self.commands: Rate | None = None
        self._byName: Buckets[str] = Buckets(Rate(1.0, 1.0))
        self._byAddress: Buckets[str] = Buckets(Rate(1.0, 1.0))
        self.configure(settings)

    def configure(self, settings: ClientSettings) -> None:
        """
        Change the limits.  What clients have done so far counts on; readers that
        are too many now are not closed, and those that came while there was no
        limit are not counted.
        """
        rate = settings.commandRate
        self.commands = Rate(rate, COMMAND_BURST * rate) if rate else None
        rate = settings.publishRate
        self.isLimitingPublishers = bool(rate)
        if rate:
            self._byName.rate = self._byAddress.rate = Rate(rate, rate)
        connections = self.connections
        connections.perClient = settings.connectionsPerClient
        connections.perAddress = settings.connectionsPerAddress
        self.isCountingReaders = bool(connections.perClient or connections.perAddress)

    # -- Rates

    def checkPublish(self, client: Client, peer: Peer) -> None:
        """
        Check that a client may publish a message now, before anything of it is read.

        @raise TooMany: If not; it tells when the client may.
        """
        if self.isLimitingPublishers and not client.mayPublishAll:
            buckets, key = self._bucketsOf(client, peer)
            self._refuse(buckets.lacks(key, self._seconds(), 1))

    def publish(self, client: Client, peer: Peer, count: int) -> None:
        """
        A client publishes.

        @param count: How many messages: one to several channels is several.

        @raise TooMany: If it may not publish so many now.  Then none counts.
        """
        if self.isLimitingPublishers and not client.mayPublishAll:
            buckets, key = self._bucketsOf(client, peer)
            self._refuse(buckets.take(key, self._seconds(), count))

    def _bucketsOf(self, client: Client, peer: Peer) -> tuple[Buckets[str], str]:
        if client.name:
            return self._byName, client.name
        return self._byAddress, countsAs(peer.address)

    def _refuse(self, wait: float) -> None:
        if wait:
            rate = self._byName.rate.perSecond
            raise TooMany(
                f"more than {rate:g} messages a second, which --publish-rate allows; "
                f"publish again in {wait:.3g} seconds",
                wait,
            )

    def command(self, client: Client, full: float) -> float:
        """
        A client sends a command that does not publish.

        @param full: What this has returned for the command before; 0 for the first one
            of a connection.

        @raise TooMany: If it may not send one now.
        """
        rate = self.commands
        if rate is None or client.mayPublishAll:
            return full
        taken = rate.take(full, self._seconds(), 1)
        if taken < 0:
            raise TooMany(
                f"more than {rate.perSecond:g} commands a second, which --command-rate allows; "
                f"send it again in {-taken:.3g} seconds",
                -taken,
            )
        return taken

    # -- Readers

    def checkReader(self, client: Client, peer: Peer) -> str | None:
        """
        Check that a client may have one more reader.

        @return: What its address counts as, for L{addReader}; L{None} if the reader
            is not counted.

        @raise TooMany: If it may not.
        """
        if client.mayPublishAll:
            return None
        address = countsAs(peer.address)
        self.connections.check(client.name, address)
        return address

    def addReader(self, reader: Hashable, client: Client, address: str) -> None:
        """
        Count a reader, until it is closed.

        @param address: What L{checkReader} has returned.
        """
        self.connections.add(reader, client.name, address)

    def clientChanged(self, reader: Hashable, client: Client) -> None:
        """
        A reader is another client's from now on.

        @raise TooMany: If that client may not have one more.
        """
        if client.mayPublishAll:
            self.connections.remove(reader)
        else:
            self.connections.rename(reader, client.name)
