"""
Which client may read, publish and delete: by the publish key, or because a
channel is open.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from functools import lru_cache, partial

from zope.interface import implementer

from comet.access.keys import KEY
from comet.errors import BadChannel, Forbidden, Unauthorized
from comet.interfaces import IPublisherAccess
from comet.model.channels import NAME_CACHE_SIZE, isReserved, parseName
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client
from comet.model.patterns import matchesAny

# RFC 9110 11.4: the scheme's name is case-insensitive.
_BEARER = re.compile(r"bearer +(.*)", re.IGNORECASE | re.DOTALL)


@implementer(IPublisherAccess)
class Access:
    """
    Every client may read every channel.  A client with the publish key may
    publish to every channel, and any client to the channels that are open.
    Only the server itself publishes to reserved channels.
    """

    def __init__(self, publishKey: str | None = None, openPatterns: Sequence[str] = ()) -> None:
        """
        @param publishKey: The key, of printable ASCII characters without
            spaces.  Without one no client may publish to channels that are not
            open.

        @param openPatterns: The channels and patterns to which every client
            may publish.

        @raise ValueError: If the key or a pattern is not valid.
        """
        if publishKey is not None and not KEY.fullmatch(publishKey):
            raise ValueError("the publish key is not of printable ASCII characters without spaces")
        for pattern in openPatterns:
            try:
                parseName(pattern)
            except BadChannel as error:
                raise ValueError(f"a channel to open is not valid: {error.detail}") from None
        self._publishKey = None if publishKey is None else publishKey.encode("ascii")
        self._opensAny = bool(openPatterns)
        # Remembered by channel, since every message asks for it.
        self._isOpen = lru_cache(NAME_CACHE_SIZE)(partial(matchesAny, tuple(openPatterns)))

    def identify(self, authorization: str | None) -> Client:
        """
        Identify the client by the header C{Authorization}.

        @param authorization: The header's value, or L{None} if it is absent,
            which means L{ANONYMOUS}.

        @raise Unauthorized: If the value is not the publish key.  A client
            with a bad credential is refused rather than taken as anonymous.
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
            raise Unauthorized("the key is not the publish key")
        return KEY_HOLDER

    def checkSubscribe(self, client: Client, name: str) -> None:
        """
        Allow every client to read every channel and pattern.
        """

    def checkPublisher(self, client: Client) -> None:
        """
        Check that a client may publish to some channel.

        @raise Forbidden: If no channel is open, and the client was identified
            and does not have the right.

        @raise Unauthorized: If no channel is open, and an anonymous client needs
            the publish key.
        """
        if not (client.mayPublishAll or self._opensAny):
            raise _keyNeeded(
                client,
                "to publish, send the publish key as 'Authorization: Bearer' and the key; or "
                "start the server with --open, which opens channels to every client",
            )

    def checkPublish(self, client: Client, channel: str) -> None:
        """
        Check that a client may publish to a channel.

        @raise Forbidden: If the channel is reserved, or the client was
            identified and does not have the right.

        @raise Unauthorized: If an anonymous client needs the publish key.
        """
        if isReserved(channel):
            raise _reserved(channel)
        if client.mayPublishAll or self._isOpen(channel):
            return
        raise _keyNeeded(
            client,
            f"to publish to {channel[:64]!r}, send the publish key as 'Authorization: Bearer' and "
            "the key; or start the server with --open, which opens the channel to every client",
        )

    def checkDelete(self, client: Client, channel: str) -> None:
        """
        Check that a client may delete the messages that a channel holds.

        @raise Forbidden: If the channel is reserved, or the client was
            identified and does not have the right.

        @raise Unauthorized: If an anonymous client needs the publish key.
        """
        if isReserved(channel):
            raise _reserved(channel)
        if not client.mayPublishAll:
            raise _keyNeeded(
                client,
                f"to delete the messages of {channel[:64]!r}, send the publish key as "
                "'Authorization: Bearer' and the key",
            )


def _reserved(channel: str) -> Forbidden:
    return Forbidden(
        f"{channel[:64]!r} is reserved for the server, as is every channel with a segment that "
        "begins with '$'"
    )


def _keyNeeded(client: Client, detail: str) -> Unauthorized | Forbidden:
    # RFC 9110 15.5.4: a client with a good credential is not asked for it again.
    return Unauthorized(detail) if client == ANONYMOUS else Forbidden(detail)
