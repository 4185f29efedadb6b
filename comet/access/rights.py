"""
Who may do what: the publish key, and the channels that are open without it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from functools import lru_cache, partial

from zope.interface import implementer

from comet.access.keys import KEY
from comet.errors import BadChannel, Forbidden, Unauthorized
from comet.interfaces import IAccess
from comet.model.channels import MOST_PARSED, isReserved, matchesAny, parseName
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client

# RFC 9110 11.4: the name of the scheme is in any case.
_BEARER = re.compile(r"bearer +(.*)", re.IGNORECASE | re.DOTALL)


@implementer(IAccess)
class Access:
    """
    Anyone may read.  Who holds the publish key may publish anywhere, and
    anyone to the channels that are open; but only the server itself to those
    that are its own.
    """

    def __init__(self, publishKey: str | None = None, openPatterns: Sequence[str] = ()) -> None:
        """
        @param publishKey: The key, of printable ASCII characters without
            spaces; without one there is nobody who holds it.

        @param openPatterns: The channels, or patterns of them, to which anyone
            may publish.

        @raise ValueError: If the key or a pattern cannot be one.
        """
        if publishKey is not None and not KEY.fullmatch(publishKey):
            raise ValueError("the publish key is not of printable ASCII characters without spaces")
        for pattern in openPatterns:
            try:
                parseName(pattern)
            except BadChannel as error:
                raise ValueError(f"what is open is no channel or pattern: {error.detail}") from None
        self._publishKey = None if publishKey is None else publishKey.encode("ascii")
        # By the name of the channel: it is asked for each message.
        self._isOpen = lru_cache(MOST_PARSED)(partial(matchesAny, tuple(openPatterns)))

    def identify(self, authorization: str | None) -> Client:
        """
        Tell who asks, by the value of the header C{Authorization}.

        @param authorization: The value, or L{None} where the header is absent,
            which means L{ANONYMOUS}.

        @raise Unauthorized: If it is anything but the publish key: who shows a
            bad credential is not anonymous.
        """
        if authorization is None:
            return ANONYMOUS
        bearer = _BEARER.fullmatch(authorization)
        if bearer is None:
            raise Unauthorized(
                "the header Authorization is not of the form 'Bearer' and the publish key"
            )
        given = bearer[1].encode("utf-8", "surrogatepass")
        if self._publishKey is None or not hmac.compare_digest(given, self._publishKey):
            raise Unauthorized("the key in the header Authorization is not the publish key")
        return KEY_HOLDER

    def checkSubscribe(self, client: Client, name: str) -> None:
        """
        Anyone may read every channel and pattern.
        """

    def checkPublish(self, client: Client, channel: str) -> None:
        """
        Refuse to publish to a channel without the right.

        @raise Forbidden: If nobody may.

        @raise Unauthorized: If the publish key is needed.
        """
        if isReserved(channel):
            raise _reserved(channel)
        if client.mayPublishAll or self._isOpen(channel):
            return
        raise _keyNeeded(
            client,
            f"to publish to {channel[:64]!r}, send the publish key as 'Authorization: Bearer' and "
            "the key; or the server opens the channel to anyone with --open",
        )

    def checkDelete(self, client: Client, channel: str) -> None:
        """
        Refuse to delete what is held of a channel without the right.

        @raise Forbidden: If nobody may.

        @raise Unauthorized: If the publish key is needed.
        """
        if isReserved(channel):
            raise _reserved(channel)
        if not client.mayPublishAll:
            raise _keyNeeded(
                client,
                f"to delete what is held of {channel[:64]!r}, send the publish key as "
                "'Authorization: Bearer' and the key",
            )


def _reserved(channel: str) -> Forbidden:
    return Forbidden(
        f"{channel[:64]!r} is the server's own, as is every channel with a segment that "
        "begins with '$'"
    )


def _keyNeeded(client: Client, detail: str) -> Unauthorized | Forbidden:
    # RFC 9110 15.5.4: who has shown a good credential need not show it again.
    return Unauthorized(detail) if client == ANONYMOUS else Forbidden(detail)
