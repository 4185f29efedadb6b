"""
Tests of L{comet.framing.compression}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.framing.compression import Compression
from tests.framing.readers import makeMessage


class CompressionTests(SynchronousTestCase):
    """
    L{Compression}.
    """

    def test_size(self) -> None:
        """
        A message is compressed from so many bytes of data on; with 0, none is.
        """
        message = makeMessage("12345678")
        for above, isTaken in ((0, False), (1, True), (10, True), (11, False)):
            self.assertEqual(Compression(above).takes(message), isTaken, above)

    def test_tables(self) -> None:
        """
        For a channel the first table counts that matches it, before the default.
        """
        compression = Compression(5, (("chat/vip", 0), ("chat/**", 20), ("*", 0)))
        for channel, isTaken in (
            ("chat/vip", False),
            ("chat/a", False),
            ("news", False),
            ("other/news", True),
        ):
            message = makeMessage("12345678", channel)
            self.assertEqual(compression.takes(message), isTaken, channel)
        self.assertTrue(compression.takes(makeMessage("x" * 30, "chat/a")))

    def test_concerns(self) -> None:
        """
        A reader is concerned if it reads a channel whose messages may be compressed, or a
        pattern.
        """
        compression = Compression(0, (("chat/**", 20),))
        self.assertTrue(compression.isOn)
        for names, isConcerned in (
            (["news"], False),
            (["news", "chat/a"], True),
            (["news/*"], True),
            ([], False),
        ):
            self.assertEqual(compression.concerns(names), isConcerned, names)

    def test_off(self) -> None:
        """
        Compression is off if no number is more than 0.
        """
        self.assertFalse(Compression().isOn)
        self.assertFalse(Compression(0, (("chat/**", 0),)).isOn)
        self.assertTrue(Compression(1, (("**", 0),)).isOn)
        self.assertFalse(Compression(0, (("a", 0),)).concerns(["**"]))

    def test_within(self) -> None:
        """
        Compressions that differ in the window alone are not equal.
        """
        compression = Compression(5)
        self.assertIs(compression.within(15), compression)
        self.assertEqual(compression.within(9), Compression(5, window=9))
        self.assertNotEqual(compression.within(9), compression)
