"""
Tests for L{comet.bus.idempotency}.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc

from attrs import evolve
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.idempotency import KEY_SECONDS, KeyBudget, KeyMemory, keySize
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
        self.positions(publication("k"))
        for batch in (
            [publication(None), publication("k", b"2")],
            [publication("k"), publication("k", b"2")],
            [publication("l" * 100, b"1"), publication("l" * 100, b"2")],
        ):
            error = self.assertRaises(KeyReused, self.keys.storeBatch, batch, self.store)
            self.assertIn(repr((batch[-1].key or "")[:64]), error.detail)
        self.assertEqual((self.end, len(self.keys)), (1, 1))

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

    def test_clearForgetsAllKeys(self) -> None:
        """
        After C{clear}, a key may come with another message.
        """
        self.positions(publication("k"))
        self.keys.clear()
        self.assertEqual((len(self.keys), self.keys.size), (0, 0))
        self.assertEqual(self.positions(publication("k", b"2")), [2])

    def test_doesNotKeepTooLargeKey(self) -> None:
        """
        A single key that is too large is not kept.
        """
        for budget in (KeyBudget(100, 10000), KeyBudget(10000, 100)):
            keys = KeyMemory(self.clock.seconds, budget=budget)
            self.positions(publication("k"), keys=keys)
            self.assertEqual((len(keys), keys.size), (0, 0))

    def test_countsWhatKeysTake(self) -> None:
        """
        The bytes that keys count for are those that they take in memory, within
        a quarter, regardless of their channels and names.  The keys of
        publishers with a single one take half as much again.
        """
        for count, channels, length, publishers, most in (
            *((30000, 1, 10, 1, 1.25), (45000, 1, 10, 1, 1.25), (20000, 1, 250, 20000, 1.5)),
            *((5000, 10, 200, 3, 1.25), (1000, 100, 50, 1, 1.25)),
        ):
            names = tuple(f"{number}".zfill(length) for number in range(channels))
            keys = KeyMemory(self.clock.seconds)
            gc.collect()
            tracemalloc.start()
            try:
                for number in range(count):
                    publisher = f"{number % publishers}".zfill(20)
                    each = Publication(names, b"1", publisher=publisher, key=f"key-{number}")
                    keys.storeBatch([each], self.storeAt)
                taken, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            shape = f"{channels} channels, {publishers} publishers: {taken} for {keys.size}"
            self.assertEqual(len(keys), count)
            self.assertTrue(keys.size / 1.25 < taken < keys.size * most, shape)

    def storeAt(self, publication: Publication) -> Published:
        """
        Store a publication at the next positions.
        """
        positions = {}
        for channel in publication.channels:
            self.end += 1
            positions[channel] = self.end + 10**6
        return Published("e", positions)

    def test_forgetsManyKeysInSteps(self) -> None:
        """
        Keys that are too old are forgotten a thousand at a time, so that no
        publisher waits for all of them.  Meanwhile they are not known.
        """
        batch = [publication(str(number)) for number in range(3500)]
        self.positions(*batch)
        self.clock.advance(KEY_SECONDS)
        for left in (2500, 1500, 500, 0, 0):
            self.positions(publication(None))
            self.assertEqual(len(self.keys), left)
        self.positions(*batch)
        self.clock.advance(KEY_SECONDS)
        end = self.end
        self.assertEqual(self.positions(batch[-1], batch[-2]), [end + 1, end + 2])
        while len(self.keys) > 2:
            self.positions(publication(None))
        self.assertEqual(self.positions(batch[-1], batch[-2]), [end + 1, end + 2])
        self.assertEqual(self.keys.size, 2 * keySize(batch[0]))

    def test_findsLargestPublisherAmongMany(self) -> None:
        """
        The publisher with the most keys is found without looking at all
        publishers, whose number has no bound but that of the keys.
        """
        size = keySize(publication("k"))
        keys = KeyMemory(self.clock.seconds, budget=KeyBudget(10 * size, 4000 * size))
        for number in range(4000):
            each = Publication(("a",), b"1", publisher=f"{number:02}"[-2:], key=str(number))
            keys.storeBatch([each], self.store)
        calls = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        many = [Publication(("a",), b"1", publisher=f"p{n}", key="k") for n in range(4000)]
        for each in many:
            keys.storeBatch([each], self.store)
        sys.setprofile(count)
        try:
            for each in many[:100]:
                keys.storeBatch([evolve(each, key="l")], self.store)
        finally:
            sys.setprofile(None)
        self.assertLess(calls, 100 * 150)
