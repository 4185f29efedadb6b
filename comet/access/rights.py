"""
Which client may read, publish and delete: by the publish key, or because a
channel is open.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Sequence
from functools import lru_cache, partial
from typing import Final

from zope.interface import implementer

from comet.access.keys import KEY
from comet.errors import BadChannel, Forbidden, Unauthorized
from comet.http.credentials import Credential, Credentials, CredentialSource
from comet.interfaces import ICredentialAccess, IPublisherAccess
from comet.model.channels import NAME_CACHE_SIZE, isReserved, parseName
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client
from comet.model.patterns import matchesAny

# Where the key counts: what is elsewhere comes into logs and histories, or is sent
# without being asked for.
_PLACES: Final = frozenset({CredentialSource.AUTHORIZATION, CredentialSource.COMMAND})


@implementer(ICredentialAccess, IPublisherAccess)
class Access:
    """
    Every client may read every channel.  A client with the publish key may
    publish to every channel, and any client to the channels that are open.
    Only the server itself publishes to reserved channels.

    Subclass it, and override C{identify} to know clients by an application's own
    sessions, and C{checkSubscribe}, C{checkPublish} and C{checkDelete} to decide
    what they may do.
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

    def identify(self, credentials: Credentials) -> Client | Awaitable[Client]:
        """
        Identify the client by its credential.  Override it to identify clients
        by something else, such as the cookie of a session.

        @return: The client, or a Deferred or coroutine of it.

        @raise Unauthorized: If the credential is not the publish key.
        """
        return self.clientOf(credentials.credential)

    def clientOf(self, credential: Credential | None) -> Client:
        """
        Return the key holder for the publish key, and L{ANONYMOUS} where there is
        no credential.

        @raise Unauthorized: If the credential is not the publish key, or does not
            stand in the header C{Authorization} or in a command.  A client with a bad credential
            is refused rather than taken as anonymous.
        """
        if credential is None:
            return ANONYMOUS
        if credential.source not in _PLACES:
            raise Unauthorized(
                f"{credential.source.value} does not count: send the publish key in the header "
                "Authorization, as 'Bearer' and the key"
            )
        given = credential.text.encode("utf-8", "surrogatepass")
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
    return Unauthorized(detail) if client.isAnonymous else Forbidden(detail)
