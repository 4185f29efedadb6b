"""
How much work patterns are for Redis.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.redis.store import MOST_BLOCKS, MOST_CHANNELS, entryStarts
from comet.bus.starts import MOST_LAST
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Publication
from comet.model.positions import (
    At,
    Earliest,
    Last,
    ReadResult,
    ResolvedStart,
    StartPosition,
    Unreadable,
)
from comet.testing.case import OTHER_EPOCH, positionsOf
from tests.bus.memory.test_model import result
from tests.bus.redis.case import sharedServer
from tests.bus.redis.direct import DirectBus
from tests.bus.redis.test_model import indexedPositions, urlOf

_numbers = count()


class Work:
    """
    What Redis did.

    @ivar scripts: How many scripts it ran.

    @ivar commands: How many commands these called.

    @ivar most: How many commands one of the scripts called, at most.
    """

    def __init__(self) -> None:
        self.scripts = self.commands = self.most = 0


class PatternCase(SynchronousTestCase):
    """
    A test with a log in Redis.
    """

    def makeBus(self, retention: Retention | None = None) -> DirectBus:
        """
        Make a bus, which is stopped when the test is over.
        """
        kept = Retention() if retention is None else retention
        bus = DirectBus(
            sharedServer().port,
            urlOf(f"patterns{next(_numbers)}"),
            Clock(),
            lambda channel: kept,
            10**9,
        )
        self.addCleanup(lambda: result(bus.stop()))
        return bus

    def put(self, bus: DirectBus, channels: Sequence[str]) -> list[int]:
        """
        Publish a message to each of these channels.
        """
        positions = []
        for start in range(0, len(channels), 500):
            asked = [Publication((name,), b"1") for name in channels[start : start + 500]]
            positions += [each.cursor.position for each in result(bus.publish(asked))]
        return positions

    def start(self, bus: DirectBus, name: str, startPosition: StartPosition) -> ResolvedStart:
        """
        Resolve the start position of one name.
        """
        return result(bus.resolve({name: startPosition})).starts[name]

    def pages(
        self, bus: DirectBus, names: str, after: int = 0, limit: int = 1000
    ) -> Iterator[ReadResult]:
        """
        Read pages up to the end.
        """
        cursor = Cursor(bus.end.epoch, after)
        more = True
        while more:
            page = result(bus.read(names.split(), cursor, limit, 10**9, None))
            yield page
            cursor, more = page.reached, page.more

    @contextmanager
    def counting(self, bus: DirectBus) -> Iterator[Work]:
        """
        Count what Redis does meanwhile for this bus.
        """
        work = Work()
        connection = bus.connection
        command = connection.command

        def calls() -> int:
            stats = command("INFO", "commandstats")
            found = re.findall(rb"cmdstat_(\S+?):calls=(\d+)", result(stats))
            own = (b"evalsha", b"eval", b"info")
            return sum(int(number) for name, number in found if name not in own)

        def counted(*words: object) -> object:
            before = calls()
            answer = command(*words)
            if words[0] in ("EVALSHA", "EVAL"):
                called = calls() - before
                # Redis may not know the script yet.
                work.scripts += called > 0
                work.commands += called
                work.most = max(work.most, called)
            return answer

        connection.command = counted
        try:
            yield work
        finally:
            del connection.command


class WorkTests(PatternCase):
    """
    What a pattern costs does not depend on how many channels it does not match.
    """

    def test_narrowPatternCostsItsChannels(self) -> None:
        """
        A pattern that matches few channels costs as much beside 4,000 others as
        beside none, whether it spells the beginning of a name or its end.
        """
        costs = {}
        for others in (0, 4000):
            bus = self.makeBus(Retention(messages=1))
            names = [f"c/{number}" for number in range(others)]
            self.put(bus, names)
            own = self.put(bus, ["b/x/y", "b/x/z", "b/x/z"])
            self.put(bus, names)
            bus._catchUp()
            for pattern in ("b/x/*", "b/**", "*/x/**", "*/x/*", "*/*/z"):
                with self.counting(bus) as work:
                    [page] = self.pages(bus, pattern)
                    starts = [
                        self.start(bus, pattern, each)
                        for each in (Earliest(), Last(2), Unreadable(), At(Cursor("", 1)))
                    ]
                held = own[2:] if pattern == "*/*/z" else [own[0], own[2]]
                self.assertEqual(positionsOf(page.messages), held)
                self.assertEqual(dict(page.gaps), {pattern: own[1]})
                self.assertEqual({each.position for each in starts}, {held[0] - 1})
                costs[pattern, others] = (work.scripts, work.commands)
        for (pattern, others), cost in costs.items():
            if others:
                self.assertEqual(cost, costs[pattern, 0], pattern)

    def test_pagesCostWhatTheyReturn(self) -> None:
        """
        To read a wide pattern from the beginning takes as many commands as it
        returns messages, a few for each, however many channels there are: twice
        the channels, twice the work.
        """
        costs = []
        bus = self.makeBus()
        for last in (2000, 4000):
            self.put(bus, [f"c/{number}" for number in range(bus.end.position, last)])
            for names in ("**", "c/*"):
                with self.counting(bus) as work:
                    pages = list(self.pages(bus, names))
                found = [each for page in pages for each in positionsOf(page.messages)]
                self.assertEqual(found, list(range(1, last + 1)))
                costs.append(work)
        for one, other in zip(costs[:2], costs[2:], strict=True):
            self.assertLessEqual(one.commands, 3 * 2000)
            self.assertLessEqual(other.commands, 2.2 * one.commands)
            self.assertLessEqual(other.scripts, 2.2 * one.scripts)
            # No script does very much.
            self.assertLessEqual(max(one.most, other.most), 600)

    def test_lastPageCostsAsMuchAsFirst(self) -> None:
        """
        Any page of a wide pattern costs the same, from near the end or from the
        beginning, whatever number of messages are before or behind it.
        """
        bus = self.makeBus()
        self.put(bus, [f"c/{number}" for number in range(3000)])
        for after in (0, 1500, 2980):
            with self.counting(bus) as work:
                page = result(bus.read(["**"], Cursor(bus.end.epoch, after), 10, 10**9, None))
            self.assertEqual(positionsOf(page.messages), list(range(after + 1, after + 11)))
            self.assertLessEqual(work.commands, 80)
            # One of them looks for messages that are too old.
            self.assertLessEqual(work.scripts, 4)

    def test_resolvesWidePatternAtOnce(self) -> None:
        """
        To resolve a wide pattern takes a few commands, however many channels
        there are: for C{earliest}, for a cursor with a gap, and for a lost one.
        """
        bus = self.makeBus(Retention(messages=1))
        names = [f"c/{number}" for number in range(3000)]
        self.put(bus, names)
        self.put(bus, names)
        for startPosition, position, isGap in (
            (Earliest(), 3000, False),
            (At(bus.end._replace(position=17)), 17, True),
            (Unreadable(), 3000, True),
            (At(Cursor(OTHER_EPOCH, 17)), 3000, True),
        ):
            with self.counting(bus) as work:
                start = self.start(bus, "**", startPosition)
            self.assertEqual((start.position, start.floor, start.isGap), (position, 3000, isGap))
            self.assertLessEqual(work.scripts, 4)
            self.assertLessEqual(work.commands, 30)

    def test_lastFewOfWidePattern(self) -> None:
        """
        The last few messages of a wide pattern are told of a bounded number of
        channels, those with the newest messages.
        """
        bus = self.makeBus()
        names = [f"c/{number}" for number in range(3000)]
        self.put(bus, names)
        self.put(bus, [*names[:5], "c/2999"])
        result(bus.forget("c/2998"))
        with self.counting(bus) as work:
            start = self.start(bus, "**", Last(1))
        table = dict(start.skipUpTo)
        self.assertEqual(table.pop(""), bus.end.position)
        self.assertEqual(len(table), MOST_LAST)
        newest = [*names[:5], "c/2999", *names[2997 - MOST_LAST + 7 : 2998]]
        self.assertEqual(set(table), set(newest))
        self.assertEqual(start.position, min(table.values()))
        self.assertLessEqual(work.commands, 3 * MOST_LAST)
        self.assertLessEqual(work.most, 100)

    def test_largeMessages(self) -> None:
        """
        Few messages are read for a page that has no room for many: no more than twice
        as many.
        """
        bus = self.makeBus()
        payload = b'"%b"' % (b"x" * 1000)
        result(bus.publish([Publication(("a",), payload)] * 100))
        end = bus.end
        bus._ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
        self.addCleanup(bus._ask, "CONFIG", "SET", "slowlog-log-slower-than", "10000")
        asks: dict[bytes, Callable[[int], Deferred[Any]]] = {
            b"XRANGE": lambda size: bus.read(["a"], Cursor(end.epoch, 0), 100, size, None),
            b"XREVRANGE": lambda size: bus.history("a", end, 100, size),
        }
        for few, most in ((3, 4), (10, 28)):
            for verb, ask in asks.items():
                bus._ask("SLOWLOG", "RESET")
                read = result(ask(few * len(payload))).messages
                self.assertEqual(len(read), few)
                # What a script called is logged like any other command.
                called = [entry[3] for entry in bus._ask("SLOWLOG", "GET", "100")]
                asked = sum(int(words[-1]) for words in called if words[0].upper() == verb)
                self.assertTrue(few < asked <= most, (verb, asked))

    def test_bigPagesAreCut(self) -> None:
        """
        A pattern that matches next to nothing of very many messages ends its
        page before the end, and goes on from there.
        """
        bus = self.makeBus()
        for _ in range(10):
            self.put(bus, [f"c/{number}/d" for number in range(MOST_CHANNELS + 1)])
        [last] = self.put(bus, ["c/x"])
        pages = list(self.pages(bus, "c/*/* c/*"))
        self.assertGreater(len(pages), 1)
        self.assertEqual(sum(len(page.messages) for page in pages), last)
        with self.counting(bus) as work:
            pages = list(self.pages(bus, "c/* c/*/*/*"))
        self.assertEqual([len(page.messages) for page in pages], [0] * (len(pages) - 1) + [1])
        self.assertGreater(len(pages), 1)
        # A slice reads some blocks, and nothing for each message.
        self.assertLessEqual(work.most, MOST_BLOCKS + 10)


class IndexTests(PatternCase):
    """
    The index of positions in Redis is bounded.
    """

    def test_boundedByWhatIsHeld(self) -> None:
        """
        While messages of full channels push out older ones, the index has no
        more than about twice as many entries as messages are held, even if a
        few are held for long between others that are not.
        """
        bus = self.makeBus(Retention(messages=10))
        for number in range(60):
            self.put(bus, ["a", "b", "c", "d"] * 100 + [f"kept/{number}"])
        held = 4 * 10 + 60
        lines = indexedPositions(bus)
        self.assertEqual(lines, sorted(set(lines)))
        self.assertLessEqual(len(lines), 2 * held + 2000)
        while result(bus.forget("e")) is None and bus._wait(bus._store.sweep(bus.connection)):
            pass
        for _ in range(20):
            bus._wait(bus._store.sweep(bus.connection))
        lines = indexedPositions(bus)
        self.assertEqual(len(lines), held)
        # Small blocks were joined.
        self.assertLessEqual(bus._ask("ZCARD", f"{bus._prefix}blocks"), 2)

    def test_freedWithRetention(self) -> None:
        """
        Once all messages are too old, or their channels are forgotten, nothing
        is left of them in the index.
        """
        bus = self.makeBus(Retention(seconds=60.0))
        names = [f"c/{number}" for number in range(1500)]
        self.put(bus, names)
        for _ in range(500):
            result(bus.publish([Publication(("d",), b"1")]))
        result(bus.forget("d"))
        bus._clock.advance(61)
        bus._catchUp()
        for _ in range(20):
            bus._wait(bus._store.sweep(bus.connection))
        self.assertEqual(indexedPositions(bus), [])
        self.assertEqual(bus._ask("KEYS", f"{bus._prefix}p:*"), [])
        # Nothing is written any more.
        before = bus._ask("INFO", "commandstats")
        bus._wait(bus._store.sweep(bus.connection))
        after = bus._ask("INFO", "commandstats")
        pattern = re.compile(rb"cmdstat_hset:calls=(\d+)")
        self.assertEqual(pattern.findall(before), pattern.findall(after))

    def test_forgottenChannelsLeaveTheIndexOfNames(self) -> None:
        """
        A channel that is forgotten as a whole leaves the index of names, under
        each of its segments.
        """
        bus = self.makeBus(Retention(seconds=60.0))
        self.put(bus, ["a/b/c", "a/b/b", "d"])
        entries = bus._ask("ZRANGE", f"{bus._prefix}names", 0, -1)
        spelled = {b"2/b": [b"a/b/b", b"a/b/c"], b"3/b": [b"a/b/b"], b"3/c": [b"a/b/c"]}
        self.assertEqual(
            entries,
            [
                *(b"\x01%b/%b" % (each, name) for each, of in spelled.items() for name in of),
                *(b"a/b/b", b"a/b/c", b"d"),
            ],
        )
        bus._clock.advance(61)
        bus._store.totalBytes = 0
        bus._catchUp()
        self.assertEqual(bus._ask("ZRANGE", f"{bus._prefix}names", 0, -1), [])

    def test_survivesLostKeys(self) -> None:
        """
        If Redis itself removes blocks or streams, no script fails, and what is
        left of them in the index goes with time.
        """
        bus = self.makeBus()
        self.put(bus, [f"c/{number % 7}" for number in range(3000)])
        blocks = bus._ask("ZRANGE", f"{bus._prefix}blocks", 0, -1)
        bus._ask("DEL", f"{bus._prefix}p:{blocks[1].decode()}", f"{bus._prefix}s:c/1")
        found = [each for page in self.pages(bus, "**") for each in positionsOf(page.messages)]
        self.assertEqual(found, sorted(set(found)))
        for number in range(7):
            result(bus.forget(f"c/{number}"))
        for _ in range(20):
            bus._wait(bus._store.sweep(bus.connection))
        self.assertEqual(indexedPositions(bus), [])

    def test_logThatLostItsEnd(self) -> None:
        """
        A log that goes on at a lower position than before, because its state
        was lost, tells nothing wrong by what the index has of later ones.
        """
        bus = self.makeBus()
        self.put(bus, [f"c/{number}" for number in range(2000)])
        bus._ask("DEL", *(f"{bus._prefix}{each}" for each in ("state", "heads", "oldest")))
        bus._begin()
        positions = self.put(bus, [f"d/{number}" for number in range(1500)])
        self.assertEqual(positions[0], 1)
        found = [each for page in self.pages(bus, "**") for each in positionsOf(page.messages)]
        self.assertEqual(found, positions)


class EntryStartsTests(SynchronousTestCase):
    """
    L{entryStarts}.
    """

    def test_tellsLiteralSegments(self) -> None:
        """
        There is the literal beginning, and each literal segment after a star,
        up to the eighth.
        """
        for pattern, starts in (
            ("**", [""]),
            ("*", [""]),
            ("a/**", ["a/"]),
            ("a/b/*", ["a/b/"]),
            ("*/x", ["", "\x012/x/"]),
            ("*/x/*/y/**", ["", "\x012/x/", "\x014/y/"]),
            ("$s/*/y", ["$s/", "\x013/y/"]),
            ("*/b/c/d/e/f/g/h/i", ["", *(f"\x01{n}/{s}/" for n, s in enumerate("bcdefgh", 2))]),
        ):
            self.assertEqual(entryStarts(pattern), starts)
