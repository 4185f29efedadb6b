"""
Which resource will answer a request, as far as its head alone tells.
"""

from __future__ import annotations

from typing import Any

from twisted.web.resource import IResource

from comet.interfaces.overrides import speaksFor
from comet.model.percent import unquoted


def findAtHead(root: IResource, path: bytes) -> tuple[Any, int]:
    """
    Find the resource at a path among those that were put there.  No resource is
    asked for other children: one of an application's may need the body for that.

    @param path: The path, without the query.

    @return: The resource, or L{None} if only the resources can tell, and how many
        segments of the path lead to it.
    """
    # Any: what an application has put there.
    resource: Any = root
    depth = 0
    for segment in path[1:].split(b"/"):
        if getattr(resource, "isLeaf", False):
            break
        child = getattr(resource, "children", {}).get(unquoted(segment))
        if child is None:
            return _missing(resource), depth
        resource = child
        depth += 1
    return resource, depth


def _missing(resource: Any) -> Any:
    """
    Return what answers for the paths at which nothing was put.
    """
    kind = type(resource)
    if hasattr(kind, "missing") and speaksFor(kind, "missing", "getChild"):
        return resource.missing
    return None
