"""
Rows packed into one text, so that a reader fetches many of them by one step of a statement.

The module C{sqlite3} gives up the lock of the interpreter for each row that it fetches, and
waits for a busy reactor each time it takes it back: see L{comet.bus.sqlite.manyrows}.

SQLite writes each value so that L{unpacked} takes no part of it for a separator, whatever a
file that was tampered with has in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_BETWEEN: Final = " || ' ' || "


def packed(values: Sequence[str], rows: str) -> str:
    """
    Write a statement that answers one row of one text, or of C{NULL} if there are no rows.

    @param values: The values of each row: expressions that L{integer}, L{number}, L{text}
        and L{blob} make.

    @param rows: The rest of the statement, from C{FROM} on.
    """
    return f"SELECT group_concat({_BETWEEN.join(values)}, ';') {rows}"


def unpacked(found: str | None) -> list[list[str]]:
    """
    Read what such a statement has answered: the values of each row.  SQLite promises no
    order of these.
    """
    return [] if found is None else [row.split(" ") for row in found.split(";")]


def integer(expression: str) -> str:
    """
    Pack a whole number; what is none becomes one.
    """
    return f"ifnull(CAST({expression} AS INTEGER), 0)"


def number(expression: str) -> str:
    """
    Pack a number for L{numberOf}: a time in seconds, exactly; a number as large as no time
    is may differ in its last digit.
    """
    return (
        f"CASE WHEN typeof({expression}) IN ('real', 'integer') "
        f"THEN printf('%!.17g', {expression}) ELSE '-' END"
    )


def text(expression: str) -> str:
    """
    Pack a text for L{bytesOf}.
    """
    # Of NULL, hex() makes an empty text.
    return f"CASE WHEN {expression} IS NULL THEN '-' ELSE 'x' || hex({expression}) END"


def blob(expression: str, most: int) -> str:
    """
    Pack bytes for L{bytesOf}; what is none, or too long, becomes nothing.

    @param most: How many bytes there may be.
    """
    return (
        f"CASE WHEN typeof({expression}) = 'blob' AND length({expression}) <= {most} "
        f"THEN 'x' || hex({expression}) ELSE '-' END"
    )


def numberOf(packed: str) -> float | None:
    """
    Read a number; L{None} stands for what is none.
    """
    return None if packed == "-" else float(packed)


def bytesOf(packed: str) -> bytes | None:
    """
    Read a text or bytes; L{None} stands for what is none.
    """
    return None if packed == "-" else bytes.fromhex(packed[1:])
