"""
Tests of L{comet.command.program}, and of what all commands have in common.
"""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import click
from click.shell_completion import get_completion_class

from comet import __version__
from comet.command.completion import SHELLS, VARIABLE
from comet.command.console import dim, show, showJSON
from comet.command.program import program
from tests.command.running import CommandTestCase
from tests.test_layers import importInProcess

ENTRY = (sys.executable, "-m", "comet.command.entry")


def commandsOf(command: click.Command, *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """
    Yield all commands, each with its words.
    """
    yield above, command
    for name, each in getattr(command, "commands", {}).items():
        yield from commandsOf(each, *above, name)


class HelpTests(CommandTestCase):
    """
    The help.
    """

    def test_version(self) -> None:
        """
        The version is that of the package.
        """
        self.assertEqual(self.command("--version").out, f"comet {__version__}\n")

    def test_help(self) -> None:
        """
        Every command says what it is for, and what each of its options means.
        """
        for words, command in commandsOf(program):
            done = self.command(*words, "--help")
            self.assertEqual((done.code, done.err), (0, ""))
            self.assertTrue(command.help)
            for parameter in command.params:
                if isinstance(parameter, click.Option):
                    self.assertTrue(parameter.help, (words, parameter.name))

    def test_startsAtOnce(self) -> None:
        """
        No command waits for what only others need: the server, and Twisted.
        """
        self.assertEqual(importInProcess("twisted", ["comet.command.program"]), "")

    def test_mistyped(self) -> None:
        """
        An unknown word is a misuse, told on the standard error.
        """
        for words in (("chek",), ("token", "maek"), ("check", "--jsn", "x")):
            done = self.command(*words)
            self.assertEqual((done.code, done.out), (2, ""))
            self.assertIn(words[-1] if words[-1] != "x" else "--jsn", done.err)


class OutputTests(CommandTestCase):
    """
    The standard output.
    """

    if not os.path.exists("/dev/full"):
        skip = "there is no /dev/full"

    def test_full(self) -> None:
        """
        A command whose result finds no room says so in one line, and has failed: where it writes
        the result, and where click writes the help.
        """
        config = self.file("")
        for words in (("check", config), ("check", config, "--json"), ("--help",), ("--version",)):
            with open("/dev/full", "w") as full:
                done = subprocess.run(
                    [*ENTRY, *words],
                    stdout=full,
                    stderr=subprocess.PIPE,
                    env={**self.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
                    text=True,
                )
            self.assertEqual(done.returncode, 1, words)
            self.assertRegex(done.stderr, r"\Acomet: [^\n]*No space left on device\n\Z")


class CompletionTests(CommandTestCase):
    """
    Completion of the words in shells.
    """

    def completed(self, *words: str, incomplete: str = "") -> list[str]:
        """
        Complete a word.
        """
        kind = get_completion_class("bash")
        assert kind is not None
        found = kind(program, {}, "comet", VARIABLE).get_completions(list(words), incomplete)
        return [each.value for each in found]

    def test_words(self) -> None:
        """
        Commands, options and their values are completed, and files where they are meant.
        """
        self.assertEqual(self.completed(incomplete="tok"), ["token"])
        self.assertIn("--audience", self.completed("token", "check", incomplete="--a"))
        self.assertEqual(self.completed("completion"), list(SHELLS))
        kind = get_completion_class("bash")
        assert kind is not None
        [file] = kind(program, {}, "comet", VARIABLE).get_completions(["check"], "")
        self.assertEqual(file.type, "file")

    def test_scripts(self) -> None:
        """
        The script of each shell asks by the same variable; bash can read its own.
        """
        for shell in SHELLS:
            done = self.command("completion", shell)
            self.assertEqual(done.code, 0)
            self.assertIn(f"{VARIABLE}={shell}_complete", done.out)
        script = self.command("completion", "bash").out
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        self.assertEqual(self.command("completion", "csh").code, 2)

    def test_asked(self) -> None:
        """
        The command answers a shell that asks.
        """
        environment = {
            **self.environment,
            VARIABLE: "bash_complete",
            "COMP_WORDS": "comet tok",
            "COMP_CWORD": "1",
        }
        done = subprocess.run(ENTRY, env=environment, capture_output=True, text=True)
        self.assertEqual((done.stdout, done.stderr), ("plain,token\n", ""))


class ConsoleTests(CommandTestCase):
    """
    What is printed.
    """

    def test_colours(self) -> None:
        """
        Colours are for terminals, and C{NO_COLOR} turns them off there.
        """
        config = self.file("")
        self.assertNotIn("\x1b", self.command("check", config).out)
        self.assertIn("\x1b", self.onTerminal(config))
        self.environment["NO_COLOR"] = "1"
        self.assertNotIn("\x1b", self.onTerminal(config))

    def onTerminal(self, config: str) -> str:
        """
        Check a file with a terminal as the standard output.
        """
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        with os.fdopen(theirs, "w") as terminal:
            self.patch(sys, "stdout", terminal)
            show(dim(config))
        return os.read(ours, 4096).decode()

    def test_json(self) -> None:
        """
        A line of JSON has what it should, and nothing that a terminal would obey.
        """
        value = {"text": "\x1b[2J \x7f\x9b2J \u202e \ud800 ü \U0001f600 \U000e0001"}
        out = io.StringIO()
        with redirect_stdout(out):
            showJSON(value)
        line = out.getvalue().removesuffix("\n")
        self.assertTrue(line.isprintable(), line)
        self.assertIn("ü \U0001f600", line)
        self.assertEqual(json.loads(line), value)

    def test_brokenPipe(self) -> None:
        """
        Where no program reads the result any more, the command ends without a word.
        """
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [*ENTRY, "completion", "bash"],
            env=self.environment,
            stdout=writing,
            stderr=subprocess.PIPE,
        )
        os.close(writing)
        self.assertEqual((done.returncode, done.stderr), (1, b""))

    def test_closedInput(self) -> None:
        """
        A command that was begun without a standard input says so.
        """
        self.patch(sys, "stdin", None)
        for words in (("publish", "http://127.0.0.1:1", "news"), ("token", "read", "-")):
            done = self.command(*words)
            self.assertEqual((done.code, done.out), (1, ""))
            self.assertIn("comet: the standard input is closed\n", done.err)

    def test_interrupted(self) -> None:
        """
        At Ctrl-C the command ends as shells expect it, without a traceback.
        """

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        self.patch(sys.modules["comet.command.checkcommand"], "examine", interrupt)
        done = self.command("check", "x")
        self.assertEqual((done.code, done.out, done.err.strip()), (130, "", ""))

    def test_withoutClick(self) -> None:
        """
        Without the package that it needs, the command says which to install.
        """
        script = (
            "import sys; sys.modules['click'] = None\n"
            "from comet.command.entry import main; sys.exit(main())"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], env=self.environment, capture_output=True, text=True
        )
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("comet-push[cli]", done.stderr)
