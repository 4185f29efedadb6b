"""
Clients, as far as rights depend on them.
"""

from __future__ import annotations

from typing import Final

from attrs import field, frozen


@frozen
class Client:
    """
    The client that a request or command comes from.

    An application may subclass it.  The object that its
    L{IAccess.identify<comet.interfaces.IAccess.identify>} returns is the one that
    each of its checks is given, for as long as the client's connection lasts.

    @ivar name: Identifies the client; empty for one that has no name.  The same
        idempotency key of a client with another name is another key.

    @ivar mayPublishAll: Whether the client may publish to every channel, and
        delete the messages that it holds.

    @ivar user: An object of the application's own, such as a row of its users.
        Clients that differ in nothing else are equal.
    """

    name: str
    mayPublishAll: bool = False
    user: object = field(default=None, eq=False)

    @property
    def isAnonymous(self) -> bool:
        """
        Whether nothing is known of the client.
        """
        return not (self.name or self.mayPublishAll or self.user is not None)


ANONYMOUS: Final = Client("")

KEY_HOLDER: Final = Client("key", True)
