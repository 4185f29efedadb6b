"""
JSON as it is accepted and as it is written: everything that is JSON for one
reader is the same JSON for every other.

Python's own reader takes more than there is (C{NaN}, C{1e400}, half of a
surrogate pair), and recurses for as long as somebody sends C{[}; its writer
turns keys into strings and infinity into what is not JSON.  Here each of these
is refused, on the way in and on the way out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Final, NoReturn

from comet.errors import BadMessage

MAX_DEPTH: Final = 64
MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**64 - 1

# The longest integers that are allowed have this many characters.
_INTEGER_CHARACTERS: Final = 20

# The closing quote is optional so that no text makes the search begin again:
# its cost is linear also where strings never end.
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}

_SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def decode(raw: bytes, maxDepth: int) -> Any:
    """
    Read a JSON text.

    @param raw: The text in UTF-8, without a byte order mark.

    @param maxDepth: How many levels of arrays and objects there may be: a
        number is none, C{[]} is one, C{[{}]} two.

    @raise BadMessage: If it is not JSON, or deeper, or holds a number that is
        not finite, an integer outside -2**63 to 2**64-1, or a lone surrogate.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadMessage(
            f"{raw[:64]!r} is not JSON in UTF-8: {error.reason} at byte {error.start}"
        ) from None
    # RFC 8259 8.1: no byte order mark is added, and a reader need not take it.
    if text.startswith("\ufeff"):
        raise BadMessage(f"{raw[:64]!r} begins with a byte order mark, which is not allowed")
    _checkDepth(raw, maxDepth)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadMessage(
            f"{text[:64]!r} is not JSON: {error.msg} at character {error.pos}"
        ) from None
    except RecursionError:
        raise _tooDeep(maxDepth) from None
    if _SURROGATE_ESCAPE.search(raw) is not None:
        _write(value, maxDepth)
    return value


def encode(value: Any, maxDepth: int = MAX_DEPTH) -> bytes:
    """
    Write a value as JSON in UTF-8, without a space between tokens, its keys in
    the order that they have, so that the bytes are safe in every wire shape:
    C{<}, U+2028 and U+2029 are written as escapes, and there is no line break.

    @param value: Anything of L{None}, L{bool}, L{int}, L{float}, L{str},
        L{list} or L{tuple}, and L{dict}.

    @param maxDepth: As in L{decode}.

    @raise BadMessage: If C{value} is what L{decode} would not accept, a key is
        not a string, or JSON has nothing of its type.
    """
    if not isinstance(value, str):
        _checkValue(value, maxDepth)
    written = _write(value, maxDepth)
    # In JSON all three can only be within a string, where an escape may be.
    return (
        written.replace(b"<", b"\\u003c")
        .replace(b"\xe2\x80\xa8", b"\\u2028")
        .replace(b"\xe2\x80\xa9", b"\\u2029")
    )


def _write(value: Any, maxDepth: int) -> bytes:
    try:
        return _ENCODER.encode(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadMessage(
            f"a string holds {error.object[error.start]!r}, which is half of a surrogate pair"
        ) from None
    except RecursionError:
        raise _tooDeep(maxDepth) from None


def _checkDepth(raw: bytes, maxDepth: int) -> None:
    """
    Find how deep a text is before anything recurses into it.  What is wrong
    with the text in another way may make the depth too small, but only behind
    the place where a reader stops.
    """
    if raw.count(b"[") + raw.count(b"{") <= maxDepth:
        return
    brackets = _STRING.sub(b"", raw).translate(None, _NOT_BRACKETS)
    if any(depth > maxDepth for depth in accumulate(map(_STEPS.__getitem__, brackets))):
        raise _tooDeep(maxDepth)


def _checkValue(value: Any, maxDepth: int) -> None:
    # Depth first: a value that holds itself is found out at once, however
    # often it does.
    levels = [iter((value,))]
    while levels:
        for item in levels[-1]:
            if isinstance(item, (list, tuple, dict)):
                if len(levels) > maxDepth:
                    raise _tooDeep(maxDepth)
                levels.append(iter(_valuesOf(item)))
                break
            if not isinstance(item, str):
                _checkScalar(item)
        else:
            levels.pop()


def _valuesOf(item: list[Any] | tuple[Any, ...] | dict[Any, Any]) -> Iterable[Any]:
    if not isinstance(item, dict):
        return item
    for key in item:
        if not isinstance(key, str):
            raise BadMessage(
                f"an object has a key that is a {type(key).__name__}; only strings are allowed"
            )
    return item.values()


def _checkScalar(value: object) -> None:
    if isinstance(value, int):
        # A long integer is not shown: to write it takes longer than to have it.
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise BadMessage(
                f"an integer of {value.bit_length()} bits is not within -2**63 to 2**64-1"
            )
    elif isinstance(value, float):
        if not math.isfinite(value):
            _refuseConstant(repr(value))
    elif value is not None:
        raise BadMessage(f"JSON has nothing for a {type(value).__name__}")


def _parseInteger(text: str) -> int:
    value = int(text) if len(text) <= _INTEGER_CHARACTERS else MAX_INTEGER + 1
    if not MIN_INTEGER <= value <= MAX_INTEGER:
        raise BadMessage(f"{text[:64]} is not within -2**63 to 2**64-1, as integers have to be")
    return value


def _parseFloat(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _refuseConstant(text)
    return value


def _refuseConstant(text: str) -> NoReturn:
    raise BadMessage(f"{text[:64]} is not a finite number, as numbers have to be")


def _tooDeep(maxDepth: int) -> BadMessage:
    return BadMessage(f"arrays and objects are within each other more than {maxDepth} levels deep")


_DECODER: Final = json.JSONDecoder(
    parse_int=_parseInteger, parse_float=_parseFloat, parse_constant=_refuseConstant
)
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
)
