"""
Tests for L{comet.bus.sqlite.schema}.
"""

from __future__ import annotations

import sqlite3

from comet.bus.sqlite.schema import APPLICATION_ID, UPGRADES, WrongDatabase, upgrade
from tests.bus.sqlite.case import StoreTestCase

# What a version after that of now might be.
LATER = (
    *UPGRADES,
    ("ALTER TABLE channels ADD COLUMN colour TEXT", "UPDATE channels SET colour = 'red'"),
    ("DROP INDEX keysByUntil",),
)


class UpgradeTests(StoreTestCase):
    """
    L{upgrade}.
    """

    def setUp(self) -> None:
        """
        Make a database of the version of now, with messages in it.
        """
        super().setUp()
        store = self.openStore()
        self.put(store, "a b a")
        store.close()
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(self.connection.close)

    def get(self, question: str) -> object:
        """
        One value of the database.
        """
        return self.connection.execute(question).fetchone()[0]

    def test_new(self) -> None:
        """
        An empty database becomes one of comet, of the newest version.
        """
        connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(connection.close)
        upgrade(connection)
        [version] = connection.execute("PRAGMA user_version").fetchone()
        [application] = connection.execute("PRAGMA application_id").fetchone()
        self.assertEqual((version, application), (len(UPGRADES), APPLICATION_ID))

    def test_nothing(self) -> None:
        """
        One of the newest version stays as it is.
        """
        upgrade(self.connection)
        self.assertEqual(self.get("PRAGMA user_version"), len(UPGRADES))
        self.assertEqual(self.get("SELECT count(*) FROM messages"), 3)

    def test_older(self) -> None:
        """
        One of an older version gets all that came since, and keeps what it
        holds.
        """
        upgrade(self.connection, LATER)
        self.assertEqual(self.get("PRAGMA user_version"), len(LATER))
        self.assertEqual(self.get("SELECT count(*) FROM messages"), 3)
        self.assertEqual(self.get("SELECT group_concat(colour) FROM channels"), "red,red")

    def test_each(self) -> None:
        """
        Each version is a transaction: when one fails, the database is of the
        version before it, and the next try goes on from there.
        """
        broken = (*LATER[:2], ("DROP TABLE keys", "DROP TABLE nonsense"))
        self.assertRaises(sqlite3.OperationalError, upgrade, self.connection, broken)
        self.assertEqual(self.get("PRAGMA user_version"), 2)
        self.assertEqual(self.get("SELECT count(*) FROM keys"), 0)
        self.assertFalse(self.connection.in_transaction)
        upgrade(self.connection, LATER)
        self.assertEqual(self.get("PRAGMA user_version"), 3)

    def test_newer(self) -> None:
        """
        One of a newer version is refused.
        """
        upgrade(self.connection, LATER)
        error = self.assertRaises(WrongDatabase, upgrade, self.connection)
        self.assertIn("version 3", error.what)
        self.assertEqual(self.get("PRAGMA user_version"), 3)
