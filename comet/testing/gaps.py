"""
The contract of all buses: messages that are no longer held are a gap, and no
others are.
"""

from __future__ import annotations

from comet.interfaces.messagebus import IMessageBus
from comet.model.cursors import Cursor
from comet.model.positions import At
from comet.testing.case import DAY, OTHER_EPOCH, BusCase, dataOf, positionsOf


class GapContract(BusCase):
    """
    L{comet.interfaces.messagebus.IMessageBus.read}, after messages were lost.
    """

    async def assertFloor(self, bus: IMessageBus, name: str, floor: int) -> None:
        """
        Assert that a name has a gap for every reader below the floor, and for
        no other reader.
        """
        for after in {0, max(floor - 1, 0), floor, bus.end.position}:
            reading = await self.read(bus, name, after)
            expected = {name: floor} if after < floor else {}
            self.assertEqual(dict(reading.gaps), expected, f"after {after}")

    async def test_boundsMessages(self) -> None:
        """
        Of too many messages, the newest are held.  The floor is the newest of
        the others.
        """
        bus = await self.makeBus(messages=2)
        positions = await self.put(bus, "a a b a a b")
        self.assertEqual(await self.held(bus, "a"), [positions[3], positions[4]])
        await self.assertFloor(bus, "a", positions[1])
        await self.assertFloor(bus, "b", 0)

    async def test_boundsBytes(self) -> None:
        """
        Of too many bytes of payload, the newest are held.
        """
        bus = await self.makeBus(bytes=10)
        positions = await self.put(bus, "a a a b", b"12345")
        self.assertEqual(await self.held(bus, "a"), positions[1:3])
        await self.assertFloor(bus, "a", positions[0])
        await self.assertFloor(bus, "b", 0)

    async def test_messageLargerThanRetentionIsGap(self) -> None:
        """
        A message that is larger than everything that may be held is a gap as
        soon as it is stored.
        """
        bus = await self.makeBus(bytes=10)
        [position] = await self.put(bus, "a", b"12345678901")
        self.assertEqual(await self.held(bus, "a"), [])
        await self.assertFloor(bus, "a", position)

    async def test_boundsAge(self) -> None:
        """
        A message is held for as long as the retention says, and is not read
        afterwards.
        """
        bus = await self.makeBus(seconds=60.0)
        a1, b1 = await self.put(bus, "a b")
        await self.advance(30)
        [a2] = await self.put(bus, "a")
        await self.advance(29)
        self.assertEqual(await self.held(bus, "a b"), [a1, b1, a2])
        await self.assertFloor(bus, "a", 0)
        await self.advance(2)
        self.assertEqual(await self.held(bus, "a b"), [a2])
        await self.assertFloor(bus, "a", a1)
        await self.assertFloor(bus, "b", b1)
        await self.advance(60)
        self.assertEqual(await self.held(bus, "a b"), [])
        await self.assertFloor(bus, "a", a2)

    async def test_boundsTotal(self) -> None:
        """
        When all channels together hold too much, the oldest messages are
        dropped, regardless of their channel.
        """
        bus = await self.makeBus(totalBytes=20000)
        positions = await self.put(bus, "a b c c a c b b a c " * 4, dataOf(1000))
        held = await self.held(bus, "a b c")
        self.assertTrue(5 <= len(held) <= 19, str(len(held)))
        self.assertEqual(held, positions[-len(held) :])
        lost = positions[: -len(held)]
        channels = "abccacbbac" * 4
        for name in "abc":
            floor = max(p for p, c in zip(lost, channels, strict=False) if c == name)
            await self.assertFloor(bus, name, floor)

    async def test_reservedChannelsAreSafe(self) -> None:
        """
        However much clients publish, the server's own channels lose nothing to it,
        while these hold no more than a quarter of the total.
        """
        bus = await self.makeBus(totalBytes=100_000)
        own = await self.put(bus, "$events $presence/room $events", dataOf(1000))
        clients = await self.put(bus, "a b c " * 100, dataOf(1000))
        self.assertEqual(await self.held(bus, "$events $presence/room"), own)
        await self.assertFloor(bus, "$events", 0)
        await self.assertFloor(bus, "$presence/*", 0)
        held = await self.held(bus, "a b c")
        self.assertTrue(30 <= len(held) <= 90, str(len(held)))
        self.assertEqual(held, clients[-len(held) :])
        # As many channels as there can be take no more either.
        await self.put(bus, " ".join(f"many/{number}" for number in range(300)))
        self.assertEqual(await self.held(bus, "$events $presence/room"), own)

    async def test_reservedChannelsTakeAQuarter(self) -> None:
        """
        Once the total is reached, what the server tells drops nothing that clients have
        published, if its own channels hold more than a quarter: then these lose their
        oldest messages, which is told as a gap.
        """
        bus = await self.makeBus(totalBytes=100_000)
        clients = await self.put(bus, "a b " * 10, dataOf(1000))
        own = await self.put(bus, "$events $presence/room " * 100, dataOf(1000))
        self.assertEqual(await self.held(bus, "a b"), clients)
        held = await self.held(bus, "$events $presence/room")
        self.assertTrue(20 <= len(held) <= 80, str(len(held)))
        self.assertEqual(held, own[-len(held) :])
        reading = await self.read(bus, "a $events", clients[-1])
        self.assertEqual(dict(reading.gaps), {"$events": max(own[: -len(held)][::2])})
        # Clients get back what is more than a quarter.
        clients = await self.put(bus, "a b " * 100, dataOf(1000))
        few = await self.held(bus, "$events $presence/room")
        self.assertTrue(10 <= len(few) <= 25, str(len(few)))
        self.assertEqual(few, own[-len(few) :])
        held = await self.held(bus, "a b")
        self.assertTrue(30 <= len(held) <= 75, str(len(held)))
        self.assertEqual(held, clients[-len(held) :])

    async def test_emptyChannelsLeaveRoom(self) -> None:
        """
        Channels without messages take no more than half of the total, however much each
        of their names takes: what is published then is held.
        """
        bus = await self.makeBus(seconds=60.0, totalBytes=200_000)
        long = "a/" * 7 + "x" * 220
        for start in range(0, 120, 20):
            await self.put(bus, " ".join(f"{long}/{start + n}" for n in range(20)))
            await self.advance(61)
        positions = await self.put(bus, "room " * 50, dataOf(1000))
        self.assertEqual(await self.held(bus, "room"), positions)
        # The newest of them are still known.
        await self.assertFloor(bus, f"{long}/119", 120)

    async def test_forgottenMessagesAreGap(self) -> None:
        """
        Messages that were dropped by C{forget} are a gap.
        """
        bus = await self.makeBus()
        _, b1, a2 = await self.put(bus, "a b a")
        await bus.forget("a")
        await self.assertFloor(bus, "a", a2)
        await self.assertFloor(bus, "b", 0)
        [a3] = await self.put(bus, "a")
        self.assertEqual(await self.held(bus, "a b"), [b1, a3])
        await self.assertFloor(bus, "a", a2)

    async def test_gapOfEachName(self) -> None:
        """
        Of several names, those that lost messages have a gap, each with its own
        floor.
        """
        bus = await self.makeBus(messages=1)
        a1, b1, c1, _, b2, _ = await self.put(bus, "a b c a b b")
        reading = await self.read(bus, "a b c d")
        self.assertEqual(dict(reading.gaps), {"a": a1, "b": b2})
        reading = await self.read(bus, "a b c d", b1)
        self.assertEqual(dict(reading.gaps), {"b": b2})
        self.assertIn(c1, await self.held(bus, "a b c d"))

    async def test_floorOfPattern(self) -> None:
        """
        The floor of a pattern is the highest of the channels that it matches.
        The gap is under the name that was asked for.
        """
        bus = await self.makeBus(messages=1)
        positions = await self.put(bus, "x/a x/b y x/b x/a x/a/b y x/a/b")
        a1, b1, y1, _, _, ab1, _, _ = positions
        await self.assertFloor(bus, "x/*", b1)
        await self.assertFloor(bus, "x/**", ab1)
        await self.assertFloor(bus, "**", ab1)
        await self.assertFloor(bus, "*", y1)
        await self.assertFloor(bus, "z/*", 0)
        reading = await self.read(bus, "x/a x/* */a z")
        self.assertEqual(dict(reading.gaps), {"x/a": a1, "x/*": b1, "*/a": a1})

    async def test_noGapFromReservedChannel(self) -> None:
        """
        Messages that a reserved channel lost are no gap in a pattern that does
        not spell it.
        """
        bus = await self.makeBus(messages=1)
        first, _ = await self.put(bus, "$p/a $p/a")
        await self.assertFloor(bus, "**", 0)
        await self.assertFloor(bus, "$p/*", first)

    async def test_gapLongAgo(self) -> None:
        """
        A reader that missed a message is told of the gap after any time.  A
        reader that missed nothing has no gap.
        """
        bus = await self.makeBus(seconds=60.0)
        a1, _ = await self.put(bus, "a b")
        for _ in range(20):
            await self.advance(DAY / 4)
        for name in ("a", "*"):
            reading = await self.read(bus, name)
            self.assertGreaterEqual(reading.gaps[name], a1)
            self.assertEqual(list(reading.messages), [])
        reading = await self.read(bus, "a * b", bus.end)
        self.assertEqual(dict(reading.gaps), {})
        [a2] = await self.put(bus, "a")
        self.assertEqual(await self.held(bus, "a"), [a2])
        self.assertGreaterEqual((await self.read(bus, "a")).gaps["a"], a1)

    async def test_noGapAfterLongSilence(self) -> None:
        """
        A reader that comes back after days of silence, with the cursor of the
        last message of its name, has no gap.  That other channels got later
        messages, and lost them, makes no difference.
        """
        bus = await self.makeBus(seconds=60.0)
        a1, _, xa1, xb1 = await self.put(bus, "a b x/a x/b")
        for days in range(4):
            await self.advance(DAY)
            await self.put(bus, f"b y/{days}")
            await self.advance(DAY)
        for name, after in (("a", a1), ("x/a", xa1), ("x/b", xb1), ("x/*", xb1), ("z", 0)):
            reading = await self.read(bus, name, after)
            self.assertEqual((dict(reading.gaps), list(reading.messages)), ({}, []), name)
            start = await self.start(bus, name, At(Cursor(bus.end.epoch, after)))
            self.assertStart(start, after)
        await self.assertFloor(bus, "a", a1)
        await self.assertFloor(bus, "x/*", xb1)
        [a2] = await self.put(bus, "a")
        reading = await self.read(bus, "a", a1)
        self.assertEqual((dict(reading.gaps), positionsOf(reading.messages)), ({}, [a2]))

    async def test_readsLostEpochFromOldest(self) -> None:
        """
        If the epoch of a cursor is lost, or the cursor is beyond the log end,
        all names have a gap.  The reading begins just before the oldest message
        that is held of them.
        """
        bus = await self.makeBus(messages=2)
        b1, _, a1, a2, a3, d1 = await self.put(bus, "b c a a a d")
        end = bus.end
        for after in (Cursor(OTHER_EPOCH, a3), Cursor(end.epoch, end.position + 1)):
            for names in ("a d", "a * d"):
                begun = (a2 if names == "a d" else b1) - 1
                reading = await self.read(bus, names, after)
                self.assertEqual(reading.after, Cursor(end.epoch, begun))
                self.assertEqual(set(reading.gaps), set(names.split()))
                self.assertEqual(reading.gaps["a"], a1)
                self.assertEqual(positionsOf(reading.messages)[-3:], [a2, a3, d1])
                self.assertEqual((reading.reached, reading.more), (end, False))

    async def test_readsOnAfterLostEpoch(self) -> None:
        """
        A reader that came with a cursor of a lost epoch reads on without
        another gap.
        """
        bus = await self.makeBus(messages=2)
        _, a2, b1, a3 = await self.put(bus, "a a b a")
        reading = await self.read(bus, "a b", Cursor(OTHER_EPOCH, 1), limit=1)
        self.assertEqual((positionsOf(reading.messages), reading.more), ([a2], True))
        self.assertEqual(reading.reached, Cursor(bus.end.epoch, a2))
        reading = await self.read(bus, "a b", reading.reached)
        self.assertEqual((positionsOf(reading.messages), dict(reading.gaps)), ([b1, a3], {}))

    async def test_readsLostEpochOfEmptyName(self) -> None:
        """
        A reader that comes with a cursor of a lost epoch, for names without
        messages, reaches the log end.
        """
        bus = await self.makeBus()
        await self.put(bus, "a a")
        reading = await self.read(bus, "b c/*", Cursor(OTHER_EPOCH, 1))
        self.assertEqual((reading.after, reading.reached), (bus.end, bus.end))
        self.assertEqual((list(reading.messages), set(reading.gaps)), ([], {"b", "c/*"}))

    async def test_renewedBusIsGap(self) -> None:
        """
        A cursor of the epoch before has a gap in all its names.
        """
        bus = await self.makeBus()
        cursor = (await self.publish(bus, "a")).cursor
        await self.renew(bus)
        [a1] = await self.put(bus, "a")
        reading = await self.read(bus, "a b", cursor)
        self.assertEqual(set(reading.gaps), {"a", "b"})
        self.assertEqual(positionsOf(reading.messages), [a1])
        self.assertEqual((reading.after.epoch, reading.reached), (bus.end.epoch, bus.end))
