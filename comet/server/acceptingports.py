"""
Ports of Twisted's that accept a few clients in a turn: as many as their share, where
several processes accept from one socket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.tcp import Port

from comet.limits.acceptshare import AcceptShare
from comet.reactor.clocks import steadyClock

# How many clients a port of Twisted's accepts in one turn.  Each takes up to half a
# millisecond, until it is gone again, and there may be three such ports: more would take
# longer than all that clients ask for in a turn.
MOST_ACCEPTED: Final = 4


def acceptingSome(port: Any) -> Any:
    """
    Let a port accept no more than L{MOST_ACCEPTED} clients in a turn.  Twisted lets it
    accept as many as come, and to begin TLS with each takes a while.
    """
    if not isinstance(port, Port):
        return port
    doRead = port.doRead

    def accept() -> None:
        port.numberAccepts = min(port.numberAccepts, MOST_ACCEPTED)
        doRead()

    port.doRead = accept  # type: ignore[method-assign]
    return port


class SharingPort:
    """
    Lets a port of Twisted's accept its L{AcceptShare}.
    """

    def __init__(self, port: Any, reactor: Any, room: Callable[[], int]) -> None:
        self._port = port
        self._doRead = port.doRead
        self._share = AcceptShare(self, steadyClock(reactor), room)
        port.doRead = self._accept

    def _accept(self) -> None:
        most = self._share.allowed(MOST_ACCEPTED)
        if most:
            self.acceptSome(most)

    def acceptSome(self, most: int) -> None:
        """
        See L{AcceptingPort.acceptSome<comet.limits.acceptshare.AcceptingPort.acceptSome>}.
        """
        port = self._port
        if port.connected:
            port.numberAccepts = min(port.numberAccepts, most)
            self._doRead()

    def stopReading(self) -> None:
        """
        See L{AcceptingPort.stopReading<comet.limits.acceptshare.AcceptingPort.stopReading>}.
        """
        self._port.stopReading()

    def startReading(self) -> None:
        """
        See L{AcceptingPort.startReading<comet.limits.acceptshare.AcceptingPort.startReading>}.
        """
        # It may be closed by now.
        if self._port.connected:
            self._port.startReading()
