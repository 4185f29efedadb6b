"""
The scripts of the Redis bus: any history, compared with a simple model.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha1
from importlib.resources import files

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, run_state_machine_as_test
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.idempotency import KeyBudget, keySize
from comet.bus.memory.buslog import CHANNEL_OVERHEAD
from comet.bus.redis import holdings, queries, scripts, store
from comet.bus.redis.scripts import Script
from comet.bus.redis.urls import RedisURL
from comet.model.cursors import Cursor
from comet.model.log import FLOORS_PART, NAMED_FLOORS_PART, Retention
from comet.model.messages import Message, Publication
from comet.model.patterns import MOST_INDEXED
from comet.model.positions import At, Earliest, Last, StartPosition
from comet.testing.case import OTHER_EPOCH, dataOf, positionsOf
from tests.bus.keymodel import KeyMachine
from tests.bus.memory.test_model import BusMachine, SlicedMachine, result
from tests.bus.model import BusModel
from tests.bus.redis.case import ADVANCE, sharedServer
from tests.bus.redis.direct import DirectBus

_COMMON = (files("comet.bus.redis") / "lua" / "common.lua").read_text("utf-8")


def constant(name: str) -> int:
    """
    Return a number that a script defines.
    """
    found = re.search(rf"local {name} = (\d+)", _COMMON)
    assert found is not None
    return int(found[1])


class RedisModel(BusModel):
    """
    Counts messages as the scripts do.
    """

    channelOverhead = constant("CHANNEL_OVERHEAD")
    streamOverhead = constant("STREAM_OVERHEAD")

    segmentOverhead = constant("SEGMENT_OVERHEAD")

    def recordSize(self, channel: str) -> int:
        """
        Each further segment is in the index of names with the name.
        """
        return super().recordSize(channel) + channel.count("/") * len(channel)

    def sizeOf(self, message: Message) -> int:
        """
        The size of the body and of the name, and the overhead.  The time has 17
        characters.
        """
        return len(message.payload) + 20 + len(message.channel) + constant("MESSAGE_OVERHEAD")


def urlOf(case: str) -> RedisURL:
    """
    Return a URL with a prefix of its own.
    """
    return evolve(RedisURL("redis"), prefix=f"{{{case}}}:")


class RedisMachine(BusMachine):
    """
    Does the same with a log in Redis and with its model.
    """

    Model = RedisModel

    def makeBus(self, retention: Callable[[str], Retention], totalBytes: int) -> DirectBus:
        """
        Make a bus that answers at once.
        """
        port = sharedServer().port
        return DirectBus(port, urlOf("machine"), self.clock, retention, totalBytes)

    @invariant()
    def countsEmpty(self) -> None:
        """
        Assert that both know how much the channels without messages count for.
        """
        assert self.bus.size == self.model.size
        counted = int(self.bus._ask("HGET", self.bus._state, "empty") or 0)
        assert counted == sum(map(self.model.recordSize, self.model.empty()))


class KeyScriptMachine(KeyMachine):
    """
    Compares the keys in Redis.
    """

    def makeBus(self, budget: KeyBudget) -> DirectBus:
        """
        See L{KeyMachine.makeBus}.
        """
        return DirectBus(
            sharedServer().port,
            urlOf("keymachine"),
            self.clock,
            lambda channel: Retention(),
            10**9,
            budget,
        )


class SlicedRedisMachine(SlicedMachine):
    """
    Does the same, and puts pages together that end early.
    """

    Model = RedisModel

    def makeBus(self, retention: Callable[[str], Retention], totalBytes: int) -> DirectBus:
        """
        Make a bus that answers at once.
        """
        return DirectBus(sharedServer().port, urlOf("sliced"), self.clock, retention, totalBytes)

    @invariant()
    def keepsIndices(self) -> None:
        """
        Assert that the index of positions has every message that is held, and
        not many others; and the index of names exactly the channels that are
        known.
        """
        lines = indexedPositions(self.bus)
        held = {message.position for message in self.model.held()}
        assert held <= set(lines), (held, lines)
        names = self.bus._ask("ZRANGE", f"{self.bus._prefix}names", 0, -1)
        assert {name.decode() for name in names if name[0] > 1} == self.model.known


def indexedPositions(bus: DirectBus) -> list[int]:
    """
    Return what the index of positions has, block by block.
    """
    positions = []
    for first in bus._ask("ZRANGE", f"{bus._prefix}blocks", 0, -1):
        lines = bus._ask("GET", f"{bus._prefix}p:{first.decode()}").split(b"\n")
        positions += [int(line.split(b" ")[0]) for line in lines if line]
    return positions


def smallBlocks(script: Script, bytes: int) -> Script:
    """
    Return a script with other blocks of the index of positions.
    """
    source, count = re.subn(r"BLOCK_BYTES = 4096", f"BLOCK_BYTES = {bytes}", script.source)
    assert count == 1
    return Script(script.name, source, sha1(source.encode()).hexdigest())


class ModelTests(SynchronousTestCase):
    """
    The log in Redis, after any history.
    """

    def test_slicesAgreeWithModel(self) -> None:
        """
        The answers are the same if each step looks at next to nothing, and if
        the blocks of the index are small.
        """
        for module in (store, queries, holdings):
            self.patch(module, "MOST_CHANNELS", 1)
        self.patch(holdings, "_FIRST_SLICE", 1)
        self.patch(store, "MOST_BLOCKS", 1)
        self.patch(queries, "EXAMINED", 3)
        self.patch(queries, "_MOST_READ", 2)
        self.patch(queries, "_MOST_FOUND", 1)
        self.patch(queries, "_FEWEST_READ", 1)
        for name in ("PUBLISH", "SWEEP"):
            self.patch(scripts, name, smallBlocks(getattr(scripts, name), 16))
        run_state_machine_as_test(
            SlicedRedisMachine,
            settings=settings(
                deadline=None,
                max_examples=40,
                stateful_step_count=25,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )

    def test_agreesWithModel(self) -> None:
        """
        After any history the log answers all questions as its model does.
        """
        run_state_machine_as_test(
            RedisMachine,
            settings=settings(
                deadline=None,
                max_examples=40,
                stateful_step_count=25,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )

    def test_keysAgreeWithModel(self) -> None:
        """
        After any history, idempotency keys are known and forgotten as in the
        model.
        """
        run_state_machine_as_test(
            KeyScriptMachine,
            settings=settings(
                deadline=None,
                max_examples=40,
                stateful_step_count=25,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )

    def test_indexesWhatPatternsSpell(self) -> None:
        """
        The scripts index as many segments of a name as patterns look for.
        """
        self.assertEqual(constant("MOST_SEGMENTS"), MOST_INDEXED)

    def test_keepsFloorsAsMemoryBus(self) -> None:
        """
        Floors may take the same part of the total as in the memory bus, and a
        channel without messages counts for as much.
        """
        self.assertEqual(constant("FLOORS_PART"), FLOORS_PART)
        self.assertEqual(constant("NAMED_FLOORS_PART"), NAMED_FLOORS_PART)
        self.assertEqual(constant("CHANNEL_OVERHEAD"), CHANNEL_OVERHEAD)


class KeyScriptTests(SynchronousTestCase):
    """
    What Redis keeps of idempotency keys.
    """

    def setUp(self) -> None:
        """
        Make a bus.
        """
        self.clock = Clock()
        url = urlOf(self.id().rsplit(".", 1)[-1])
        self.prefix = url.prefix
        self.bus = DirectBus(
            sharedServer().port, url, self.clock, lambda channel: Retention(), 10**9
        )
        self.addCleanup(self.bus.stop)

    def publish(self, *keys: str, channels: tuple[str, ...] = ("a",)) -> None:
        """
        Publish a message with each key.
        """
        batch = [Publication(channels, b"1", publisher="me", key=key) for key in keys]
        result(self.bus.publish(batch))

    def kept(self) -> tuple[int, int, int]:
        """
        Return how many bytes the keys count for, and how many are in the hash and
        in the list of the publisher.
        """
        size = int(self.bus._ask("HGET", f"{self.prefix}state", "keys"))
        known = self.bus._ask("HLEN", f"{self.prefix}known:me")
        return size, known, self.bus._ask("LLEN", f"{self.prefix}order:me")

    def test_forgetsStepByStep(self) -> None:
        """
        Keys that are too old are forgotten in the background, in steps, until
        nothing is left of their publisher.
        """
        self.publish(*(f"{number}" for number in range(1200)))
        self.clock.advance(200)
        self.publish("new")
        one = keySize(Publication(("a",), b"1", publisher="me", key="k"))
        self.assertEqual(self.kept(), (1201 * one, 1201, 1201))
        self.bus._ask("EVAL", ADVANCE, 1, f"{self.prefix}state", 150)
        steps = 1
        while self.bus._wait(self.bus._store.sweep(self.bus.connection)):
            steps += 1
        self.assertEqual((self.kept(), steps), ((one, 1, 1), 3))
        self.clock.advance(301)
        self.bus._catchUp()
        self.assertEqual(self.kept(), (0, 0, 0))
        left = self.bus._ask("KEYS", f"{self.prefix}*")
        self.assertEqual([name for name in left if b"key" in name or b":me" in name], [])

    def test_expiresByItself(self) -> None:
        """
        What is kept of keys expires although no node forgets it.
        """
        self.publish("k")
        for name in ("known:me", "order:me", "keysizes", "keysdue"):
            seconds = self.bus._ask("TTL", f"{self.prefix}{name}")
            self.assertTrue(300 < seconds <= 600, (name, seconds))

    def test_namesTakeNoRoom(self) -> None:
        """
        A key takes some hundred bytes, although its channels have long names.
        """
        channels = tuple(f"{number}".zfill(255) for number in reversed(range(100)))
        self.publish("k", channels=channels)
        taken = self.bus._ask("MEMORY", "USAGE", f"{self.prefix}known:me")
        self.assertLess(taken, keySize(Publication(channels, b"1", publisher="me", key="k")))

    def test_foreignEntries(self) -> None:
        """
        Entries that comet cannot have written, or that are missing, do no harm.
        """
        self.publish("a", "b")
        [first, _] = self.bus._ask("LRANGE", f"{self.prefix}order:me", 0, 1)
        self.bus._ask("LPUSH", f"{self.prefix}order:me", "x", "", b"\xff" * 60)
        self.bus._ask("HSET", f"{self.prefix}known:me", first[:32], "x" * 20, "y", "")
        end = self.bus.end.position
        self.publish("a", "b")
        self.assertEqual(self.bus.end.position, end + 1)
        self.bus._ask("DEL", f"{self.prefix}order:me")
        self.publish("c")
        self.bus._ask("DEL", f"{self.prefix}known:me")
        self.publish("d")
        self.clock.advance(301)
        self.bus._catchUp()
        self.assertEqual(self.kept(), (0, 0, 0))

    def test_keyOfLostMessages(self) -> None:
        """
        A key whose message is beyond the end of the log, because the log was
        lost without it, means nothing.
        """
        self.publish("a", "b", "c")
        self.bus._ask("HSET", f"{self.prefix}state", "head", "1")
        self.bus.end = self.bus.end._replace(position=1)
        self.publish("a", "b")
        self.assertEqual(self.bus.end.position, 2)


class PagesTests(SynchronousTestCase):
    """
    Questions that take several steps are answered like those that take one.
    """

    def makeBus(self, totalBytes: int = 10**9) -> DirectBus:
        """
        Make a bus.
        """
        return DirectBus(
            sharedServer().port,
            urlOf(self.id().rsplit(".", 1)[-1]),
            Clock(),
            lambda channel: Retention(messages=3),
            totalBytes,
        )

    @settings(deadline=None, max_examples=60)
    @given(
        channels=st.lists(st.integers(0, 12), min_size=1, max_size=60),
        after=st.integers(0, 60),
        limit=st.integers(1, 40),
        maxBytes=st.integers(1, 60),
        upTo=st.none() | st.integers(0, 60),
        size=st.integers(1, 4),
    )
    def test_smallPages(
        self,
        channels: list[int],
        after: int,
        limit: int,
        maxBytes: int,
        upTo: int | None,
        size: int,
    ) -> None:
        """
        The answers do not depend on the size of a page.
        """
        bus = self.makeBus()
        try:
            for number in channels:
                result(bus.publish([Publication((f"c/{number}",), dataOf(1 + number % 5))]))
            whole = self.answers(bus, 1000, after, limit, maxBytes, upTo)
            self.assertEqual(self.answers(bus, size, after, limit, maxBytes, upTo), whole)
        finally:
            result(bus.stop())

    def answers(
        self, bus: DirectBus, most: int, after: int, limit: int, maxBytes: int, upTo: int | None
    ) -> list[object]:
        """
        Return the answers for a page size.
        """
        self.patch(store, "MOST_CHANNELS", most)
        self.patch(queries, "MOST_CHANNELS", most)
        self.patch(queries, "_MOST_FOUND", most)
        self.patch(holdings, "MOST_CHANNELS", most)
        self.patch(holdings, "_MOST_TAILS", most)
        answers: list[object] = []
        for epoch in (bus.end.epoch, OTHER_EPOCH):
            names = ["c/*", "c/1", "d"]
            reading = result(bus.read(names, Cursor(epoch, after), limit, maxBytes, upTo))
            answers += [reading.after, dict(reading.gaps)]
            found = positionsOf(reading.messages)
            # An incomplete result may end earlier.
            while reading.more:
                reading = result(bus.read(names, reading.reached, limit, maxBytes, upTo))
                found += positionsOf(reading.messages)
            answers += [found, reading.reached]
        startPositions: list[StartPosition] = [
            Earliest(),
            Last(2),
            At(Cursor(bus.end.epoch, after)),
        ]
        for startPosition in startPositions:
            answers.append(result(bus.resolve({"c/*": startPosition, "c/2": startPosition})))
        return answers

    def test_manyChannels(self) -> None:
        """
        More channels than one step takes are read in the order of positions.
        """
        bus = self.makeBus()
        names = [f"c/{number}" for number in range(2500)]
        for start in range(0, 2500, 500):
            result(bus.publish([Publication((n,), b"1") for n in names[start : start + 500]]))
        found: list[int] = []
        after, more = bus.end._replace(position=0), True
        while more:
            reading = result(bus.read(["c/*"], after, 512, 10**6, None))
            found += positionsOf(reading.messages)
            after, more = reading.reached, reading.more
        self.assertEqual(found, list(range(1, 2501)))
        self.assertEqual(after, bus.end)
        result(bus.stop())

    def test_takesOverLogOfFormBefore(self) -> None:
        """
        What an earlier version did not count, a node counts when it joins the log.
        """
        bus = self.makeBus()
        for name in ("a", "b", "$events", "$events", "$presence/a", "gone"):
            result(bus.publish([Publication((name,), b'"x"')]))
        result(bus.forget("gone"))
        fields = ("form", "reserved", "empty", "members")
        counted = bus._ask("HMGET", bus._state, *fields)
        accounts = [
            bus._ask("ZRANGE", bus._prefix + name, 0, -1) for name in ("reserved", "others")
        ]
        self.assertEqual(accounts, [[b"$events", b"$presence/a"], [b"a", b"b"]])
        self.assertGreater(int(counted[1]), 0)
        self.assertEqual(int(counted[2]), CHANNEL_OVERHEAD + len("gone"))
        bus._ask("HSET", bus._state, "form", "4")
        bus._ask("HDEL", bus._state, *fields[1:])
        bus._ask("DEL", bus._prefix + "reserved", bus._prefix + "others")
        bus._wait(bus._attach(bus.connection))
        self.assertEqual(bus._ask("HMGET", bus._state, *fields), counted)
        for name, before in zip(("reserved", "others"), accounts, strict=True):
            self.assertEqual(bus._ask("ZRANGE", bus._prefix + name, 0, -1), before)
        result(bus.stop())

    def test_dropsStepByStep(self) -> None:
        """
        Many messages that have to be dropped at once are dropped in steps.
        """
        bus = self.makeBus()
        names = [f"c/{number}" for number in range(2000)]
        result(bus.publish([Publication((name,), b"1") for name in names]))
        bus._store.totalBytes = 100000
        answer = bus._wait(bus._store.publish(bus.connection, [[Publication(("d",), b"1")]]))
        self.assertTrue(answer.more)
        steps = 1
        while bus._wait(bus._store.sweep(bus.connection)):
            steps += 1
        self.assertGreater(steps, 3)
        self.assertLessEqual(bus.size, 100000)
        result(bus.stop())
