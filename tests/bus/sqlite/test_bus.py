"""
Tests for L{comet.bus.sqlite.bus}: what it does on which thread, and what it
commits together.
"""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from comet.bus.sqlite import queue
from comet.bus.sqlite.snapshot import Snapshot
from comet.bus.sqlite.sweeper import SWEEP_SECONDS
from comet.model.cursors import Cursor
from comet.model.positions import At, Earliest, Now
from comet.testing.case import Listener, positionsOf
from tests.bus.sqlite.case import publication
from tests.bus.sqlite.threadscase import ThreadsTestCase


class ThreadTests(ThreadsTestCase):
    """
    Which threads wait for the disk.
    """

    async def test_reactorNeverWaitsForDatabase(self) -> None:
        """
        The reactor's thread never uses the database.  One thread writes, and
        another reads.
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

    async def test_readsDuringSlowCommit(self) -> None:
        """
        While a commit is slow, everything that was heard can be read.
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

    async def test_answersReadersAtEndAtOnce(self) -> None:
        """
        A reader that starts now, or at the end, does not wait.
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

    async def test_readMovesEnd(self) -> None:
        """
        A read that finds messages which have not been heard yet moves the end.
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
    Which publications are committed together.
    """

    async def test_commitsBurstOnce(self) -> None:
        """
        A burst is one commit.
        """
        bus = await self.makeBus()
        self.commits()
        answers: Any = await bus.publishBurst([[publication("a")]] * 1000)
        self.assertEqual(self.commits(), 1)
        positions = [answer.cursor.position for [answer] in answers]
        self.assertEqual(positions, list(range(1, 1001)))

    async def test_commitsOnceAfterCommit(self) -> None:
        """
        Publications that come during a commit are one commit after it.
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

    async def test_channelsComeFirst(self) -> None:
        """
        What is asked about channels does not wait for what is asked about patterns.
        """
        bus = await self.makeBus()
        await self.publishAll(bus, 1)
        self.patch(Snapshot, "stepSeconds", 60.0)
        asked: list[bool] = []
        do = bus._steps.do

        def noting(steps: Any, isFirst: bool) -> Any:
            asked.append(isFirst)
            return do(steps, isFirst)

        self.patch(bus._steps, "do", noting)
        start = Cursor(bus.end.epoch, 0)
        for names in (["a"], ["a", "*"]):
            await bus.read(names, start, 9, 999, None)
            await bus.resolve({name: At(start) for name in names})
        self.assertEqual((asked[:2], True in asked[2:]), ([True, True], False))

    async def test_boundsCommit(self) -> None:
        """
        One commit has a bounded number of messages and bytes.
        """
        bus = await self.makeBus(messages=10**6)
        self.commits()
        event = self.hold("COMMIT")
        first = self.publishAll(bus, 1)
        await self.awaitHeld()
        rest = self.publishAll(bus, queue.MOST_TOGETHER * 2)
        event.set()
        await gatherResults([first, rest])
        self.assertEqual(self.commits(), 1 + 2)
        quarter = publication("a", b"x" * (queue.MOST_BYTES_TOGETHER // 4))
        event = self.hold("COMMIT")
        first = self.publishAll(bus, 1)
        await self.awaitHeld()
        large = gatherResults([bus.publish([quarter]) for _ in range(6)])
        event.set()
        await first
        await large
        self.assertEqual(self.commits(), 1 + 2)

    async def test_forgetsInOrder(self) -> None:
        """
        C{forget} comes after what was published before it, and before what was
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

    async def test_answersAfterListenersHeard(self) -> None:
        """
        A publisher is answered after all listeners have heard, in the order of
        positions, and the end is there by then.
        """
        bus = await self.makeBus()
        listener = Listener()
        await bus.listen(listener, ["a"])
        heard: list[tuple[int, int]] = []
        event = self.hold("COMMIT")
        first = self.publishAll(bus, 1)
        await self.awaitHeld()
        for _ in range(50):
            answered = bus.publish([publication("a")])
            answered.addCallback(lambda _: heard.append((len(listener.heard), bus.end.position)))
        event.set()
        await first
        await self.publishAll(bus, 1)
        self.assertEqual(listener.heard, list(range(1, 53)))
        self.assertEqual(heard, [(51, 51)] * 50)

    async def test_refusesWhenTooMuchWaits(self) -> None:
        """
        While the disk is stuck, a bounded number of bytes waits.  Then
        publishers are refused until the disk works.
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
