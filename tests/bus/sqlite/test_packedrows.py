"""
Tests of L{comet.bus.sqlite.packedrows}.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.sqlite.packedrows import (
    blob,
    bytesOf,
    integer,
    number,
    numberOf,
    packed,
    text,
    unpacked,
)

# What a column can have, whatever its type.
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
)


def pack(expression: str, values: Sequence[Any]) -> list[str]:
    """
    Pack an expression of rows that have these values in the column C{value}.
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE rows (value)")
        connection.executemany("INSERT INTO rows VALUES (?)", [(each,) for each in values])
        [found] = connection.execute(packed([integer("7"), expression], "FROM rows")).fetchone()
    rows = unpacked(found)
    assert all(first == "7" for first, _ in rows)
    return [each for _, each in rows]


class PackedRowTests(SynchronousTestCase):
    """
    Rows of one text.
    """

    @given(st.lists(VALUES))
    def test_any(self, values: list[Any]) -> None:
        """
        Whatever is in the rows, each is there, and each value is read as it is, or stands
        for none.
        """
        for value, each in zip(values, pack(number("value"), values), strict=True):
            read = numberOf(each)
            if not isinstance(value, int | float):
                self.assertIsNone(read)
            elif isinstance(value, int) or 1e-6 < abs(value) < 1e15:
                self.assertEqual(read, float(value))
            else:
                # SQLite writes the last digit of these not always as it is.
                self.assertTrue(math.isclose(read or 0, value, rel_tol=1e-14, abs_tol=1e-300))
        self.assertEqual(
            [bytesOf(each) for each in pack(blob("value", 5), values)],
            [each if isinstance(each, bytes) and len(each) <= 5 else None for each in values],
        )
        texts = [bytesOf(each) for each in pack(text("value"), values)]
        for value, found in zip(values, texts, strict=True):
            if value is None:
                self.assertIsNone(found)
            elif isinstance(value, str | bytes):
                whole = value if isinstance(value, bytes) else value.encode()
                self.assertEqual(found, whole)
        for each in pack(integer("value"), values):
            int(each)

    def test_nothing(self) -> None:
        """
        There may be no rows.
        """
        self.assertEqual(pack(number("value"), []), [])
