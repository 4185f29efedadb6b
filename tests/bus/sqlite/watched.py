"""
Notes how much of a database is looked at.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any


class Watched:
    """
    A database whose connections are watched.

    @ivar statements: The statements that were executed.

    @ivar rows: How many rows were fetched: each that is packed with others counts.

    @ivar looked: As C{rows}, which tests begin anew; this goes on.

    @ivar hundreds: How many hundreds of instructions SQLite has executed: also those that
        look at rows that no statement returns.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.statements: list[str] = []
        self.rows = self.looked = self.hundreds = 0

    def connect(self, path: str, **settings: Any) -> sqlite3.Connection:
        """
        Open the database, as C{sqlite3.connect} does.
        """
        connection: sqlite3.Connection = sqlite3.connect(path, **settings)
        connection.set_trace_callback(self.statements.append)
        connection.row_factory = self._count
        connection.set_progress_handler(self._countInstructions, 100)
        return connection

    def _count(self, cursor: sqlite3.Cursor, row: tuple[object, ...]) -> tuple[object, ...]:
        [packed] = row if len(row) == 1 else [None]
        count = packed.count(";") + 1 if isinstance(packed, str) else 1
        self.rows += count
        self.looked += count
        return row

    def _countInstructions(self) -> int:
        self.hundreds += 1
        return 0

    def plans(self) -> list[str]:
        """
        Return what SQLite does for the statements so far, each step with its
        statement.
        """
        found = []
        with closing(sqlite3.connect(self._path)) as connection:
            for statement in dict.fromkeys(self.statements):
                if statement.startswith("SELECT"):
                    rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
                    found += [f"{row[3]}: {statement}" for row in rows]
        return found
