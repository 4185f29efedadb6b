"""
The tree of URLs below C{/admin/}.
"""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Request

from comet.hub.hub import Hub
from comet.web.admin.changing import ChangedChannelsResource
from comet.web.admin.revoking import DisconnectResource, RevocationsResource, RevokeResource
from comet.web.admin.watching import ClientsResource, NodesResource
from comet.web.branch import Branch


class AdminTree(Branch):
    """
    The resources of the admin; and at the path itself the page, which asks for the key.
    """

    def __init__(self, hub: Hub, missing: Resource, page: Resource) -> None:
        """
        @param missing: Answers at the paths at which nothing was put.

        @param page: The page.
        """
        super().__init__(missing)
        self._page = page
        self.putChild(b"nodes", NodesResource(hub))
        self.putChild(b"channels", ChangedChannelsResource(hub))
        self.putChild(b"clients", ClientsResource(hub))
        self.putChild(b"disconnect", DisconnectResource(hub))
        self.putChild(b"revoke", RevokeResource(hub))
        self.putChild(b"revocations", RevocationsResource(hub))

    def render(self, request: Request) -> Any:
        """
        Answer a request for the page.
        """
        return self._page.render(request)
