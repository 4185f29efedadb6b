"""
To show a client whether a proxy holds back what it is sent.
"""

from __future__ import annotations

from typing import Final

from comet.fanout.streams import StreamReader
from comet.timers import NOT_SET

# After how many seconds something more is said.
PROBE: Final = 0.5


class Probe:
    """
    Lets a stream that has just begun say a second time where its reader
    stands.  A client to which both arrive together, or neither, is behind a
    proxy that waits for more.
    """

    __slots__ = ("_reader", "timerSlot")

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader
        self.timerSlot = NOT_SET
        reader.fanout.wheel.set(self, PROBE)

    def timedOut(self) -> None:
        """
        The moment has come.
        """
        self._reader.sayStanding()
