"""
The contract of all buses: what comes again with its key is stored once.
"""

from __future__ import annotations

from comet.errors import KeyReused
from comet.model.messages import Publication
from tests.bus.case import BusCase


class KeyContract(BusCase):
    """
    L{comet.interfaces.IMessageBus.publish}, with keys.
    """

    async def test_again(self) -> None:
        """
        A key that comes again stores nothing, and is answered as it was at
        first, whatever was stored in between.
        """
        bus = await self.makeBus()
        first = await self.publish(bus, "a b", key="k")
        await self.put(bus, "a")
        end = bus.end
        again = await self.publish(bus, "a b", key="k")
        self.assertEqual(again, first)
        self.assertEqual(bus.end, end)
        self.assertEqual(len(await self.held(bus, "a b")), 3)

    async def test_orderOfChannels(self) -> None:
        """
        The same channels in another order are the same channels.
        """
        bus = await self.makeBus()
        first = await self.publish(bus, "a b", key="k")
        self.assertEqual(await self.publish(bus, "b a", key="k"), first)

    async def test_partOfBatch(self) -> None:
        """
        Of a batch only that is stored which was not before; each is answered
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

    async def test_sameBatch(self) -> None:
        """
        A key that comes twice in one batch, with the same message, stores one,
        and both are answered alike.
        """
        bus = await self.makeBus()
        publication = Publication(("a",), b"1", publisher="me", key="k")
        first, other, second = await bus.publish(
            [publication, Publication(("b",), b"2"), publication]
        )
        self.assertEqual(first, second)
        self.assertEqual(await self.held(bus, "a"), [first.positions["a"]])
        self.assertEqual(await self.held(bus, "b"), [other.positions["b"]])

    async def test_another(self) -> None:
        """
        A key that comes again with another body, event or encoding is refused,
        and nothing is stored.
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

    async def test_anotherInBatch(self) -> None:
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

    async def test_refused(self) -> None:
        """
        The keys of a batch that was refused have not been used.
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

    async def test_otherScope(self) -> None:
        """
        The key of another publisher, or to other channels, more or fewer, is
        another key.
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

    async def test_fiveMinutes(self) -> None:
        """
        A key is known for five minutes, and not much longer; it is not known
        for longer because it came again.
        """
        bus = await self.makeBus()
        first = await self.publish(bus, "a", b"1", key="k")
        await self.advance(290)
        self.assertEqual(await self.publish(bus, "a", b"1", key="k"), first)
        await self.advance(20)
        second = await self.publish(bus, "a", b"2", key="k")
        self.assertEqual(await self.held(bus, "a"), [first.positions["a"], second.positions["a"]])
        self.assertEqual(await self.publish(bus, "a", b"2", key="k"), second)

    async def test_forgotten(self) -> None:
        """
        A key is known also when its message is no longer held.
        """
        bus = await self.makeBus()
        first = await self.publish(bus, "a", key="k")
        await bus.forget("a")
        self.assertEqual(await self.publish(bus, "a", key="k"), first)
        self.assertEqual(await self.held(bus, "a"), [])

    async def test_underWay(self) -> None:
        """
        A key that comes again before the first was answered waits for that,
        and is answered alike; with another message it is refused.
        """
        bus = await self.makeBus()
        publication = Publication(("a",), b"1", publisher="me", key="k")
        other = Publication(("a",), b"2", publisher="me", key="k")
        asked = [bus.publish([each]) for each in (publication, publication, other)]
        [first], [second] = await asked[0], await asked[1]
        await self.assertFailure(asked[2], KeyReused)
        self.assertEqual(first, second)
        self.assertEqual(await self.held(bus, "a"), [first.positions["a"]])
