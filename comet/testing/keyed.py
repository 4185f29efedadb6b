"""
The contract of all buses: a publication that comes again with its key is stored
once.
"""

from __future__ import annotations

from collections.abc import Sequence

from comet.bus.idempotency import KeyBudget, keySize
from comet.errors import KeyReused
from comet.interfaces.messagebus import IMessageBus
from comet.model.messages import Publication, Published
from comet.testing.case import BusCase

# What a key counts for whose publisher has one letter, with one channel.
ONE = keySize(Publication(("a",), b"1", publisher="p", key="k"))


class KeyContract(BusCase):
    """
    L{comet.interfaces.messagebus.IMessageBus.publish}, with idempotency keys.
    """

    async def test_answersRepeatedKeyAsAtFirst(self) -> None:
        """
        A key that comes again stores nothing, and gets its first answer,
        regardless of what was stored in between.
        """
        bus = await self.makeBus()
        first = await self.publish(bus, "a b", key="k")
        await self.put(bus, "a")
        end = bus.end
        again = await self.publish(bus, "a b", key="k")
        self.assertEqual(again, first)
        self.assertEqual(bus.end, end)
        self.assertEqual(len(await self.held(bus, "a b")), 3)

    async def test_ignoresOrderOfKeyedChannels(self) -> None:
        """
        A key is the same key if its channels come in another order.
        """
        bus = await self.makeBus()
        first = await self.publish(bus, "a b", key="k")
        self.assertEqual(await self.publish(bus, "b a", key="k"), first)

    async def test_storesNewKeysOfBatch(self) -> None:
        """
        Of a batch, the publications with new keys are stored.  Each answer is
        in its place.
        """
        bus = await self.makeBus()
        known = await self.publish(bus, "a", b"1", key="k")
        batch = [
            Publication(("a",), b"2", publisher="me"),
            Publication(("a",), b"1", publisher="me", key="k"),
            Publication(("a",), b"3", publisher="me", key="l"),
        ]
        before, again, after = await bus.publish(batch)
        self.assertEqual(again, known)
        expected = [each.positions["a"] for each in (known, before, after)]
        self.assertEqual(await self.held(bus, "a"), expected)

    async def test_storesKeyOfBatchOnce(self) -> None:
        """
        A key that comes twice in one batch, with the same message, stores one
        message.  Both publications get the same answer.
        """
        bus = await self.makeBus()
        publication = Publication(("a",), b"1", publisher="me", key="k")
        first, other, second = await bus.publish(
            [publication, Publication(("b",), b"2"), publication]
        )
        self.assertEqual(first, second)
        self.assertEqual(await self.held(bus, "a"), [first.positions["a"]])
        self.assertEqual(await self.held(bus, "b"), [other.positions["b"]])

    async def test_refusesKeyOfAnotherMessage(self) -> None:
        """
        A key that comes again with another payload, event or encoding is
        refused, and nothing is stored.
        """
        bus = await self.makeBus()
        await self.publish(bus, "a", b'"1"', event="e", key="k")
        await self.publish(bus, "b", b'"AA=="', encoding="base64", key="k")
        end = bus.end
        for publication in (
            Publication(("a",), b'"2"', "e", publisher="me", key="k"),
            Publication(("a",), b'"1"', "f", publisher="me", key="k"),
            Publication(("a",), b'"1"', publisher="me", key="k"),
            Publication(("b",), b'"AA=="', publisher="me", key="k"),
        ):
            await self.assertFailure(bus.publish([publication]), KeyReused)
        self.assertEqual(bus.end, end)
        self.assertEqual(len(await self.held(bus, "a b")), 2)

    async def test_refusesKeyOfAnotherMessageInBatch(self) -> None:
        """
        A key that comes twice in one batch with different messages is refused,
        and nothing is stored.
        """
        bus = await self.makeBus()
        batch = [
            Publication(("b",), b"0"),
            Publication(("a",), b"1", publisher="me", key="k"),
            Publication(("a",), b"2", publisher="me", key="k"),
        ]
        await self.assertFailure(bus.publish(batch), KeyReused)
        self.assertEqual(bus.end.position, 0)
        self.assertEqual(await self.held(bus, "a b"), [])

    async def test_forgetsKeysOfRefusedBatch(self) -> None:
        """
        The keys of a refused batch can be used for other messages.
        """
        bus = await self.makeBus()
        await self.publish(bus, "a", b"1", key="k")
        batch = [
            Publication(("a",), b"1", publisher="me", key="l"),
            Publication(("a",), b"2", publisher="me", key="k"),
        ]
        await self.assertFailure(bus.publish(batch), KeyReused)
        answer = await self.publish(bus, "a", b"3", key="l")
        self.assertEqual(bus.end, answer.cursor)

    async def test_keyBelongsToPublisherAndChannels(self) -> None:
        """
        The same key of another publisher, or to more, fewer or other channels,
        is another key.
        """
        bus = await self.makeBus()
        answers = [await self.publish(bus, "a b", b"1", key="k")]
        answers.append(await self.publish(bus, "a b", b"2", publisher="you", key="k"))
        for number, channels in enumerate(("a", "b", "c", "a b c"), 3):
            answers.append(await self.publish(bus, channels, b"%d" % number, key="k"))
        positions = [answer.cursor.position for answer in answers]
        self.assertEqual(positions, sorted(set(positions)))
        await self.publish(bus, "a b", b"1", key="K")
        await self.publish(bus, "a b", b"1")
        self.assertEqual(len(await self.held(bus, "a")), 6)

    async def test_forgetsKeyAfterFiveMinutes(self) -> None:
        """
        A key is known for five minutes, and not much longer.  Coming again does
        not make that longer.
        """
        bus = await self.makeBus()
        first = await self.publish(bus, "a", b"1", key="k")
        await self.advance(290)
        self.assertEqual(await self.publish(bus, "a", b"1", key="k"), first)
        await self.advance(20)
        second = await self.publish(bus, "a", b"2", key="k")
        self.assertEqual(await self.held(bus, "a"), [first.positions["a"], second.positions["a"]])
        self.assertEqual(await self.publish(bus, "a", b"2", key="k"), second)

    async def test_keyOutlivesMessage(self) -> None:
        """
        A key is still known when its message is no longer held.
        """
        bus = await self.makeBus()
        first = await self.publish(bus, "a", key="k")
        await bus.forget("a")
        self.assertEqual(await self.publish(bus, "a", key="k"), first)
        self.assertEqual(await self.held(bus, "a"), [])

    async def test_repeatedKeyWaitsForFirst(self) -> None:
        """
        A key that comes again before the first publication was answered waits
        for it, and gets the same answer.  With another message, it is refused.
        """
        bus = await self.makeBus()
        publication = Publication(("a",), b"1", publisher="me", key="k")
        other = Publication(("a",), b"2", publisher="me", key="k")
        asked = [bus.publish([each]) for each in (publication, publication, other)]
        [first], [second] = await asked[0], await asked[1]
        await self.assertFailure(asked[2], KeyReused)
        self.assertEqual(first, second)
        self.assertEqual(await self.held(bus, "a"), [first.positions["a"]])

    async def keyed(
        self, bus: IMessageBus, publisher: str, numbers: range, channels: str = "a"
    ) -> list[Published]:
        """
        Publish a message for each number, with the number as its key.
        """
        names = tuple(channels.split())
        return list(
            await bus.publish(
                [Publication(names, b"1", publisher=publisher, key=str(each)) for each in numbers]
            )
        )

    async def assertKnown(
        self, bus: IMessageBus, publisher: str, known: Sequence[Published], forgotten: int
    ) -> None:
        """
        Assert that the first few keys of a publisher are forgotten, and the
        others are known.

        @param known: The answers to all of its keys, which are their indices.
        """
        count = len(known)
        again = await self.keyed(bus, publisher, range(forgotten, count))
        self.assertEqual(again, known[forgotten:])
        # From the newest to the oldest: each that is stored anew pushes another
        # key out, or would.
        for number in reversed(range(forgotten)):
            [answer] = await self.keyed(bus, publisher, range(number, number + 1))
            self.assertGreater(answer.cursor, known[-1].cursor)

    async def test_keysOfOthersPushNoneOut(self) -> None:
        """
        Keys of other publishers, however many, do not make the bus forget the
        keys of a publisher within its budget.
        """
        bus = await self.makeBus(keyBudget=KeyBudget(10 * ONE, 50 * ONE))
        own = await self.keyed(bus, "k", range(10))
        for start in range(0, 60, 20):
            await self.keyed(bus, "", range(start, start + 20))
            for number in range(3):
                await self.keyed(bus, f"{number}", range(start, start + 3))
        await self.assertKnown(bus, "k", own, 0)

    async def test_forgetsOldestKeysOfPublisher(self) -> None:
        """
        A publisher with more keys than its budget allows loses its oldest, and
        keeps as many of the newest as fit.
        """
        bus = await self.makeBus(keyBudget=KeyBudget(10 * ONE, 100 * ONE))
        other = await self.keyed(bus, "o", range(5))
        own: list[Published] = []
        for start in range(0, 24, 6):
            own += await self.keyed(bus, "k", range(start, start + 6))
        await self.assertKnown(bus, "o", other, 0)
        await self.assertKnown(bus, "k", own, 14)

    async def test_publisherWithMostKeysLosesFirst(self) -> None:
        """
        When the keys of all publishers are too many, the publisher with the most
        loses its oldest keys.
        """
        bus = await self.makeBus(keyBudget=KeyBudget(10 * ONE, 16 * ONE))
        most = await self.keyed(bus, "m", range(10))
        few = await self.keyed(bus, "f", range(4))
        fewer = await self.keyed(bus, "g", range(4))
        await self.assertKnown(bus, "f", few, 0)
        await self.assertKnown(bus, "g", fewer, 0)
        again = await self.keyed(bus, "m", range(2, 10))
        self.assertEqual(again, most[2:])
        [answer] = await self.keyed(bus, "m", range(1))
        self.assertGreater(answer.cursor, fewer[-1].cursor)

    async def test_longNamesCountForNoMore(self) -> None:
        """
        A key counts for its channels, not for the length of their names.
        """
        size = keySize(Publication(tuple("abcdefgh"), b"1", publisher="p", key="k"))
        bus = await self.makeBus(keyBudget=KeyBudget(10 * size, 100 * size))
        long = " ".join(letter * 250 for letter in "hgfedcba")
        answers = await self.keyed(bus, "p", range(12), long)
        again = await self.keyed(bus, "p", range(2, 12), " ".join(sorted(long.split())))
        self.assertEqual(again, answers[2:])
        [first] = await self.keyed(bus, "p", range(1), long)
        self.assertGreater(first.cursor, answers[-1].cursor)

    async def test_forgottenKeysTakeNoRoom(self) -> None:
        """
        Keys that are too old give their room to new ones of the same publisher
        and of others, and may come again themselves.
        """
        bus = await self.makeBus(keyBudget=KeyBudget(10 * ONE, 15 * ONE))
        await self.keyed(bus, "k", range(10))
        await self.advance(150)
        half = await self.keyed(bus, "o", range(5))
        await self.advance(151)
        own = await self.keyed(bus, "k", range(10))
        await self.assertKnown(bus, "o", half, 0)
        await self.assertKnown(bus, "k", own, 0)
        await self.advance(301)
        other = await self.keyed(bus, "o", range(10))
        await self.assertKnown(bus, "o", other, 0)
        new = await self.keyed(bus, "k", range(5))
        await self.assertKnown(bus, "k", new, 0)
