"""
The contract of all buses: what is published is stored.
"""

from __future__ import annotations

import re

from zope.interface.verify import verifyObject

from comet.errors import KeyReused
from comet.interfaces.messagebus import IMessageBus
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from comet.testing.case import BusCase, Listener, positionsOf


class PublishingContract(BusCase):
    """
    L{IMessageBus.publish}, and the state of a bus.
    """

    async def test_providesIMessageBus(self) -> None:
        """
        A bus provides L{IMessageBus}.
        """
        verifyObject(IMessageBus, await self.makeBus())

    async def test_newBusIsEmpty(self) -> None:
        """
        A new bus is available.  Its end is before the first message, in an
        epoch that a cursor can have.
        """
        bus = await self.makeBus()
        self.assertTrue(bus.isAvailable)
        self.assertEqual(bus.end.position, 0)
        self.assertIsNotNone(re.fullmatch("[A-Za-z0-9]{1,32}", bus.end.epoch))

    async def test_answersPositionOfEachMessage(self) -> None:
        """
        Each publication is answered, in order, with the position of its message
        in each channel, in the order of its channels.  Positions grow from one
        message to the next, regardless of the channel.
        """
        bus = await self.makeBus()
        batch = [Publication(("b", "a"), b"1"), Publication(("a",), b"2")]
        first, second = await bus.publish(batch)
        third = await self.publish(bus, "c/d")
        self.assertEqual([list(first.positions), list(second.positions)], [["b", "a"], ["a"]])
        self.assertEqual(list(third.positions), ["c/d"])
        positions = [p for each in (first, second, third) for p in each.positions.values()]
        self.assertEqual(positions, sorted(set(positions)))
        self.assertGreater(positions[0], 0)
        for answer in (first, second, third):
            self.assertEqual(answer.epoch, bus.end.epoch)

    async def test_endIsNewestMessage(self) -> None:
        """
        The end is the newest message as soon as the publisher is answered.
        """
        bus = await self.makeBus()
        for channels in ("a", "b c", "a"):
            answer = await self.publish(bus, channels)
            self.assertEqual(bus.end, answer.cursor)

    async def test_storesWholeMessage(self) -> None:
        """
        A message is stored as it was published, under the position that was
        answered, with the time.
        """
        bus = await self.makeBus()
        for payload, event, encoding in (
            (b'{"n":1}', "tick", None),
            (b'"AAE="', None, "base64"),
            ('"\u00fc\U0001f40c"'.encode(), "\u00fc", None),
            (b"null", None, None),
        ):
            answer = await self.publish(bus, "news/caf\u00e9", payload, event, encoding)
            reading = await self.read(bus, "news/caf\u00e9", answer.cursor.position - 1)
            [message] = reading.messages
            self.assertEqual((message.channel, message.cursor), ("news/caf\u00e9", answer.cursor))
            self.assertEqual(
                (message.payload, message.event, message.encoding), (payload, event, encoding)
            )

    async def test_storesWhomItExcludes(self) -> None:
        """
        The id of the readers that are spared a message is stored with it, and told to those
        who hear of it.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a"])
        for encoding, exclude in ((None, "reader-01"), ("base64", "r" * 64), (None, None)):
            message = Publication(("a",), b'"AAE="', None, encoding, exclude=exclude)
            [answer] = await bus.publish([message])
            [stored] = (await self.read(bus, "a", answer.cursor.position - 1)).messages
            self.assertEqual((stored.encoding, stored.exclude), (encoding, exclude))
        told = [(each.encoding, each.exclude) for each in listener.messages]
        self.assertEqual(told, [(None, "reader-01"), ("base64", "r" * 64), (None, None)])

    async def test_notesTimeOfStoring(self) -> None:
        """
        The time of a message is when it was stored.
        """
        bus = await self.makeBus()
        await self.put(bus, "a")
        await self.advance(10)
        await self.put(bus, "a")
        first, second = (await self.read(bus, "a")).messages
        self.assertTrue(10 <= second.time - first.time < 15, second.time - first.time)

    async def test_storesInEachChannel(self) -> None:
        """
        A publication to several channels is stored in each of them.
        """
        bus = await self.makeBus()
        answer = await self.publish(bus, "b a")
        for channel in ("a", "b"):
            self.assertEqual(await self.held(bus, channel), [answer.positions[channel]])

    async def test_answersEmptyBatch(self) -> None:
        """
        An empty batch stores nothing, and is answered.
        """
        bus = await self.makeBus()
        self.assertEqual(list(await bus.publish([])), [])
        self.assertEqual(bus.end.position, 0)

    async def test_storesInOrderOfPublishing(self) -> None:
        """
        Publications that do not wait for one another are stored in the order in
        which they were published.
        """
        bus = await self.makeBus()
        asked = [bus.publish([Publication(("a",), b"%d" % number)]) for number in range(20)]
        answers = [(await each)[0].cursor.position for each in asked]
        messages = (await self.read(bus, "a")).messages
        self.assertEqual([int(each.payload) for each in messages], list(range(20)))
        self.assertEqual(positionsOf(messages), answers)

    async def test_storesAllOfBatchOrNothing(self) -> None:
        """
        When one publication of a batch cannot be stored, none is, and the end
        does not move.
        """
        bus = await self.makeBus()
        await self.publish(bus, "a", b"1", key="k")
        end = bus.end
        batch = [
            Publication(("a",), b"2"),
            Publication(("a",), b"3", publisher="me", key="k"),
            Publication(("b",), b"4"),
        ]
        await self.assertFailure(bus.publish(batch), KeyReused)
        self.assertEqual(bus.end, end)
        self.assertEqual(await self.held(bus, "a b"), [end.position])

    async def test_forgetDropsChannel(self) -> None:
        """
        C{forget} drops the messages of one channel.  Other channels keep
        theirs, and the channel can be published to again.
        """
        bus = await self.makeBus()
        _, b1 = await self.put(bus, "a b")
        await bus.forget("a")
        self.assertEqual(await self.held(bus, "a b"), [b1])
        [a2] = await self.put(bus, "a")
        self.assertEqual(await self.held(bus, "a b"), [b1, a2])

    async def test_forgetIgnoresUnknownChannel(self) -> None:
        """
        C{forget} of a channel without messages does nothing.
        """
        bus = await self.makeBus()
        [a1] = await self.put(bus, "a")
        await bus.forget("b")
        reading = await self.read(bus, "a b")
        self.assertEqual((positionsOf(reading.messages), dict(reading.gaps)), ([a1], {}))

    async def test_renewedBusBeginsNewEpoch(self) -> None:
        """
        A bus that has lost its log begins another epoch.
        """
        bus = await self.makeBus()
        answer = await self.publish(bus, "a", key="k")
        await self.renew(bus)
        self.assertNotEqual(bus.end.epoch, answer.epoch)
        self.assertEqual(await self.held(bus, "a"), [])
        again = await self.publish(bus, "a", key="k")
        self.assertEqual(again.epoch, bus.end.epoch)
        self.assertEqual(bus.end, Cursor(again.epoch, again.positions["a"]))
