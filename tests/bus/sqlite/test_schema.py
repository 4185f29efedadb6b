"""
Tests for L{comet.bus.sqlite.schema}.
"""

from __future__ import annotations

import math
import sqlite3

from comet.bus.idempotency import (
    CHANNEL_OVERHEAD,
    KEY_OVERHEAD,
    KeyBudget,
    keySize,
    packPositions,
    scopeDigest,
)
from comet.bus.sqlite.idempotency import KeyTable
from comet.bus.sqlite.rows import CHANNEL_OVERHEAD as ROW_OVERHEAD
from comet.bus.sqlite.rows import LogRow
from comet.bus.sqlite.schema import APPLICATION_ID, UPGRADES, WrongDatabase, upgrade
from comet.model.messages import MESSAGE_OVERHEAD, Published
from tests.bus.sqlite.case import StoreTestCase, publication

# A possible version after the present one.
LATER = (
    *UPGRADES,
    ("ALTER TABLE channels ADD COLUMN colour TEXT", "UPDATE channels SET colour = 'red'"),
    ("DROP INDEX keysByPublisher",),
)


class UpgradeTests(StoreTestCase):
    """
    L{upgrade}.
    """

    def setUp(self) -> None:
        """
        Make a database of the present version, with messages in it.
        """
        super().setUp()
        store = self.openStore()
        self.put(store, "a b a")
        store.close()
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(self.connection.close)

    def get(self, question: str) -> object:
        """
        Return one value of the database.
        """
        return self.connection.execute(question).fetchone()[0]

    def test_makesTables(self) -> None:
        """
        An empty database becomes one of comet, of the newest version.
        """
        connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(connection.close)
        upgrade(connection)
        [version] = connection.execute("PRAGMA user_version").fetchone()
        [application] = connection.execute("PRAGMA application_id").fetchone()
        self.assertEqual((version, application), (len(UPGRADES), APPLICATION_ID))

    def test_keepsNewestVersion(self) -> None:
        """
        A database of the newest version is not changed.
        """
        upgrade(self.connection)
        self.assertEqual(self.get("PRAGMA user_version"), len(UPGRADES))
        self.assertEqual(self.get("SELECT count(*) FROM messages"), 3)

    def test_upgradesOlderVersion(self) -> None:
        """
        A database of an older version gets all later changes, and keeps its
        messages.
        """
        upgrade(self.connection, LATER)
        self.assertEqual(self.get("PRAGMA user_version"), len(LATER))
        self.assertEqual(self.get("SELECT count(*) FROM messages"), 3)
        self.assertEqual(self.get("SELECT group_concat(colour) FROM channels"), "red,red")

    def test_countsReserved(self) -> None:
        """
        A database of an earlier version counts what the server's own channels hold.
        """
        connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(connection.close)
        upgrade(connection, UPGRADES[:6])
        connection.execute(
            "INSERT INTO log (epoch, life, head, floor, size, channels, keyBytes, probes) "
            "VALUES ('e', 'l', 3, 0, 0, 2, 0, 0)"
        )
        for number, name, held in ((1, "$events", 1), (2, "a/$é", 1), (3, "$b", 0), (4, "a$", 1)):
            connection.execute(
                "INSERT INTO channels VALUES (?, ?, 1, 0, 1, 5.0, ?, 1, 5.0)", (number, name, held)
            )
            if held:
                connection.execute(
                    "INSERT INTO messages VALUES (?, ?, 1.0, 'join', NULL, ?)",
                    (number, number, b"12345"),
                )
        upgrade(connection)
        [reserved] = connection.execute("SELECT reserved FROM log").fetchone()
        channels = 2 * ROW_OVERHEAD + len("$events") + len("a/$é".encode())
        messages = 2 * (MESSAGE_OVERHEAD + len("12345") + 4 * len("join"))
        self.assertEqual(reserved, channels + messages)

    def test_upgradesFirstVersion(self) -> None:
        """
        A database of the first version, which knew until when to keep a channel
        without messages, keeps its channels.  Those without messages are
        counted, and are never due.
        """
        connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(connection.close)
        upgrade(connection, UPGRADES[:1])
        connection.execute("INSERT INTO log VALUES (1, 'e', 'l', 3, 0, 0, 2, 0, 0)")
        connection.execute("INSERT INTO channels VALUES (7, 'a', 3, 2, 3, 5.0, 1, 1, 5.0, 65.0)")
        connection.execute("INSERT INTO channels VALUES (8, 'b', 1, 1, 1, 4.0, 0, 0, 4.0, 99.0)")
        upgrade(connection)
        self.assertEqual(connection.execute("SELECT empty FROM log").fetchone(), (1,))
        self.assertEqual(
            connection.execute("SELECT * FROM channels").fetchall(),
            [(7, "a", 3, 2, 3, 5.0, 1, 1, 65.0), (8, "b", 1, 1, 1, 4.0, 0, 0, math.inf)],
        )

    def test_upgradesKeys(self) -> None:
        """
        The keys of a database without budgets are still known, and are counted.
        Those that come first are the first to be forgotten.
        """
        known = publication("a b", key="k")
        assert known.keyScope is not None
        fingerprint = known.fingerprint()
        connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(connection.close)
        upgrade(connection, UPGRADES[:3])
        connection.execute("INSERT INTO log VALUES (1, 'e', 'l', 3, 0, 0, 0, 2, 0, 0)")
        packed = packPositions(Published("e", {"a": 2, "b": 1}))
        for scope, until in ((scopeDigest(known.keyScope), 99.0), (b"other", 98.0)):
            row = (scope, fingerprint, packed, until)
            connection.execute("INSERT INTO keys VALUES (?, ?, ?, ?)", row)
        upgrade(connection)
        log = LogRow(connection)
        self.assertEqual(log.keyBytes, 2 * (KEY_OVERHEAD + 2 * CHANNEL_OVERHEAD))
        keys = KeyTable(connection, log, 98.0, KeyBudget(log.keyBytes, log.keyBytes))
        [answer] = keys.storeBatch([known], lambda _: self.fail("it was stored"))
        self.assertEqual(answer, Published("e", {"a": 2, "b": 1}))
        new = publication("a", key="l")
        keys.storeBatch([new], lambda _: Published("e", {"a": 4}))
        self.assertEqual(log.keyBytes, KEY_OVERHEAD + 2 * CHANNEL_OVERHEAD + keySize(new))
        [answer] = keys.storeBatch([known], lambda _: self.fail("it was stored"))

    def test_eachVersionIsTransaction(self) -> None:
        """
        Each version is a transaction.  When one fails, the database is of the
        version before it, and the next attempt goes on from there.
        """
        broken = (*LATER[:-1], ("DROP TABLE keys", "DROP TABLE nonsense"))
        self.assertRaises(sqlite3.OperationalError, upgrade, self.connection, broken)
        self.assertEqual(self.get("PRAGMA user_version"), len(LATER) - 1)
        self.assertEqual(self.get("SELECT count(*) FROM keys"), 0)
        self.assertFalse(self.connection.in_transaction)
        upgrade(self.connection, LATER)
        self.assertEqual(self.get("PRAGMA user_version"), len(LATER))

    def test_refusesNewerVersion(self) -> None:
        """
        A database of a newer version is refused.
        """
        upgrade(self.connection, LATER)
        error = self.assertRaises(WrongDatabase, upgrade, self.connection)
        self.assertIn(f"version {len(LATER)}", error.what)
        self.assertEqual(self.get("PRAGMA user_version"), len(LATER))
