"""
How much of the database patterns look at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TypeVar

from comet.bus.sqlite.reader import LogReader
from comet.bus.sqlite.snapshot import STEP_SECONDS, TOGETHER
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.positions import At, Earliest, Last, ResolvedStarts, StartPosition, Unreadable
from comet.testing.case import positionsOf
from tests.bus.sqlite.case import StoreTestCase
from tests.bus.sqlite.watched import Watched

T = TypeVar("T")

# How many rows one step looks at, if each takes ten microseconds: those of its time, the
# names that were fetched together when it was over, and a few.
MOST = round(STEP_SECONDS / 1e-5) + 4 * TOGETHER + 30


class PatternTests(StoreTestCase):
    """
    L{LogReader}, asked for patterns.
    """

    def setUp(self) -> None:
        """
        Make a database with many channels, of which all but C{a/x} have lost a
        message.
        """
        super().setUp()
        self.retention = Retention(messages=1)
        store = self.openStore(self.retention)
        self.channels = [f"c/{number}" for number in range(3000)]
        self.put(store, "a/x")
        own = ["b/x/y", "b/x/z", "b/x/z"]
        for _ in range(2):
            for start in range(0, 3000, 500):
                self.put(store, " ".join(self.channels[start : start + 500]))
            self.own = self.put(store, " ".join(own))
        self.end = store.end
        store.close()
        self.watched = Watched(self.path)
        # Each row takes ten microseconds.
        self.reader = LogReader(
            self.path,
            lambda channel: self.retention,
            self.watched.connect,
            lambda: self.watched.looked * 1e-5,
        )
        self.addCleanup(self.reader.close)

    def resolve(self, name: str, startPosition: StartPosition) -> ResolvedStarts:
        """
        Resolve the start position of one name.
        """
        return self.reader.resolve({name: startPosition}, self.now)

    def answer(self, steps: Iterator[T | None]) -> tuple[T, list[int]]:
        """
        Take all steps.

        @return: The answer, and how many rows each step looked at.
        """
        rows = []
        answer = None
        while answer is None:
            self.watched.rows = 0
            answer = self.reader.step(steps)
            rows.append(self.watched.rows)
        return answer, rows

    def ask(self, names: Sequence[str]) -> None:
        """
        Ask all kinds of questions about each of some patterns.
        """
        starts = (Earliest(), Last(1), Unreadable(), At(Cursor(self.end.epoch, 5)))
        for name in names:
            page = self.reader.read([name], Cursor(self.end.epoch, 0), 100, 10**6, None, self.now)
            self.assertEqual(positionsOf(page.messages), [self.own[0], self.own[2]])
            self.assertEqual(dict(page.gaps), {name: self.own[1]})
            for startPosition in starts:
                start = self.resolve(name, startPosition).starts[name]
                self.assertEqual(start.floor, self.own[1])
        self.reader.read(["b/x/*", "c/7"], Cursor("x", 1), 100, 10**6, None, self.now)

    def test_literalBeginningIsSearched(self) -> None:
        """
        For a pattern that begins with a literal segment, the channels are searched
        by their names: no statement scans all channels, or all floors, not even
        once the database has been analyzed.
        """
        for _ in range(2):
            self.ask(["b/*/*", "b/**", "b/x/*"])
            channels = [plan for plan in self.watched.plans() if "channels" in plan.split(":")[0]]
            self.assertGreater(len(channels), 5)
            for plan in channels:
                self.assertIn("SEARCH", plan)
                self.assertRegex(plan, r"\((name[=>]\?|due<\?|rowid=\?)")
            connection = sqlite3.connect(self.path)
            connection.execute("ANALYZE")
            connection.close()
            self.reader.close()
            self.watched.statements.clear()

    def test_literalBeginningLooksAtItsChannels(self) -> None:
        """
        A pattern that begins with a literal segment looks at as many rows as it
        has channels and messages, a few for each question.
        """
        self.ask(["b/**"])
        self.assertLessEqual(self.watched.rows, 80)
        self.watched.rows = 0
        # It has lost nothing, unlike thousands of others.
        page = self.reader.read(["a/*"], Cursor(self.end.epoch, 0), 9, 99, None, self.now)
        self.assertEqual((positionsOf(page.messages), dict(page.gaps)), ([1], {}))
        self.assertLessEqual(self.watched.rows, 10)

    def test_pagesLookAtFewRows(self) -> None:
        """
        A page of a wide pattern looks at a bounded number of rows beside its
        messages, and goes on from there: one that matches next to nothing ends
        before it has a message.
        """
        for names, count in ((["**"], 3002), (["c/*", "b/x/z"], 3001), (["*/x/*", "*/1"], 3)):
            found, pages, more = 0, 0, True
            after = Cursor(self.end.epoch, self.end.position - 3003)
            while more:
                steps = self.reader.reading(names, after, 200, 10**6, None, self.now)
                page, rows = self.answer(steps)
                self.assertLessEqual(max(rows), MOST, str(names))
                found, pages = found + len(page.messages), pages + 1
                after, more = page.reached, page.more
            self.assertEqual(found, count)
            self.assertGreater(pages, 2)

    def test_pagesExecuteFewInstructions(self) -> None:
        """
        What SQLite executes for a page of a wide pattern is proportional to its messages,
        wherever it begins and however many channels there are.
        """
        for names, most in ((["**"], 200), (["c/*"], 230)):
            for position in (3003, 4000, 5500):
                after = Cursor(self.end.epoch, position)
                self.watched.hundreds = 0
                page = self.reader.read(names, after, 100, 10**6, None, self.now)
                self.assertEqual(len(page.messages), 100)
                self.assertLessEqual(self.watched.hundreds, most)

    def test_wideStartsLookAtFewRows(self) -> None:
        """
        To resolve a pattern that is as wide as can be looks at a few rows.
        """
        for startPosition in (Earliest(), Unreadable(), At(Cursor(self.end.epoch, 5))):
            self.watched.rows = 0
            self.resolve("**", startPosition)
            self.assertLessEqual(self.watched.rows, 20)

    def test_startsThatMatchNothingLookAtFewRowsInEachStep(self) -> None:
        """
        To know that a pattern matches nothing takes several steps, each of which
        looks at a bounded number of rows.
        """
        for name in ("*/nothing", "c/*/*"):
            for startPosition in (Earliest(), Last(1), Unreadable(), At(Cursor(self.end.epoch, 5))):
                steps = self.reader.resolving({name: startPosition}, self.now)
                resolved, rows = self.answer(steps)
                start = resolved.starts[name]
                self.assertEqual((start.floor, resolved.end), (0, self.end))
                self.assertGreater(len(rows), 2)
                self.assertLessEqual(max(rows), MOST)
            page, rows = self.answer(
                self.reader.reading([name], Cursor("x", 1), 10, 10**6, None, self.now)
            )
            self.assertEqual((dict(page.gaps), page.reached), ({name: 0}, self.end))
            self.assertLessEqual(max(rows), MOST)

    def test_manyOverdueMessagesLookAtFewRowsInEachStep(self) -> None:
        """
        Where very many messages have become too old and were not dropped yet,
        each step looks at a bounded number of rows.
        """
        self.retention = Retention(messages=1, seconds=60.0)
        self.now += 3600
        page, rows = self.answer(
            self.reader.reading(["**"], Cursor(self.end.epoch, 0), 10, 10**6, None, self.now)
        )
        self.assertEqual((list(page.messages), page.more), ([], True))
        self.assertEqual(page.gaps["**"], self.end.position)
        self.assertLessEqual(max(rows), MOST)

    def test_answersOthersBetweenSteps(self) -> None:
        """
        Between two steps other questions are answered, and messages are stored and
        dropped.  The answer is of the moment at which it was asked for, but for
        floors.
        """
        steps = self.reader.resolving({"*/z": Earliest(), "c/*/*": Last(1)}, self.now)
        self.assertIsNone(self.reader.step(steps))
        store = self.openStore(self.retention)
        [lost, _] = self.put(store, "y/z y/z")
        page = self.reader.read(["y/*"], self.end, 10, 10**6, None, self.now)
        self.assertEqual(dict(page.gaps), {"y/*": lost})
        resolved, _ = self.answer(steps)
        self.assertEqual(resolved.end, self.end)
        self.assertEqual(resolved.starts["*/z"].floor, lost)

    def test_asksAgainInNewEpoch(self) -> None:
        """
        If a new epoch begins between two steps, the answer is of the new one.
        """
        steps = self.reader.resolving({"*/z": Earliest()}, self.now)
        self.assertIsNone(self.reader.step(steps))
        store = self.openStore(self.retention)
        store.renew(self.now)
        self.put(store, "y/a y/z")
        resolved, _ = self.answer(steps)
        self.assertEqual(resolved.end, store.end)
        self.assertEqual(resolved.starts["*/z"].position, 1)

    def test_failsInLaterStep(self) -> None:
        """
        If the database cannot be read any more, the step fails, and the next
        question is answered if it can be read again.
        """
        steps = self.reader.resolving({"*/z": Earliest()}, self.now)
        self.assertIsNone(self.reader.step(steps))
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("ALTER TABLE channels RENAME TO gone")
            self.assertRaises(sqlite3.OperationalError, self.answer, steps)
            connection.execute("ALTER TABLE gone RENAME TO channels")
        self.ask(["b/**"])
