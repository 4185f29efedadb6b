"""
The whole of the command C{comet}.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from comet.command.benchcommand import benchCommand
from comet.command.checkcommand import checkCommand
from comet.command.codes import DONE, FAILED, INTERRUPTED
from comet.command.completion import NAME, completionCommand
from comet.command.console import Failed, hasColours, show
from comet.command.presencecommand import presenceCommand
from comet.command.publishcommand import publishCommand
from comet.command.tailcommand import tailCommand
from comet.command.tokencommands import tokenGroup
from comet.command.topcommand import topCommand


def _showVersion(context: click.Context, _: object, isAsked: bool) -> None:
    if isAsked:
        # No part imports the top of the package, which would load parts above it.
        show(f"{NAME} {import_module('comet').__version__}")
        context.exit()


@click.group(NAME, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    *("--version", "isVersion"),
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_showVersion,
    help="Print the version.",
)
@click.pass_context
def program(context: click.Context) -> None:
    """
    Work with comet, the push server that 'twistd comet' runs.

    Exit codes: 0 done, 1 failed, 2 wrong words, 3 refused.
    """
    context.color = hasColours()


_COMMANDS: Final = (
    *(tailCommand, publishCommand, presenceCommand, topCommand, benchCommand),
    *(tokenGroup, checkCommand, completionCommand),
)
for each in _COMMANDS:
    program.add_command(each)


def _forgetOutput() -> None:
    """
    Drop what could not be written: Python would try it once more, and end with a code of its own.
    """
    sys.stdout = open(os.devnull, "w", encoding="utf-8")


def run(words: Sequence[str] | None = None) -> int:
    """
    Run the command.

    @param words: The words of the command line after the first, or L{None} for those of
        this process.

    @return: The exit code.

    @raise SystemExit: If the result cannot be written, as to a pipe that no program reads
        any more.
    """
    try:
        result: Any = program.main(
            None if words is None else list(words), NAME, standalone_mode=False
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except OSError as error:
        # What else cannot be read or written is told where that is known.
        Failed(f"the standard input or output cannot be used: {error.strerror}").show()
        _forgetOutput()
        return FAILED
    return DONE if result is None else int(result)
