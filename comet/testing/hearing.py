"""
The contract of all buses: listeners hear what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from comet.interfaces.messagebus import IBusListener, IMessageBus
from comet.model.messages import Message, Publication, Published
from comet.testing.case import BusCase, Listener, positionsOf


@implementer(IBusListener)
class Answering(Listener):
    """
    Publishes to one channel whenever it hears a message of another.

    @ivar answers: The answers to its publications.
    """

    def __init__(self, bus: IMessageBus) -> None:
        super().__init__()
        self.bus = bus
        self.answers: list[Deferred[Sequence[Published]]] = []

    def messagesStored(self, messages: Sequence[Message]) -> None:
        """
        Note the messages, and publish.
        """
        super().messagesStored(messages)
        for message in messages:
            if message.channel == "question":
                self.answers.append(self.bus.publish([Publication(("answer",), b"1")]))


@implementer(IBusListener)
class Reading(Listener):
    """
    Reads the log whenever it hears a message.

    @ivar found: The positions of what it read each time.
    """

    def __init__(self, bus: IMessageBus) -> None:
        super().__init__()
        self.bus = bus
        self.found: list[list[int]] = []

    def messagesStored(self, messages: Sequence[Message]) -> None:
        """
        Read the log from before these messages up to the last of them.
        """
        super().messagesStored(messages)
        after = messages[0].cursor._replace(position=messages[0].position - 1)
        asked = self.bus.read(["a"], after, 1000, 1000000, messages[-1].position)
        asked.addCallback(lambda reading: self.found.append(positionsOf(reading.messages)))


class ListeningContract(BusCase):
    """
    L{comet.interfaces.messagebus.IMessageBus.listen} and L{IBusListener}.
    """

    async def test_hearsMessagesOfNames(self) -> None:
        """
        After C{listen} has fired, every message of the names is heard as it is
        stored: once, and in order.
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

    async def test_hearsWhatIsRead(self) -> None:
        """
        The messages that are heard are equal to those that are read.
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

    async def test_hearsBatchInOrder(self) -> None:
        """
        The messages of a batch, and those of a publication to several channels,
        are heard in the order of positions.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a", "b"])
        await bus.publish([Publication(("b", "a"), b"1"), Publication(("a", "b"), b"2")])
        await self.settle(bus)
        self.assertEqual(listener.heard, await self.held(bus, "a b"))
        self.assertEqual(len(listener.heard), 4)

    async def test_hearsOverlappingNamesOnce(self) -> None:
        """
        A message that several names match is heard once.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a/b", "a/*"])
        await bus.listen(listener, ["**", "a/b"])
        positions = await self.put(bus, "a/b a/b")
        await self.settle(bus)
        self.assertEqual(listener.heard, positions)

    async def test_addsNames(self) -> None:
        """
        A listener hears names that are added later in addition to its first
        ones.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a"])
        [a1] = await self.put(bus, "a")
        await bus.listen(listener, ["b"])
        a2, b1 = await self.put(bus, "a b")
        await self.settle(bus)
        self.assertEqual(listener.of("a", "b"), [a1, a2, b1])

    async def test_doesNotHearRepeatedKey(self) -> None:
        """
        A publication that comes again with its key is not heard again.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a"])
        first = await self.publish(bus, "a", key="k")
        await self.publish(bus, "a", key="k")
        [last] = await self.put(bus, "a")
        await self.settle(bus)
        self.assertEqual(listener.heard, [first.positions["a"], last])

    async def test_unlistenEndsNames(self) -> None:
        """
        A listener without names hears nothing.  A listener that gave up one
        name still hears its others.
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

    async def test_unlistenIgnoresUnknownNames(self) -> None:
        """
        To give up a name that a listener never had, or has given up, does
        nothing.
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

    async def test_listensAgain(self) -> None:
        """
        A listener that has given up a name can listen to it again, and hears
        what is stored from then on.
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

    async def test_allListenersHear(self) -> None:
        """
        Several listeners hear the same messages.
        """
        bus = await self.makeBus()
        listeners = [Listener() for _ in range(3)]
        for listener in listeners:
            await bus.listen(listener, ["a"])
        positions = await self.put(bus, "a a a")
        await self.settle(bus)
        for listener in listeners:
            self.assertEqual(listener.heard, positions)

    async def test_publishesWhileHearing(self) -> None:
        """
        A listener may publish while it hears.  All listeners hear all messages
        in the order of positions, regardless of which listener comes first.
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

    async def test_readsWhileHearing(self) -> None:
        """
        A message can be read at the moment at which it is heard.
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

    async def test_interruptsOnNewEpoch(self) -> None:
        """
        When a new epoch begins, all listeners are interrupted, and hear what is
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
