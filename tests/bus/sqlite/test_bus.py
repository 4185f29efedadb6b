"""
Tests for L{comet.bus.sqlite.bus}: what happens on which thread, and what is
committed together.
"""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from comet.bus.sqlite import queue
from comet.bus.sqlite.bus import SWEEP_SECONDS
from comet.model.cursors import Cursor
from comet.model.positions import At, Earliest, Now
from tests.bus.case import Listener, positionsOf
from tests.bus.sqlite.case import publication
from tests.bus.sqlite.threadscase import ThreadsTestCase


class ThreadTests(ThreadsTestCase):
    """
    Who waits for the disk.
    """

    async def test_neverReactor(self) -> None:
        """
        Nothing is ever asked of the database in the reactor's thread; one
        thread writes, another one reads.
        """
        bus = await self.makeBus()
        await bus.publish([publication("a b", key="k")])
        await bus.resolve({"a": Earliest(), "*": Now()})
        start = Cursor(bus.end.epoch, 0)
        await bus.read(["**"], start, 10, 1000, None)
        await bus.forget("a")
        self.clock.advance(SWEEP_SECONDS)
        await bus.renew()
        await bus.stop()
        self.assertGreater(len(self.seen), 30)
        threads = {thread for _, thread in self.seen}
        self.assertNotIn(threading.get_ident(), threads)
        writers = {thread for statement, thread in self.seen if statement == "COMMIT"}
        readers = {thread for statement, thread in self.seen if statement == "BEGIN"}
        self.assertEqual((len(writers), len(readers), len(threads)), (1, 1, 2))
        self.assertEqual(writers & readers, set())

    async def test_readWhileCommitting(self) -> None:
        """
        While the disk is slow to commit, all can be read that was heard of.
        """
        bus = await self.makeBus()
        await bus.publish([publication("a")])
        event = self.hold("COMMIT")
        slow = bus.publish([publication("a")])
        await self.awaitHeld()
        reading = await bus.read(["a"], Cursor(bus.end.epoch, 0), 10, 1000, None)
        self.assertEqual(positionsOf(reading.messages), [1])
        self.assertEqual((reading.reached, bus.end.position), (bus.end, 1))
        self.assertNoResult(slow)
        event.set()
        [answer] = await slow
        self.assertEqual(answer.positions, {"a": 2})

    async def test_atHead(self) -> None:
        """
        Who begins now, or is at the head, waits for nothing.
        """
        bus = await self.makeBus()
        await bus.publish([publication("a")])
        self.seen.clear()
        end = bus.end
        resolved = await bus.resolve({"a": Now(), "**": At(end)})
        self.assertEqual((resolved.end, resolved.starts["**"].position), (end, 1))
        reading = await bus.read(["a", "**"], end, 10, 1000, None)
        self.assertEqual((list(reading.messages), reading.reached), ([], end))
        self.assertEqual(self.seen, [])

    async def test_readAhead(self) -> None:
        """
        Who reads what has not been heard of yet makes the head move.
        """
        bus = await self.makeBus()
        await bus.publish([publication("a")])
        start = Cursor(bus.end.epoch, 0)
        event = self.hold("SELECT epoch, head, floor FROM log")
        early = bus.read(["a"], start, 10, 1000, None)
        await self.awaitHeld()
        stored = await bus._writer.do(bus._store.publish, [[publication("a")]], 0.0)
        self.assertEqual((stored.end.position, bus.end.position), (2, 1))
        event.set()
        reading = await early
        self.assertEqual((reading.reached.position, bus.end.position), (2, 2))


class GroupTests(ThreadsTestCase):
    """
    What is committed together.
    """

    async def test_turn(self) -> None:
        """
        What is published in one turn is one commit.
        """
        bus = await self.makeBus()
        self.commits()
        answers = await self.publishAll(bus, 1000)
        self.assertEqual(self.commits(), 1)
        positions = [answer.cursor.position for [answer] in answers]
        self.assertEqual(positions, list(range(1, 1001)))

    async def test_whileCommitting(self) -> None:
        """
        What is published while a commit is under way is one commit after it.
        """
        bus = await self.makeBus()
        self.commits()
        event = self.hold("COMMIT")
        first = self.publishAll(bus, 1)
        await self.awaitHeld()
        rest = []
        for _ in range(5):
            rest.append(self.publishAll(bus, 20))
            await deferToThread(lambda: None)
        event.set()
        await first
        await gatherResults(rest)
        self.assertEqual(self.commits(), 2)
        self.assertEqual(bus.end.position, 101)

    async def test_bounded(self) -> None:
        """
        One commit is no larger than so many messages, or bytes.
        """
        bus = await self.makeBus(messages=10**6)
        self.commits()
        await self.publishAll(bus, queue.MOST_TOGETHER * 2)
        self.assertEqual(self.commits(), 2)
        quarter = publication("a", b"x" * (queue.MOST_BYTES_TOGETHER // 4))
        await gatherResults([bus.publish([quarter]) for _ in range(6)])
        self.assertEqual(self.commits(), 2)

    async def test_forgetInOrder(self) -> None:
        """
        To forget comes after what was published before it, and before what was
        published after it.
        """
        bus = await self.makeBus()
        asked: list[Deferred[Any]] = [
            self.publishAll(bus, 2),
            bus.forget("a"),
            self.publishAll(bus, 2),
        ]
        await gatherResults(asked)
        reading = await bus.read(["a"], Cursor(bus.end.epoch, 0), 10, 1000, None)
        self.assertEqual((positionsOf(reading.messages), dict(reading.gaps)), ([3, 4], {"a": 2}))

    async def test_heardFirst(self) -> None:
        """
        A publisher is answered after all have heard, in the order of positions,
        and then the head is there.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a"])
        heard: list[tuple[int, int]] = []
        for _ in range(50):
            answered = bus.publish([publication("a")])
            answered.addCallback(lambda _: heard.append((len(listener.heard), bus.end.position)))
        await self.publishAll(bus, 1)
        self.assertEqual(listener.heard, list(range(1, 52)))
        self.assertEqual(heard, [(51, 51)] * 50)

    async def test_tooManyWait(self) -> None:
        """
        While the disk does nothing, no more waits than so many bytes: then
        publishers are refused, until it does something.
        """
        bus = await self.makeBus()
        event = self.hold("COMMIT")
        first = self.publishAll(bus, 1)
        await self.awaitHeld()
        large = publication("a", b"x" * (queue.MOST_WAITING // 4))
        waiting = [bus.publish([large]) for _ in range(4)]
        error = await self.failure(bus.publish([publication("a")]))
        self.assertIn("wait for the disk", error.detail)
        event.set()
        await first
        await gatherResults(waiting)
        await self.publishAll(bus, 1)
        self.assertEqual(bus.end.position, 6)
