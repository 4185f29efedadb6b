"""
How much memory a value takes that is kept for requests to come.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from gc import get_referents
from sys import getsizeof, maxsize
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Final

# What values refer to but do not keep alive: classes, code, and constants.
_SHARED: Final = (type, FunctionType, BuiltinFunctionType, ModuleType, Enum, bool, type(None))

# What refers to nothing.
_PLAIN: Final = frozenset({str, bytes, int, float})

# The values that Python has once: empty ones, small numbers, single characters and
# bytes.
_BYTES: Final = bytes(range(256))
_CHARACTERS: Final = (*map(chr, _BYTES), *(_BYTES[each : each + 1] for each in _BYTES))
_ONCE: Final = frozenset(map(id, ((), "", b"", frozenset(), *range(-5, 257), *_CHARACTERS)))


def footprint(value: object, apart: Sequence[object] = (), most: int = maxsize) -> int:
    """
    Count the bytes of a value and of all that it refers to, each once.

    @param apart: What is not counted although the value refers to it: objects
        that others keep, too.

    @param most: With how many bytes to stop.  The result is greater then, and
        not exact.
    """
    seen = set(map(id, apart))
    total = 0
    left = [value]
    while left and total <= most:
        each = left.pop()
        number, kind = id(each), type(each)
        if number in seen or number in _ONCE:
            continue
        seen.add(number)
        if kind in _PLAIN:
            total += getsizeof(each)
        elif not issubclass(kind, _SHARED):
            total += getsizeof(each)
            left.extend(get_referents(each))
    return total
