"""
An application that has a say in what clients publish and read.

Save the configuration beside it, and start the server with both::

    twistd -n comet --config moderator.toml --app moderator:extend
"""

import re
from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from comet import (
    Allowed,
    Client,
    Forbidden,
    IHooks,
    NotFound,
    Publication,
    Rewritten,
    Server,
)

RUDE = re.compile(r"\b(darn|heck)\b", re.IGNORECASE)


@implementer(IHooks)
class Moderator:
    """
    Lets nobody be rude, and shows who enters a room what was said last.
    """

    def __init__(self) -> None:
        self.muted: set[str] = set()

    def subscribe(self, client: Client, names: Sequence[str]) -> Allowed:
        """
        Begin with the last ten messages; ask about this client again in an hour.
        """
        return Allowed(since="-10", expires=3600)

    async def publish(self, client: Client, publication: Publication) -> Rewritten | None:
        """
        Refuse what the muted say, and take rude words out of what others say.
        """
        # A real one would await a database here.
        if client.name in self.muted:
            raise Forbidden("you are muted")
        text = publication.data
        if not isinstance(text, str):
            return None
        clean = RUDE.sub(lambda found: "*" * len(found[0]), text)
        return None if clean == text else Rewritten(clean)

    def call(self, client: Client, method: str, data: Any) -> Any:
        """
        Answer calls.
        """
        if method != "muted":
            raise NotFound(f"there is no method {method!r}")
        return sorted(self.muted)


def extend(server: Server) -> None:
    """
    Take part in the server.
    """
    server.useHooks(Moderator())
