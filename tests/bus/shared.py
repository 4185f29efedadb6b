"""
What a bus promises that several nodes share, as tests.

For such a bus, mix L{SharedBusContract} into trial's C{TestCase}, and give it
the hooks of L{tests.bus.case.BusCase} and these.
"""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from comet.errors import KeyReused
from comet.interfaces import IBusListener, IMessageBus
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from comet.model.positions import At, Earliest, Now
from tests.bus.case import BusCase, Listener


@implementer(IBusListener)
class Moves(Listener):
    """
    Notes the head, too.

    @ivar heads: Each that it was told of, and how many messages it had heard.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heads: list[tuple[int, int]] = []

    def endMoved(self, end: Cursor) -> None:
        """
        Note it.
        """
        self.heads.append((end.position, len(self.heard)))


class SharedBusContract(BusCase):
    """
    Several buses on one log.
    """

    async def makeNodes(self, count: int, messages: int = 1000) -> Sequence[IMessageBus]:
        """
        Make several buses on one log that has never held anything, and start
        them; let them stop when the test is over.
        """
        raise NotImplementedError

    async def join(self) -> IMessageBus:
        """
        Make one bus more on that log, and start it; let it stop when the test
        is over.
        """
        raise NotImplementedError

    async def die(self, bus: IMessageBus) -> None:
        """
        Let a node end as if its process were killed.
        """
        raise NotImplementedError

    async def listening(self, buses: Sequence[IMessageBus], names: str) -> list[Moves]:
        """
        A listener on each bus.
        """
        listeners = []
        for bus in buses:
            listener = Moves()
            await bus.listen(listener, names.split())
            listeners.append(listener)
        return listeners

    async def settleAll(self, buses: Sequence[IMessageBus]) -> None:
        """
        Wait until all have heard everything that is stored.
        """
        for bus in buses:
            await self.settle(bus)

    async def test_oneLog(self) -> None:
        """
        What is published on one node is read on the others, under the same
        cursor, in the same epoch.
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

    async def test_heard(self) -> None:
        """
        What is published on any node is heard on all, in the order of
        positions, each once.
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

    async def test_headMoves(self) -> None:
        """
        Every node learns of the head, also where none of its names has a
        message, and not before the messages up to there.
        """
        nodes = await self.makeNodes(2)
        [listener] = await self.listening(nodes[1:], "a")
        [a1] = await self.put(nodes[0], "a")
        [_, b2] = await self.put(nodes[0], "b b")
        await self.settleAll(nodes)
        self.assertEqual([node.end.position for node in nodes], [b2, b2])
        self.assertEqual(listener.of("a"), [a1])
        self.assertEqual(listener.heads[-1], (b2, len(listener.heard)))
        for position, heard in listener.heads:
            self.assertEqual(heard > 0, position >= a1)

    async def test_listenElsewhere(self) -> None:
        """
        Once listening is effective, what another node stores is heard.
        """
        nodes = await self.makeNodes(2)
        for number in range(10):
            [listener] = await self.listening(nodes[1:], f"a/{number} b/*")
            positions = await self.put(nodes[0], f"a/{number} b/{number}")
            await self.settleAll(nodes)
            self.assertEqual(listener.of(f"a/{number}", f"b/{number}"), positions)

    async def test_readHeard(self) -> None:
        """
        What was heard on one node can be read on another.
        """
        nodes = await self.makeNodes(2)
        [listener] = await self.listening(nodes[:1], "a")
        for _ in range(20):
            await self.put(nodes[0], "a")
            self.assertEqual((await self.held(nodes[1], "a"))[-1:], listener.heard[-1:])

    async def test_cursorElsewhere(self) -> None:
        """
        A cursor of one node is known on another that has not heard of it.
        """
        nodes = await self.makeNodes(2)
        for _ in range(20):
            answer = await self.publish(nodes[0], "a")
            resolved = await nodes[1].resolve({"a": At(answer.cursor), "b": Now()})
            self.assertFalse(resolved.starts["a"].isGap)
            self.assertGreaterEqual(resolved.starts["b"].position, answer.cursor.position)
            self.assertEqual(nodes[1].end, resolved.end)

    async def test_keys(self) -> None:
        """
        A key that comes again on another node stores nothing, and is answered
        as it was at first.
        """
        nodes = await self.makeNodes(2)
        first = await self.publish(nodes[0], "a b", key="k")
        await self.put(nodes[1], "a")
        self.assertEqual(await self.publish(nodes[1], "a b", key="k"), first)
        other = Publication(("a", "b"), b"2", publisher="me", key="k")
        await self.assertFailure(nodes[1].publish([other]), KeyReused)
        self.assertEqual(len(await self.held(nodes[0], "a b")), 3)

    async def test_keyUnderWay(self) -> None:
        """
        A key that comes again on other nodes, while the first is under way, is
        stored once, and all are answered alike.
        """
        nodes = await self.makeNodes(3)
        for number in range(10):
            publication = Publication(("a",), b"1", publisher="me", key=str(number))
            asked = [node.publish([publication]) for node in nodes]
            answers = [(await each)[0] for each in asked]
            self.assertEqual(answers, answers[:1] * 3)
        self.assertEqual(len(await self.held(nodes[0], "a")), 10)

    async def test_floors(self) -> None:
        """
        What is let go on one node is a gap on all.
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

    async def test_forget(self) -> None:
        """
        What is dropped on demand on one node is dropped on all.
        """
        nodes = await self.makeNodes(2)
        [a1] = await self.put(nodes[0], "a")
        await nodes[1].forget("a")
        for node in nodes:
            self.assertEqual(await self.held(node, "a"), [])
            self.assertEqual(dict((await self.read(node, "a")).gaps), {"a": a1})

    async def test_newEpoch(self) -> None:
        """
        When the log is lost, all nodes begin the same new epoch, and all
        listeners are told.
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

    async def test_join(self) -> None:
        """
        A node that joins finds all that there is, and costs the others
        nothing.
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

    async def test_leave(self) -> None:
        """
        A node that leaves or dies costs the others nothing.
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
