"""
A batch is one script, and Redis does nothing else meanwhile: how much it does there.
"""

from __future__ import annotations

from collections.abc import Sequence

from comet.model.log import Retention
from comet.model.messages import Publication
from comet.testing.case import positionsOf
from tests.bus.memory.test_model import result
from tests.bus.redis.direct import DirectBus
from tests.bus.redis.test_patterns import PatternCase


def text(size: int) -> bytes:
    """
    Make a payload of so many bytes.
    """
    return b'"%s"' % (b"x" * (size - 2))


class BatchTests(PatternCase):
    """
    What one batch costs Redis, and what is held afterwards.
    """

    def store(self, bus: DirectBus, channels: Sequence[str], payload: bytes = b"1") -> int:
        """
        Store a batch.

        @return: How many commands the largest script called meanwhile.
        """
        bus._catchUp()
        with self.counting(bus) as work:
            result(bus.publish([Publication((channel,), payload) for channel in channels]))
        return work.most

    def held(self, bus: DirectBus, channel: str) -> tuple[list[int], dict[str, int]]:
        """
        Return the positions of what is held of a channel, and its gap.
        """
        pages = list(self.pages(bus, channel))
        positions = [each for page in pages for each in positionsOf(page.messages)]
        return positions, dict(pages[0].gaps)

    def test_oneChannel(self) -> None:
        """
        A message of a batch costs two commands, to store it and to tell it, however many
        messages it displaces: what is known of the channel is read and written once.
        """
        bus = self.makeBus(Retention(messages=600))
        self.store(bus, ["a"])
        self.assertLessEqual(self.store(bus, ["a"] * 500), 2 * 500 + 60)
        self.assertLessEqual(self.store(bus, ["a"] * 500), 2 * 500 + 100)
        self.assertEqual(self.held(bus, "a"), (list(range(402, 1002)), {"a": 401}))

    def test_displacedByItself(self) -> None:
        """
        A message that a later one of its batch displaces is told, and not stored.
        """
        bus = self.makeBus(Retention(messages=20))
        self.store(bus, ["a"] * 30)
        self.assertLessEqual(self.store(bus, ["a", "b"] * 250), 500 + 2 * 20 + 100)
        self.assertEqual(self.held(bus, "a"), (list(range(491, 531, 2)), {"a": 489}))
        self.assertEqual(self.held(bus, "b"), (list(range(492, 532, 2)), {"b": 490}))

    def test_tooManyBytes(self) -> None:
        """
        Of large messages those are stored that fit together, or none.
        """
        bus = self.makeBus(Retention(bytes=1000))
        self.store(bus, ["a"] * 3)
        self.store(bus, ["a"] * 8, text(300))
        self.assertEqual(self.held(bus, "a"), ([9, 10, 11], {"a": 8}))
        self.store(bus, ["a"] * 2, text(1001))
        self.assertEqual(self.held(bus, "a"), ([], {"a": 13}))
        self.store(bus, ["a"], text(1000))
        self.assertEqual(self.held(bus, "a"), ([14], {"a": 13}))

    def test_manyChannels(self) -> None:
        """
        Each channel of a batch costs a few commands.
        """
        bus = self.makeBus()
        names = [f"c/{number}" for number in range(500)]
        self.store(bus, names)
        self.assertLessEqual(self.store(bus, names), 5 * 500 + 100)
        self.assertEqual(self.held(bus, "c/7")[0], [8, 508])

    def sent(self, bus: DirectBus, publications: Sequence[Publication]) -> int:
        """
        Store a batch.

        @return: How many words were sent to Redis for it.
        """
        lengths: list[int] = []
        command = bus.connection.command

        def counted(*words: object) -> object:
            lengths.append(len(words))
            return command(*words)

        bus.connection.command = counted
        try:
            result(bus.publish(publications))
        finally:
            bus.connection.command = command
        return max(lengths)

    def test_words(self) -> None:
        """
        What is held of a channel is told once for a batch: a message without a key is two
        words, its text and its channels.
        """
        bus = self.makeBus()
        few = self.sent(bus, [Publication(("a",), b"1")])
        self.assertEqual(self.sent(bus, [Publication(("a",), b"1")] * 501), few + 2 * 500)
        self.assertEqual(self.sent(bus, [Publication(("a", "b"), b"1")] * 501), few + 4 + 2 * 500)
        kept = self.held(bus, "b")[0]
        self.assertEqual(kept, list(range(504, 504 + 2 * 501, 2)))

    def test_allKinds(self) -> None:
        """
        Publications with and without a key, to one channel and to several, stand in one
        batch, each at its place.
        """
        bus = self.makeBus()
        batch = [
            Publication(("a",), b"1"),
            Publication(("b", "a"), b"2", key="k", publisher="p"),
            Publication(("a", "b"), b"3"),
            Publication(("b",), b"4", key="l", publisher="p"),
            Publication(("c",), b"5"),
        ]
        stored = [dict(each.positions) for each in result(bus.publish(batch))]
        expected = [{"a": 1}, {"b": 2, "a": 3}, {"a": 4, "b": 5}, {"b": 6}, {"c": 7}]
        self.assertEqual(stored, expected)
        again = [dict(each.positions) for each in result(bus.publish(batch))]
        self.assertEqual(again, [{"a": 8}, expected[1], {"a": 9, "b": 10}, expected[3], {"c": 11}])
