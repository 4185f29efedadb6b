"""
C{comet check}: is a configuration file right, and what holds with it?
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, Final

import click

from comet.command.codes import DONE, FAILED
from comet.command.console import dim, printable, say, sayOf, show, showJSON
from comet.command.examining import DEFAULT, Examined, Mistake, examine
from comet.command.tomlvalues import tomlValue
from comet.settings.configuration import Configuration
from comet.settings.options import OPTIONS

# What may be secret in a URL: a user with a password, which may have any character but
# the one with which the query begins, and the query.
_SECRETS: Final = re.compile(r"(?<=://)[^?]*@|\?.*")

_WITH_SECRETS: Final = frozenset({"bus", "hook", "token-jwks"})


@click.command("check", short_help="Check a configuration file.")
@click.argument("config", type=click.Path(), envvar="COMET_CONFIG")
@click.option("--json", "isJSON", is_flag=True, help="Print one line of JSON, for programs.")
def checkCommand(config: str, isJSON: bool) -> int:
    """
    Check a configuration file as the server would read it, with the variables of this
    environment and the key files that it names, relative to this directory.  Nothing is
    started, and no application is loaded.

    Prints every option with its value and where that is from, as TOML; or else all mistakes,
    each with its line and what is allowed, and exits with 1.
    """
    found = examine(config, os.environ)
    if isJSON:
        showJSON(_asJSON(found))
    elif found.configuration is None:
        for each in found.mistakes:
            _sayMistake(config, each)
    else:
        for line in _lines(config, found, found.configuration):
            show(line)
    return FAILED if found.mistakes else DONE


def _sayMistake(path: str, mistake: Mistake) -> None:
    if mistake.line is None:
        say(mistake.text, isMistake=True)
    else:
        # As compilers have it, so that editors find the place.
        sayOf(f"{path}:{mistake.line}:", mistake.text, isMistake=True)


def _lines(path: str, found: Examined, configuration: Configuration) -> Iterator[str]:
    """
    Yield what holds, as lines of TOML.
    """
    for option in OPTIONS:
        origin = found.origins[option.name]
        where = f"{printable(path)}:{origin}" if isinstance(origin, int) else origin
        value = _shown(option.name, configuration[option.name])
        if value is None:
            yield dim(f"# {option.name} is not set")
        else:
            text = f"{option.name} = {tomlValue(value)}"
            yield dim(f"{text}  # {where}") if origin == DEFAULT else f"{text}  {dim('# ' + where)}"
    for pattern, table in configuration.tables:
        yield ""
        yield f"[channels.{tomlValue(pattern)}]"
        for key, value in table.items():
            yield f"{key} = {tomlValue(value)}"


def _shown(name: str, value: Any) -> Any:
    """
    Return a value without what is secret in it.
    """
    if name not in _WITH_SECRETS or value is None:
        return value
    return _SECRETS.sub(lambda found: "...@" if found[0].endswith("@") else "?...", value)


def _asJSON(found: Examined) -> dict[str, Any]:
    configuration = found.configuration
    if configuration is None:
        mistakes = [
            {"line": each.line, "key": list(each.key), "message": each.text}
            for each in found.mistakes
        ]
        return {"valid": False, "mistakes": mistakes}
    options = {
        option.name: {
            "value": _shown(option.name, configuration[option.name]),
            "from": found.origins[option.name],
        }
        for option in OPTIONS
    }
    return {"valid": True, "options": options, "channels": dict(configuration.tables)}
