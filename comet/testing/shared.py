"""
The promises of a bus that several nodes share, as tests.

For such a bus, mix L{SharedBusContract} into trial's C{TestCase}, and write the
hooks of L{comet.testing.case.BusCase} and of this class.
"""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from comet.errors import KeyReused
from comet.interfaces.messagebus import IBusListener, IMessageBus
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from comet.model.positions import At, Earliest, Now
from comet.testing.case import BusCase, Listener


@implementer(IBusListener)
class Moves(Listener):
    """
    Notes the moves of the log end, too.

    @ivar ends: The ends that it was told of, each with the number of messages
        that it had heard.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[tuple[int, int]] = []

    def endMoved(self, end: Cursor) -> None:
        """
        Note the end.
        """
        self.ends.append((end.position, len(self.heard)))


class SharedBusContract(BusCase):
    """
    Several buses on one log.
    """

    async def makeNodes(self, count: int, messages: int = 1000) -> Sequence[IMessageBus]:
        """
        Make and start several buses on one log that has never held anything.
        They stop when the test is over.
        """
        raise NotImplementedError

    async def join(self) -> IMessageBus:
        """
        Make and start another bus on that log.  It stops when the test is over.
        """
        raise NotImplementedError

    async def die(self, bus: IMessageBus) -> None:
        """
        End a node as if its process were killed.
        """
        raise NotImplementedError

    async def listening(self, buses: Sequence[IMessageBus], names: str) -> list[Moves]:
        """
        Add a listener to each bus.
        """
        listeners = []
        for bus in buses:
            listener = Moves()
            await bus.listen(listener, names.split())
            listeners.append(listener)
        return listeners

    async def settleAll(self, buses: Sequence[IMessageBus]) -> None:
        """
        Wait until all nodes have heard everything that is stored.
        """
        for bus in buses:
            await self.settle(bus)

    async def test_readsOnOtherNode(self) -> None:
        """
        A message that one node publishes is read on the others, with the same
        cursor and in the same epoch.
        """
        nodes = await self.makeNodes(3)
        self.assertEqual(len({node.end.epoch for node in nodes}), 1)
        answers = [await self.publish(node, "a", b"%d" % n) for n, node in enumerate(nodes)]
        for node in nodes:
            reading = await self.read(node, "a")
            self.assertEqual([each.payload for each in reading.messages], [b"0", b"1", b"2"])
            cursors = [each.cursor for each in reading.messages]
            self.assertEqual(cursors, [each.cursor for each in answers])
            self.assertEqual(node.end, answers[-1].cursor)

    async def test_allNodesHear(self) -> None:
        """
        A message that any node publishes is heard on all nodes, once, in the
        order of positions.
        """
        nodes = await self.makeNodes(3)
        listeners = await self.listening(nodes, "a b/*")
        asked = [
            nodes[number % 3].publish([Publication((channel,), b"1")])
            for number, channel in enumerate(["a", "b/c", "d", "a", "b/d"] * 8)
        ]
        for each in asked:
            await each
        await self.settleAll(nodes)
        stored = await self.held(nodes[0], "a b/*")
        self.assertEqual(len(stored), 32)
        for listener in listeners:
            self.assertEqual(listener.of("a", "b/c", "b/d"), stored)
            self.assertEqual(listener.heard, sorted(set(listener.heard)))
            self.assertEqual(listener.interruptions, [])

    async def test_allNodesLearnOfEnd(self) -> None:
        """
        Every node learns where the end is, even if none of its names has a
        message, and not before it has heard the messages up to there.
        """
        nodes = await self.makeNodes(2)
        [listener] = await self.listening(nodes[1:], "a")
        [a1] = await self.put(nodes[0], "a")
        [_, b2] = await self.put(nodes[0], "b b")
        await self.settleAll(nodes)
        self.assertEqual([node.end.position for node in nodes], [b2, b2])
        self.assertEqual(listener.of("a"), [a1])
        self.assertEqual(listener.ends[-1], (b2, len(listener.heard)))
        for position, heard in listener.ends:
            self.assertEqual(heard > 0, position >= a1)

    async def test_listenFiresWhenEffective(self) -> None:
        """
        After C{listen} has fired, a message that another node stores is heard.
        """
        nodes = await self.makeNodes(2)
        for number in range(10):
            [listener] = await self.listening(nodes[1:], f"a/{number} b/*")
            positions = await self.put(nodes[0], f"a/{number} b/{number}")
            await self.settleAll(nodes)
            self.assertEqual(listener.of(f"a/{number}", f"b/{number}"), positions)

    async def test_readsHeardMessageOnOtherNode(self) -> None:
        """
        A message that was heard on one node can be read on another.
        """
        nodes = await self.makeNodes(2)
        [listener] = await self.listening(nodes[:1], "a")
        for _ in range(20):
            await self.put(nodes[0], "a")
            self.assertEqual((await self.held(nodes[1], "a"))[-1:], listener.heard[-1:])

    async def test_knowsCursorOfOtherNode(self) -> None:
        """
        A cursor of one node is known on another node that has not heard of it.
        """
        nodes = await self.makeNodes(2)
        for _ in range(20):
            answer = await self.publish(nodes[0], "a")
            resolved = await nodes[1].resolve({"a": At(answer.cursor), "b": Now()})
            self.assertFalse(resolved.starts["a"].isGap)
            self.assertGreaterEqual(resolved.starts["b"].position, answer.cursor.position)
            self.assertEqual(nodes[1].end, resolved.end)

    async def test_answersKeyOfOtherNodeAsAtFirst(self) -> None:
        """
        A key that comes again on another node stores nothing, and gets its
        first answer.
        """
        nodes = await self.makeNodes(2)
        first = await self.publish(nodes[0], "a b", key="k")
        await self.put(nodes[1], "a")
        self.assertEqual(await self.publish(nodes[1], "a b", key="k"), first)
        other = Publication(("a", "b"), b"2", publisher="me", key="k")
        await self.assertFailure(nodes[1].publish([other]), KeyReused)
        self.assertEqual(len(await self.held(nodes[0], "a b")), 3)

    async def test_storesKeyOnceAcrossNodes(self) -> None:
        """
        A key that comes again on other nodes while the first publication is
        under way is stored once.  All get the same answer.
        """
        nodes = await self.makeNodes(3)
        for number in range(10):
            publication = Publication(("a",), b"1", publisher="me", key=str(number))
            asked = [node.publish([publication]) for node in nodes]
            answers = [(await each)[0] for each in asked]
            self.assertEqual(answers, answers[:1] * 3)
        self.assertEqual(len(await self.held(nodes[0], "a")), 10)

    async def test_sharesFloors(self) -> None:
        """
        Messages that are dropped are a gap on all nodes.
        """
        nodes = await self.makeNodes(2, messages=2)
        positions = []
        for number in range(5):
            positions += await self.put(nodes[number % 2], "a")
        for node in nodes:
            for name in ("a", "*"):
                self.assertEqual(dict((await self.read(node, name)).gaps), {name: positions[2]})
            self.assertEqual(await self.held(node, "a"), positions[3:])
            start = await self.start(node, "a", Earliest())
            self.assertEqual(start.position, positions[3] - 1)

    async def test_forgetsOnAllNodes(self) -> None:
        """
        C{forget} on one node drops the messages for all nodes.
        """
        nodes = await self.makeNodes(2)
        [a1] = await self.put(nodes[0], "a")
        await nodes[1].forget("a")
        for node in nodes:
            self.assertEqual(await self.held(node, "a"), [])
            self.assertEqual(dict((await self.read(node, "a")).gaps), {"a": a1})

    async def test_allNodesBeginSameEpoch(self) -> None:
        """
        When the log is lost, all nodes begin the same new epoch, and interrupt
        their listeners.
        """
        nodes = await self.makeNodes(3)
        listeners = await self.listening(nodes, "a")
        await self.put(nodes[0], "a a")
        await self.settleAll(nodes)
        await self.renew(nodes[1])
        [a1] = await self.put(nodes[2], "a")
        await self.settleAll(nodes)
        self.assertEqual(len({node.end for node in nodes}), 1)
        for listener in listeners:
            self.assertEqual(listener.interruptions, [2])
            self.assertEqual(listener.heard[2:], [a1])

    async def test_joiningNodeSeesLog(self) -> None:
        """
        A node that joins finds the whole log, and the other nodes are not
        interrupted.
        """
        nodes = await self.makeNodes(2)
        listeners = await self.listening(nodes, "a")
        positions = await self.put(nodes[0], "a a")
        third = await self.join()
        self.assertEqual(third.end, nodes[0].end)
        self.assertEqual(await self.held(third, "a"), positions)
        positions += await self.put(third, "a")
        await self.settleAll(nodes)
        for listener in listeners:
            self.assertEqual((listener.heard, listener.interruptions), (positions, []))

    async def test_leavingNodeDoesNoHarm(self) -> None:
        """
        A node that stops or dies does not interrupt the others.
        """
        nodes = await self.makeNodes(3)
        await self.listening(nodes[1:], "a **")
        [listener] = await self.listening(nodes[:1], "a")
        positions = await self.put(nodes[1], "a")
        await nodes[1].stop()
        positions += await self.put(nodes[0], "a")
        asked = nodes[2].publish([Publication(("a",), b"1")])
        asked.addErrback(lambda failure: None)
        await self.die(nodes[2])
        positions += await self.put(nodes[0], "a")
        await self.settle(nodes[0])
        self.assertEqual(listener.heard, await self.held(nodes[0], "a"))
        self.assertEqual([each for each in listener.heard if each in positions], positions)
        self.assertEqual(listener.interruptions, [])
