"""
Running the command within the process of a test.
"""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from comet.command.program import run


@frozen
class Done:
    """
    What a command has done.

    @ivar code: Its exit code.

    @ivar out: What is on its standard output.

    @ivar err: What is on its standard error.
    """

    code: int
    out: str
    err: str


class CommandTestCase(SynchronousTestCase):
    """
    Tests that run the command.
    """

    def setUp(self) -> None:
        """
        Have an environment that says nothing to the command.
        """
        self.environment = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith("COMET_") and name != "NO_COLOR"
        }
        self.patch(os, "environ", self.environment)

    def command(self, *words: str) -> Done:
        """
        Run the command.
        """
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run(words)
        return Done(code, out.getvalue(), err.getvalue())

    def file(self, content: str | bytes) -> str:
        """
        Write a file.

        @return: Its path.
        """
        path = Path(self.mktemp())
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)
