"""
How many readers and sockets a client has at a time, and an address.
"""

from __future__ import annotations

from collections.abc import Hashable

from comet.errors import TooMany


class ConnectionCounts:
    """
    Counts the readers of each client and of each address.  Those of anonymous
    clients count for their address alone.

    @ivar perClient: How many a client may have; 0 for any number.

    @ivar perAddress: How many an address may have; 0 for any number.
    """

    def __init__(self) -> None:
        self.perClient = self.perAddress = 0
        self._byName: dict[str, int] = {}
        self._byAddress: dict[str, int] = {}
        # What each reader counts for.
        self._places: dict[Hashable, tuple[str, str]] = {}

    def __len__(self) -> int:
        """
        Return how many readers are counted.
        """
        return len(self._places)

    def check(self, name: str, address: str | None) -> None:
        """
        Check that there may be one more reader.

        @param name: The name of its client; empty if it has none.

        @param address: What its address counts as, or L{None} if it does not matter.

        @raise TooMany: If not.
        """
        most = self.perClient
        if most and name and self._byName.get(name, 0) >= most:
            raise TooMany(
                f"this client has {most} readers and sockets, which is all that "
                "--connections-per-client lets it have"
            )
        most = self.perAddress
        if most and address is not None and self._byAddress.get(address, 0) >= most:
            raise TooMany(
                f"your address has {most} readers and sockets, which is all that "
                "--connections-per-address lets it have"
            )

    def add(self, reader: Hashable, name: str, address: str) -> None:
        """
        Count a reader.
        """
        self._places[reader] = (name, address)
        _add(self._byName, name, 1)
        _add(self._byAddress, address, 1)

    def rename(self, reader: Hashable, name: str) -> None:
        """
        Count a reader for another client from now on.  Does nothing if it is not
        counted.

        @raise TooMany: If that client may not have one more.
        """
        place = self._places.get(reader)
        if place is None or place[0] == name:
            return
        self.check(name, None)
        _add(self._byName, place[0], -1)
        _add(self._byName, name, 1)
        self._places[reader] = (name, place[1])

    def remove(self, reader: Hashable) -> None:
        """
        Count a reader no longer.  Does nothing if it is not counted.
        """
        place = self._places.pop(reader, None)
        if place is not None:
            _add(self._byName, place[0], -1)
            _add(self._byAddress, place[1], -1)


def _add(counts: dict[str, int], key: str, change: int) -> None:
    count = counts.get(key, 0) + change
    if count:
        counts[key] = count
    else:
        del counts[key]
