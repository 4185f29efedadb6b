"""
Examine a configuration file as the server would read it: all of its mistakes, with their
lines, and what holds.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from comet.command.tomllines import lineOfKey
from comet.settings.configuration import (
    Configuration,
    ConfigurationError,
    readEnvironment,
    readFile,
    variableOf,
)
from comet.settings.options import BY_NAME

# Where the reader of TOML says that it stopped.
_LINE: Final = re.compile(r"\(at line (\d+), column \d+\)$")
_AT_END: Final = "(at end of document)"

DEFAULT: Final = "default"


@frozen
class Mistake:
    """
    A mistake.

    @ivar text: What is wrong, and what is allowed.

    @ivar key: The keys that lead to it; empty if it is in no place of the file.

    @ivar line: The line of the file, from 1; L{None} if it is not in the file.
    """

    text: str
    key: tuple[str, ...] = ()
    line: int | None = None


@frozen
class Examined:
    """
    What was found.

    @ivar mistakes: The mistakes, by their lines; those that are in none come first.

    @ivar configuration: What holds, if there is no mistake.

    @ivar origins: Where the value of each option is from, by its name: C{default}, a
        variable of the environment, or the number of a line.
    """

    mistakes: tuple[Mistake, ...]
    configuration: Configuration | None = None
    origins: Mapping[str, str | int] = field(factory=dict)


def examine(path: str, environment: Mapping[str, str]) -> Examined:
    """
    Examine a file.

    @param environment: The variables, which come before the file.
    """
    try:
        given = readEnvironment(environment)
        given.pop("config", None)
        file = readFile(path)
    except ConfigurationError as error:
        return Examined((Mistake(str(error), line=_lineOf(str(error), path)),))
    text = _read(path)
    errors, configuration = _allMistakes(given, file)
    if errors:
        mistakes = [
            # What the environment says comes before the file.
            Mistake(str(each), each.key, None if given.keys() & each.key else line)
            for each in errors
            for line in [lineOfKey(text, each.key)]
        ]
        return Examined(tuple(sorted(mistakes, key=lambda each: each.line or 0)))
    return Examined((), configuration, {name: _origin(name, given, text) for name in BY_NAME})


def _read(path: str) -> str:
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def _lineOf(reason: str, path: str) -> int | None:
    """
    Return the line of a mistake in the grammar of a file.

    @param reason: What the reader of TOML says.
    """
    if reason.endswith(_AT_END):
        return _read(path).rstrip().count("\n") + 1
    found = _LINE.search(reason)
    return None if found is None else int(found[1])


def _origin(name: str, given: Mapping[str, Any], text: str) -> str | int:
    if name in given:
        return variableOf(name)
    return lineOfKey(text, (name,)) or DEFAULT


def _allMistakes(
    given: Mapping[str, Any], file: Mapping[str, Any]
) -> tuple[list[ConfigurationError], Configuration | None]:
    """
    Find all mistakes: take each one out, and look for the next.

    @return: The mistakes; and what holds, if there is none.
    """
    # It loads the whole server, for which no other command should wait.
    from comet.server.checks import checkConfiguration

    options, rest = dict(given), copy.deepcopy(dict(file))
    mistakes: list[ConfigurationError] = []
    removed: set[str] = set()
    while True:
        try:
            configuration = Configuration(options, rest)
            checkConfiguration(configuration)
        except ConfigurationError as error:
            # It may not be one without the mistakes before it.
            if removed.isdisjoint(error.others):
                mistakes.append(error)
            if not _remove(error.key, options, rest):
                return mistakes, None
            removed.add(error.key[0])
        else:
            return mistakes, None if mistakes else configuration


def _remove(key: tuple[str, ...], given: dict[str, Any], file: dict[str, Any]) -> bool:
    """
    Take a value out.

    @return: Whether there was one.
    """
    if not key:
        return False
    if given.pop(key[0], None) is not None:
        return True
    table: Any = file
    for each in key[:-1]:
        table = table.get(each, {})
    return table.pop(key[-1], None) is not None
