"""
The base of the tests of the memory bus.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.memory.bus import MemoryBus
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Publication, Published
from comet.model.positions import ReadResult, ResolvedStart, StartPosition
from comet.testing.case import positionsOf


class MemoryTestCase(SynchronousTestCase):
    """
    Tests of a L{MemoryBus}, which answers at once.
    """

    def setUp(self) -> None:
        """
        Make a clock.
        """
        self.clock = Clock()

    def makeBus(self, retention: Retention | None = None, totalBytes: int = 268435456) -> MemoryBus:
        """
        Make a bus with the clock of the test.
        """
        held = Retention() if retention is None else retention
        return MemoryBus(self.clock, lambda channel: held, totalBytes, self.clock.seconds)

    def put(self, bus: MemoryBus, channels: str, payload: bytes = b"1") -> list[int]:
        """
        Publish a message to each of these channels, one after the other.
        """
        batch = [Publication((channel,), payload) for channel in channels.split()]
        answers: Sequence[Published] = self.successResultOf(bus.publish(batch))
        return [answer.cursor.position for answer in answers]

    def read(self, bus: MemoryBus, names: str, after: int = 0) -> ReadResult:
        """
        Read everything that is held.
        """
        cursor = Cursor(bus.end.epoch, after)
        reading: ReadResult = self.successResultOf(
            bus.read(names.split(), cursor, 10000, 10**9, None)
        )
        return reading

    def held(self, bus: MemoryBus, names: str, after: int = 0) -> list[int]:
        """
        Return the positions of the messages that are held after a position.
        """
        return positionsOf(self.read(bus, names, after).messages)

    def start(self, bus: MemoryBus, name: str, startPosition: StartPosition) -> ResolvedStart:
        """
        Resolve the start position of one name.
        """
        start: ResolvedStart = self.successResultOf(bus.resolve({name: startPosition})).starts[name]
        return start
