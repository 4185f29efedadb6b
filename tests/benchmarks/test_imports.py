"""
The benchmarks have no circles of imports, nor the load generator of includes.
"""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.servers import BENCHMARKS
from tests.test_layers import imported

_LOAD = BENCHMARKS / "load"

_INCLUDE = re.compile(r'^#include "(\w+)\.h"$', re.MULTILINE)

# The order of the parts, in the comment at the head of main.c.
_ORDER = re.compile(r"lower first;[^:]*:\n((?: \*.*\n)+?) \*/")


def moduleNames(folder: Path) -> dict[str, Path]:
    """
    The file of each module below a folder of the repository, by its full name.
    """
    return {
        ".".join(path.relative_to(folder.parent).with_suffix("").parts): path
        for path in folder.rglob("*.py")
    }


def includes() -> dict[str, set[str]]:
    """
    The parts whose headers a part of the load generator includes.  A C{.c} and
    a C{.h} of one name are one part.
    """
    found: dict[str, set[str]] = {}
    for path in [*_LOAD.glob("*.c"), *_LOAD.glob("*.h")]:
        others = set(_INCLUDE.findall(path.read_text("utf-8"))) - {path.stem}
        found.setdefault(path.stem, set()).update(others)
    return found


class ImportTests(SynchronousTestCase):
    """
    The Python modules of the benchmarks.
    """

    def test_noCircle(self) -> None:
        """
        No module imports itself by way of others, also not within a function or
        for the type checker only.
        """
        files = moduleNames(BENCHMARKS)
        known = frozenset(name.removesuffix(".__init__") for name in files)
        imports = {
            name.removesuffix(".__init__"): set(
                imported(path.read_text("utf-8"), name, known, "benchmarks")
            )
            for name, path in files.items()
        }
        self.assertIn("benchmarks.scripts", imports["benchmarks.servers"])
        # Raises CycleError, which names the circle.
        order = list(TopologicalSorter(imports).static_order())
        self.assertLessEqual(imports.keys(), set(order))


class IncludeTests(SynchronousTestCase):
    """
    The parts of the load generator.  The compiler refuses a call of a function
    that is not declared, so the includes are all that a part can call.
    """

    def test_order(self) -> None:
        """
        Each part includes only parts that stand before it in the list in
        C{main.c}, and the list is complete.
        """
        text = (_LOAD / "main.c").read_text("utf-8")
        found = _ORDER.search(text)
        assert found is not None
        order = re.findall(r"\w+", found[1])
        self.assertEqual(sorted(order), sorted(includes()))
        upwards = [
            f"{part} includes {other}"
            for part, others in includes().items()
            for other in others
            if order.index(other) >= order.index(part)
        ]
        self.assertEqual(upwards, [])

    def test_noDeclarationsAside(self) -> None:
        """
        No source declares what another source defines: only headers do, so an
        include cannot be avoided.
        """
        for path in _LOAD.glob("*.c"):
            source = path.read_text("utf-8")
            self.assertNotRegex(source, r"(?m)^\s*extern\b", path.name)
            # A declaration of a function: a line without indent that ends the
            # parameters with a semicolon, and is not static.
            self.assertNotRegex(source, r"(?m)^(?!static|typedef)\w[^={}\n]*\)\s*;$", path.name)
