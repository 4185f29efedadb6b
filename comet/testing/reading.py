"""
The contract of all buses: what is held can be read.
"""

from __future__ import annotations

from comet.bus.starts import MOST_LAST
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from comet.model.patterns import matches
from comet.model.positions import At, Earliest, Last, Unreadable
from comet.testing.case import BusCase, positionsOf


class ReadingContract(BusCase):
    """
    L{comet.interfaces.messagebus.IMessageBus.read}, while nothing was lost.
    """

    async def test_readsChannelAfterPosition(self) -> None:
        """
        The messages of a channel after a position are read in order.  The
        reader has then reached the end.
        """
        bus = await self.makeBus()
        a1, _, a2, a3, _ = await self.put(bus, "a b a a b")
        reading = await self.read(bus, "a", a1)
        self.assertEqual(positionsOf(reading.messages), [a2, a3])
        self.assertEqual((reading.after, reading.reached), (Cursor(bus.end.epoch, a1), bus.end))
        self.assertEqual((dict(reading.gaps), reading.more), ({}, False))

    async def test_readsNothingUpToEnd(self) -> None:
        """
        A reader of names without messages reaches the end.
        """
        bus = await self.makeBus()
        await self.put(bus, "a")
        for names in ("b", "b/*", "b c/**"):
            reading = await self.read(bus, names)
            self.assertEqual(list(reading.messages), [], names)
            self.assertEqual((reading.reached, dict(reading.gaps)), (bus.end, {}), names)

    async def test_readsEmptyBus(self) -> None:
        """
        A bus without messages can be read.
        """
        bus = await self.makeBus()
        reading = await self.read(bus, "a **")
        self.assertEqual((list(reading.messages), reading.reached), ([], bus.end))

    async def test_readsNothingAfterEnd(self) -> None:
        """
        After the end there is nothing to read, and the reader stays there.
        """
        bus = await self.makeBus()
        await self.put(bus, "a a")
        reading = await self.read(bus, "a", bus.end)
        self.assertEqual((list(reading.messages), reading.reached), ([], bus.end))
        self.assertFalse(reading.more)

    async def test_readsNamesInOrderOfPositions(self) -> None:
        """
        Several channels and patterns are read in the order of positions.  A
        message that several of them match is read once.
        """
        bus = await self.makeBus()
        positions = await self.put(bus, "a/b c a/d a/b/e c a/b")
        ab1, c1, ad1, abe1, c2, ab2 = positions
        for names, expected in (
            ("a/b c", [ab1, c1, c2, ab2]),
            ("c a/b", [ab1, c1, c2, ab2]),
            ("a/*", [ab1, ad1, ab2]),
            ("a/**", [ab1, ad1, abe1, ab2]),
            ("*/b", [ab1, ab2]),
            ("*", [c1, c2]),
            ("**", positions),
            ("a/* a/b a/**", [ab1, ad1, abe1, ab2]),
            ("a/b c */*", [ab1, c1, ad1, c2, ab2]),
            ("a/b a/b", [ab1, ab2]),
        ):
            self.assertEqual(await self.held(bus, names), expected, names)

    async def test_readsReservedChannelByName(self) -> None:
        """
        A reserved channel is read only under names that spell it.
        """
        bus = await self.makeBus()
        positions = await self.put(bus, "$stats $p/a a/$b a/b")
        stats, pa, reserved, ab = positions
        for names, expected in (
            ("**", [ab]),
            ("* */*", [ab]),
            ("a/*", [ab]),
            ("$stats", [stats]),
            ("$p/*", [pa]),
            ("$p/**", [pa]),
            ("*/$b", [reserved]),
        ):
            self.assertEqual(await self.held(bus, names), expected, names)

    async def test_limitsMessages(self) -> None:
        """
        No more messages are read than the limit.  The reader has then reached
        the last of them, and is told that there is more.
        """
        bus = await self.makeBus()
        positions = await self.put(bus, "a b c a b c")
        for names in ("a b c", "**"):
            reading = await self.read(bus, names, limit=4)
            self.assertEqual(positionsOf(reading.messages), positions[:4])
            self.assertEqual(reading.reached.position, positions[3])
            self.assertTrue(reading.more)

    async def test_limitOfAllMessages(self) -> None:
        """
        When the limit is the number of messages, there is no more.
        """
        bus = await self.makeBus()
        positions = await self.put(bus, "a a b")
        reading = await self.read(bus, "a", limit=2)
        self.assertEqual(positionsOf(reading.messages), positions[:2])
        self.assertEqual((reading.reached, reading.more), (bus.end, False))

    async def test_readsOnFromReached(self) -> None:
        """
        A reader that reads on from the cursor it reached gets every message
        once.
        """
        bus = await self.makeBus()
        await self.put(bus, "a b/c b/d a e b/c a b/d a a b/c e")
        expected = await self.held(bus, "a b/*")
        for limit in range(1, len(expected) + 2):
            found: list[int] = []
            after, more = 0, True
            while more:
                reading = await self.read(bus, "a b/*", after, limit)
                found += positionsOf(reading.messages)
                after, more = reading.reached.position, reading.more
            self.assertEqual(found, expected)
            self.assertEqual(after, bus.end.position)

    async def test_limitsBytes(self) -> None:
        """
        Messages are read until their payloads would have more bytes than
        allowed.
        """
        bus = await self.makeBus()
        positions = await self.put(bus, "a a a a", b"12345")
        for maxBytes, count in ((5, 1), (9, 1), (10, 2), (15, 3), (19, 3)):
            reading = await self.read(bus, "a", maxBytes=maxBytes)
            self.assertEqual(positionsOf(reading.messages), positions[:count], str(maxBytes))
            self.assertEqual(reading.reached.position, positions[count - 1])
            self.assertTrue(reading.more)
        self.assertFalse((await self.read(bus, "a", maxBytes=20)).more)

    async def test_partsGoOn(self) -> None:
        """
        A bus that ends before the limits of the caller says so, and the rest is read
        from there.  At a limit of the caller's it does not say so.
        """
        bus = await self.makeBus()
        payload = b'"%b"' % (b"x" * 998)
        answers = await bus.publish([Publication(("a",), payload)] * 300)
        expected = [answer.cursor.position for answer in answers]
        for maxBytes in (10**6, 10**5):
            found: list[int] = []
            after, more = 0, True
            while more:
                page = await self.read(bus, "a", after, maxBytes=maxBytes)
                isShort = len(page.messages) < maxBytes // len(payload)
                self.assertEqual(page.isPart, isShort and page.more, str(maxBytes))
                found += positionsOf(page.messages)
                after, more = page.reached.position, page.more
            self.assertEqual(found, expected)
        page = await self.read(bus, "a", limit=100)
        self.assertEqual((len(page.messages), page.more, page.isPart), (100, True, False))

    async def test_readsOneMessageOfAnySize(self) -> None:
        """
        One message is read regardless of its bytes.
        """
        bus = await self.makeBus()
        positions = await self.put(bus, "a a", b"12345")
        reading = await self.read(bus, "a", maxBytes=1)
        self.assertEqual(positionsOf(reading.messages), positions[:1])

    async def test_readsUpToPosition(self) -> None:
        """
        No message is read beyond C{upTo}, and messages beyond it do not count
        as more.
        """
        bus = await self.makeBus()
        a1, _, a2, a3 = await self.put(bus, "a b a a")
        for names in ("a", "a c", "a c/*"):
            reading = await self.read(bus, names, upTo=a2)
            self.assertEqual(positionsOf(reading.messages), [a1, a2])
            self.assertEqual((reading.reached.position, reading.more), (a2, False))
        reading = await self.read(bus, "a", a2, upTo=a3 - 1)
        self.assertEqual(list(reading.messages), [])
        self.assertEqual((reading.reached.position, reading.more), (a3 - 1, False))

    async def test_readsUpToPositionWithLimit(self) -> None:
        """
        There is more if there are more messages up to C{upTo} than the limit.
        """
        bus = await self.makeBus()
        a1, a2, a3 = await self.put(bus, "a a a")
        reading = await self.read(bus, "a", limit=1, upTo=a2)
        self.assertEqual((positionsOf(reading.messages), reading.more), ([a1], True))
        self.assertEqual(reading.reached.position, a1)
        reading = await self.read(bus, "a", limit=2, upTo=a3 - 1)
        self.assertEqual((positionsOf(reading.messages), reading.more), ([a1, a2], False))

    async def test_readsUpToPositionOutsideLog(self) -> None:
        """
        A C{upTo} beyond the end means the end.  With a C{upTo} before the
        cursor, nothing is read, and the reader does not go back.
        """
        bus = await self.makeBus()
        a1, a2 = await self.put(bus, "a a")
        reading = await self.read(bus, "a", upTo=a2 + 100)
        self.assertEqual((positionsOf(reading.messages), reading.reached), ([a1, a2], bus.end))
        reading = await self.read(bus, "a", a2, upTo=a1)
        self.assertEqual((list(reading.messages), reading.reached), ([], bus.end))

    async def test_resultDoesNotChange(self) -> None:
        """
        A result does not change when the log changes later.
        """
        bus = await self.makeBus(messages=2)
        await self.put(bus, "a b a")
        readings = [await self.read(bus, names) for names in ("a", "a b", "**")]
        before = [positionsOf(reading.messages) for reading in readings]
        await self.put(bus, "a b a b")
        await bus.forget("a")
        self.assertEqual([positionsOf(reading.messages) for reading in readings], before)

    async def test_readsManyChannelsInOrder(self) -> None:
        """
        Many messages in many channels, in random order, are read in the order
        of positions.
        """
        bus = await self.makeBus()
        names = [f"c/{number * number % 17}" for number in range(200)]
        positions = await self.put(bus, " ".join(names))
        self.assertEqual(await self.held(bus, "c/*"), positions)
        reading = await self.read(bus, "c/*", positions[49], limit=100)
        self.assertEqual(positionsOf(reading.messages), positions[50:150])

    async def test_readsPatternsAmongManyChannels(self) -> None:
        """
        Patterns that match many of very many channels, or few of them, or none,
        are read, resolved and told of their gaps like any others.
        """
        bus = await self.makeBus(messages=1)
        channels = [f"c/{number}" for number in range(1200)] + ["d/x", "c/7/x", "e/x", "$s/x"]
        asked = [Publication((channel,), b"1") for channel in channels * 2]
        stored = [each.cursor.position for each in await bus.publish(asked)]
        lost = dict(zip(channels, stored, strict=False))
        held = dict(zip(channels, stored[len(channels) :], strict=True))
        end = bus.end.position
        for name in ("c/*", "*/x", "**", "c/*/x", "c/7/*", "*/*/*", "$s/*", "*/y/**", "f/*"):
            matched = [channel for channel in channels if matches(name, channel)]
            own = [held[channel] for channel in matched]
            floor = max([lost[channel] for channel in matched], default=0)
            found, gaps = await self.readAll(bus, name)
            self.assertEqual((found, gaps), (own, {name: floor} if floor else {}), name)
            first = min(own, default=end + 1) - 1
            self.assertStart(await self.start(bus, name, Earliest()), first)
            # The last few are told of so many channels.
            lasts = min(own[-MOST_LAST:], default=end + 1) - 1
            self.assertStart(await self.start(bus, name, Last(5)), lasts)
            at = At(Cursor(bus.end.epoch, 1))
            self.assertStart(await self.start(bus, name, at), 1, floor, isGap=floor > 1)
            self.assertStart(await self.start(bus, name, Unreadable()), first, isGap=True)
        # With a named channel beside it, each has its own gap.
        found, gaps = await self.readAll(bus, "** c/3 f")
        self.assertEqual(found, [held[each] for each in channels if each != "$s/x"])
        self.assertEqual(gaps, {"**": lost["e/x"], "c/3": lost["c/3"]})
