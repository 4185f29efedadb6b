"""
What the command prints: results to the standard output, all else to the standard error.

Colours are for terminals: click leaves them out elsewhere, and C{NO_COLOR} turns them off.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import click

from comet.command.codes import FAILED, REFUSED


class Failed(click.ClickException):
    """
    The command has failed.  The text says why.
    """

    exit_code = FAILED

    def show(self, file: Any = None) -> None:
        """
        Print the reason.
        """
        say(self.format_message(), isMistake=True)


class Refused(Failed):
    """
    A server, or what judges in its place, has refused.
    """

    exit_code = REFUSED


def standardInput() -> TextIO:
    """
    Return the standard input.

    @raise Failed: If the process was begun without one.
    """
    found: TextIO | None = sys.stdin
    if found is None:
        raise Failed("the standard input is closed")
    return found


def hasColours() -> bool | None:
    """
    Tell whether there may be colours.

    @return: L{False} for never, L{None} where there is a terminal.
    """
    # https://no-color.org: any value but an empty one.
    return False if os.environ.get("NO_COLOR") else None


def say(text: str, isMistake: bool = False) -> None:
    """
    Print a message.

    @param isMistake: Whether it is in the colour of mistakes.
    """
    sayOf("comet:", text, isMistake)


def sayOf(place: str, text: str, isMistake: bool = False) -> None:
    """
    Print a message about something else than the command.

    @param place: What stands before it.
    """
    name = click.style(printable(place), fg="red" if isMistake else "cyan")
    click.echo(f"{name} {printable(text)}", err=True, color=hasColours())


def show(text: str) -> None:
    """
    Print a line of the result.  It is written at once, so that a program at the other end
    of a pipe has it.
    """
    click.echo(text, color=hasColours())


def showJSON(value: Any) -> None:
    """
    Print the result, or one of several, as one line of JSON.  What a terminal would obey is
    escaped, as JSON has it.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if not text.isprintable():
        # Only the text of strings can have what is not.
        text = "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)
    show(text)


def dim(text: str) -> str:
    """
    Return a text in a colour that stands back.
    """
    return click.style(text, dim=True)


def strong(text: str) -> str:
    """
    Return a text that stands out.
    """
    return click.style(text, bold=True)


def printable(text: str) -> str:
    """
    Escape what a terminal would obey, as text from elsewhere may have it: control
    characters, and those that change the direction of writing.
    """
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


@contextmanager
def progress(length: int, label: str) -> Iterator[Callable[[int], object]]:
    """
    Show how much of a long work is done, where the standard error is a terminal.

    @param length: How much there is to do; 0 if that is not known.

    @return: A function that is told of so much more.
    """
    if not (length and sys.stderr.isatty()):
        yield lambda more: None
        return
    bar = click.progressbar(length=length, label=label, file=sys.stderr, color=hasColours())
    with bar as shown:
        yield shown.update
