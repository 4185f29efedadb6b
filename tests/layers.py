"""
The parts of the package as the map in the docstring of L{comet} lists them.

C{python -m tests.layers} fails unless the coverage that was measured before
reaches every line and branch of the pure parts.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import comet

PACKAGE: Final = Path(comet.__file__).resolve().parent

# A line of the map: the name of a part, and its mark.
_PART: Final = re.compile(r"^  - L\{comet\.(\w+)\}( B\{P\})?: \S", re.MULTILINE)

_MAP: Final = [(found[1], bool(found[2])) for found in _PART.finditer(comet.__doc__ or "")]

# The parts, lower first, and those that import no Twisted.
LAYERS: Final = [name for name, _ in _MAP]
PURE: Final = frozenset(name for name, isPure in _MAP if isPure)


def pureFiles() -> list[str]:
    """
    Return the files of the pure parts as patterns for coverage's C{--include},
    relative to the top of the checkout.
    """
    return [
        f"comet/{name}/*" if (PACKAGE / name).is_dir() else f"comet/{name}.py"
        for name in LAYERS
        if name in PURE
    ]


def main() -> int:
    """
    Report what the tests do not reach in the pure parts.

    @return: The exit code: 0 if they reach all of it.
    """
    command = [sys.executable, "-m", "coverage", "report", "--fail-under=100"]
    return subprocess.run([*command, f"--include={','.join(pureFiles())}"]).returncode


if __name__ == "__main__":
    sys.exit(main())
