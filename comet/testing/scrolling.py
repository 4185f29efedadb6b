"""
The contract of all buses: what was before a cursor can be read.
"""

from __future__ import annotations

from functools import partial

from comet.fanout.recall import Recall
from comet.interfaces.messagebus import IMessageBus
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from comet.model.positions import HistoryPage
from comet.testing.case import OTHER_EPOCH, BusCase, positionsOf


class HistoryContract(BusCase):
    """
    L{comet.interfaces.messagebus.IMessageBus.history}.
    """

    async def history(
        self,
        bus: IMessageBus,
        channel: str,
        before: int | Cursor | None = None,
        limit: int = 50,
        maxBytes: int = 1048576,
    ) -> HistoryPage:
        """
        Read what was before a cursor, part by part if the bus ends before the limits.

        @param before: The cursor, or a position in the present epoch.
        """
        cursor = Cursor(bus.end.epoch, before) if isinstance(before, int) else before
        recall = Recall(partial(bus.history, channel), limit, maxBytes)
        return await self.answer(recall.read(cursor))

    def assertPage(
        self, page: HistoryPage, positions: list[int], more: bool = False, isGap: bool = False
    ) -> None:
        """
        Check all of a page.
        """
        found = (positionsOf(page.messages), page.more, page.isGap)
        self.assertEqual(found, (positions, more, isGap))

    async def test_readsMessagesBefore(self) -> None:
        """
        The newest messages of the channel before the cursor are read, in the order
        of positions, whole.
        """
        bus = await self.makeBus()
        a1, _, a2, a3, _, a4 = await self.put(bus, "a b a a b/c a")
        self.assertPage(await self.history(bus, "a", a4), [a1, a2, a3])
        self.assertPage(await self.history(bus, "a", a4, 2), [a2, a3], more=True)
        self.assertPage(await self.history(bus, "a", a2, 2), [a1])
        self.assertPage(await self.history(bus, "a", a4 - 1, 1), [a3], more=True)
        stored = await self.publish(bus, "c", b'"AAE="', "said", "base64")
        [message] = (await self.history(bus, "c")).messages
        told = (message.channel, message.cursor, message.payload, message.event, message.encoding)
        self.assertEqual(told, ("c", stored.cursor, b'"AAE="', "said", "base64"))
        self.assertGreater(message.time, 0)

    async def test_partsOfPageGoOn(self) -> None:
        """
        A bus that ends before the limits of the caller says so, and the rest is read from
        there.  At a limit of the caller's it does not say so.
        """
        bus = await self.makeBus()
        payload = b'"%b"' % (b"x" * 998)
        answers = await bus.publish([Publication(("a",), payload)] * 300)
        expected = [answer.cursor.position for answer in answers]
        page = await self.answer(bus.history("a", None, 1000, 10**6))
        found = positionsOf(page.messages)
        while page.more:
            self.assertTrue(page.isPart)
            page = await self.answer(bus.history("a", page.messages[0].cursor, 1000, 10**6))
            found = positionsOf(page.messages) + found
        self.assertEqual((found, page.isPart), (expected, False))
        page = await self.answer(bus.history("a", None, 100, 10**6))
        self.assertEqual((len(page.messages), page.more, page.isPart), (100, True, False))

    async def test_readsBeforeEnd(self) -> None:
        """
        Without a cursor the newest message is read, too.
        """
        bus = await self.makeBus()
        a1, _, a2 = await self.put(bus, "a b a")
        self.assertPage(await self.history(bus, "a"), [a1, a2])
        self.assertPage(await self.history(bus, "a", None, 1), [a2], more=True)
        self.assertPage(await self.history(bus, "x"), [])

    async def test_nothingBeforeFirst(self) -> None:
        """
        Before the first message is nothing, and that is no gap.
        """
        bus = await self.makeBus()
        self.assertPage(await self.history(bus, "a", 0), [])
        self.assertPage(await self.history(bus, "a"), [])
        _, a1 = await self.put(bus, "b a")
        for before in (0, 1, a1):
            self.assertPage(await self.history(bus, "a", before), [])

    async def test_boundsBytesOfPage(self) -> None:
        """
        Messages are read until their payloads would have more bytes than allowed,
        beginning with the newest; one is read in any case.
        """
        bus = await self.makeBus()
        positions = await self.put(bus, "a a a a", b"12345")
        for maxBytes, count in ((1, 1), (5, 1), (9, 1), (10, 2), (15, 3), (19, 3)):
            page = await self.history(bus, "a", maxBytes=maxBytes)
            self.assertPage(page, positions[-count:], more=True)
        self.assertPage(await self.history(bus, "a", maxBytes=20), positions)

    async def test_manyMessages(self) -> None:
        """
        A page may have very many messages, and be in the middle of very many.
        """
        bus = await self.makeBus(messages=3000)
        positions = await self.put(bus, "a " * 40 + "b " + "a " * 1460)
        del positions[40]
        page = await self.history(bus, "a", positions[1200], 1000)
        self.assertPage(page, positions[200:1200], more=True)
        self.assertPage(await self.history(bus, "a", positions[130], 130), positions[:130])

    async def test_lostMessagesAreGap(self) -> None:
        """
        Messages that are no longer held are a gap, told with the oldest one that
        is.
        """
        bus = await self.makeBus(messages=3)
        _, a2, _, a3, a4, a5 = await self.put(bus, "a a b a a a")
        self.assertPage(await self.history(bus, "a", a5, 1), [a4], more=True)
        self.assertPage(await self.history(bus, "a", a5, 2), [a3, a4], isGap=True)
        self.assertPage(await self.history(bus, "a"), [a3, a4, a5], isGap=True)
        for before in (a2, a3):
            self.assertPage(await self.history(bus, "a", before), [], isGap=True)
        self.assertPage(await self.history(bus, "a", 1), [])

    async def test_forgottenAndOldMessagesAreGap(self) -> None:
        """
        So are messages that were forgotten, or have become too old.
        """
        bus = await self.makeBus(seconds=60.0)
        await self.put(bus, "a b")
        await bus.forget("a")
        self.assertPage(await self.history(bus, "a"), [], isGap=True)
        [a2] = await self.put(bus, "a")
        self.assertPage(await self.history(bus, "a"), [a2], isGap=True)
        await self.advance(61)
        for channel in "ab":
            self.assertPage(await self.history(bus, channel), [], isGap=True)

    async def test_unknownCursorIsGap(self) -> None:
        """
        Nothing is before a cursor of another epoch, or one beyond the end of the
        log: it is a gap.
        """
        bus = await self.makeBus()
        unknown = (Cursor(OTHER_EPOCH, 1), Cursor(bus.end.epoch, 1), Cursor(bus.end.epoch, 10**19))
        for cursor in unknown:
            self.assertPage(await self.history(bus, "a", cursor), [], isGap=True)
        await self.put(bus, "a b")
        for cursor in (Cursor(OTHER_EPOCH, 2), Cursor(bus.end.epoch, 3)):
            for channel in "abx":
                self.assertPage(await self.history(bus, channel, cursor), [], isGap=True)

    async def test_cursorOfEpochBeforeIsGap(self) -> None:
        """
        Nothing is before a cursor of the epoch before.
        """
        bus = await self.makeBus()
        old = (await self.publish(bus, "a")).cursor
        await self.renew(bus)
        [a1] = await self.put(bus, "a")
        self.assertPage(await self.history(bus, "a", old), [], isGap=True)
        self.assertEqual(positionsOf((await self.history(bus, "a")).messages), [a1])

    async def test_pageDoesNotChange(self) -> None:
        """
        A page does not change when the log changes later.
        """
        bus = await self.makeBus(messages=2)
        positions = await self.put(bus, "a a")
        page = await self.history(bus, "a")
        await self.put(bus, "a a")
        self.assertPage(page, positions)
