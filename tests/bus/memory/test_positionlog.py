"""
Tests for L{comet.bus.memory.positionlog}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.memory.log import Record
from comet.bus.memory.positionlog import PositionLog
from comet.model.log import Retention


class SmallLog(PositionLog):
    """
    A log whose blocks are soon full.
    """

    most = 4


def record(channel: int) -> Record:
    """
    Make a record.
    """
    return Record(lambda record: None, str(channel), Retention(), 0)


class PositionLogTests(SynchronousTestCase):
    """
    L{PositionLog}.
    """

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 4), st.none() | st.integers(0, 3)), max_size=120))
    def test_findsHeldMessages(self, changes: list[tuple[int, int | None]]) -> None:
        """
        After any messages were added and dropped, those that are held after a
        position are found, in order.
        """
        log = SmallLog()
        records = [record(channel) for channel in range(5)]
        held: list[tuple[int, Record]] = []
        for position, (channel, left) in enumerate(changes, 1):
            log.append(position, records[channel])
            held.append((position, records[channel]))
            if left is not None:
                # All but the newest few messages of the channel are dropped.
                own = [at for at, each in held if each is records[channel]]
                records[channel].floor = max(
                    [records[channel].floor, *own[: max(len(own) - left, 0)]]
                )
                held = [(at, each) for at, each in held if at > each.floor]
        for after in range(len(changes) + 2):
            found = [(at, each) for at, each in log.after(after) if at > each.floor]
            self.assertEqual(found, [(at, each) for at, each in held if at > after])

    def test_boundsEntries(self) -> None:
        """
        Entries of dropped messages are removed while others come, wherever they
        stand: there are not many more than messages.
        """
        log = PositionLog()
        slow, fast = record(1), record(2)
        for position in range(1, 100_001):
            isSlow = position % 1000 == 1
            log.append(position, slow if isSlow else fast)
            if not isSlow:
                fast.floor = max(fast.floor, position - 100)
        self.assertEqual(len([1 for at, each in log.after(0) if at > each.floor]), 200)
        self.assertLess(len(log), 2 * 200 + 4 * log.most)
