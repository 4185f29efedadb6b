"""
On which line of a TOML file a key is.

Python's reader of TOML does not tell that.  But the first lines of a file are TOML, too,
up to the end of any statement; so the statement of a key is the first with which it is in
what was read.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def lineOfKey(text: str, key: Sequence[str]) -> int | None:
    """
    Find the first line of the statement with which a key is set.

    @param text: A whole file, which is TOML.

    @param key: The keys that lead to it.

    @return: The number of the line, from 1; L{None} if the file does not have the key.
    """
    lines = text.split("\n")
    if not key or not _has(tomllib.loads(text), key):
        return None
    numbers = range(1, len(lines) + 1)
    return 1 + bisect_left(numbers, True, key=lambda number: _hasBy(lines, number, key))


def _hasBy(lines: Sequence[str], number: int, key: Sequence[str]) -> bool:
    """
    Tell whether a key is in the first lines of a file, or in the rest of the statement
    that the last of them begins.
    """
    for end in range(number, len(lines)):
        try:
            return _has(tomllib.loads("\n".join([*lines[:end], ""])), key)
        except tomllib.TOMLDecodeError:
            # A value of several lines goes on.
            continue
    return True


def _has(table: Any, key: Sequence[str]) -> bool:
    for each in key:
        if not isinstance(table, dict) or each not in table:
            return False
        table = table[each]
    return True
