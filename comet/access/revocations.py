"""
What is revoked: which tokens are refused, and which have lost a part of their rights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import floor
from typing import Any, Final

from attrs import frozen

from comet.errors import BadCredential, TooMany, Unavailable
from comet.model.clients import Client, Known
from comet.model.patterns import overlaps

# How many revocations may be in force together.
MAX_REVOCATIONS: Final = 100_000


@frozen
class Revocation:
    """
    The tokens of one client, or one token, are revoked.

    @ivar id: Identifies the revocation.

    @ivar client: The name of the client; empty if one token is revoked.

    @ivar token: The C{jti} of the token; empty if a client is revoked.

    @ivar channels: The channels and patterns that are taken away; if there are none,
        the tokens are refused.

    @ivar issuedBefore: Which tokens of the client are meant, in seconds since 1970:
        those that were issued up to the end of this second.  Of no effect on one token.

    @ivar until: From when on it is in force no longer, in seconds since 1970; L{None}
        if it is until it is removed.
    """

    id: str
    client: str = ""
    token: str = ""
    channels: Sequence[str] = ()
    issuedBefore: float = 0.0
    until: float | None = None

    def __attrs_post_init__(self) -> None:
        if bool(self.client) == bool(self.token):
            raise ValueError("a revocation is of either a client or a token")

    @property
    def fields(self) -> dict[str, Any]:
        """
        The revocation as a JSON object, without what it does not say.
        """
        fields = {
            "id": self.id,
            "client": self.client or None,
            "token": self.token or None,
            "channels": list(self.channels) or None,
            "issuedBefore": None if self.token else self.issuedBefore,
            "until": self.until,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def applies(self, client: Client) -> bool:
        """
        Whether a client was known by a token that is meant.
        """
        if client.known is not Known.TOKEN:
            return False
        if self.token:
            return client.credentialID == self.token
        if client.name != self.client:
            return False
        # RFC 7519 4.1.6: a token need not say when it was issued.  Many tokens say it in
        # whole seconds: one of the same second may be older, so it is refused.
        return client.issued is None or floor(client.issued) <= floor(self.issuedBefore)


class Revocations:
    """
    The revocations in force.  To find those of a client costs the same however many
    there are of others.

    @ivar isLoaded: Whether it is known what is in force.  Until then no token is judged.

    @ivar isQuiet: Whether that is known, and there is nothing: then clients need not be
        looked at.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """
        @param now: Returns the time in seconds since 1970.
        """
        self._now = now
        self.isLoaded = self.isQuiet = True
        self._all: dict[str, Revocation] = {}
        # By the name of the client, and by the token: the revocations by their ids.
        self._ofClients: dict[str, dict[str, Revocation]] = {}
        self._ofTokens: dict[str, dict[str, Revocation]] = {}

    def __len__(self) -> int:
        """
        How many there are, with those that have ended since the last was added.
        """
        return len(self._all)

    def __iter__(self) -> Iterator[Revocation]:
        """
        Those in force, in the order in which they were added.  None may be added or
        removed during the iteration.
        """
        return (each for each in self._all.values() if self._isInForce(each))

    def __contains__(self, id: object) -> bool:
        """
        Whether there is one with this id, which may have ended.
        """
        return id in self._all

    def unload(self) -> None:
        """
        What is in force is not known from now on: see L{isLoaded}.
        """
        self.isLoaded = self.isQuiet = False

    def load(self, revocations: Sequence[Revocation]) -> None:
        """
        Put some revocations in force in the place of all others: what is in force is
        known from now on.

        @raise TooMany: If there are more than L{MAX_REVOCATIONS}.  Nothing is changed then.
        """
        if len(revocations) > MAX_REVOCATIONS:
            raise TooMany(f"more than {MAX_REVOCATIONS:,} revocations are in force")
        self._all.clear()
        self._ofClients.clear()
        self._ofTokens.clear()
        for revocation in revocations:
            self._put(revocation)
        self.isLoaded = True
        self.isQuiet = not self._all

    def add(self, revocation: Revocation) -> None:
        """
        Put a revocation in force, in place of the one that has the same id.

        @raise TooMany: If there are L{MAX_REVOCATIONS} others in force.  Nothing is
            changed then.
        """
        if len(self._all) >= MAX_REVOCATIONS and revocation.id not in self._all:
            for ended in [each for each in self._all.values() if not self._isInForce(each)]:
                self.remove(ended.id)
            if len(self._all) >= MAX_REVOCATIONS:
                raise TooMany(f"{MAX_REVOCATIONS:,} revocations are in force: delete some of them")
        self.remove(revocation.id)
        self._put(revocation)
        self.isQuiet = False

    def _put(self, revocation: Revocation) -> None:
        self._all[revocation.id] = revocation
        table, key = self._placeOf(revocation)
        table.setdefault(key, {})[revocation.id] = revocation

    def remove(self, id: str) -> Revocation | None:
        """
        Put a revocation out of force.

        @return: The revocation, or L{None} if there is none with this id.
        """
        revocation = self._all.pop(id, None)
        if revocation is not None:
            table, key = self._placeOf(revocation)
            del table[key][id]
            if not table[key]:
                del table[key]
            self.isQuiet = self.isLoaded and not self._all
        return revocation

    def admit(self, client: Client) -> Client:
        """
        Return a client whose token is not refused.  Others are returned, too.

        @raise BadCredential: If its token is revoked.

        @raise Unavailable: If it has a token, and it is not known what is in force.
        """
        if client.known is Known.TOKEN:
            if not self.isLoaded:
                raise Unavailable("the server does not know yet which tokens are revoked", 1.0)
            if self.isRevoked(client):
                raise BadCredential("the token is revoked")
        return client

    def isRevoked(self, client: Client) -> bool:
        """
        Whether the token of a client is refused.
        """
        return any(not each.channels for each in self._of(client))

    def hasLost(self, client: Client, name: str) -> bool:
        """
        Whether the token of a client permits a channel or pattern no longer.  A pattern
        is lost also where only a part of what it reaches was taken away.
        """
        return any(not each.channels or takes(each.channels, name) for each in self._of(client))

    def _of(self, client: Client) -> Iterator[Revocation]:
        for table, key in (
            (self._ofClients, client.name),
            (self._ofTokens, client.credentialID),
        ):
            for each in table.get(key, {}).values():
                if self._isInForce(each) and each.applies(client):
                    yield each

    def _placeOf(self, revocation: Revocation) -> tuple[dict[str, dict[str, Revocation]], str]:
        if revocation.token:
            return self._ofTokens, revocation.token
        return self._ofClients, revocation.client

    def _isInForce(self, revocation: Revocation) -> bool:
        return revocation.until is None or self._now() < revocation.until


def takes(channels: Sequence[str], name: str) -> bool:
    """
    Whether a name is lost to a client that has lost the right to some channels and patterns.
    With a channel it loses the right to see who is in it.
    """
    reached = name.removeprefix("$presence/")
    return any(overlaps(each, name) or overlaps(each, reached) for each in channels)
