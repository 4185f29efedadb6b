"""
What docstrings link to outside of comet: C{outside.py DIRECTORY} writes an
inventory for pydoctor of Python's own names, and one of Twisted's, from what is
installed, so that no network is needed to know that they exist.

A link's place is as the two projects' own documents have it.
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
    The names that are built in, each with the page that tells of it.
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
    The modules of Twisted's that some source imports from.
    """
    sources = (path.read_text("utf-8") for path in package.rglob("*.py"))
    return sorted({module for source in sources for module in _IMPORT.findall(source)})


def twistedNames() -> Iterator[tuple[str, str]]:
    """
    The public names of those modules, and of what is in them.
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
    An inventory in the format of Sphinx, version 2.
    """
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = [f"{name} py:obj 1 {place} -\n" for name, place in names]
    return head.encode() + zlib.compress("".join(lines).encode())


def main(directory: str) -> None:
    """
    Write both.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "python.inv").write_bytes(inventory("Python", pythonNames()))
    (folder / "twisted.inv").write_bytes(inventory("Twisted", twistedNames()))


if __name__ == "__main__":
    main(sys.argv[1])
