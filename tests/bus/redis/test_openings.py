"""
Tests of L{comet.bus.redis.openings}: a few channels are opened by one script, which finds
what three would find.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.parts import AHEAD_BYTES, AHEAD_MESSAGES
from comet.bus.readahead import MOST_OPENED, MOST_TAILED, isOpening
from comet.bus.redis import queries, scripts
from comet.bus.redis.bus import RedisBus
from comet.bus.redis.openings import readOpened
from comet.bus.redis.protocol import RedisProtocol
from comet.bus.redis.replies import BadReply, NoLog, Overdue
from comet.bus.redis.store import Store
from comet.fanout.logquestions import FIRST_BYTES, FIRST_MESSAGES
from comet.hub.hub import Hub
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from comet.model.positions import At, Earliest, Last, Now, StartPosition, Unreadable
from comet.testing.case import BusCase, positionsOf
from tests.bus.redis.case import RedisCase, pause
from tests.bus.redis.test_thundering_herd import Receiver, Timers

OTHER: Cursor = Cursor("zzzzzz", 7)
EPOCH, END = b"aaaaaa", 3


class WhichTests(SynchronousTestCase):
    """
    Which names are opened in one step.
    """

    def test_opened(self) -> None:
        """
        A few channels, all at one cursor or none at any.
        """
        many = {f"c{number}": Last(1) for number in range(MOST_OPENED)}
        good: list[Mapping[str, StartPosition]] = [
            {"a": Last(1)},
            {"a": Last(MOST_TAILED - 1), "b": Last(1), "c": Earliest(), "d": Unreadable()},
            {"a": At(OTHER), "b": At(OTHER)},
            many,
        ]
        bad: list[Mapping[str, StartPosition]] = [
            {},
            {"a": Now()},
            {"a/*": Last(1)},
            {"a": Last(1), "b": Now()},
            {"a": At(OTHER), "b": Last(1)},
            {"a": At(OTHER), "b": At(Cursor("zzzzzz", 8))},
            {"a": Last(MOST_TAILED), "b": Last(1)},
            {**many, "more": Last(1)},
        ]
        self.assertEqual([isOpening(names) for names in good], [True] * len(good))
        self.assertEqual([isOpening(names) for names in bad], [False] * len(bad))


class ReplyTests(SynchronousTestCase):
    """
    L{readOpened}.
    """

    def reply(self, epoch: bytes = EPOCH) -> list[Any]:
        """
        Make an answer about one channel that holds nothing.
        """
        found = [b"OK", EPOCH, END, 0, 0, 0, 1]
        page = [b"OK", epoch, END, 0, 0, END, 0, END, 0, 0, 1, b"a"]
        return [b"OK", found, [b"OK", EPOCH, -1], page]

    def test_good(self) -> None:
        """
        Its parts are read.
        """
        opened = readOpened(self.reply(), ["a"])
        self.assertEqual(opened.found.end, Cursor("aaaaaa", END))
        self.assertEqual((opened.tails, opened.page.reached), ({}, END))
        self.assertEqual(opened.lastFew({"a": 1})["a"], (END, {}))

    def test_bad(self) -> None:
        """
        An answer that no script of comet's gives is refused.
        """
        whole = self.reply()
        bad: list[Any] = [None, [], [b"OK"], whole[:3], self.reply(b"bbbbbb")]
        for index in range(1, 4):
            for wrong in (None, b"OK", [], [b"OK"], [b"BAD", *whole[index][1:]]):
                bad.append([*whole[:index], wrong, *whole[index + 1 :]])
        for reply in bad:
            self.assertRaises(BadReply, readOpened, reply, ["a"])
        self.assertRaises(NoLog, readOpened, [b"NONE"], ["a"])
        self.assertRaises(Overdue, readOpened, [b"OVERDUE"], ["a"])


class OpeningTests(RedisCase, BusCase):
    """
    With a Redis.
    """

    def asked(self) -> list[str]:
        """
        Note the scripts that are asked for from now on, but those of each second.
        """
        found: list[str] = []
        run = Store.run

        async def noting(
            store: Store, connection: RedisProtocol, script: scripts.Script, *words: Any
        ) -> Any:
            if script.name not in ("attach", "sweep", "tendmembers"):
                found.append(script.name)
            return await run(store, connection, script, *words)

        self.patch(Store, "run", noting)
        return found

    async def assertOpened(self, bus: RedisBus, names: Mapping[str, StartPosition]) -> Any:
        """
        Assert that one script finds what others find that are asked one after the other.

        @return: The page.
        """
        opened = await bus.resolve(names)
        patch = self.patch(queries, "isOpening", lambda names: False)
        resolved = await bus.resolve(names)
        patch.restore()
        self.assertIsNone(resolved.page)
        self.assertEqual((opened.end, list(opened.starts)), (resolved.end, list(resolved.starts)))
        for name, start in opened.starts.items():
            other = resolved.starts[name]
            self.assertEqual(
                (start.position, start.isGap, start.isRelative, start.skipUpTo.get(name)),
                (other.position, other.isGap, other.isRelative, other.skipUpTo.get(name)),
                name,
            )
        page = opened.page
        assert page is not None
        read = await bus.read(list(names), page.after, AHEAD_MESSAGES, AHEAD_BYTES, None)
        self.assertEqual(positionsOf(page.messages), positionsOf(read.messages))
        self.assertEqual(evolve(page, messages=[]), evolve(read, messages=[]))
        self.assertEqual(page.after.position, min(each.position for each in opened.starts.values()))
        return page

    async def test_asOthers(self) -> None:
        """
        Whatever the beginning, where the names begin and what is read there is what the
        other scripts find; also of channels that have lost messages, or that nobody knows.
        """
        bus: Any = await self.makeBus(messages=3)
        await self.put(bus, "a b a a c a a b")
        end = bus.end
        starts: Sequence[StartPosition] = (
            *(Last(count) for count in (1, 2, 3, 9)),
            Earliest(),
            Unreadable(),
            At(OTHER),
            *(At(Cursor(end.epoch, position)) for position in range(end.position + 2)),
        )
        for names in ("a", "b", "none", "a b", "b none c a"):
            for start in starts:
                await self.assertOpened(bus, dict.fromkeys(names.split(), start))
        mixed: dict[str, StartPosition] = {"a": Last(1), "b": Earliest(), "c": Unreadable()}
        await self.assertOpened(bus, mixed)

    async def test_bounds(self) -> None:
        """
        No more is read ahead than a reader is given at first.
        """
        self.assertEqual((AHEAD_MESSAGES, AHEAD_BYTES), (FIRST_MESSAGES, FIRST_BYTES))
        bus: Any = await self.makeBus(messages=500)
        await self.put(bus, " ".join(["a"] * (AHEAD_MESSAGES + 5)))
        page = await self.assertOpened(bus, {"a": Earliest()})
        self.assertEqual((len(page.messages), page.more), (AHEAD_MESSAGES, True))
        for _ in range(3):
            await bus.publish([Publication(("b",), b'"' + b"x" * (AHEAD_BYTES // 2 - 2) + b'"')])
        page = await self.assertOpened(bus, {"b": Earliest()})
        self.assertEqual((len(page.messages), page.more), (2, True))

    async def test_once(self) -> None:
        """
        A reader that asks for the last messages, or has a cursor, has them after one
        question to Redis; and after the next one what did not fit.
        """
        bus: Any = await self.startedBus()
        positions = await self.put(bus, " ".join(["a"] * (AHEAD_MESSAGES + 3)))
        timers: Any = Timers()
        self.addCleanup(timers.end)
        hub = Hub(bus, timers)
        asked = self.asked()
        first = Cursor(bus.end.epoch, positions[0])
        for since, expected, scriptsAsked in (
            ("-2", positions[-2:], ["open"]),
            (str(first), positions[1:], ["open", "read"]),
        ):
            receiver: Any = Receiver()
            asked.clear()
            subscription = await hub.subscribe("a", since, receiver)
            while len(receiver.positions) < len(expected):
                await pause(0.01)
            self.assertEqual((receiver.positions, asked), (expected, scriptsAsked))
            subscription.unsubscribe()
