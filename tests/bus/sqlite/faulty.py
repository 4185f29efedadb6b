"""
Connections to a database that fail when a test says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from comet.bus.sqlite.lockfile import SUFFIX, Connect
from tests.bus.sqlite.case import Carefree, carefree


class Faults:
    """
    What is to go wrong, from now on.

    @ivar before: By how a statement begins: the error that it raises, without
        being executed.

    @ivar after: The same, but it is executed first.

    @ivar seen: Is called with each statement.
    """

    def __init__(self) -> None:
        self.before: dict[str, str] = {}
        self.after: dict[str, str] = {}
        self.seen: Callable[[str], None] = lambda statement: None

    def clear(self) -> None:
        """
        Nothing goes wrong any more.
        """
        self.before.clear()
        self.after.clear()

    @property
    def connect(self) -> Connect:
        """
        What opens such connections.
        """

        def connect(path: str, **options: Any) -> sqlite3.Connection:
            if path.endswith(SUFFIX):
                return carefree(path, **options)
            connection = sqlite3.connect(path, factory=Faulty, **options)
            connection.faults = self
            return connection

        return connect


class Faulty(Carefree):
    """
    A connection that fails.
    """

    faults: Faults

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """
        Fail, or execute a statement, or both.
        """
        self.faults.seen(statement)
        _raise(self.faults.before, statement)
        cursor = super().execute(statement, *values)
        _raise(self.faults.after, statement)
        return cursor


def _raise(faults: dict[str, str], statement: str) -> None:
    for startPosition, error in faults.items():
        if statement.startswith(startPosition):
            raise sqlite3.OperationalError(error)
