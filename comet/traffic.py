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

    def asDict(self) -> dict[str, int]:
        """
        The counts, by their names.
        """
        return {name: getattr(self, name) for name in COUNTED}


class Ledger:
    """
    What has passed on each transport.
    """

    def __init__(self) -> None:
        self._traffic: dict[str, Traffic] = {}

    def of(self, transport: str) -> Traffic:
        """
        Where to count what passes on a transport.
        """
        traffic = self._traffic.get(transport)
        if traffic is None:
            traffic = self._traffic[transport] = Traffic()
        return traffic

    def sums(self) -> dict[str, dict[str, int]]:
        """
        What has passed so far, by the names of the transports.
        """
        return {name: self._traffic[name].asDict() for name in sorted(self._traffic)}
