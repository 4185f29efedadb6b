"""
Probes: a stream says twice, within a moment, where its reader stands.

  - At its beginning.  A client to which both arrive together, or neither, is behind a
    proxy that holds back what it is sent.

  - After its client has closed its writing side.  If the client has left, the second one
    fails.
"""

from __future__ import annotations

from typing import Final, Protocol

from comet.fanout.core import Fanout
from comet.reactor.timers import NOT_SET

# After how many seconds it is said again.
PROBE: Final = 0.5


class Standing(Protocol):
    """
    What a probe needs of a reader.
    """

    @property
    def fanout(self) -> Fanout:
        """
        Has the timers.
        """

    def sayStanding(self) -> None:
        """
        Tell the client where the reader stands, if there is still a client to tell.
        """


class Probe:
    """
    Makes a stream say again, soon, where its reader stands.
    """

    __slots__ = ("_reader", "timerSlot")

    def __init__(self, reader: Standing) -> None:
        """
        @param reader: The reader of the stream, which has just said it.
        """
        self._reader = reader
        self.timerSlot = NOT_SET
        reader.fanout.wheel.set(self, PROBE)

    def timedOut(self) -> None:
        """
        Say it, L{PROBE} seconds after the first time.
        """
        self._reader.sayStanding()
