"""
Tests for L{comet.bus.idempotency}.
"""

from __future__ import annotations

from time import perf_counter

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.idempotency import KEY_SECONDS, KeyMemory
from comet.errors import KeyReused
from comet.model.messages import Publication, Published


def publication(key: str | None, payload: bytes = b"1", channel: str = "a") -> Publication:
    """
    Something that one publisher publishes.
    """
    return Publication((channel,), payload, publisher="me", key=key)


def published(position: int) -> Published:
    """
    An answer.
    """
    return Published("e", {"a": position})


class KeyMemoryTests(SynchronousTestCase):
    """
    L{KeyMemory}.
    """

    def setUp(self) -> None:
        """
        Make a memory.
        """
        self.clock = Clock()
        self.keys = KeyMemory(self.clock.seconds)

    def test_none(self) -> None:
        """
        What has no key is stored, and leaves nothing behind.
        """
        self.assertEqual(self.keys.plan([publication(None)] * 2), [None, None])
        self.keys.remember(publication(None), published(1))
        self.assertEqual(len(self.keys), 0)

    def test_known(self) -> None:
        """
        What is known has its answer; a plan alone makes nothing known.
        """
        self.assertEqual(self.keys.plan([publication("k")]), [None])
        self.assertEqual(self.keys.plan([publication("k")]), [None])
        self.keys.remember(publication("k"), published(7))
        self.assertEqual(
            self.keys.plan([publication("l"), publication("k"), publication("k")]),
            [None, published(7), published(7)],
        )
        self.assertEqual(len(self.keys), 1)

    def test_withinBatch(self) -> None:
        """
        What comes twice in one batch is answered as the first of them.
        """
        batch = [publication(None), publication("k"), publication("l"), publication("k")]
        self.assertEqual(self.keys.plan([*batch, batch[1]]), [None, None, None, 1, 1])

    def test_reused(self) -> None:
        """
        A key with another message is refused, be the first one known or in the
        same batch; the detail tells which key it was.
        """
        self.keys.remember(publication("k"), published(1))
        for batch in (
            [publication("k", b"2")],
            [publication("k"), publication("k", b"2")],
            [publication("l" * 100, b"1"), publication("l" * 100, b"2")],
        ):
            error = self.assertRaises(KeyReused, self.keys.plan, batch)
            self.assertIn(repr((batch[0].key or "")[:64]), error.detail)

    def test_lifetime(self) -> None:
        """
        A key is known for its lifetime, from when it came first.
        """
        for key, wait in (("k", 100), ("l", KEY_SECONDS - 100 - 0.5)):
            self.keys.remember(publication(key), published(1))
            self.clock.advance(wait)
        self.assertEqual(self.keys.plan([publication("k")]), [published(1)])
        self.clock.advance(0.5)
        self.assertEqual(
            self.keys.plan([publication("k", b"2"), publication("l")]), [None, published(1)]
        )
        self.assertEqual(len(self.keys), 1)
        self.clock.advance(100)
        self.keys.plan([])
        self.assertEqual(len(self.keys), 0)

    def test_rememberAgain(self) -> None:
        """
        What is remembered once more begins a new life, and does not keep
        others from being forgotten.
        """
        self.keys.remember(publication("k"), published(1))
        self.clock.advance(100)
        self.keys.remember(publication("l"), published(2))
        self.clock.advance(100)
        self.keys.remember(publication("k"), published(3))
        self.clock.advance(200)
        plan = self.keys.plan([publication("k"), publication("l")])
        self.assertEqual(plan, [published(3), None])
        self.assertEqual(len(self.keys), 1)

    def test_clear(self) -> None:
        """
        All keys can be forgotten.
        """
        self.keys.remember(publication("k"), published(1))
        self.keys.clear()
        self.assertEqual(len(self.keys), 0)
        self.assertEqual(self.keys.plan([publication("k", b"2")]), [None])

    def test_most(self) -> None:
        """
        When they take too many bytes, the oldest keys are forgotten; what
        keeps one key leaves room for others again when it is forgotten.
        """
        keys = KeyMemory(self.clock.seconds, mostBytes=10000)
        for _ in range(3):
            for number in range(20):
                keys.remember(publication(f"k{number:02}"), published(number))
            count = len(keys)
            self.assertTrue(10 <= count <= 16, str(count))
            plan = keys.plan([publication(f"k{number:02}") for number in range(20)])
            self.assertEqual(plan, [None] * (20 - count) + [*map(published, range(20 - count, 20))])
            self.clock.advance(KEY_SECONDS)
            keys.plan([])
            self.assertEqual(len(keys), 0)

    def test_mostOfMany(self) -> None:
        """
        What a key costs grows with its channels and their names.
        """
        keys = KeyMemory(self.clock.seconds, mostBytes=10000)
        wide = [Publication(tuple(f"{n}/{i}" for i in range(20)), b"1", key="k") for n in range(9)]
        long = [publication("k" * 128, channel=f"{n}/" + "x" * 250) for n in range(9)]
        for batch, least, most in ((wide, 2, 4), (long, 7, 9)):
            for each in batch:
                keys.remember(each, published(1))
            self.assertTrue(least <= len(keys) <= most, str(len(keys)))
            keys.clear()

    def test_tooLarge(self) -> None:
        """
        A single key that is too large is not kept.
        """
        keys = KeyMemory(self.clock.seconds, mostBytes=100)
        keys.remember(publication("k"), published(1))
        self.assertEqual(len(keys), 0)

    def test_forgetMany(self) -> None:
        """
        What it costs to forget many keys at once grows no faster than how many
        they are.
        """

        def cost(count: int) -> float:
            for number in range(count):
                self.keys.remember(publication(str(number)), published(1))
            self.clock.advance(KEY_SECONDS)
            start = perf_counter()
            self.keys.plan([])
            return perf_counter() - start

        few = min(cost(1000) for _ in range(5))
        self.assertLess(min(cost(16000) for _ in range(3)), 60 * few)
