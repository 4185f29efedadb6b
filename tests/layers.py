"""
The parts of the package as the map in the docstring of L{comet} lists them.

C{python -m tests.layers} fails unless the coverage that was measured before
reaches every line and branch of the pure parts.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import comet

PACKAGE: Final = Path(comet.__file__).resolve().parent

# A line of the map: the name of a part, and its mark.
_PART: Final = re.compile(r"^  - L\{comet\.(\w+)\}( B\{P\})?: \S", re.MULTILINE)

_MAP: Final = [(found[1], bool(found[2])) for found in _PART.finditer(comet.__doc__ or "")]

# A line of the map of a package: the name of a module that is marked.
_MARKED: Final = re.compile(r"^  - L\{(\w+)\} B\{P\}: \S", re.MULTILINE)

# The parts, lower first.
LAYERS: Final = [name for name, _ in _MAP]


def _markedWithin() -> Iterator[Path]:
    """
    Find the modules that the maps of packages mark: those that import no Twisted, in parts
    of which others do.
    """
    for path in sorted(PACKAGE.rglob("__init__.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        yield from (path.parent / found[1] for found in _MARKED.finditer(docstring))


# The parts and the modules that import no Twisted, without their endings.
PURE: Final = frozenset([*(PACKAGE / name for name, isPure in _MAP if isPure), *_markedWithin()])


def isPure(path: Path) -> bool:
    """
    Tell whether the map says of a file of the package that it imports no Twisted.
    """
    return not PURE.isdisjoint([path.with_suffix(""), *path.parents])


def pureFiles() -> list[str]:
    """
    Return the files of the pure parts and modules as patterns for coverage's C{--include},
    relative to the top of the checkout.
    """
    within = [path.relative_to(PACKAGE.parent).as_posix() for path in sorted(PURE)]
    return [f"{name}/*" if (PACKAGE.parent / name).is_dir() else f"{name}.py" for name in within]


def main() -> int:
    """
    Report what the tests do not reach in the pure parts.

    @return: The exit code: 0 if they reach all of it.
    """
    command = [sys.executable, "-m", "coverage", "report", "--fail-under=100"]
    return subprocess.run([*command, f"--include={','.join(pureFiles())}"]).returncode


if __name__ == "__main__":
    sys.exit(main())
