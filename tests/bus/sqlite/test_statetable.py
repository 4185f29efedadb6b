"""
Tests of L{comet.bus.sqlite.statetable}: what survives a restart and a fault, and what another
program has written.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from typing import Any

from comet.bus.sqlite.store import Store
from comet.bus.sqlite.transaction import Transaction
from comet.errors import TooMany, Unavailable
from comet.model.state import StatePage
from tests.bus.sqlite.case import StoreTestCase, publication
from tests.bus.sqlite.faulty import Faults

IO_ERROR = "disk I/O error"


class StateTests(StoreTestCase):
    """
    L{Store.alter} and L{LogReader.keeping}.
    """

    def keep(self, store: Store, key: str, payload: bytes = b"1", most: int = 9) -> None:
        """
        Put something under a key.
        """
        change = publication("$t", payload)
        store.alter(lambda each: each.putState(change, key, None, most), self.now)

    def drop(self, key: str, transaction: Transaction) -> bool:
        """
        Drop what is under a key.
        """
        return transaction.dropState(publication("$t", b"1"), key)

    def page(self) -> StatePage:
        """
        Read the table.
        """
        page = next(self.openReader().keeping("$t", "", 9, self.now))
        assert page is not None
        return page

    def test_restart(self) -> None:
        """
        It survives a restart.
        """
        store = self.openStore()
        self.keep(store, "k", b'"x"')
        before = self.page()
        store.close()
        self.openStore()
        self.assertEqual(self.page(), before)
        self.assertEqual([each.key for each in before.entries], ["k"])

    def test_fails(self) -> None:
        """
        If the disk fails, neither the change nor its message is stored.
        """
        faults = Faults()
        store = self.openStore(connect=faults.connect)
        self.keep(store, "k")
        faults.before["COMMIT"] = IO_ERROR
        self.assertRaises(Unavailable, self.keep, store, "other")
        faults.clear()
        page = self.page()
        self.assertEqual(([each.key for each in page.entries], page.cursor.position), (["k"], 1))
        self.assertRaises(TooMany, self.keep, store, "other", most=1)
        self.keep(store, "other")
        self.assertEqual(self.page().cursor.position, 2)

    def test_foreign(self) -> None:
        """
        An entry that comet cannot have written is told of by its key, whatever it has
        become, and can be dropped.
        """
        store = self.openStore()
        for key in "abc":
            self.keep(store, key)
        values: list[tuple[str, Any]] = [
            ("payload", "text"),
            ("payload", 7),
            ("time", b"x"),
            ("time", float("inf")),
            ("seconds", b"x"),
            ("key", b"\xff"),
            ("key", "b" * 999),
        ]
        for field, value in values:
            with closing(sqlite3.connect(self.path)) as connection:
                connection.execute("BEGIN")
                connection.execute(f"UPDATE state SET {field} = ? WHERE key = 'b'", (value,))
                connection.execute("COMMIT")
            page = self.page()
            self.assertEqual([each.key for each in page.entries], ["a", "c"], (field, value))
            shown = {b"\xff": "\\xff", "b" * 999: "b" * 128}.get(value, "b")
            self.assertEqual(page.unreadable, (shown,), (field, value))
            if field != "key":
                dropped = store.alter(partial(self.drop, "b"), self.now)
                self.assertIs(dropped.result, True, (field, value))
            with closing(sqlite3.connect(self.path)) as connection, connection:
                connection.execute("DELETE FROM state WHERE key NOT IN ('a', 'c')")
            self.keep(store, "b")
