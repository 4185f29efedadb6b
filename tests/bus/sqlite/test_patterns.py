"""
How much of the database patterns look at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from comet.bus.sqlite.reader import EXAMINED, FEW, LogReader
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.positions import At, Earliest, Last, ResolvedStarts, StartPosition, Unreadable
from tests.bus.case import positionsOf
from tests.bus.sqlite.case import StoreTestCase


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
        self.statements: list[str] = []
        self.rows = 0
        self.reader = LogReader(self.path, lambda channel: self.retention, self.connect)
        self.addCleanup(self.reader.close)

    def connect(self, path: str, **settings: Any) -> sqlite3.Connection:
        """
        Open the database, and count.
        """
        connection: sqlite3.Connection = sqlite3.connect(path, **settings)
        connection.set_trace_callback(self.statements.append)
        connection.row_factory = self.count
        return connection

    def count(self, cursor: sqlite3.Cursor, row: tuple[object, ...]) -> tuple[object, ...]:
        """
        Count a row.
        """
        self.rows += 1
        return row

    def resolve(self, name: str, startPosition: StartPosition) -> ResolvedStarts:
        """
        Resolve the start position of one name.
        """
        return self.reader.resolve({name: startPosition}, self.now)

    def plans(self) -> list[str]:
        """
        Return what SQLite does for the statements so far.
        """
        connection = sqlite3.connect(self.path)
        self.addCleanup(connection.close)
        found = []
        for statement in dict.fromkeys(self.statements):
            if statement.startswith("SELECT"):
                rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
                found += [f"{row[3]}: {statement}" for row in rows]
        return found

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
            channels = [plan for plan in self.plans() if "channels" in plan.split(":")[0]]
            self.assertGreater(len(channels), 5)
            for plan in channels:
                self.assertIn("SEARCH", plan)
                self.assertRegex(plan, r"\((name[=>]\?|due<\?|rowid=\?)")
            connection = sqlite3.connect(self.path)
            connection.execute("ANALYZE")
            connection.close()
            self.reader.close()
            self.statements.clear()

    def test_literalBeginningLooksAtItsChannels(self) -> None:
        """
        A pattern that begins with a literal segment looks at as many rows as it
        has channels and messages, a few for each question.
        """
        self.ask(["b/**"])
        self.assertLessEqual(self.rows, 80)
        self.rows = 0
        # It has lost nothing, unlike thousands of others.
        page = self.reader.read(["a/*"], Cursor(self.end.epoch, 0), 9, 99, None, self.now)
        self.assertEqual((positionsOf(page.messages), dict(page.gaps)), ([1], {}))
        self.assertLessEqual(self.rows, 10)

    def test_pagesLookAtFewRows(self) -> None:
        """
        A page of a wide pattern looks at a bounded number of rows beside its
        messages, and goes on from there: one that matches next to nothing ends
        before it has a message.
        """
        most = EXAMINED + FEW + 76
        self.assertLessEqual(most, 1500)
        for names, count in ((["**"], 3002), (["c/*", "b/x/z"], 3001), (["*/x/*", "*/1"], 3)):
            found, pages, more = 0, 0, True
            after = Cursor(self.end.epoch, self.end.position - 3003)
            while more:
                self.rows = 0
                page = self.reader.read(names, after, 200, 10**6, None, self.now)
                self.assertLessEqual(self.rows - len(page.messages), most, str(names))
                found, pages = found + len(page.messages), pages + 1
                after, more = page.reached, page.more
            self.assertEqual(found, count)
            self.assertGreater(pages, 2)

    def test_wideStartsLookAtFewRows(self) -> None:
        """
        To resolve a pattern that is as wide as can be looks at a few rows.
        """
        for startPosition in (Earliest(), Unreadable(), At(Cursor(self.end.epoch, 5))):
            self.rows = 0
            self.resolve("**", startPosition)
            self.assertLessEqual(self.rows, 20)
