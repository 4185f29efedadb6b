"""
The public names of the package, which L{comet} loads when they are first used.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import comet

ROOT = Path(comet.__file__).resolve().parent.parent

EXAMPLES = ROOT / "docs" / "examples"


def run(source: str) -> str:
    """
    Run some source in a process of its own, and return what it prints.
    """
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def forTypeCheckers() -> Iterator[tuple[str, str]]:
    """
    Find the names that the package imports for type checkers, each with its
    module.
    """
    for node in ast.parse(Path(comet.__file__).read_text("utf-8")).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for each in node.body:
                assert isinstance(each, ast.ImportFrom), ast.unparse(each)
                yield from ((name.name, str(each.module)) for name in each.names)


class PublicNamesTests(SynchronousTestCase):
    """
    C{__all__}, C{__getattr__} and C{__dir__} of L{comet}.
    """

    def test_everyNameResolves(self) -> None:
        """
        Every name of C{__all__} is an attribute, and is found where it is
        defined.
        """
        for name in comet.__all__:
            value: Any = getattr(comet, name)
            self.assertEqual(getattr(value, "__name__", name), name)

    def test_sameNamesForTypeCheckers(self) -> None:
        """
        Type checkers see the same names from the same modules as programs do.
        """
        self.assertEqual(dict(forTypeCheckers()), comet._MODULE_OF)
        self.assertEqual(sorted(comet._MODULE_OF), sorted(comet.__all__))

    def test_unknownNameIsRefused(self) -> None:
        """
        A name that is not public is an L{AttributeError}.
        """
        error = self.assertRaises(AttributeError, getattr, comet, "Nonsense")
        self.assertEqual(str(error), "module 'comet' has no attribute 'Nonsense'")

    def test_dirListsNamesThatAreNotLoaded(self) -> None:
        """
        C{dir} lists every public name, loaded or not.
        """
        missing = run("import comet; print(*set(comet.__all__) - set(dir(comet)))")
        self.assertEqual(missing, "")

    def test_importLoadsNothing(self) -> None:
        """
        Importing the package loads none of its modules, and no Twisted.
        """
        loaded = run(
            "import sys, comet\n"
            "print(*[name for name in sys.modules if name.startswith(('comet.', 'twisted'))])"
        )
        self.assertEqual(loaded, "")

    def test_nameLoadsItsOwnModuleOnly(self) -> None:
        """
        Importing a hub and a bus loads no transport, no WebSocket library and
        no driver of another bus.
        """
        loaded = run(
            "import sys\nfrom comet import Hub, MemoryBus\n"
            "unwanted = ('autobahn', 'hiredis', 'sqlite3', 'comet.transports', 'comet.lean')\n"
            "print(*[name for name in sys.modules if name.startswith(unwanted)])"
        )
        self.assertEqual(loaded, "")


class ExamplesTests(SynchronousTestCase):
    """
    What the examples import.
    """

    def test_examplesUseThePublicNames(self) -> None:
        """
        The examples and the README import from C{comet} alone, and nothing
        else of the package but L{comet.testing} and L{comet.client}.
        """
        sources = [path.read_text("utf-8") for path in EXAMPLES.glob("*.py")]
        sources.append((ROOT / "README.md").read_text("utf-8"))
        for source in sources:
            self.assertNotRegex(source, r"(?m)^\s*(from|import) comet\.(?!(testing|client)\b)")
