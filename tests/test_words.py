"""
The rules of style in C{CONTRIBUTING.md} that a machine can check.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

import comet

PACKAGE: Final = Path(comet.__file__).resolve().parent
TESTS: Final = Path(__file__).resolve().parent

# Words that stand where the actor should be named: the client, the reader, the
# caller, the publisher, the bus.
_NO_ACTOR: Final = re.compile(
    r"\b(whoever|whatever|whichever|nobody|somebody|everybody)\b", re.IGNORECASE
)

# The most lines of the package that may have such a word: it is right now and then.
_MOST: Final = 20

# The first words of a docstring that leans on the one before.
_LEANING: Final = re.compile(
    r"\s*(And|Likewise|Nor|So (is|are|it|do|does)|The same(,| in| where))\b"
)

# The names of files that are there more than once, each with the one idea of all.
SHARED: Final = {
    "bus": "a bus of one kind",
    "errors": "the errors of the package, and those of a library that it uses",
    "flashpolicy": "the policy file that Flash asks for: its bytes and its transport",
    "holdings": "what is held of some names: in Redis, and in a database",
    "idempotency": "idempotency keys: the rules, and their table in SQLite",
    "iframe": "the forever frame: its framing and its transport",
    "jsonp": "JSONP: its framing and its transport",
    "log": "the log of a channel: its bounds, and how the memory bus keeps it",
    "memberstore": "the members of channels: in Redis, and in a database",
    "multipart": "multipart: its framing and its transport",
    "polls": "polls: their responses, their readers, and their part in the lean edge",
    "reader": "reads messages: for a client, and from a database",
    "registry": "finds by a name: a bus, and a group of readers",
    "service": "a Twisted service: the server, and the parent of its workers",
    "sinks": "sinks, which take the bytes for one client: what they promise, and Twisted's",
    "sse": "Server-Sent Events: their framing and their transport",
    "store": "what one kind of bus writes and reads",
    "streams": "endless responses: their readers, and their part in the lean edge",
    "tcp": "raw TCP: its framing, its transport, and its part in the lean edge",
    "websocket": "WebSocket: its framing, its transport, and its part in the lean edge",
}


def docstringsOf(path: Path) -> Iterator[tuple[str, str]]:
    """
    Yield the docstring of each test in a file, with the name of the test.
    """
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            yield node.name, ast.get_docstring(node) or ""


class WordTests(SynchronousTestCase):
    """
    The words of the package and of the tests.
    """

    def test_actorsAreNamed(self) -> None:
        """
        Few lines of the package say "whoever" or "nobody" instead of naming the
        actor.
        """
        found = [
            f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
            for path in sorted(PACKAGE.rglob("*"))
            if path.is_file() and path.suffix not in (".pyc", ".png", ".ico", ".gz")
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
            if _NO_ACTOR.search(line)
        ]
        self.assertLessEqual(len(found), _MOST, "\n".join(found))

    def test_docstringsStandAlone(self) -> None:
        """
        No docstring of a test begins with a word that leans on the docstring
        before it.
        """
        leaning = [
            f"{path.relative_to(TESTS)}: {name}: {text.splitlines()[0]}"
            for path in sorted(TESTS.rglob("test_*.py"))
            for name, text in docstringsOf(path)
            if _LEANING.match(text)
        ]
        self.assertEqual(leaning, [])


class FileNameTests(SynchronousTestCase):
    """
    The names of the files of the package.
    """

    def test_oneIdea(self) -> None:
        """
        A file name that is there more than once stands for one idea, which is
        said here; and no such entry is out of date.
        """
        paths = [path for path in PACKAGE.rglob("*.py") if path.stem != "__init__"]
        names = [path.stem for path in paths]
        self.assertEqual({name for name in names if names.count(name) > 1}, SHARED.keys())
