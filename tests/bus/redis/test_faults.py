"""
L{RedisBus} while Redis is killed, stopped or emptied, or the connection is
lost.
"""

from __future__ import annotations

import signal
from typing import Any

from attrs import evolve

from comet.bus.redis.bus import RedisBus
from comet.errors import CometError, Unavailable, Unknown
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from comet.model.positions import At
from comet.testing.case import BusCase, Listener, positionsOf
from tests.bus.redis.case import RedisCase, pause, theReactor, until
from tests.redisserver import RedisServer

ALWAYS = ("--appendonly yes", "--appendfsync always")


class FaultCase(RedisCase, BusCase):
    """
    Tests with a Redis of their own.
    """

    async def ownServer(self, *settings: str, timeout: float = 5.0) -> RedisServer:
        """
        Start a Redis for this test.
        """
        self.server = RedisServer(*settings).start()
        self.addCleanup(self.server.destroy)
        self.url = evolve(self.urlOf(self.server), timeout=timeout)
        return self.server

    async def listener(self, bus: RedisBus, *names: str) -> Listener:
        """
        Add a listener.
        """
        listener = Listener()
        await bus.listen(listener, names)
        return listener

    async def publishUntilAnswered(self, bus: RedisBus, number: int) -> int:
        """
        Publish a message with a key, and repeat it until it is answered.

        @return: The position of the message.
        """
        while True:
            try:
                answer = await self.publish(bus, "a", b"%d" % number, key=str(number))
                return answer.positions["a"]
            except (Unavailable, Unknown):
                await pause(0.02)

    async def back(self, *buses: RedisBus) -> None:
        """
        Wait until Redis can be used again.
        """
        await until(lambda: all(bus.isAvailable for bus in buses))

    async def whatHappens(self, bus: RedisBus) -> CometError | None:
        """
        Publish a message.

        @return: The error, or L{None}.
        """
        try:
            await self.publish(bus, "a")
        except CometError as error:
            return error
        return None


class KilledTests(FaultCase):
    """
    Redis is killed, and started again.
    """

    async def test_durableRedisKeepsEpoch(self) -> None:
        """
        With C{appendfsync always}, no answered message is lost.  The epoch goes
        on, and cursors have no gap.
        """
        server = await self.ownServer(*ALWAYS)
        buses = [await self.startedBus() for _ in range(2)]
        listeners = [await self.listener(bus, "a") for bus in buses]
        before = await self.put(buses[0], "a a a")
        end = buses[0].end
        await self.settle(buses[1])
        server.kill()
        await until(lambda: not any(bus.isAvailable for bus in buses))
        self.assertIsInstance(await self.whatHappens(buses[0]), Unavailable)
        server.start()
        await self.back(*buses)
        self.assertEqual([bus.end for bus in buses], [end, end])
        self.assertEqual(await self.held(buses[1], "a"), before)
        start = await self.start(buses[0], "a", At(Cursor(end.epoch, before[1])))
        self.assertStart(start, before[1])
        after = await self.put(buses[1], "a")
        await self.settle(buses[0])
        for listener in listeners:
            self.assertEqual(listener.heard, before + after)
            self.assertEqual(listener.interruptions, [3])

    async def test_killedUnderLoad(self) -> None:
        """
        Redis is killed while messages are stored.  A publisher that repeats
        each message with its key until it is answered stores each once, and the
        answers are true.
        """
        server = await self.ownServer(*ALWAYS)
        bus = await self.startedBus()
        epoch = bus.end.epoch
        for round_ in range(3):
            asked = [
                asDeferred(self.publishUntilAnswered(bus, number))
                for number in range(50 * round_, 50 * round_ + 50)
            ]
            await until(lambda asked=asked: any(each.called for each in asked))
            server.restart()
            answers = [await each for each in asked]
            messages = (await self.read(bus, "a")).messages[-50:]
            found = {int(each.payload): each.position for each in messages}
            self.assertEqual(found, dict(enumerate(answers, 50 * round_)))
        self.assertEqual(len(await self.held(bus, "a")), 150)
        self.assertEqual(bus.end.epoch, epoch)

    async def test_newEpochWhenEmpty(self) -> None:
        """
        A Redis that comes back empty begins one new epoch for all nodes.
        Listeners are interrupted, and old cursors have a gap.
        """
        server = await self.ownServer()
        buses = [await self.startedBus() for _ in range(2)]
        listeners = [await self.listener(bus, "a") for bus in buses]
        cursor = (await self.publish(buses[0], "a")).cursor
        await self.settle(buses[1])
        server.restart(isEmpty=True)
        await until(lambda: all(b.isAvailable and b.end.epoch != cursor.epoch for b in buses))
        await until(lambda: buses[0].end == buses[1].end)
        [a1] = await self.put(buses[0], "a")
        await self.settle(buses[1])
        reading = await self.read(buses[1], "a", cursor)
        self.assertEqual((positionsOf(reading.messages), set(reading.gaps)), ([a1], {"a"}))
        for listener in listeners:
            self.assertEqual(listener.heard[-1:], [a1])
            self.assertGreaterEqual(len(listener.interruptions), 1)

    async def test_newEpochWithoutProof(self) -> None:
        """
        A Redis that may have lost its newest messages begins a new epoch, with
        the messages that it has.
        """
        server = await self.ownServer("--appendonly yes", "--appendfsync everysec")
        bus = await self.startedBus()
        positions = await self.put(bus, "a a")
        epoch = bus.end.epoch
        await pause(1.5)
        server.restart()
        await until(lambda: bus.isAvailable and bus.end.epoch != epoch)
        self.assertEqual(await self.held(bus, "a"), positions)
        reading = await self.read(bus, "a", Cursor(epoch, positions[1]))
        self.assertEqual((positionsOf(reading.messages), dict(reading.gaps)), (positions, {"a": 0}))

    async def test_newEpochWhenLaterDurable(self) -> None:
        """
        Messages that were stored before C{appendfsync always} was set prove
        nothing.
        """
        server = await self.ownServer("--appendonly yes", "--appendfsync everysec")
        bus = await self.startedBus()
        await self.put(bus, "a")
        epoch = bus.end.epoch
        await pause(1.5)
        server.kill()
        server._settings[-1] = "always"
        server.start()
        await until(lambda: bus.isAvailable and bus.end.epoch != epoch)

    async def test_newEpochFromOlderCopy(self) -> None:
        """
        A log that ends before a position that a node knows begins a new epoch,
        even if Redis promises to keep everything.
        """
        server = await self.ownServer(*ALWAYS)
        bus = await self.startedBus()
        await self.put(bus, "a a")
        end = bus.end
        server.ask("HSET", f"{self.url.prefix}state", "head", str(end.position - 1))
        server.restart()
        await until(lambda: bus.isAvailable and bus.end.epoch != end.epoch)
        self.assertEqual(bus.end.position, end.position - 1)

    async def test_newEpochOnDemand(self) -> None:
        """
        An operator who removes the epoch, such as after a restored copy, begins
        a new epoch with all messages that are held.
        """
        await self.ownServer()
        bus = await self.startedBus(messages=2)
        positions = await self.put(bus, "a a b a")
        end = bus.end
        self.server.ask("HDEL", f"{self.url.prefix}state", "epoch")
        await until(lambda: bus.end.epoch != end.epoch)
        self.assertEqual(bus.end.position, end.position)
        self.assertEqual(await self.held(bus, "a b"), positions[1:])
        self.assertEqual(dict((await self.read(bus, "a b")).gaps), {"a": positions[0]})

    async def test_newEpochAfterForeignState(self) -> None:
        """
        An epoch or a head that no script has written, such as a head after
        which positions cannot grow, begins a new epoch; a listener hears no
        message again, and what is published then is held.
        """
        server = await self.ownServer()
        bus = await self.startedBus()
        listener = await self.listener(bus, "a")
        positions = await self.put(bus, "a a")
        heads = ["9223372036854775807", "9007199254740992", "1e300", "inf", "nan", "-5", "1.5", "x"]
        epochs = ['a"b', "x\r\ny", "a-5", "e" * 33, ""]
        forged = [("head", each) for each in heads] + [("epoch", each) for each in epochs]
        for field, value in forged:
            epoch = bus.end.epoch
            server.ask("HSET", f"{self.url.prefix}state", field, value)
            positions += await self.put(bus, "a")
            self.assertNotEqual(bus.end.epoch, epoch, value)
            self.assertEqual(await self.held(bus, "a"), positions, value)
        self.assertEqual(positions, list(range(1, 3 + len(forged))))
        await self.settle(bus)
        self.assertEqual(listener.heard[-1:], positions[-1:])
        self.assertEqual(listener.heard, sorted(set(listener.heard)))


class EmptiedTests(FaultCase):
    """
    Redis is emptied while it is used.
    """

    async def test_publishBeginsNewEpoch(self) -> None:
        """
        The next message begins a new epoch.  All nodes interrupt their
        listeners before the message is heard.
        """
        server = await self.ownServer()
        buses = [await self.startedBus() for _ in range(2)]
        listeners = [await self.listener(bus, "a") for bus in buses]
        first = await self.publish(buses[0], "a")
        await self.settle(buses[1])
        server.ask("FLUSHALL")
        second = await self.publish(buses[0], "a")
        self.assertNotEqual(second.epoch, first.epoch)
        self.assertEqual(buses[0].end, second.cursor)
        await self.settle(buses[1])
        self.assertEqual(buses[1].end, second.cursor)
        for listener in listeners:
            self.assertEqual(listener.interruptions, [1])
            self.assertEqual([each.cursor for each in listener.messages][1:], [second.cursor])

    async def test_pipelinedPublications(self) -> None:
        """
        Publications that are under way meanwhile are stored in the old or the
        new epoch.
        """
        server = await self.ownServer()
        bus = await self.startedBus()
        asked = [bus.publish([Publication(("a",), b"1")]) for _ in range(500)]
        await asked[0]
        server.ask("FLUSHALL")
        epochs = {(await each)[0].epoch for each in asked}
        await self.publish(bus, "a")
        self.assertLessEqual(len(epochs | {bus.end.epoch}), 2)

    async def test_idleNodeFindsOut(self) -> None:
        """
        A node finds out even if nothing is published or read.
        """
        server = await self.ownServer()
        bus = await self.startedBus()
        listener = await self.listener(bus, "a")
        await self.put(bus, "a")
        epoch = bus.end.epoch
        server.ask("FLUSHALL")
        await until(lambda: bus.end.epoch != epoch)
        self.assertEqual(listener.interruptions, [1])

    async def test_readBeginsNewEpoch(self) -> None:
        """
        A read is answered in the new epoch, and the bus is in that epoch
        before.
        """
        server = await self.ownServer()
        bus = await self.startedBus()
        cursor = (await self.publish(bus, "a")).cursor
        for names in ("a", "*"):
            server.ask("FLUSHALL")
            reading = await self.read(bus, names, cursor)
            self.assertEqual((reading.reached, set(reading.gaps)), (bus.end, {names}))
            self.assertNotEqual(bus.end.epoch, cursor.epoch)

    async def test_loadsScriptsAgain(self) -> None:
        """
        A Redis that has lost the scripts gets them again.
        """
        server = await self.ownServer()
        bus = await self.startedBus()
        server.ask("SCRIPT", "FLUSH")
        asked = [bus.publish([Publication(("a",), b"%d" % number)]) for number in range(20)]
        for each in asked:
            await each
        messages = (await self.read(bus, "a")).messages
        self.assertEqual([int(each.payload) for each in messages], list(range(20)))
        self.assertLess(server.calls()["eval"], 22)


class LinkTests(FaultCase):
    """
    The connection is lost, or silent.
    """

    async def test_connectionsClosed(self) -> None:
        """
        When all connections are closed, listeners are interrupted, and the
        messages that they missed can be read in order.
        """
        server = await self.ownServer()
        buses = [await self.startedBus() for _ in range(2)]
        [listener] = [await self.listener(bus, "a", "b/*") for bus in buses[:1]]
        positions = await self.put(buses[1], "a b/c")
        await self.settle(buses[0])
        end = buses[0].end
        server.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: not any(bus.isAvailable for bus in buses))
        await self.back(*buses)
        self.assertEqual(buses[0].end, end)
        positions += await self.put(buses[1], "a b/d")
        await self.settle(buses[0])
        self.assertEqual((listener.heard, listener.interruptions), (positions, [2]))

    async def test_readWaitsForConnection(self) -> None:
        """
        A read or C{listen} that begins without a connection is answered when
        there is one again.
        """
        server = await self.ownServer(*ALWAYS)
        bus = await self.startedBus()
        positions = await self.put(bus, "a")
        server.kill()
        await until(lambda: not bus.isAvailable)
        listener = Listener()
        listening = bus.listen(listener, ["a", "b/*"])
        reading = bus.read(["a"], Cursor(bus.end.epoch, 0), 10, 1000, None)
        locating = bus.resolve({"a": At(bus.end)})
        server.start()
        await listening
        self.assertEqual(positionsOf((await reading).messages), positions)
        self.assertFalse((await locating).starts["a"].isGap)
        positions = await self.put(bus, "a b/c")
        self.assertEqual(listener.heard, positions)

    async def test_silentRedis(self) -> None:
        """
        A Redis that is silent is noticed.  Publishers are told within seconds
        that the outcome is unknown, and later ones at once that the bus is
        unavailable.
        """
        server = await self.ownServer(timeout=0.5)
        bus = await self.startedBus()
        listener = await self.listener(bus, "a")
        [a1] = await self.put(bus, "a")
        server.signal(signal.SIGSTOP)
        before = theReactor().seconds()
        self.assertIsInstance(await self.whatHappens(bus), Unknown)
        self.assertLess(theReactor().seconds() - before, 2.0)
        self.assertIsInstance(await self.whatHappens(bus), Unavailable)
        await pause(1.5)
        self.assertFalse(bus.isAvailable)
        server.signal(signal.SIGCONT)
        await self.back(bus)
        [a2] = await self.put(bus, "a")
        self.assertEqual([listener.heard[0], listener.heard[-1]], [a1, a2])
        self.assertEqual(listener.interruptions, [1])
        held = await self.held(bus, "a")
        self.assertEqual([held[0], held[-1]], [a1, a2])

    async def test_silentRedisWithoutCommands(self) -> None:
        """
        A silent Redis is noticed even if no command is sent by a caller.
        """
        server = await self.ownServer(timeout=0.5)
        bus = await self.startedBus()
        server.signal(signal.SIGSTOP)
        await until(lambda: not bus.isAvailable)
        server.signal(signal.SIGCONT)
        await self.back(bus)

    async def test_readGivesUp(self) -> None:
        """
        Without Redis, a read or C{listen} fails after some seconds.  The
        listener then hears nothing.
        """
        server = await self.ownServer(timeout=0.5)
        bus = await self.startedBus()
        server.kill()
        await until(lambda: not bus.isAvailable)
        listener = Listener()
        asked: list[Any] = [
            bus.read(["a"], bus.end, 10, 1000, None),
            bus.resolve({"*": At(bus.end)}),
            bus.listen(listener, ["a"]),
            bus.forget("a"),
        ]
        for each in asked:
            await self.assertFailure(each, Unavailable)
        server.start()
        await self.back(bus)
        await self.put(bus, "a")
        self.assertEqual(listener.heard, [])


def asDeferred(coroutine: Any) -> Any:
    """
    Start a coroutine.
    """
    from twisted.internet.defer import Deferred

    return Deferred.fromCoroutine(coroutine)
