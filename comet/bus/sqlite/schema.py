"""
The tables of the database, and their upgrade from older versions.

The table C{log} has one row: the epoch, the position of the newest message
(C{head}), the bus's own floor, and the counts of what is held and of channels
without messages (C{empty}).  C{channels} has a row for each known channel, with
or without messages.  C{messages} has exactly
the messages that are held.  C{keys} has the idempotency keys, oldest first, and
C{publishers} how many bytes the keys of each publisher count for.  C{members} has who
is in which channel (see L{comet.bus.sqlite.memberrows}).  C{state} has what is kept beside
the log: the table of each entry is named by a channel.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

# "CoMt": marks a database of comet.
APPLICATION_ID: Final = 0x436F4D74

FOREIGN: Final = ("the file is a database of something else than comet", "name another file")

# Whether a row of C{channels} is of the server's own: see L{isReserved
# <comet.model.channels.isReserved>}.
IS_RESERVED: Final = "(substr(name, 1, 1) = '$' OR instr(name, '/$'))"

# Below all positions, also those of a file that was tampered with, except for one.
NONE_DROPPED: Final = -(2**63) + 1

# The statements that make each version from the one before, beginning with an
# empty database.
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
        # "oldest" and "since" are the position and time of the oldest message
        # that is held.  At "due", messages may have to be dropped.
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
        # SQLite adds the position to this index: it is the table's own key.
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
    # Channels without messages are kept for any time, and are never due.
    (
        "ALTER TABLE log ADD COLUMN empty INTEGER NOT NULL DEFAULT 0",
        "UPDATE log SET empty = (SELECT count(*) FROM channels WHERE held = 0)",
        """
        CREATE TABLE kept (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            head INTEGER NOT NULL,
            floor INTEGER NOT NULL,
            oldest INTEGER NOT NULL,
            since REAL NOT NULL,
            held INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            due REAL NOT NULL
        )
        """,
        """
        INSERT INTO kept SELECT id, name, head, floor, oldest, since, held, bytes,
            CASE WHEN held THEN due ELSE 9e999 END FROM channels
        """,
        "DROP TABLE channels",
        "ALTER TABLE kept RENAME TO channels",
        "CREATE INDEX channelsByHead ON channels (head)",
        "CREATE INDEX channelsByDue ON channels (due)",
        "CREATE INDEX channelsWithoutMessages ON channels (head) WHERE held = 0",
    ),
    # A pattern asks for the highest floor of its channels.
    ("CREATE INDEX channelsByFloor ON channels (floor)",),
    # Each publisher has a budget for its keys.  It is not known which publisher
    # the keys of an earlier version have: they are one of its own.
    (
        """
        CREATE TABLE newKeys (
            number INTEGER PRIMARY KEY,
            scope BLOB NOT NULL UNIQUE,
            publisher BLOB NOT NULL,
            size INTEGER NOT NULL,
            fingerprint BLOB NOT NULL,
            positions BLOB NOT NULL,
            until REAL NOT NULL
        )
        """,
        """
        INSERT INTO newKeys (scope, publisher, size, fingerprint, positions, until)
            SELECT scope, x'00', 400 + length(positions), fingerprint, positions, until
            FROM keys ORDER BY until
        """,
        "DROP TABLE keys",
        "ALTER TABLE newKeys RENAME TO keys",
        # SQLite adds the number to this index.
        "CREATE INDEX keysByPublisher ON keys (publisher)",
        "CREATE TABLE publishers (name BLOB PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID",
        "INSERT INTO publishers SELECT publisher, sum(size) FROM keys GROUP BY publisher",
        "CREATE INDEX publishersByBytes ON publishers (bytes DESC, name)",
        "ALTER TABLE log RENAME COLUMN keys TO keyBytes",
        "UPDATE log SET keyBytes = (SELECT ifnull(sum(bytes), 0) FROM publishers)",
    ),
    # Members of channels, in the order of their coming.
    (
        """
        CREATE TABLE members (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            channel TEXT NOT NULL,
            client TEXT NOT NULL,
            info BLOB,
            since REAL NOT NULL,
            grace REAL NOT NULL,
            UNIQUE (channel, client)
        )
        """,
    ),
    # "seconds" is for how long an entry is kept from "time" on, or null.
    (
        """
        CREATE TABLE state (
            channel TEXT NOT NULL,
            key TEXT NOT NULL,
            payload BLOB NOT NULL,
            time REAL NOT NULL,
            seconds REAL,
            PRIMARY KEY (channel, key)
        ) WITHOUT ROWID
        """,
    ),
    # The server's own channels lose messages apart from all others.  "reserved" is how
    # many bytes those with messages count for; and no message of either kind is held at
    # or before the position up to which it was dropped.
    (
        "ALTER TABLE log ADD COLUMN reserved INTEGER NOT NULL DEFAULT 0",
        f"ALTER TABLE log ADD COLUMN reservedDropped INTEGER NOT NULL DEFAULT {NONE_DROPPED}",
        f"ALTER TABLE log ADD COLUMN othersDropped INTEGER NOT NULL DEFAULT {NONE_DROPPED}",
        f"""
        UPDATE log SET reserved = (
            SELECT ifnull(sum(512 + length(CAST(name AS BLOB))), 0) FROM channels
            WHERE held > 0 AND {IS_RESERVED}
        ) + (
            SELECT ifnull(sum(208 + length(payload) + 4 * ifnull(length(event), 0)), 0)
            FROM messages WHERE channel IN (SELECT id FROM channels WHERE {IS_RESERVED})
        )
        """,
    ),
)


class WrongDatabase(Exception):
    """
    A database that comet must not touch.

    @ivar what: What is wrong with it.

    @ivar advice: What the operator can do.
    """

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice


def upgrade(connection: sqlite3.Connection, upgrades: Sequence[Sequence[str]] = UPGRADES) -> None:
    """
    Make the tables, or upgrade them to the newest version.  Each version is
    made in a transaction of its own, so that a crash leaves a complete version.

    @raise WrongDatabase: If the database is not comet's, or of a newer version.
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
