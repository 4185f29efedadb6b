"""
The contract of all buses: where names begin.
"""

from __future__ import annotations

from comet.model.cursors import Cursor
from comet.model.positions import At, Earliest, Last, Now, StartPosition, Unreadable
from comet.testing.case import OTHER_EPOCH, BusCase


class ResolvingContract(BusCase):
    """
    L{comet.interfaces.messagebus.IMessageBus.resolve}.
    """

    async def test_nowIsEnd(self) -> None:
        """
        C{now} is the end, without a gap, regardless of what was lost.
        """
        bus = await self.makeBus(messages=1)
        for _ in range(3):
            for name in ("a", "*", "b"):
                start = await self.start(bus, name, Now())
                self.assertStart(start, bus.end.position)
                self.assertFalse(start.isRelative)
            await self.put(bus, "a a")

    async def test_cursorIsItsPosition(self) -> None:
        """
        A cursor begins at its position, with a gap if messages after it were
        lost.
        """
        bus = await self.makeBus(messages=1)
        a1, b1, a2, a3 = await self.put(bus, "a b a a")
        for name, position, floor in (
            ("a", 0, a2),
            ("a", a1, a2),
            ("a", a2 - 1, a2),
            ("a", a2, 0),
            ("a", a3, 0),
            ("b", 0, 0),
            ("b", b1, 0),
            ("*", 0, a2),
            ("*", a2, 0),
            ("c", 0, 0),
        ):
            start = await self.start(bus, name, At(Cursor(bus.end.epoch, position)))
            self.assertStart(start, position, floor, isGap=floor > 0)
            self.assertFalse(start.isRelative)

    async def test_earliestIsBeforeOldest(self) -> None:
        """
        C{earliest} is just before the oldest message that is held of the name,
        without a gap, regardless of what was lost.
        """
        bus = await self.makeBus(messages=2)
        positions = await self.put(bus, "x/b c x/a x/a x/b x/a c x/b")
        b1, c1, a1, a2, b2, _, _, _ = positions
        for name, oldest, floor in (
            ("x/a", a2, 0),
            ("x/b", b2, 0),
            ("c", c1, 0),
            ("x/*", a2, 0),
            ("**", c1, a1),
        ):
            start = await self.start(bus, name, Earliest())
            self.assertStart(start, oldest - 1, floor)
            self.assertTrue(start.isRelative)
        self.assertLess(b1, a1)

    async def test_earliestOfEmptyNameIsEnd(self) -> None:
        """
        C{earliest} of a name without messages is the end.
        """
        bus = await self.makeBus()
        for startPosition in (Earliest(), Last(3)):
            self.assertStart(await self.start(bus, "a", startPosition), 0)
        await self.put(bus, "a b")
        await bus.forget("a")
        for startPosition in (Earliest(), Last(3)):
            for name in ("a", "c", "c/*"):
                start = await self.start(bus, name, startPosition)
                self.assertStart(start, bus.end.position)
                self.assertTrue(start.isRelative)

    async def test_lastFewOfChannel(self) -> None:
        """
        The last few messages of a channel begin just before the oldest of them,
        or before all if fewer are held, without a gap.
        """
        bus = await self.makeBus(messages=3)
        _, a2, _, a3, a4, _ = await self.put(bus, "a a b a a b")
        for count, oldest in ((1, a4), (2, a3), (3, a2), (4, a2), (999999999, a2)):
            start = await self.start(bus, "a", Last(count))
            self.assertStart(start, oldest - 1)
            self.assertTrue(start.isRelative)
            self.assertLess(start.skipUpTo.get("a", 0), oldest)

    async def test_lastFewOfEachChannelOfPattern(self) -> None:
        """
        The last few messages of a pattern are the last few of each of its
        channels.  C{skipUpTo} covers what comes before them in single channels.
        """
        bus = await self.makeBus()
        positions = await self.put(bus, "x/a x/b x/a x/b x/c y x/b x/a x/a")
        a1, b1, a2, b2, c1, y1, b3, a3, a4 = positions
        for count, oldest, wanted in (
            (1, c1, {c1, b3, a4}),
            (2, b2, {b2, c1, b3, a3, a4}),
            (3, b1, {b1, b2, c1, b3, a2, a3, a4}),
            (9, a1, set(positions) - {y1}),
        ):
            start = await self.start(bus, "x/*", Last(count))
            self.assertStart(start, oldest - 1)
            self.assertTrue(start.isRelative)
            reading = await self.read(bus, "x/*", start.position)
            found = {
                each.position
                for each in reading.messages
                if each.position > start.skipUpTo.get(each.channel, 0)
            }
            self.assertEqual(found, wanted, str(count))

    async def test_lastFewSkipNothingNew(self) -> None:
        """
        A message that is stored after the bus was asked is not skipped.
        """
        bus = await self.makeBus()
        await self.put(bus, "x/a x/b x/a")
        start = await self.start(bus, "x/*", Last(1))
        self.assertTrue(all(p < bus.end.position for p in start.skipUpTo.values()))

    async def test_lostCursorIsBeforeOldestWithGap(self) -> None:
        """
        A cursor that is of another epoch, or beyond the end, or unreadable,
        begins before the oldest message that is held, with a gap.
        """
        bus = await self.makeBus(messages=2)
        _, a2, b1, _ = await self.put(bus, "a a b a")
        end = bus.end
        lost: list[StartPosition] = [
            At(Cursor(OTHER_EPOCH, 1)),
            At(Cursor(OTHER_EPOCH, 10**18)),
            At(Cursor(end.epoch, end.position + 1)),
            At(Cursor(end.epoch, 10**18)),
            Unreadable(),
        ]
        for startPosition in lost:
            for name, position in (
                ("a", a2 - 1),
                ("b", b1 - 1),
                ("*", a2 - 1),
                ("c", end.position),
                ("c/*", end.position),
            ):
                start = await self.start(bus, name, startPosition)
                self.assertStart(start, position, isGap=True)
                self.assertTrue(start.isRelative)

    async def test_resolvesSeveralNames(self) -> None:
        """
        Several names, each with its own start position, are resolved at once,
        in the order in which they were asked for.
        """
        bus = await self.makeBus()
        a1, b1, a2, b2 = await self.put(bus, "a b a b")
        startPositions: dict[str, StartPosition] = {
            "b": Last(1),
            "a": Earliest(),
            "*": Now(),
            "**": At(Cursor(bus.end.epoch, b1)),
            "c": Unreadable(),
        }
        resolved = await bus.resolve(startPositions)
        self.assertEqual(resolved.end, bus.end)
        self.assertEqual(list(resolved.starts), list(startPositions))
        found = {name: start.position for name, start in resolved.starts.items()}
        expected = {"b": b2 - 1, "a": a1 - 1, "*": b2, "**": b1, "c": b2}
        self.assertEqual(found, expected)
        self.assertEqual([n for n, start in resolved.starts.items() if start.isGap], ["c"])
        self.assertLess(a2, b2)

    async def test_ignoresExpiredMessages(self) -> None:
        """
        A message that is too old does not count as held.
        """
        bus = await self.makeBus(seconds=60.0)
        [a1] = await self.put(bus, "a")
        await self.advance(40)
        [a2] = await self.put(bus, "a")
        await self.advance(30)
        for name in ("a", "*"):
            for startPosition in (Earliest(), Last(5)):
                self.assertStart(await self.start(bus, name, startPosition), a2 - 1)
            at = At(Cursor(bus.end.epoch, 0))
            self.assertStart(await self.start(bus, name, at), 0, a1, isGap=True)

    async def test_countsReservedChannelsByName(self) -> None:
        """
        A reserved channel counts only for names that spell it.
        """
        bus = await self.makeBus()
        own, other = await self.put(bus, "$p/a p/a")
        for startPosition in (Earliest(), Last(1)):
            self.assertStart(await self.start(bus, "**", startPosition), other - 1)
            self.assertStart(await self.start(bus, "$p/*", startPosition), own - 1)
