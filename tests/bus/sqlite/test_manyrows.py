"""
Tests for L{comet.bus.sqlite.manyrows}.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from itertools import islice
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import floats, integers, lists, tuples
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.sqlite.manyrows import (
    HeldRow,
    HeldSum,
    executeTogether,
    insertMessages,
    oldestMessages,
    sumOldest,
    walkMessages,
)
from comet.bus.sqlite.memberstore import MemberStore
from comet.bus.sqlite.rows import CHANNEL_OVERHEAD
from comet.bus.sqlite.schema import UPGRADES
from comet.bus.sqlite.transaction import FEW
from comet.model.log import Retention
from comet.model.messages import MESSAGE_OVERHEAD
from comet.model.presence import MOST_TOGETHER, Holding
from tests.bus.sqlite.case import Carefree, StoreTestCase, publication


class _Counting(sqlite3.Cursor):
    """
    A cursor that counts the steps of its statements.
    """

    steps = 0

    def execute(self, *given: Any) -> Any:
        """
        Count the first step.
        """
        _Counting.steps += 1
        return super().execute(*given)

    def executemany(self, statement: str, rows: Any) -> Any:
        """
        Count a step for each row.
        """
        counted = list(rows)
        _Counting.steps += len(counted)
        return super().executemany(statement, counted)

    def fetchone(self) -> Any:
        """
        Count a step.
        """
        _Counting.steps += 1
        return super().fetchone()

    def fetchall(self) -> list[Any]:
        """
        Count a step for each row.
        """
        rows = super().fetchall()
        _Counting.steps += len(rows)
        return rows

    def __next__(self) -> Any:
        _Counting.steps += 1
        return super().__next__()


class _Counted(Carefree):
    """
    A connection whose steps are counted.
    """

    def cursor(self, *given: Any) -> Any:
        """
        Make a cursor that counts.
        """
        return super().cursor(_Counting)


class StepTests(StoreTestCase):
    """
    How many times the thread that writes gives up the lock of the interpreter.
    """

    def steps(self, retention: Retention, totalBytes: int) -> list[int]:
        """
        Store batches of one and of a thousand messages, each of which drops as many.

        @return: How many steps each takes.
        """
        store = self.openStore(retention, totalBytes, partial(sqlite3.connect, factory=_Counted))
        self.publish(store, *[publication("a")] * 1100)
        counts = []
        for count in (1, 1000):
            _Counting.steps = 0
            self.publish(store, *[publication("a")] * count)
            counts.append(_Counting.steps)
        return counts

    def test_fewWithRetention(self) -> None:
        """
        They hardly grow with the messages that are stored, and that a channel drops.
        """
        one, thousand = self.steps(Retention(messages=1000), 10**9)
        self.assertLess(one, 20)
        self.assertLess(thousand - one, 30)

    def selects(self, retention: Retention) -> list[str]:
        """
        Have a channel with a thousand messages drop a hundred.

        @return: The statements that look at the messages of the channel.
        """
        store = self.openStore(retention, 10**9)
        self.publish(store, *[publication("a", b"x" * 100)] * 1000)
        asked: list[str] = []
        store._connection.set_trace_callback(asked.append)
        self.publish(store, *[publication("a", b"x" * 100)] * 100)
        store.close()
        return [each for each in asked if "length(payload)" in each]

    def test_fetchesWhatIsDropped(self) -> None:
        """
        A channel that has to drop many messages by their bytes has these fetched by one
        statement, and hardly more than these.
        """
        [fetched] = self.selects(Retention(messages=10**6, bytes=100_000))
        self.assertIn("LIMIT 101", fetched)

    def test_addsUpWhatIsDropped(self) -> None:
        """
        Of many messages that a channel has to drop by their number all but the last are
        added up by the database, and not fetched.
        """
        summed, fetched = self.selects(Retention(messages=1000))
        self.assertIn("LIMIT 99", summed)
        self.assertNotIn("group_concat", summed)
        self.assertIn("LIMIT 8", fetched)

    def test_dropsTheSameEitherWay(self) -> None:
        """
        Whether the messages that a channel drops are looked at one by one or added up, the
        newest stay, and all counts are right.
        """
        for count in (1, FEW, FEW + 1, FEW + 2, FEW + 3, 3 * FEW):
            store = self.openStore(Retention(messages=5), 10**9, path=f"{self.path}-{count}")
            self.publish(store, *[publication("a", b"x" * n) for n in range(5 + count)])
            self.publish(store, *[publication("a", b"y" * n) for n in range(count)])
            execute = store._connection.execute
            positions = [row[0] for row in execute("SELECT position FROM messages")]
            newest = 5 + 2 * count
            self.assertEqual(positions, [*range(newest - 4, newest + 1)])
            found = execute("SELECT floor, oldest, held, bytes FROM channels").fetchone()
            [size] = execute("SELECT sum(length(payload)) FROM messages").fetchone()
            self.assertEqual(found, (newest - 5, newest - 4, 5, size))
            [counted] = execute("SELECT size FROM log").fetchone()
            self.assertEqual(counted, size + 5 * MESSAGE_OVERHEAD + CHANNEL_OVERHEAD + len("a"))

    def test_fewWithTotal(self) -> None:
        """
        They hardly grow with the messages that the whole log drops.
        """
        one, thousand = self.steps(Retention(messages=10**6), 200_000)
        self.assertLess(one, 20)
        self.assertLess(thousand - one, 30)

    def test_fewWithMembers(self) -> None:
        """
        As many clients that join or leave at once as are taken together take hardly more
        than one, so that a publication does not wait long behind them.
        """
        store = self.openStore(Retention(), 10**9, partial(sqlite3.connect, factory=_Counted))
        members = MemberStore(store)
        counts = []
        for count, connections in ((1, 1), (1, 0), (MOST_TOGETHER, 1), (MOST_TOGETHER, 0)):
            holdings = [Holding("c", f"{n}", connections, b"1", True) for n in range(count)]
            _Counting.steps = 0
            members.set(holdings, 0.0)
            counts.append(_Counting.steps)
        for few, many in zip(counts[:2], counts[2:], strict=True):
            self.assertLess(few, 20)
            self.assertLessEqual(many - few, 1)

    def test_anyCount(self) -> None:
        """
        Rows of any number and width are inserted, each once and in order.
        """
        connection = sqlite3.connect(":memory:")
        self.addCleanup(connection.close)
        for width in (1, 7, 8, 15):
            columns = ", ".join(f"c{number}" for number in range(width))
            connection.execute(f"CREATE TABLE t{width} ({columns})")
            insert = f"INSERT INTO t{width} SELECT * FROM (VALUES {{places}}) "
            for count in (0, 1, 2, 5, 16, 17, 63, 65, 127, 128, 129, 300):
                rows = [(number, *[None] * (width - 1)) for number in range(count)]
                executeTogether(connection, f"{insert} WHERE column1 IS NOT NULL", rows)
                found = connection.execute(f"SELECT * FROM t{width} ORDER BY rowid").fetchall()
                self.assertEqual(found, rows)
                connection.execute(f"DELETE FROM t{width}")


def added(rows: list[HeldRow]) -> HeldSum | None:
    """
    Add up rows, as L{sumOldest} should.
    """
    if not rows:
        return None
    payloads, events = [row.payloadBytes for row in rows], [row.eventLength for row in rows]
    return HeldSum(len(rows), rows[-1].position, sum(payloads), sum(events))


class RowTests(SynchronousTestCase):
    """
    What is inserted, and what is found.
    """

    def setUp(self) -> None:
        """
        Make a database in memory.
        """
        self.connection = sqlite3.connect(":memory:")
        self.addCleanup(self.connection.close)
        for statements in UPGRADES:
            for statement in statements:
                self.connection.execute(statement)

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        lists(tuples(integers(1, 3), floats(0, 1e10), integers(0, 20)), max_size=100),
        integers(0, 120),
    )
    def test_oldest(self, given: list[tuple[int, float, int]], limit: int) -> None:
        """
        The rows are found as they were inserted, in order and with their times, up to the
        limit.
        """
        connection = self.connection
        connection.execute("DELETE FROM messages")
        rows = [
            HeldRow(position, channel, time, size, size // 2)
            for position, (channel, time, size) in enumerate(given, 1)
        ]
        insertMessages(
            connection,
            [
                (row.position, row.channel, row.time, ";" * row.eventLength, None, b" " * size)
                for row in rows
                for size in (row.payloadBytes,)
            ],
        )
        walked = [row for part in walkMessages(connection, False, -1) for row in part.rows]
        self.assertRows(walked, rows)
        ofOne = [row for row in rows if row.channel == 1]
        oldest = ofOne[:limit]
        self.assertRows(list(oldestMessages(connection, limit, 1)), oldest)
        self.assertEqual(sumOldest(connection, 1, limit), added(oldest))

    def assertRows(self, found: list[HeldRow], rows: list[HeldRow]) -> None:
        """
        Assert that rows are equal, and their times to the microsecond.
        """
        self.assertEqual(
            [each._replace(time=0.0) for each in found], [each._replace(time=0.0) for each in rows]
        )
        for one, other in zip(found, rows, strict=True):
            self.assertAlmostEqual(one.time, other.time, 5)

    def test_tamperedWith(self) -> None:
        """
        What comet cannot have written is counted, and takes the place of nothing else.
        """
        connection = self.connection
        insertMessages(
            connection,
            [
                (-3, "1 2;3", "now", b"7;7", None, "a b;c"),
                (0, 5, float("inf"), 12, None, 3.5),
                (7, 5, -1e300, None, None, b""),
            ],
        )
        found = [row for part in walkMessages(connection, False, -4) for row in part.rows]
        self.assertEqual(
            found,
            [
                HeldRow(-3, 1, 0.0, 5, 3),
                HeldRow(0, 5, float("inf"), 3, 2),
                HeldRow(7, 5, -1e300, 0, 0),
            ],
        )
        self.assertEqual(sumOldest(connection, 5, 9), added(found[1:]))

    def test_takesAsMuchAsIsAsked(self) -> None:
        """
        A caller that takes few rows does not have all of them fetched.
        """
        connection = self.connection
        insertMessages(connection, [(n, 1, 0.0, None, None, b"") for n in range(1, 5001)])
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        self.assertEqual(len(list(islice(oldestMessages(connection, 5000, 1), 3))), 3)
        self.assertEqual(len(asked), 1)
        self.assertIn("LIMIT 8", asked[0])
