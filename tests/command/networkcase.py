"""
The base class of the tests of commands that talk to a server.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.command.running import CommandTestCase, Done
from tests.edge.case import EdgeTestCase

ROOT = Path(__file__).resolve().parents[2]


class NetworkTestCase(EdgeTestCase, CommandTestCase):
    """
    Tests with a server, which all of them share.
    """

    options = ("--open", "open/**", "--presence", "open/**")

    @property
    def url(self) -> str:
        """
        The URL of the server.
        """
        return f"http://127.0.0.1:{self.site.port}"

    @property
    def keyFile(self) -> str:
        """
        The file of its key.
        """
        return str(self.server.directory / "comet.key")

    def at(self, name: str, *words: str) -> Done:
        """
        Run a command at the server.
        """
        return self.command(name, self.url, *words)

    def held(self, channel: str, count: int) -> list[dict[str, Any]]:
        """
        Return what a program reads of the first messages of a channel.
        """
        words = ("--since", "earliest", "--json", "--count", str(count))
        done = self.at("tail", channel, *words)
        self.assertEqual((done.code, done.err), (0, ""))
        return [json.loads(line) for line in done.out.splitlines()]

    def give(self, content: bytes) -> None:
        """
        Have something on the standard input.
        """
        file = open(self.file(content))
        self.addCleanup(file.close)
        self.patch(sys, "stdin", file)
