"""
What each transport costs: requests, and the bytes of heads and of data in both
directions.

What TCP, IP and TLS add is not counted.  A I{head} is the head of an HTTP
request or response, or either side of a WebSocket handshake.  Everything else
is I{data}: bodies with their chunks, frames, lines.  Heads of HTTP/2 are counted
with the size that they would have in HTTP/1.1, since their compressed size is
not known here.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

# At this number of accounts an idle one is closed before another is opened.
MAX_ACCOUNTS: Final = 1000

# After this many seconds without a request an account is idle: longer than any
# poll is held.
IDLE: Final = 600.0

COUNTED: Final = ("open", "requests", "headIn", "dataIn", "headOut", "dataOut")


class Traffic:
    """
    The counts of one transport.

    @ivar open: How many streams and two-way connections are open now.  A poll
        is not counted here.

    @ivar requests: How many HTTP requests, or raw TCP connections.

    @ivar headIn: Bytes of heads that were received.

    @ivar dataIn: Bytes of data that were received.

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
        Add the counts of another transport or account.
        """
        self.open += other.open
        self.requests += other.requests
        self.headIn += other.headIn
        self.dataIn += other.dataIn
        self.headOut += other.headOut
        self.dataOut += other.dataOut

    def asDict(self) -> dict[str, int]:
        """
        Return the counts by their names.
        """
        return {name: getattr(self, name) for name in COUNTED}


class Metrics:
    """
    The counts of every transport: in all, and by account.  A request is counted
    for the account that it names, if any, so that a client can see what its
    own requests cost.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        """
        @param seconds: Returns the present time, in seconds since an arbitrary
            start.
        """
        self._seconds = seconds
        self._traffic: dict[str, Traffic] = {}
        # The most recently used account is the last.
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    @property
    def accounts(self) -> list[str]:
        """
        The names of the accounts that are open.
        """
        return list(self._accounts)

    def of(self, transport: str, account: str | None = None) -> Traffic:
        """
        Get the counts of a transport, to add to them.

        @param account: The name of an account, which is opened if it is not.
            If there are L{MAX_ACCOUNTS} and none of them is idle, the counts
            are the transport's own.
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
            if len(self._accounts) >= MAX_ACCOUNTS and not self._close(now):
                return None
            account = self._accounts[name] = _Account()
        account.usedAt = now
        self._accounts.move_to_end(name)
        return account

    def _close(self, now: float) -> bool:
        """
        Close one idle account.  Its counts are added to those of its
        transports.

        @return: Whether there was an idle one.
        """
        for name, account in self._accounts.items():
            if account.usedAt + IDLE > now:
                # All that follow were used later.
                return False
            if not any(traffic.open for traffic in account.traffic.values()):
                for transport, traffic in account.traffic.items():
                    _of(self._traffic, transport).add(traffic)
                del self._accounts[name]
                return True
        return False

    def sums(self, account: str | None = None) -> dict[str, dict[str, int]]:
        """
        Add up the counts by the names of the transports.

        @param account: The name of an account, or L{None} for all that was
            counted, for accounts and without.
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
    @ivar traffic: The counts by the names of the transports.

    @ivar usedAt: When it was last used.
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
