"""
C{POST /pub/NAME} for the servers of Twisted.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.web.resource import Resource
from twisted.web.server import Request


class Publisher(Resource):
    """
    The resource to which publishers post.
    """

    isLeaf = True

    def __init__(self, publish: Callable[[str, str], None]) -> None:
        super().__init__()
        self._publish = publish

    def render_POST(self, request: Request) -> bytes:
        """
        Publish the body of the request.
        """
        name = request.path.decode("utf-8").removeprefix("/pub/")
        assert request.content is not None
        self._publish(name, request.content.read().decode("utf-8"))
        request.setResponseCode(201)
        return b""
