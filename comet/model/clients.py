"""
Clients, as far as rights depend on them.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen


@frozen
class Client:
    """
    The client that a request or command comes from.

    @ivar name: Identifies the client.  The same idempotency key of a client
        with another name is another key.

    @ivar mayPublishAll: Whether the client may publish to every channel, and
        delete the messages that it holds.
    """

    name: str
    mayPublishAll: bool


ANONYMOUS: Final = Client("", False)

KEY_HOLDER: Final = Client("key", True)
