"""
What the reference says of an option, from what the program itself knows of it.
"""

from __future__ import annotations

import re

from comet.configuration import Option
from comet.tap import Options

# What is said besides.
_ELSEWHERE = re.compile(r"[.;] (?:Default: |[Mm]ay be given several times)")

# What need not be said.
_ANYTHING = "a text that is not empty"


def allowed(option: Option) -> str:
    """
    What may be given, as the option itself says where something else is.
    """
    try:
        option.read(object())
    except ValueError as error:
        return str(error).removesuffix(" is").removesuffix(" are")
    raise ValueError(f"{option.name} takes anything")


def shown(option: Option) -> str:
    """
    The default, as it would be written.
    """
    value = option.default
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def described(option: Option) -> str:
    """
    What the option does, without what the table says beside it.
    """
    text = " ".join(str(Options().docs[option.name]).split())
    text = _ELSEWHERE.split(text)[0].rstrip(".;")
    return text + "."


def facts(option: Option) -> str:
    """
    The default, and what may be given.
    """
    sentences = [f"Default: {shown(option)}."]
    if not option.isFlag and allowed(option) != _ANYTHING:
        sentences.append(f"Allowed: {allowed(option)}.")
    if option.isRepeatable:
        sentences.append("May be given several times.")
    return " ".join(sentences)
