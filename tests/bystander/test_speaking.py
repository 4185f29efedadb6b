"""
Tests of L{tests.bystander.speaking}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.bystander.speaking import DATA, END_STREAM, PING, frame, frames


class FramesTests(SynchronousTestCase):
    """
    L{frames} reads frames of HTTP/2.
    """

    def test_whole(self) -> None:
        """
        Those that are whole are read, and no other.
        """
        told = [(PING, 0, 0, b"12345678"), (DATA, END_STREAM, 3, b"")]
        data = b"".join(frame(*each) for each in told)
        for end in range(len(data) + 1):
            count = (end >= 17) + (end >= 26)
            self.assertEqual(frames(data[:end]), told[:count])
