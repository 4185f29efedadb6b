"""
Connections that have just come.

Nearly all of them say at once what they came for, and most of these are other
connections from then on: a deadline for each would be set to be taken back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from comet.timers import NOT_SET

if TYPE_CHECKING:
    from comet.lean.connection import Connection
    from comet.lean.edge import Edge

# For how many seconds at least a connection is new, and has no deadline yet.
MOMENT: Final = 0.2


class Newcomers:
    """
    Tells those that are still there after a moment, all at once, with
    L{Connection.stays}.
    """

    __slots__ = ("_edge", "_wires", "timerSlot")

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._wires: list[Connection] = []
        self.timerSlot = NOT_SET

    def add(self, connection: Connection) -> None:
        """
        A connection came.
        """
        if not self._wires:
            self._edge.hub.fanout.wheel.set(self, MOMENT)
        self._wires.append(connection)

    def timedOut(self) -> None:
        """
        The moment is over: also, a little early, for those that came late in it.
        """
        connections, self._wires = self._wires, []
        for connection in connections:
            if connection.fd >= 0:
                try:
                    connection.stays()
                except Exception:
                    self._edge.broken(connection)
