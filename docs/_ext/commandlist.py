"""
The directive C{commands} lists every command of C{comet}, with its options, from the
program itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from comet.command.program import program

# How click marks a paragraph whose lines stay as they are.
_AS_IT_IS = "\b\n"


def leaves(command: click.Command, *above: str) -> Iterator[tuple[str, click.Command]]:
    """
    Yield the commands that have no others below them, each with its words.
    """
    words = (*above, str(command.name))
    below: dict[str, click.Command] = getattr(command, "commands", {})
    if not below:
        yield " ".join(words), command
    for each in below.values():
        yield from leaves(each, *words)


def usage(words: str, command: click.Command) -> str:
    """
    Write how a command is called: its words and its arguments.
    """
    return " ".join([words, *command.collect_usage_pieces(click.Context(command))])


def optionsOf(command: click.Command) -> Iterator[tuple[str, str]]:
    """
    Yield the options of a command: how each is written, and what it means.
    """
    for each in command.params:
        record = each.get_help_record(click.Context(command))
        if record is not None:
            yield record


class CommandList(SphinxDirective):
    """
    A definition list of all commands.
    """

    def run(self) -> list[nodes.Node]:
        """
        Make the nodes of the page.
        """
        self.env.note_reread()
        items = nodes.definition_list()
        for words, command in leaves(program):
            term = nodes.term("", "", ids=[f"command-{words.replace(' ', '-')}"])
            term += nodes.literal(text=usage(words, command))
            body = nodes.definition()
            for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
                if paragraph.startswith(_AS_IT_IS):
                    text = paragraph.removeprefix(_AS_IT_IS)
                    body += nodes.literal_block(text, text, language="text")
                else:
                    body += nodes.paragraph(text=" ".join(paragraph.split()))
            body += self._options(command)
            items += nodes.definition_list_item("", term, body)
        return [items]

    def _options(self, command: click.Command) -> nodes.Node:
        listed = nodes.definition_list()
        for written, meaning in optionsOf(command):
            term = nodes.term("", "", nodes.literal(text=written))
            body = nodes.definition("", nodes.paragraph(text=" ".join(meaning.split())))
            listed += nodes.definition_list_item("", term, body)
        return listed


def setup(app: Sphinx) -> dict[str, Any]:
    """
    Register the directive with Sphinx.
    """
    app.add_directive("commands", CommandList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
