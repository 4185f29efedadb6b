"""
The tables, and how those of older versions become those of now.

A log is one row of C{log}: its epoch, the position of its newest message, its
own floor, and what is held in all.  C{channels} has a row for each channel that
is remembered, with or without messages; C{messages} has exactly what is held,
and C{keys} the idempotency keys.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

# "CoMt": tells a database of comet from any other.
APPLICATION_ID: Final = 0x436F4D74

FOREIGN: Final = ("the file is a database of something else than comet", "name another file")

# What makes of each version the next, beginning with an empty database.
UPGRADES: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE log (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            epoch TEXT NOT NULL,
            life TEXT NOT NULL,
            head INTEGER NOT NULL,
            floor INTEGER NOT NULL,
            size INTEGER NOT NULL,
            channels INTEGER NOT NULL,
            keys INTEGER NOT NULL,
            probes INTEGER NOT NULL
        )
        """,
        # "oldest" and "since" are the position and the time of the oldest
        # message that is held, "stored" is the time of the newest ever; at
        # "due" something may have to be dropped.
        """
        CREATE TABLE channels (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            head INTEGER NOT NULL,
            floor INTEGER NOT NULL,
            oldest INTEGER NOT NULL,
            since REAL NOT NULL,
            held INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            stored REAL NOT NULL,
            due REAL NOT NULL
        )
        """,
        "CREATE INDEX channelsByHead ON channels (head)",
        "CREATE INDEX channelsByDue ON channels (due)",
        """
        CREATE TABLE messages (
            position INTEGER PRIMARY KEY,
            channel INTEGER NOT NULL,
            time REAL NOT NULL,
            event TEXT,
            encoding TEXT,
            payload BLOB NOT NULL
        )
        """,
        # The position is in it, too: it is the table's own key.
        "CREATE INDEX messagesByChannel ON messages (channel)",
        """
        CREATE TABLE keys (
            scope BLOB PRIMARY KEY,
            fingerprint BLOB NOT NULL,
            positions BLOB NOT NULL,
            until REAL NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE INDEX keysByUntil ON keys (until)",
    ),
)


class WrongDatabase(Exception):
    """
    A database that must not be touched.

    @ivar what: What it is.

    @ivar advice: What a person can do.
    """

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice


def upgrade(connection: sqlite3.Connection, upgrades: Sequence[Sequence[str]] = UPGRADES) -> None:
    """
    Make the tables, or bring them to the newest version: each version in a
    transaction, so that a crash in between leaves one of them.

    @raise WrongDatabase: If it is of something else, or of a newer version.
    """
    [version] = connection.execute("PRAGMA user_version").fetchone()
    [application] = connection.execute("PRAGMA application_id").fetchone()
    [tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    isNew = not (version or application or tables)
    if not isNew and application != APPLICATION_ID:
        raise WrongDatabase(*FOREIGN)
    if version > len(upgrades):
        raise WrongDatabase(
            f"the file is of a newer comet (its tables are of version {version}, and this comet "
            f"knows those up to {len(upgrades)})",
            "start that one, or name another file",
        )
    for number, statements in enumerate(upgrades[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
