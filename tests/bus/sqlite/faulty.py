"""
Connections to a database that fail when a test says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from comet.bus.sqlite.lockfile import SUFFIX, Connect
from tests.bus.sqlite.case import Carefree


class Faults:
    """
    The faults of some connections, which a test may change at any time.

    @ivar before: Errors by the beginning of a statement.  Such a statement
        raises the error and is not executed.

    @ivar after: The same, but the statement is executed first.

    @ivar lockFile: The same as C{before}, for statements in the lock file.

    @ivar seen: Called with each statement.
    """

    def __init__(self) -> None:
        self.before: dict[str, str] = {}
        self.after: dict[str, str] = {}
        self.lockFile: dict[str, str] = {}
        self.seen: Callable[[str], None] = lambda statement: None

    def clear(self) -> None:
        """
        Remove all faults.
        """
        self.before.clear()
        self.after.clear()
        self.lockFile.clear()

    @property
    def connect(self) -> Connect:
        """
        Return a function that opens such connections.
        """

        def connect(path: str, **options: Any) -> sqlite3.Connection:
            if path.endswith(SUFFIX):
                guard = sqlite3.connect(path, factory=FaultyLockFile, **options)
                guard.faults = self.lockFile
                return guard
            connection = sqlite3.connect(path, factory=Faulty, **options)
            connection.faults = self
            return connection

        return connect


class Faulty(Carefree):
    """
    A connection with the faults of a test.
    """

    faults: Faults

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """
        Execute a statement, and raise the error that the test wants.
        """
        self.faults.seen(statement)
        _raise(self.faults.before, statement)
        cursor = super().execute(statement, *values)
        _raise(self.faults.after, statement)
        return cursor


class FaultyLockFile(Carefree):
    """
    A connection to a lock file, with the faults of a test.
    """

    faults: dict[str, str]

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """
        Execute a statement, unless the test wants an error.
        """
        _raise(self.faults, statement)
        return super().execute(statement, *values)


def _raise(faults: dict[str, str], statement: str) -> None:
    for startPosition, error in faults.items():
        if statement.startswith(startPosition):
            raise sqlite3.OperationalError(error)
