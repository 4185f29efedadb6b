"""
State that is kept in memory, beside the log.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable

from comet.bus.outcomes import stateFull
from comet.model.state import StateEntry, checkKey


class StateTables:
    """
    Values by their keys, in tables.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """
        @param now: Returns the time, in seconds since 1970.
        """
        self._now = now
        self._tables: dict[str, dict[str, StateEntry]] = {}
        # The keys of each table, sorted.
        self._keys: dict[str, list[str]] = {}

    def admit(self, table: str, key: str, most: int) -> None:
        """
        Check that an entry may be put into a table.

        @param most: How many there may be with it.

        @raise TooMany: If the table is full.
        """
        checkKey(key)
        held = self._tables.get(table, {})
        if len(held) >= most and key not in held:
            self._forgetOld(table)
            if len(held) >= most:
                raise stateFull(table, most)

    def put(self, table: str, entry: StateEntry) -> None:
        """
        Put an entry into a table, in place of that with the same key.
        """
        held = self._tables.setdefault(table, {})
        if entry.key not in held:
            insort(self._keys.setdefault(table, []), entry.key)
        held[entry.key] = entry

    def drop(self, table: str, key: str) -> bool:
        """
        Take an entry out of a table.

        @return: Whether it was in force.
        """
        held = self._tables.get(table, {})
        entry = held.pop(key, None)
        if entry is None:
            return False
        keys = self._keys[table]
        del keys[bisect_left(keys, key)]
        return not entry.isOver(self._now())

    def page(self, table: str, after: str, limit: int) -> tuple[tuple[StateEntry, ...], str | None]:
        """
        Return some entries in the order of their keys, and after which to read on.
        """
        held, keys, now = self._tables.get(table, {}), self._keys.get(table, []), self._now()
        start = bisect_right(keys, after)
        some = keys[start : start + limit]
        rest = some[-1] if start + limit < len(keys) else None
        found = [held[key] for key in some]
        return tuple(each for each in found if not each.isOver(now)), rest

    def _forgetOld(self, table: str) -> None:
        now = self._now()
        held = self._tables[table]
        for key in [key for key, entry in held.items() if entry.isOver(now)]:
            del held[key]
        self._keys[table] = sorted(held)
