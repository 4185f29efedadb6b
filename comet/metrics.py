"""
What each technique costs: requests, and the bytes of heads and of data, both
ways, counted where they pass.

What TCP, IP and TLS add is not counted.  A I{head} is the head of a request or
response of HTTP, or both sides of the handshake of a WebSocket; everything
else is I{data}: bodies with their chunks, frames, lines.  Of HTTP/2 the heads
are counted as they would be in HTTP/1.1, since their compression is out of
sight.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

# How many accounts there are at most: then idle ones are closed.
MOST_ACCOUNTS: Final = 1000

# After how many seconds without a request an account is idle: longer than any
# request is held.
IDLE: Final = 600.0

COUNTED: Final = ("open", "requests", "headIn", "dataIn", "headOut", "dataOut")


class Traffic:
    """
    What has passed on all connections of one transport.

    @ivar open: How many connections there are at this moment that stay: none
        where each answer ends.

    @ivar requests: How many requests of HTTP, or connections of raw TCP.

    @ivar headIn: Bytes of heads that came.

    @ivar dataIn: Bytes of data that came.

    @ivar headOut: Bytes of heads that were sent.

    @ivar dataOut: Bytes of data that were sent.
    """

    __slots__ = COUNTED

    def __init__(self) -> None:
        self.open = 0
        self.requests = 0
        self.headIn = 0
        self.dataIn = 0
        self.headOut = 0
        self.dataOut = 0

    def countOpening(self, size: int) -> None:
        """
        Count the head of a response that a sink is going to write, alone or in
        front of the first data.  The sink counts all that it writes as data,
        so the head is taken from there.

        @param size: How many bytes the head has.
        """
        self.headOut += size
        self.dataOut -= size

    def add(self, other: Traffic) -> None:
        """
        Count what has passed elsewhere, too.
        """
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def asDict(self) -> dict[str, int]:
        """
        The counts, by their names.
        """
        return {name: getattr(self, name) for name in COUNTED}


class Metrics:
    """
    What has passed on each transport: all in all, and by the accounts that
    clients have named to see what they cost.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        """
        @param seconds: The time of now, in seconds from any moment.
        """
        self._seconds = seconds
        self._traffic: dict[str, Traffic] = {}
        # The one that was asked for last at the end.
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    @property
    def accounts(self) -> list[str]:
        """
        The names of the accounts.
        """
        return list(self._accounts)

    def of(self, transport: str, account: str | None = None) -> Traffic:
        """
        Where to count what passes on a transport.

        @param account: The name of an account.  Where there are too many that
            are in use, it is counted for the transport alone.
        """
        if account is not None:
            found = self._account(account)
            if found is not None:
                return _of(found.traffic, transport)
        return _of(self._traffic, transport)

    def _account(self, name: str) -> _Account | None:
        now = self._seconds()
        account = self._accounts.get(name)
        if account is None:
            if len(self._accounts) >= MOST_ACCOUNTS and not self._close(now):
                return None
            account = self._accounts[name] = _Account()
        account.usedAt = now
        self._accounts.move_to_end(name)
        return account

    def _close(self, now: float) -> bool:
        """
        Make room: what an idle account has had is kept as its transports'.

        @return: Whether there was one.
        """
        for name, account in self._accounts.items():
            if account.usedAt + IDLE > now:
                # Those that follow were asked for later.
                return False
            if not any(traffic.open for traffic in account.traffic.values()):
                for transport, traffic in account.traffic.items():
                    _of(self._traffic, transport).add(traffic)
                del self._accounts[name]
                return True
        return False

    def sums(self, account: str | None = None) -> dict[str, dict[str, int]]:
        """
        What has passed so far, by the names of the transports.

        @param account: The name of an account; without one, everything.
        """
        sums: dict[str, Traffic] = {}
        if account is None:
            accounts = [self._traffic, *(each.traffic for each in self._accounts.values())]
        else:
            found = self._accounts.get(account)
            accounts = [] if found is None else [found.traffic]
        for traffic in accounts:
            for transport, counts in traffic.items():
                _of(sums, transport).add(counts)
        return {name: sums[name].asDict() for name in sorted(sums)}


class _Account:
    """
    @ivar traffic: What has passed, by transport.

    @ivar usedAt: When it was last asked for.
    """

    __slots__ = ("traffic", "usedAt")

    def __init__(self) -> None:
        self.traffic: dict[str, Traffic] = {}
        self.usedAt = 0.0


def _of(table: dict[str, Traffic], transport: str) -> Traffic:
    traffic = table.get(transport)
    if traffic is None:
        traffic = table[transport] = Traffic()
    return traffic
