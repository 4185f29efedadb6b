"""
The role C{api}: a link to the page that pydoctor makes for a name of comet's.
The name has to exist.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx.application import Sphinx
from sphinx.util import logging

import comet

# The folder that pydoctor writes, relative to the first page of the book.
FOLDER = "api"

_log = logging.getLogger(__name__)


def pageOf(name: str) -> str:
    """
    Find the page, and perhaps the place in it, of a dotted name.  A public name
    is documented as one of C{comet}'s, wherever it is defined.

    @raise LookupError: If nothing has this name.
    """
    parts = name.split(".")
    for split in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:split]))
        except ImportError:
            continue
        page = ".".join(parts[:split])
        for part in parts[split:]:
            owner, found = found, getattr(found, part, None)
            if found is None and not _declares(owner, part):
                break
            if part in comet.__all__ and found is getattr(comet, part):
                page = comet.__name__
            if not (inspect.isclass(found) or inspect.ismodule(found) or _isInterface(found)):
                return f"{page}.html#{part}"
            page = f"{page}.{part}"
        else:
            return f"{page}.html"
    raise LookupError(name)


def _isInterface(found: object) -> bool:
    return type(found).__name__ == "InterfaceClass"


def _declares(owner: Any, name: str) -> bool:
    return (_isInterface(owner) and name in owner) or name in getattr(owner, "__annotations__", {})


def api(
    role: str,
    rawtext: str,
    text: str,
    lineno: int,
    inliner: Inliner,
    options: Mapping[str, Any] | None = None,
    content: Sequence[str] = (),
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """
    Make the link.  A tilde before the name hides all but its last part.
    """
    name = text.removeprefix("~")
    shown = name.rpartition(".")[2] if text.startswith("~") else name
    environment = inliner.document.settings.env
    try:
        page = pageOf(name)
    except LookupError:
        _log.warning(
            "%r does not exist in comet", name, location=(environment.docname, lineno), type="api"
        )
        page = "index.html"
    up = "../" * environment.docname.count("/")
    link = nodes.reference("", "", refuri=f"{up}{FOLDER}/{page}")
    link += nodes.literal(text=shown)
    return [link], []


def setup(app: Sphinx) -> dict[str, Any]:
    """
    Add the role to Sphinx.
    """
    app.add_role("api", api)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
