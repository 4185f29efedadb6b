"""
Tests of L{comet.command.marks}.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers, lists
from twisted.trial.unittest import SynchronousTestCase

from comet.command.marks import Marks, Sequence

RUN = "0123456789abcdef"


class MarksTests(SynchronousTestCase):
    """
    L{Marks}.
    """

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(lists(integers(0, 10**18 - 1), max_size=5), integers(1, 200), integers(1, 90))
    def test_found(self, numbers: list[int], size: int, piece: int) -> None:
        """
        Every mark is found once, in whatever pieces the bytes come, between whatever frames
        and marks of other runs.
        """
        marks, other = Marks(RUN, size), Marks("f" * 16, size)
        texts = [f"\r\n7e\r\n{other.write(1, 2)}{marks.write(n, n + 1)}\x81\x7e" for n in numbers]
        data = "".join(texts).encode()
        found: list[tuple[int, int]] = []
        rest = b""
        for start in range(0, len(data), piece):
            some, rest = marks.find(rest + data[start : start + piece])
            found += [(int(number), int(time)) for number, time in some]
            self.assertLessEqual(len(rest), 64)
        self.assertEqual(found, [(n, n + 1) for n in numbers])

    def test_size(self) -> None:
        """
        A message is as long as it was asked for, or as its mark.
        """
        self.assertEqual(len(Marks(RUN, 100).write(7, 10**18)), 100)
        self.assertEqual(Marks(RUN, 1).write(7, 8), f"{RUN}-7-8-")


class SequenceTests(SynchronousTestCase):
    """
    L{Sequence}.
    """

    def test_takes(self) -> None:
        """
        What comes again, or too late, is not new; what is left out is not got.
        """
        sequence = Sequence()
        found = [(b"%d" % n, b"%d" % (10 * n)) for n in (0, 1, 1, 4, 3, 5)]
        self.assertEqual(sequence.take(found, 100), [100, 90, 60, 50])
        self.assertEqual((sequence.got, sequence.repeated), (4, 2))
