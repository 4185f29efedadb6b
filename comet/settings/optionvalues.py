"""
What the values of options may be: each function reads one kind of value, or makes what reads
it.  A value is a text from the command line or the environment, or any value of TOML.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from comet.errors import BadChannel
from comet.http.forwarded import UNIX, readNetwork
from comet.model.channels import isReserved, parseName

_DIGITS: Final = re.compile("[0-9]{1,20}")


_FUNCTION: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


_NUMBER: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{0,20})?([eE][0-9]{1,3})?")


def whole(least: int, most: int) -> Callable[[Any], int]:
    """
    Make a function that reads whole numbers within bounds.
    """

    def read(value: Any) -> int:
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            value = int(value)
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most} is")
        return value

    return read


def number(least: float, most: float, unit: str = "") -> Callable[[Any], float]:
    """
    Make a function that reads numbers within bounds.

    @param unit: What they are numbers of.
    """

    def read(value: Any) -> float:
        given: float | None = None
        if type(value) in (int, float):
            given = value
        elif isinstance(value, str) and _NUMBER.fullmatch(value):
            given = float(value)
        # TOML has nan, which is not within any bounds.
        if given is None or not least <= given <= most:
            raise ValueError(f"a number{unit} from {least:g} to {most:g} is")
        return float(given)

    return read


def seconds(least: float, most: float) -> Callable[[Any], float]:
    """
    Make a function that reads numbers of seconds within bounds.
    """
    return number(least, most, " of seconds")


def proxy(value: Any) -> str:
    """
    Read the address of a proxy, a network, or C{unix}.
    """
    if text(value) != UNIX:
        try:
            readNetwork(value)
        except ValueError:
            raise ValueError(
                "an IP address such as 10.0.0.7, a network such as 10.0.0.0/8, and 'unix' are"
            ) from None
    return str(value)


def text(value: Any) -> str:
    """
    Read a non-empty text.
    """
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty is")
    return value


def flag(value: Any) -> bool:
    """
    Read a flag, which is true or false.
    """
    if not isinstance(value, bool):
        raise ValueError("true and false are")
    return value


def onlyTrue(value: Any) -> bool:
    """
    Read a flag that opens what is closed without it: another table cannot close it again.
    """
    if value is not True:
        raise ValueError("true is")
    return True


def name(value: Any) -> str:
    """
    Read the name of a channel, or a pattern.
    """
    try:
        return parseName(text(value))
    except BadChannel as error:
        raise ValueError(f"a channel or a pattern such as 'chat/*' is: {error.detail}") from None


def presenceName(value: Any) -> str:
    """
    Read a channel or pattern of which presence is kept.
    """
    parsed = name(value)
    if isReserved(parsed):
        raise ValueError("the server's own channels have no presence")
    return parsed


def oneOf(*words: str) -> Callable[[Any], str]:
    """
    Make a function that reads one of these words.
    """

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"{' and '.join(map(repr, words))} are")
        return str(value)

    return read


def function(value: Any) -> str:
    """
    Read the name of a function: of its module, a colon, and its own.
    """
    if _FUNCTION.fullmatch(text(value)) is None:
        raise ValueError("a module and a function such as 'myapp.push:extend' are")
    return str(value)


def optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """
    Make a function that reads values that may also be L{None}.
    """
    return lambda value: None if value is None else read(value)
