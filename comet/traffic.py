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

from typing import Final

COUNTED: Final = ("requests", "headIn", "dataIn", "headOut", "dataOut")


class Traffic:
    """
    What has passed: on one connection, or on all of one transport.

    @ivar requests: How many requests of HTTP, or connections of raw TCP.

    @ivar headIn: Bytes of heads that came.

    @ivar dataIn: Bytes of data that came.

    @ivar headOut: Bytes of heads that were sent.

    @ivar dataOut: Bytes of data that were sent.
    """

    __slots__ = COUNTED

    def __init__(self) -> None:
        self.requests = 0
        self.headIn = 0
        self.dataIn = 0
        self.headOut = 0
        self.dataOut = 0

    def add(self, other: Traffic) -> None:
        """
        Add what has passed elsewhere.
        """
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def close(self) -> None:
        """
        Nothing more will pass.
        """

    def asDict(self) -> dict[str, int]:
        """
        The counts, by their names.
        """
        return {name: getattr(self, name) for name in COUNTED}


class _Account(Traffic):
    """
    What passes on a connection that stays.
    """

    __slots__ = ("_ledger", "_transport")

    def __init__(self, ledger: Ledger, transport: str) -> None:
        super().__init__()
        self._ledger = ledger
        self._transport = transport

    def close(self) -> None:
        """
        See L{Traffic.close}.
        """
        self._ledger.closed(self._transport, self)


class Ledger:
    """
    What has passed on each transport.
    """

    def __init__(self) -> None:
        self._past: dict[str, Traffic] = {}
        self._open: dict[str, dict[Traffic, None]] = {}

    def of(self, transport: str) -> Traffic:
        """
        Where to count what is over at once.
        """
        return self._past.setdefault(transport, Traffic())

    def opened(self, transport: str) -> Traffic:
        """
        A connection that stays has begun: where to count what passes on it,
        until it is closed.
        """
        traffic = _Account(self, transport)
        self._open.setdefault(transport, {})[traffic] = None
        return traffic

    def closed(self, transport: str, traffic: Traffic) -> None:
        """
        A connection that stayed is over.  Does nothing if that is known.
        """
        if self._open.get(transport, {}).pop(traffic, traffic) is None:
            self.of(transport).add(traffic)

    def sums(self) -> dict[str, dict[str, int]]:
        """
        What has passed on each transport so far: the counts of L{Traffic}, and
        how many connections are C{open}.
        """
        found = {}
        for transport in sorted({*self._past, *self._open}):
            sum_ = Traffic()
            sum_.add(self.of(transport))
            open_ = self._open.get(transport, {})
            for traffic in open_:
                sum_.add(traffic)
            found[transport] = {"open": len(open_), **sum_.asDict()}
        return found
