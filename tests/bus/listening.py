"""
The contract of all buses: what is stored is heard.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from comet.interfaces import IBusListener, IMessageBus
from comet.model.messages import Message, Publication, Published
from tests.bus.case import BusCase, Listener, positionsOf


@implementer(IBusListener)
class Answering(Listener):
    """
    Publishes to another channel, whenever it hears a message of one.

    @ivar answers: What was answered.
    """

    def __init__(self, bus: IMessageBus) -> None:
        super().__init__()
        self.bus = bus
        self.answers: list[Deferred[Sequence[Published]]] = []

    def messagesStored(self, messages: Sequence[Message]) -> None:
        """
        Note them, and answer.
        """
        super().messagesStored(messages)
        for message in messages:
            if message.channel == "question":
                self.answers.append(self.bus.publish([Publication(("answer",), b"1")]))


@implementer(IBusListener)
class Reading(Listener):
    """
    Reads the log whenever it hears a message.

    @ivar found: The positions of what was read each time.
    """

    def __init__(self, bus: IMessageBus) -> None:
        super().__init__()
        self.bus = bus
        self.found: list[list[int]] = []

    def messagesStored(self, messages: Sequence[Message]) -> None:
        """
        Read all from before these up to the last of them.
        """
        super().messagesStored(messages)
        after = messages[0].cursor._replace(position=messages[0].position - 1)
        asked = self.bus.read(["a"], after, 1000, 1000000, messages[-1].position)
        asked.addCallback(lambda reading: self.found.append(positionsOf(reading.messages)))


class ListeningContract(BusCase):
    """
    L{comet.interfaces.IMessageBus.listen} and L{IBusListener}.
    """

    async def test_hears(self) -> None:
        """
        Once it is effective, every message of the names is heard, once, in
        order, as it is stored.
        """
        bus = await self.makeBus()
        await self.put(bus, "a b/c")
        listener = Listener()
        await bus.listen(listener, ["a", "b/*"])
        positions = await self.put(bus, "a b/c a d b/e a")
        await self.settle(bus)
        a1, bc1, a2, _, be1, a3 = positions
        self.assertEqual(listener.of("a", "b/c", "b/e"), [a1, bc1, a2, be1, a3])
        self.assertEqual(listener.heard, sorted(set(listener.heard)))
        self.assertEqual(listener.interruptions, [])

    async def test_message(self) -> None:
        """
        What is heard is what can be read.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a"])
        await self.publish(bus, "a", b'{"n":1}', "tick")
        await self.publish(bus, "a", b'"AA=="', None, "base64")
        await self.settle(bus)
        reading = await self.read(bus, "a")
        attributes = Message.__slots__
        for heard, read in zip(listener.messages, reading.messages, strict=True):
            for name in attributes:
                self.assertEqual(getattr(heard, name), getattr(read, name), name)

    async def test_batch(self) -> None:
        """
        A batch, and a message to several channels, are heard in the order of
        positions.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a", "b"])
        await bus.publish([Publication(("b", "a"), b"1"), Publication(("a", "b"), b"2")])
        await self.settle(bus)
        self.assertEqual(listener.heard, await self.held(bus, "a b"))
        self.assertEqual(len(listener.heard), 4)

    async def test_overlapping(self) -> None:
        """
        A message that several names reach is heard once.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a/b", "a/*"])
        await bus.listen(listener, ["**", "a/b"])
        positions = await self.put(bus, "a/b a/b")
        await self.settle(bus)
        self.assertEqual(listener.heard, positions)

    async def test_moreNames(self) -> None:
        """
        Names that come later are heard besides those that were.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a"])
        [a1] = await self.put(bus, "a")
        await bus.listen(listener, ["b"])
        a2, b1 = await self.put(bus, "a b")
        await self.settle(bus)
        self.assertEqual(listener.of("a", "b"), [a1, a2, b1])

    async def test_keyAgain(self) -> None:
        """
        What comes again with its key is not heard again.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a"])
        first = await self.publish(bus, "a", key="k")
        await self.publish(bus, "a", key="k")
        [last] = await self.put(bus, "a")
        await self.settle(bus)
        self.assertEqual(listener.heard, [first.positions["a"], last])

    async def test_unlisten(self) -> None:
        """
        Who listens to nothing any more hears nothing; who listens to other
        names still hears those.
        """
        bus = await self.makeBus()
        first, second = Listener(), Listener()
        await bus.listen(first, ["a", "b"])
        await bus.listen(second, ["a", "b"])
        bus.unlisten(first, ["a", "b"])
        bus.unlisten(second, ["b"])
        [a1] = await self.put(bus, "a")
        await self.settle(bus)
        self.assertEqual((first.heard, second.heard), ([], [a1]))
        bus.unlisten(second, ["a"])
        await self.put(bus, "a")
        await self.settle(bus)
        self.assertEqual(second.heard, [a1])

    async def test_unlistenUnknown(self) -> None:
        """
        To end what was not begun, or has ended, does nothing.
        """
        bus = await self.makeBus()
        listener, stranger = Listener(), Listener()
        await bus.listen(listener, ["a", "b"])
        bus.unlisten(listener, ["b"])
        bus.unlisten(listener, ["b", "c/*"])
        bus.unlisten(stranger, ["a"])
        positions = await self.put(bus, "a")
        await self.settle(bus)
        self.assertEqual(listener.of("a"), positions)

    async def test_listenAgain(self) -> None:
        """
        Who has ended can begin again, and hears what is stored from then on.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a"])
        bus.unlisten(listener, ["a"])
        await self.put(bus, "a")
        await bus.listen(listener, ["a"])
        [a2] = await self.put(bus, "a")
        await self.settle(bus)
        self.assertEqual(listener.heard[-1:], [a2])

    async def test_two(self) -> None:
        """
        Several listeners hear the same.
        """
        bus = await self.makeBus()
        listeners = [Listener() for _ in range(3)]
        for listener in listeners:
            await bus.listen(listener, ["a"])
        positions = await self.put(bus, "a a a")
        await self.settle(bus)
        for listener in listeners:
            self.assertEqual(listener.heard, positions)

    async def test_publishWithin(self) -> None:
        """
        A listener may publish while it hears: all listeners hear all in the
        same order, that of positions, whoever was first.
        """
        bus = await self.makeBus()
        answering = Answering(bus)
        listeners: list[Listener] = [Listener(), answering, Listener()]
        for listener in listeners:
            await bus.listen(listener, ["question", "answer"])
        await bus.publish([Publication(("question",), b"1"), Publication(("question",), b"2")])
        await self.put(bus, "question")
        for answer in answering.answers:
            await answer
        await self.settle(bus)
        stored = await self.held(bus, "question answer")
        self.assertEqual((len(answering.answers), len(stored)), (3, 6))
        for listener in listeners:
            self.assertEqual(listener.heard, stored)

    async def test_readWithin(self) -> None:
        """
        What is heard can be read at that moment.
        """
        bus = await self.makeBus()
        listener = Reading(bus)
        await bus.listen(listener, ["a"])
        a1, a2 = await self.put(bus, "a a")
        batch = [Publication(("a",), b"1"), Publication(("a",), b"2")]
        a3, a4 = [answer.positions["a"] for answer in await bus.publish(batch)]
        await self.settle(bus)
        found = [position for positions in listener.found for position in positions]
        self.assertEqual(found, [a1, a2, a3, a4])

    async def test_interrupted(self) -> None:
        """
        When a new epoch begins, all listeners are told, and hear what is
        stored in it.
        """
        bus = await self.makeBus()
        listeners = [Listener(), Listener()]
        for listener in listeners:
            await bus.listen(listener, ["a"])
        await self.put(bus, "a a")
        await self.settle(bus)
        await self.renew(bus)
        [a1] = await self.put(bus, "a")
        await self.settle(bus)
        for listener in listeners:
            self.assertEqual(listener.interruptions, [2])
            self.assertEqual(listener.heard[2:], [a1])
            self.assertEqual(listener.messages[2].epoch, bus.end.epoch)
