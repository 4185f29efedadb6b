"""
Somebody who asks for something.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen


@frozen
class Client:
    """
    Somebody who asks for something.

    @ivar name: Who it is.  The same idempotency key of another name is
        another key.

    @ivar mayPublishAll: Whether the client may publish to every channel, and
        delete what is held of it.
    """

    name: str
    mayPublishAll: bool


ANONYMOUS: Final = Client("", False)

KEY_HOLDER: Final = Client("key", True)
