"""
A resource that has others below it.
"""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Request


class Branch(Resource):
    """
    Has nothing at its own path, and at those below it at which nothing was put.
    """

    def __init__(self, missing: Resource) -> None:
        """
        @param missing: Answers at these paths.
        """
        Resource.__init__(self)
        self._missing = missing

    @property
    def missing(self) -> Resource:
        """
        The resource for the paths at which nothing was put.
        """
        return self._missing

    def getChild(self, path: bytes, request: Request) -> Any:
        """
        Return the resource for a path at which nothing was put.
        """
        return self.missing

    def render(self, request: Request) -> Any:
        """
        Answer a request for the path itself.
        """
        return self._missing.render(request)
