"""
The parts of the package lie in layers, and these tests hold them there.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.layers import LAYERS, PACKAGE, PURE, isPure, pureFiles

# A line of the map in the docstring of a package below it: the name of a module.
_MODULE = re.compile(r"^  - L\{(\w+)\}(?: B\{P\})?: \S", re.MULTILINE)

RANK = {name: rank for rank, name in enumerate(LAYERS)}

# Imports each module named in its arguments, and tells of the first after
# which something is loaded whose name begins with the first argument.
IMPORT_ALL = """
import importlib, sys
unwanted, *modules = sys.argv[1:]
for module in modules:
    importlib.import_module(module)
    if any((name + ".").startswith(unwanted + ".") for name in sys.modules):
        sys.exit(f"{module} loads {unwanted}")
"""


def moduleName(path: Path) -> str:
    """
    The full name of the module that a file of the package is.
    """
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> dict[str, Path]:
    """
    Every module of the package: its file by its full name.
    """
    return {moduleName(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def part(module: str) -> str:
    """
    The name that the list of layers has for a module: C{framing} for
    C{comet.framing.sse}; empty for C{comet} itself.
    """
    return module.partition(".")[2].partition(".")[0]


def imported(
    source: str, module: str, known: frozenset[str], package: str = "comet"
) -> Iterator[str]:
    """
    What of the package a module imports, at its top, within a function, or for
    the type checker only.

    @param module: The full name of the module; of a package, with C{.__init__}.

    @param known: The full names of the modules there are: what is imported
        from a package may be a module of it, or a name in it.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] == package)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: -node.level]
                base = ".".join([*above, base] if base else above)
            if base.split(".")[0] == package:
                for name in node.names:
                    within = f"{base}.{name.name}"
                    yield within if within in known else base


def importsOf(module: str, path: Path, known: frozenset[str]) -> set[str]:
    """
    What of the package one of its modules imports.
    """
    own = f"{module}.__init__" if path.name == "__init__.py" else module
    return set(imported(path.read_text("utf-8"), own, known))


def importInProcess(unwanted: str, names: list[str]) -> str:
    """
    Import modules in a process of their own.

    @return: Which of them was the first to load the unwanted module; or
        whatever else went wrong; empty if nothing did.
    """
    path = os.pathsep.join(filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, unwanted, *names],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stderr.strip() or ("" if done.returncode == 0 else f"exit {done.returncode}")


class LayerTests(SynchronousTestCase):
    """
    What the modules import of one another.
    """

    def setUp(self) -> None:
        """
        Read what there is.
        """
        self.modules = modules()
        self.known = frozenset(self.modules)

    def test_listed(self) -> None:
        """
        The map names every part of the package, each once, and nothing else.
        """
        parts = {part(module) for module in self.modules} - {""}
        self.assertIn("errors", parts)
        self.assertEqual(sorted(LAYERS), sorted(parts))

    def test_packages(self) -> None:
        """
        The map in a package's docstring names every module in that
        package, each once, and nothing else.
        """
        for module, path in self.modules.items():
            if path.name != "__init__.py" or module == "comet":
                continue
            within = {
                name.removeprefix(f"{module}.")
                for name in self.modules
                if name.startswith(f"{module}.")
            }
            within = {name for name in within if "." not in name and name != "__main__"}
            docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
            self.assertEqual(sorted(within), sorted(_MODULE.findall(docstring)), module)

    def test_noneUpwards(self) -> None:
        """
        No module imports anything of a part above its own.
        """
        upwards = [
            f"{module} imports {other}"
            for module, path in self.modules.items()
            if module != "comet"
            for other in importsOf(module, path, self.known)
            if RANK.get(part(other), -1) > RANK[part(module)]
        ]
        self.assertEqual(upwards, [])

    def test_noneFromTheTop(self) -> None:
        """
        No module imports a public name from the package itself, which would
        load a part above its own.
        """
        self.assertEqual(
            [
                module
                for module, path in self.modules.items()
                if "comet" in importsOf(module, path, self.known)
            ],
            [],
        )

    def test_noCircle(self) -> None:
        """
        No module imports itself by way of others, not even for the type
        checker.
        """
        imports = {
            module: importsOf(module, path, self.known) - {module}
            for module, path in self.modules.items()
            if module != "comet"
        }
        # Raises CycleError, which names the circle.
        order = list(TopologicalSorter(imports).static_order())
        self.assertLessEqual(imports.keys(), set(order))


class PureFilesTests(SynchronousTestCase):
    """
    L{pureFiles}, of which coverage demands that the tests reach every branch.
    """

    def test_matchesPureModulesOnly(self) -> None:
        """
        The patterns match every module that is pure, and no other module.
        """
        matched = {
            path
            for path in modules().values()
            for pattern in pureFiles()
            if fnmatch(path.relative_to(PACKAGE.parent).as_posix(), pattern)
        }
        self.assertIn(PACKAGE / "errors.py", matched)
        self.assertIn(PACKAGE / "metrics" / "tally.py", matched)
        self.assertEqual(matched, {path for path in modules().values() if isPure(path)})
        self.assertEqual(len(pureFiles()), len(PURE))


class LoadTests(SynchronousTestCase):
    """
    What is loaded along with the modules.
    """

    # What went wrong in the other process is told in full.
    maxDiff = None

    def test_pure(self) -> None:
        """
        The pure modules load no Twisted.
        """
        pure = [module for module, path in modules().items() if isPure(path)]
        self.assertIn("comet.errors", pure)
        self.assertEqual(importInProcess("twisted", ["comet", *pure]), "")

    def test_noReactor(self) -> None:
        """
        No module of the package, nor the plugin, installs a reactor when it is
        imported: which one it is to be is the application's choice.
        """
        everything = [*modules(), "twisted.plugins.comet_plugin"]
        self.assertEqual(importInProcess("twisted.internet.reactor", everything), "")

    def test_tells(self) -> None:
        """
        A module that loads what it must not is named.
        """
        self.assertEqual(
            importInProcess("twisted", ["comet", "twisted.python"]), "twisted.python loads twisted"
        )


class ImportedTests(SynchronousTestCase):
    """
    L{imported} finds every way to write an import.
    """

    known = frozenset({"comet", "comet.errors", "comet.framing", "comet.framing.sse"})

    def found(self, source: str, module: str = "comet.hub") -> list[str]:
        """
        What is found in some source.
        """
        return list(imported(source, module, self.known))

    def test_plain(self) -> None:
        """
        C{import} names the module; what is not of the package is left out.
        """
        self.assertEqual(self.found("import os, comet.errors, cometary"), ["comet.errors"])

    def test_from(self) -> None:
        """
        C{from ... import} means the module that is named last.
        """
        source = "from comet import errors, __version__\nfrom comet.framing.sse import Style"
        self.assertEqual(self.found(source), ["comet.errors", "comet", "comet.framing.sse"])

    def test_within(self) -> None:
        """
        An import in a function, or for the type checker only, counts.
        """
        source = (
            "if TYPE_CHECKING:\n    from comet import errors\n"
            "def late():\n    import comet.framing.sse\n"
        )
        self.assertEqual(self.found(source), ["comet.errors", "comet.framing.sse"])

    def test_relative(self) -> None:
        """
        A relative import is one from the package that it leads to.
        """
        self.assertEqual(self.found("from . import errors"), ["comet.errors"])
        self.assertEqual(self.found("from .errors import TooMany"), ["comet.errors"])
        self.assertEqual(
            self.found("from ..errors import TooMany", "comet.framing.__init__"), ["comet.errors"]
        )
        self.assertEqual(
            self.found("from . import sse", "comet.framing.__init__"), ["comet.framing.sse"]
        )
