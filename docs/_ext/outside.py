"""
List the names outside of comet that docstrings link to.

C{outside.py DIRECTORY} writes two inventories for pydoctor: Python's own names,
and Twisted's.  It reads them from what is installed, so that the check of links
needs no network.  Each link leads to the page of the two projects' own
documentation.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import comet

_IMPORT = re.compile(r"^ *from (twisted\.[\w.]+) import", re.MULTILINE)

_CONSTANTS: Final = ("None", "True", "False", "NotImplemented", "Ellipsis")


def pythonNames() -> Iterator[tuple[str, str]]:
    """
    Each built-in name, with its page.
    """
    for name, value in vars(builtins).items():
        if name in _CONSTANTS:
            yield name, f"library/constants.html#{name}"
        elif inspect.isclass(value) and issubclass(value, BaseException):
            yield name, f"library/exceptions.html#{name}"
        elif inspect.isclass(value):
            yield name, f"library/stdtypes.html#{name}"
        elif not name.startswith("_"):
            yield name, f"library/functions.html#{name}"


def twistedModules(package: Path) -> list[str]:
    """
    The modules of Twisted from which any source of a package imports.
    """
    sources = (path.read_text("utf-8") for path in package.rglob("*.py"))
    return sorted({module for source in sources for module in _IMPORT.findall(source)})


def twistedNames() -> Iterator[tuple[str, str]]:
    """
    Each public name of the modules of Twisted that comet imports from, and of
    the members of their classes, with its page.
    """
    for module in twistedModules(Path(comet.__file__).parent):
        yield module, f"{module}.html"
        for name, value in vars(importlib.import_module(module)).items():
            if name.startswith("_") or getattr(value, "__module__", "") != module:
                continue
            isPage = inspect.isclass(value) or type(value).__name__ == "InterfaceClass"
            if not isPage:
                yield f"{module}.{name}", f"{module}.html#{name}"
                continue
            page = f"{module}.{name}"
            yield page, f"{page}.html"
            members = value if type(value).__name__ == "InterfaceClass" else vars(value)
            for member in members:
                if not member.startswith("_"):
                    yield f"{page}.{member}", f"{page}.html#{member}"


def inventory(project: str, names: Iterator[tuple[str, str]]) -> bytes:
    """
    Encode an inventory in Sphinx's format, version 2.
    """
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = [f"{name} py:obj 1 {place} -\n" for name, place in names]
    return head.encode() + zlib.compress("".join(lines).encode())


def main(directory: str) -> None:
    """
    Write both inventories into a directory, which is made if it is missing.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "python.inv").write_bytes(inventory("Python", pythonNames()))
    (folder / "twisted.inv").write_bytes(inventory("Twisted", twistedNames()))


if __name__ == "__main__":
    main(sys.argv[1])
