"""
Strict JSON: only values that every program reads alike are accepted and written.

Python's decoder accepts more than JSON has (C{NaN}, C{1e400}, a lone
surrogate), and recurses for as many C{[} as a client sends.  Its encoder turns
other keys into strings, and infinity into text that is not JSON.  L{decode} and
L{encode} refuse each of these.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from json.encoder import encode_basestring
from typing import Any, Final, NoReturn

from comet.errors import BadMessage, BadRequest, TooLarge
from comet.framing.jsonoutline import countMembers, isDeeper

MAX_DEPTH: Final = 64
MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**64 - 1

# The longest allowed integers have this many characters.
_INTEGER_CHARACTERS: Final = 20

# The bytes that stand for themselves in a string, in every wire format.
_PLAIN: Final = bytes(set(range(0x20, 0x7F)) - set(b'"\\<'))

_QUOTE: Final = ord('"')

# RFC 8259 2: what may surround a value.
_WHITE_SPACE: Final = " \t\n\r"

# What numbers consist of: each digit as 0, the letter before an exponent as e.  A
# number with fewer digits in a row than the first, and an exponent of fewer than three
# digits, is finite, and not too large where it is an integer.
_MARKS: Final = bytes(
    ord("0") if byte in b"0123456789" else ord("e") if byte in b"eE" else byte
    for byte in range(256)
)
_MARKED_LONG: Final = b"0" * 19
_MARKED_EXPONENT: Final = b"0e000"
_MARKED_PLUS: Final = b"0e+000"

_SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def decode(raw: bytes, maxDepth: int) -> Any:
    """
    Decode a JSON text.

    @param raw: The text in UTF-8, without a byte order mark.

    @param maxDepth: How many levels of arrays and objects the text may have: a
        number has none, C{[]} has one, C{[{}]} two.

    @raise BadMessage: If the text is not JSON, has more levels, or has a number
        that is not finite, an integer outside -2**63 to 2**64-1, or a lone
        surrogate.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadMessage(
            f"{raw[:64]!r} is not JSON in UTF-8: {error.reason} at byte {error.start}"
        ) from None
    # RFC 8259 8.1: a writer must not add a byte order mark, and a reader need
    # not accept one.
    if text.startswith("\ufeff"):
        raise BadMessage(f"{raw[:64]!r} begins with a byte order mark, which is not allowed")
    if raw.count(b"[") + raw.count(b"{") > maxDepth:
        _checkDepth(raw, maxDepth)
    # Checking each number takes longer than all the rest, and hardly any text needs
    # it.
    marks = raw.translate(_MARKS)
    isPlain = not (_MARKED_LONG in marks or _MARKED_EXPONENT in marks or _MARKED_PLUS in marks)
    decoder = _PLAIN_DECODER if isPlain else _DECODER
    try:
        # Nearly every text begins with its value, and ends with it.
        start = 0 if text[:1] > " " else len(text) - len(text.lstrip(_WHITE_SPACE))
        value, end = decoder.raw_decode(text, start)
        if end < len(text):
            rest = text[end:].lstrip(_WHITE_SPACE)
            if rest:
                raise json.JSONDecodeError("Extra data", text, len(text) - len(rest))
    except json.JSONDecodeError as error:
        raise BadMessage(
            f"{text[:64]!r} is not JSON: {error.msg} at character {error.pos}"
        ) from None
    except RecursionError:
        raise _tooDeep(maxDepth) from None
    if _SURROGATE_ESCAPE.search(raw) is not None:
        _write(value, maxDepth)
    return value


def decodeUnique(raw: bytes, maxDepth: int) -> Any:
    """
    Decode a JSON text as L{decode} does, in which no object has a member twice: of two, one
    program takes the first, and another one the last (RFC 8259 4).  It takes twice as long.

    @raise BadMessage: As L{decode} does.

    @raise BadRequest: If an object has a member twice.
    """
    value = decode(raw, maxDepth)
    checkUnique(raw)
    return value


def checkUnique(raw: bytes) -> None:
    """
    Refuse a JSON text in which an object has a member twice.

    @param raw: A text that L{decode} has accepted.

    @raise BadRequest: If there is one.
    """
    _UNIQUE_DECODER.decode(raw.decode("utf-8"))


def checkMembers(raw: bytes, value: dict[str, Any]) -> None:
    """
    Refuse a JSON text whose outermost object has a member twice.  The objects within it are
    not looked at.

    @param raw: A text that L{decode} has accepted.

    @param value: What it has made of it.

    @raise BadRequest: If there is one.
    """
    # Every member has a colon.
    others = raw.count(b":") - len(value)
    if others and b"\\" not in raw:
        # Mostly the others are easily found: none of them is written as an escape.
        for item in value.values():
            if isinstance(item, dict):
                others -= len(item)
            elif isinstance(item, str):
                others -= item.count(":")
    if others and countMembers(raw) > len(value):
        checkUnique(raw)


def encode(
    value: Any, maxDepth: int = MAX_DEPTH, isDecoded: bool = False, most: int | None = None
) -> bytes:
    """
    Encode a value as JSON in UTF-8, without white space between tokens and with
    the keys in their order.

    The bytes are safe in every wire format: C{<}, U+2028 and U+2029 are written
    as escapes, and there is no line break.

    @param value: L{None}, a L{bool}, L{int}, L{float}, L{str}, L{list},
        L{tuple} or L{dict}, with such values in it.

    @param maxDepth: As in L{decode}.

    @param isDecoded: Whether L{decode} has made the value, or all that is in it, so
        that only its depth has to be checked.

    @param most: How many bytes a string may have in UTF-8, or the JSON of another value,
        or L{None} for as many as it has.  An escape of C{<}, U+2028 or U+2029 counts as the
        character, since the publisher did not choose it.

    @raise BadMessage: If L{decode} would not accept the value, a key is not a
        string, or JSON does not have the type.

    @raise TooLarge: If it has more bytes than C{most}.
    """
    isText = isinstance(value, str)
    if not (isDecoded or isText):
        _checkValue(value, maxDepth)
    if isText:
        return encodeText(value, most)
    written = _write(value, maxDepth)
    # Before each of its escapes is written.
    if most is not None and len(written) > most:
        raise _tooLarge(len(written), most)
    if isDecoded and written.count(b"[") + written.count(b"{") > maxDepth:
        _checkDepth(written, maxDepth)
    return _escape(written)


def encodeText(value: str, most: int | None = None) -> bytes:
    """
    Encode a string as L{encode} does.

    @raise BadMessage: If it has a lone surrogate.

    @raise TooLarge: If it has more bytes than C{most}.
    """
    try:
        raw = value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _halfPair(error) from None
    if most is not None and len(raw) > most:
        raise _tooLarge(len(raw), most)
    if not raw.translate(None, _PLAIN):
        return b'"%b"' % raw
    return _escape(encode_basestring(value).encode("utf-8"))


def encodeRawText(raw: bytes) -> bytes:
    """
    Encode a string, given in UTF-8, as L{encode} does.

    @raise UnicodeDecodeError: If it is not UTF-8.
    """
    if not raw.translate(None, _PLAIN):
        return b'"%b"' % raw
    return encodeText(raw.decode("utf-8"))


def isPlainText(raw: bytes) -> bool:
    """
    Tell whether a JSON text is a string of nothing but characters that stand for themselves
    in every wire format: L{decode} takes it, and L{encode} writes it just so.
    """
    return len(raw) > 1 and raw[0] == raw[-1] == _QUOTE and not raw[1:-1].translate(None, _PLAIN)


def _escape(written: bytes) -> bytes:
    # In JSON all three can only be within a string, where escapes are allowed.
    return (
        written.replace(b"<", b"\\u003c")
        .replace(b"\xe2\x80\xa8", b"\\u2028")
        .replace(b"\xe2\x80\xa9", b"\\u2029")
    )


def _write(value: Any, maxDepth: int) -> bytes:
    try:
        return _ENCODER.encode(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _halfPair(error) from None
    except RecursionError:
        raise _tooDeep(maxDepth) from None


def _halfPair(error: UnicodeEncodeError) -> BadMessage:
    return BadMessage(
        f"a string has {error.object[error.start]!r}, which is half of a surrogate pair"
    )


def _checkDepth(raw: bytes, maxDepth: int) -> None:
    """
    Refuse a text with too many levels, before the decoder recurses into it.  One with
    no more brackets than levels needs no check.
    """
    if isDeeper(raw, maxDepth):
        raise _tooDeep(maxDepth)


def _checkValue(value: Any, maxDepth: int) -> None:
    # Depth first, so that a value that contains itself, even many times, is
    # refused after C{maxDepth} steps.
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
        # A long integer is not shown, since formatting it would take long.
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise BadMessage(
                f"an integer of {value.bit_length()} bits is outside -2**63 to 2**64-1"
            )
    elif isinstance(value, float):
        if not math.isfinite(value):
            _refuseConstant(repr(value))
    elif value is not None:
        raise BadMessage(f"JSON does not have the type {type(value).__name__}")


def _parseInteger(text: str) -> int:
    value = int(text) if len(text) <= _INTEGER_CHARACTERS else MAX_INTEGER + 1
    if not MIN_INTEGER <= value <= MAX_INTEGER:
        raise BadMessage(f"the integer {text[:64]} is outside -2**63 to 2**64-1")
    return value


def _parseFloat(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _refuseConstant(text)
    return value


def _refuseConstant(text: str) -> NoReturn:
    raise BadMessage(f"{text[:64]} is not a finite number; only these are allowed")


def _tooDeep(maxDepth: int) -> BadMessage:
    return BadMessage(f"arrays and objects are nested more than {maxDepth} levels deep")


def _tooLarge(size: int, most: int) -> TooLarge:
    return TooLarge(f"the message has {size} bytes; at most {most} are allowed")


def _refuseRepeated(members: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in members:
        if name in seen:
            raise BadRequest(f"an object has the member {name[:64]!r} twice; once is allowed")
        seen.add(name)


_DECODER: Final = json.JSONDecoder(
    parse_int=_parseInteger, parse_float=_parseFloat, parse_constant=_refuseConstant
)
_PLAIN_DECODER: Final = json.JSONDecoder(parse_constant=_refuseConstant)
_UNIQUE_DECODER: Final = json.JSONDecoder(object_pairs_hook=_refuseRepeated)
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
)
