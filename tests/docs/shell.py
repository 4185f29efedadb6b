"""
The commands that the book's pages show, and what they say comes of them.

A block of type C{console} holds commands, each after a dollar sign, and what
they print.  In what is printed C{...} stands for anything, and C{k3f9a2} for
the epoch of the server of the page, in commands as well.  Ports are the
server's own.  A command with C{curl -N} is ended after a moment.

A block with the class C{serves} runs a server for what follows; one with the
class C{by-hand} is not run, and the test of the book counts those.  A comment
C{.. server: OPTIONS} at the top of a page runs C{twistd comet} for all of it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

EPOCH: Final = "k3f9a2"

_SERVER = re.compile(r"^\.\. server:(.*)$", re.MULTILINE)
_BLOCK = re.compile(
    r"^( *)\.\. code-block:: console\n((?:\1   :.*\n)*)\n((?:(?:\1   .*)?\n)+)", re.MULTILINE
)


@frozen
class Command:
    """
    One command.

    @ivar text: The command line.

    @ivar expected: What the page says that the command prints.
    """

    text: str
    expected: str


@frozen
class Block:
    """
    Some commands of a page.

    @ivar kind: C{serves}, C{by-hand}, or nothing.
    """

    kind: str
    commands: tuple[Command, ...]


def serverOf(page: Path) -> list[str] | None:
    """
    Return the options of the server that a page runs, or L{None} without one.
    """
    found = _SERVER.search(page.read_text("utf-8"))
    return None if found is None else shlex.split(found[1])


def blocksOf(page: Path) -> list[Block]:
    """
    Return the blocks of a page, in order.
    """
    blocks = []
    for indent, options, body in _BLOCK.findall(page.read_text("utf-8")):
        found = re.search(r":class: (\S+)", options)
        kind = "" if found is None else found[1]
        lines = [line[len(indent) + 3 :] for line in body.rstrip().split("\n")]
        blocks.append(Block(kind, tuple(commandsOf(lines))))
    return blocks


def commandsOf(lines: list[str]) -> Iterator[Command]:
    """
    Read the lines of a block.

    @return: The commands, in order.
    """
    text: str | None = None
    printed: list[str] = []
    for line in lines:
        if line.startswith("$ "):
            if text is not None:
                yield Command(text, "\n".join(printed))
            text, printed = line[2:], []
        elif text is not None and text.endswith("\\"):
            text += "\n" + line
        elif text is not None:
            printed.append(line)
        else:
            raise ValueError(f"before the first command: {line!r}")
    assert text is not None, lines
    yield Command(text, "\n".join(printed))


def matches(expected: str, printed: str) -> bool:
    """
    Whether this was printed, except for what may differ.
    """
    parts = [re.escape(part) for part in expected.strip().split("...")]
    pattern = ".*".join(parts).replace(EPOCH, "[a-z0-9]{6}")
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None
