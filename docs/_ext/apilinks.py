"""
The role C{api}: a link to what pydoctor says about something of comet's, which
has to exist.
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

# Where pydoctor writes, below the first page of the book.
FOLDER = "api"

_log = logging.getLogger(__name__)


def pageOf(name: str) -> str:
    """
    The page, and perhaps the place in it, of a dotted name.

    @raise LookupError: If there is nothing by this name.
    """
    parts = name.split(".")
    for split in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:split]))
        except ImportError:
            continue
        for index, part in enumerate(parts[split:], split):
            owner = found
            found = getattr(found, part, None)
            if found is None:
                if not _declares(owner, part):
                    break
                return f"{'.'.join(parts[:index])}.html#{part}"
            if not (inspect.isclass(found) or inspect.ismodule(found)) and not _isInterface(found):
                return f"{'.'.join(parts[:index])}.html#{part}"
        else:
            return f"{name}.html"
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
    Make the link.  A tilde before the name hides all of it but the last part.
    """
    name = text.removeprefix("~")
    shown = name.rpartition(".")[2] if text.startswith("~") else name
    environment = inliner.document.settings.env
    try:
        page = pageOf(name)
    except LookupError:
        _log.warning(
            "there is no %r in comet", name, location=(environment.docname, lineno), type="api"
        )
        page = "index.html"
    up = "../" * environment.docname.count("/")
    link = nodes.reference("", "", refuri=f"{up}{FOLDER}/{page}")
    link += nodes.literal(text=shown)
    return [link], []


def setup(app: Sphinx) -> dict[str, Any]:
    """
    Make the role known.
    """
    app.add_role("api", api)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
