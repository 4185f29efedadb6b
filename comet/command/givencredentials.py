"""
The key or the token that a command is given: on the command line as the path of a file, or
in the environment.  A word of the command line would be seen by all users of the machine.
"""

from __future__ import annotations

import os
from typing import Final

import click

from comet.access.keys import KEY, readKeys
from comet.command.console import Failed, standardInput

KEY_VARIABLE: Final = "COMET_KEY"
TOKEN_VARIABLE: Final = "COMET_TOKEN"

# How many bytes are read of a token: enough to see that it is too long.
_MOST: Final = 32768


def readToken(path: str) -> str:
    """
    Read a token from a file, or from the standard input if the path is a hyphen.

    @raise Failed: If it cannot be read, or is none.
    """
    try:
        if path == "-":
            content = standardInput().buffer.read(_MOST)
        else:
            with open(path, "rb") as file:
                content = file.read(_MOST)
    except OSError as error:
        raise Failed(f"the token {path!r} cannot be read: {error.strerror}") from None
    return checkToken(content.decode("latin-1").strip())


def checkToken(text: str) -> str:
    """
    Check that a text can be a token: printable ASCII characters without spaces.

    @raise Failed: If it cannot.
    """
    if KEY.fullmatch(text) is None:
        raise Failed("a token is printable ASCII characters without spaces, one line")
    return text


def readKey(path: str) -> str:
    """
    Read the first key of a file of the server's.

    @raise Failed: If it cannot be read, or holds none.
    """
    try:
        return readKeys(path, "key")[0]
    except OSError as error:
        raise Failed(f"the key {path!r} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise Failed(str(error)) from None


def givenToken(argument: str | None, path: str | None) -> str:
    """
    Get the token of a command that is about one: the argument, else the file, else
    C{COMET_TOKEN}, else the standard input.

    @raise Failed: If it cannot be read, or is none.
    """
    if argument is not None and argument != "-":
        return checkToken(argument)
    if argument is None and path is not None:
        return readToken(path)
    variable = os.environ.get(TOKEN_VARIABLE)
    if argument is None and variable:
        return checkToken(variable.strip())
    if argument is None and standardInput().isatty():
        raise click.UsageError(
            f"Missing a token: an argument, --token-file, or the variable {TOKEN_VARIABLE}."
        )
    return readToken("-")
