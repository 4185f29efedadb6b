"""
Describe an option for the reference, from the program's own definition of it.
"""

from __future__ import annotations

import re

from comet.server.commandline import Options
from comet.settings.options import Option

# Where an option's help begins to say what L{facts} says.
_ELSEWHERE = re.compile(r"[.;] (?:Default: |[Mm]ay be given several times)")

# What L{facts} leaves out: every reader of the page expects it.
_ANYTHING = "a text that is not empty"


def allowed(option: Option) -> str:
    """
    The values that an option takes, as its own error message states them.

    @raise ValueError: If the option takes every value.
    """
    try:
        option.read(object())
    except ValueError as error:
        return str(error).removesuffix(" is").removesuffix(" are")
    raise ValueError(f"{option.name} takes anything")


def shown(option: Option) -> str:
    """
    The default value, as a user would write it.
    """
    value = option.default
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def described(option: Option) -> str:
    """
    The option's help text, without what L{facts} says.
    """
    text = " ".join(str(Options().docs[option.name]).split())
    text = _ELSEWHERE.split(text)[0].rstrip(".;")
    return text + "."


def facts(option: Option) -> str:
    """
    Sentences on the default, on the values allowed, and on repetition.
    """
    sentences = [f"Default: {shown(option)}."]
    if not option.isFlag and allowed(option) != _ANYTHING:
        sentences.append(f"Allowed: {allowed(option)}.")
    if option.isRepeatable:
        sentences.append("May be given several times.")
    return " ".join(sentences)
