"""
What clients may do in tests of the lean edge.
"""

from __future__ import annotations

from comet.access.rights import Access
from comet.errors import Unauthorized
from comet.model.clients import Client


class Closed(Access):
    """
    Lets no client read.
    """

    def checkSubscribe(self, client: Client, name: str) -> None:
        """
        Refuse it.
        """
        raise Unauthorized("closed")
