"""
Clients, as far as rights depend on them.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Final

from attrs import field, frozen

from comet.model.grants import NO_RIGHTS, Rights

# How many bytes the name of a client may have.
MAX_NAME: Final = 255

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def checkClientName(value: object) -> str:
    """
    Check the name of a client.

    @raise ValueError: If it is not a text of 1 to L{MAX_NAME} bytes without control
        characters.
    """
    if not isinstance(value, str) or _CONTROL.search(value):
        raise ValueError("the name of a client is a text without control characters")
    size = len(value.encode("utf-8", "surrogatepass"))
    if not 1 <= size <= MAX_NAME:
        raise ValueError(f"the name of a client has {size} bytes; 1 to {MAX_NAME} are allowed")
    return value


class Known(Enum):
    """
    How a client was known.

    @cvar NOT: Nothing is known of it.

    @cvar KEY: By the publish key or the admin key.

    @cvar TOKEN: By a token.

    @cvar HOOK: By the backend, which was asked.

    @cvar APPLICATION: By an application's own access object.
    """

    NOT = "not"
    KEY = "key"
    TOKEN = "token"
    HOOK = "hook"
    APPLICATION = "application"


@frozen
class Client:
    """
    The client that a request or command comes from.

    An application may subclass it.  The object that its
    L{IAccess.identify<comet.interfaces.access.IAccess.identify>} returns is the one that
    each of its checks is given, for as long as the client's connection lasts.

    @ivar name: Identifies the client; empty for one that has no name.  The same
        idempotency key of a client with another name is another key.

    @ivar mayPublishAll: Whether the client may publish to every channel, and
        delete the messages that it holds.

    @ivar user: An object of the application's own, such as a row of its users.
        Clients that differ in nothing else are equal.

    @ivar mayAdmin: Whether the client may also read the channels of the server's
        own, and disconnect and revoke others.

    @ivar rights: What it may do beyond what is open to every client.

    @ivar info: What others are shown of it: a value of JSON, or L{None}.

    @ivar known: How it was known.

    @ivar expires: When its credential ends, as the credential says, in seconds
        since 1970; L{None} if it does not end.

    @ivar until: From when on the client is no longer known, in seconds since 1970:
        C{expires}, and the tolerance there is.  L{None} if never.

    @ivar issued: When its credential was made, in seconds since 1970; L{None} if
        it does not say.

    @ivar credentialID: What revokes its credential alone, as C{jti} of a token;
        empty if there is nothing.
    """

    name: str
    mayPublishAll: bool = False
    user: object = field(default=None, eq=False)
    mayAdmin: bool = field(default=False, kw_only=True)
    rights: Rights = field(default=NO_RIGHTS, kw_only=True)
    info: Any = field(default=None, kw_only=True, eq=False)
    known: Known = field(default=Known.APPLICATION, kw_only=True, eq=False)
    expires: float | None = field(default=None, kw_only=True)
    until: float | None = field(default=None, kw_only=True)
    issued: float | None = field(default=None, kw_only=True)
    credentialID: str = field(default="", kw_only=True)

    @property
    def isAnonymous(self) -> bool:
        """
        Whether nothing is known of the client.
        """
        if self.known is not Known.APPLICATION:
            return self.known is Known.NOT
        return not (self.name or self.mayPublishAll or self.user is not None)

    @property
    def publisher(self) -> str:
        """
        Whose idempotency keys the client uses.  No name that a client may have
        stands for another publisher.
        """
        if self.mayPublishAll:
            return "key"
        return f"client:{self.name}" if self.name else ""


ANONYMOUS: Final = Client("", known=Known.NOT)

KEY_HOLDER: Final = Client("", True, known=Known.KEY)

ADMIN: Final = Client("", True, mayAdmin=True, known=Known.KEY)
