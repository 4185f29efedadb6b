"""
Tests of L{comet.command.inputlines}.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import binary, lists
from twisted.trial.unittest import SynchronousTestCase

from comet.command import inputlines
from comet.command.inputlines import LongLine, readLines


class ReadTests(SynchronousTestCase):
    """
    L{readLines}.
    """

    def pipe(self) -> tuple[int, int]:
        """
        Make a pipe.

        @return: The end to read and the end to write.
        """
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        return reading, writing

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(lists(binary(min_size=1, max_size=9)))
    def test_splits(self, pieces: list[bytes]) -> None:
        """
        In whatever pieces lines come, they are those of the whole.
        """
        reading, writing = os.pipe()
        found: list[bytes] = []
        read = readLines(reading)
        whole = b"".join(pieces)
        for piece in pieces:
            os.write(writing, piece)
            if b"\n" in piece:
                found += next(read)
            else:
                # It would wait for the rest of the line.
                continue
        os.close(writing)
        for lines in read:
            found += lines
        os.close(reading)
        expected = whole.split(b"\n")
        if not expected[-1]:
            expected.pop()
        self.assertEqual(found, [line.removesuffix(b"\r") for line in expected])

    def test_tooLong(self) -> None:
        """
        A line that does not end is not kept; the lines before it are there.
        """
        self.patch(inputlines, "MAX_LINE", 10)
        reading, writing = self.pipe()
        os.write(writing, b"one\n" + b"x" * 11)
        os.close(writing)
        read = readLines(reading)
        self.assertEqual(next(read), [b"one"])
        self.assertRaises(LongLine, next, read)
