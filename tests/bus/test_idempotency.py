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
    Make a publication of one publisher.
    """
    return Publication((channel,), payload, publisher="me", key=key)


def published(position: int) -> Published:
    """
    Make an answer.
    """
    return Published("e", {"a": position})


class KeyMemoryTests(SynchronousTestCase):
    """
    L{KeyMemory}, and of L{KeyedBatches} what it inherits.
    """

    def setUp(self) -> None:
        """
        Make a memory, and count the positions of what is stored.
        """
        self.clock = Clock()
        self.keys = KeyMemory(self.clock.seconds)
        self.end = 0

    def store(self, publication: Publication) -> Published:
        """
        Store a publication at the next position.
        """
        self.end += 1
        return published(self.end)

    def positions(self, *publications: Publication, keys: KeyMemory | None = None) -> list[int]:
        """
        Store a batch, and return the position that each publication was
        answered with.
        """
        answers = (keys or self.keys).storeBatch(publications, self.store)
        return [answer.positions["a"] for answer in answers]

    def test_storesPublicationsWithoutKey(self) -> None:
        """
        A publication without a key is stored each time, and leaves no key.
        """
        self.assertEqual(self.positions(publication(None), publication(None)), [1, 2])
        self.keys.remember(publication(None), published(1))
        self.assertEqual(len(self.keys), 0)

    def test_answersKnownKeyAsAtFirst(self) -> None:
        """
        A publication whose key came before is answered with the first
        position, and is not stored.
        """
        self.assertEqual(self.positions(publication("k")), [1])
        batch = [publication("l"), publication("k"), publication("k")]
        self.assertEqual(self.positions(*batch), [2, 1, 1])
        self.assertEqual((self.end, len(self.keys)), (2, 2))

    def test_answersRepeatedKeyOfBatchAsFirst(self) -> None:
        """
        A key that comes twice in one batch is stored once.
        """
        batch = [publication(None), publication("k"), publication("l"), publication("k")]
        self.assertEqual(self.positions(*batch, batch[1]), [1, 2, 3, 2, 2])

    def test_refusesKeyOfAnotherMessage(self) -> None:
        """
        A key with another message is refused, whether the first message with it
        is in the same batch or an earlier one.  Nothing of the batch is stored,
        and the error names the key.
        """
        self.keys.remember(publication("k"), published(1))
        for batch in (
            [publication(None), publication("k", b"2")],
            [publication("k"), publication("k", b"2")],
            [publication("l" * 100, b"1"), publication("l" * 100, b"2")],
        ):
            error = self.assertRaises(KeyReused, self.keys.storeBatch, batch, self.store)
            self.assertIn(repr((batch[-1].key or "")[:64]), error.detail)
        self.assertEqual((self.end, len(self.keys)), (0, 1))

    def test_forgetsKeyAfterLifetime(self) -> None:
        """
        A key is known for its lifetime, counted from when it came first.
        """
        for key, wait in (("k", 100), ("l", KEY_SECONDS - 100 - 0.5)):
            self.positions(publication(key))
            self.clock.advance(wait)
        self.assertEqual(self.positions(publication("k")), [1])
        self.clock.advance(0.5)
        self.assertEqual(self.positions(publication("k", b"2"), publication("l")), [3, 2])
        self.clock.advance(KEY_SECONDS)
        self.positions()
        self.assertEqual(len(self.keys), 0)

    def test_rememberAgainRenewsLifetime(self) -> None:
        """
        A key that is remembered once more begins a new lifetime, and does not
        keep other keys from being forgotten.
        """
        self.keys.remember(publication("k"), published(1))
        self.clock.advance(100)
        self.keys.remember(publication("l"), published(2))
        self.clock.advance(100)
        self.keys.remember(publication("k"), published(3))
        self.clock.advance(200)
        self.positions()
        self.assertEqual(len(self.keys), 1)
        self.end = 9
        self.assertEqual(self.positions(publication("k"), publication("l")), [3, 10])

    def test_clearForgetsAllKeys(self) -> None:
        """
        After C{clear}, a key may come with another message.
        """
        self.keys.remember(publication("k"), published(1))
        self.keys.clear()
        self.assertEqual(len(self.keys), 0)
        self.assertEqual(self.positions(publication("k", b"2")), [1])

    def test_forgetsOldestKeysWhenFull(self) -> None:
        """
        The oldest keys are forgotten when all take too many bytes.  A forgotten
        key gives its bytes back.
        """
        keys = KeyMemory(self.clock.seconds, mostBytes=10000)
        for _ in range(3):
            for number in range(20):
                keys.remember(publication(f"k{number:02}"), published(number))
            count = len(keys)
            self.assertTrue(10 <= count <= 16, str(count))
            self.end = 99
            newest = [publication(f"k{number:02}") for number in range(20 - count, 20)]
            self.assertEqual(self.positions(*newest, keys=keys), [*range(20 - count, 20)])
            self.assertEqual(self.positions(publication("k00"), keys=keys), [100])
            self.clock.advance(KEY_SECONDS)
            self.positions(keys=keys)
            self.assertEqual(len(keys), 0)

    def test_countsBytesOfChannels(self) -> None:
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

    def test_doesNotKeepTooLargeKey(self) -> None:
        """
        A single key that is too large is not kept.
        """
        keys = KeyMemory(self.clock.seconds, mostBytes=100)
        keys.remember(publication("k"), published(1))
        self.assertEqual(len(keys), 0)

    def test_forgetsManyKeysInLinearTime(self) -> None:
        """
        The time to forget many keys at once grows no faster than their number.
        """

        def cost(count: int) -> float:
            for number in range(count):
                self.keys.remember(publication(str(number)), published(1))
            self.clock.advance(KEY_SECONDS)
            start = perf_counter()
            self.positions()
            return perf_counter() - start

        few = min(cost(1000) for _ in range(5))
        self.assertLess(min(cost(16000) for _ in range(3)), 60 * few)
