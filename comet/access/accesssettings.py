"""
What the access object is told by the configuration.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from zope.interface import Interface

from comet.access.keys import KEY
from comet.errors import BadChannel
from comet.http.credentials import Credential, Credentials
from comet.model.channels import parseName
from comet.model.clients import Client


class ITokenVerifier(Interface):
    """
    Knows clients by their tokens.
    """

    def recall(text: str) -> Client | None:
        """
        Return the client of a token that was verified before and has not ended; L{None}
        for anything else.
        """

    def clientOf(credential: Credential) -> Client | None:
        """
        Return the client that a token names, or L{None} if that cannot be told at
        once: then ask L{identify}.

        @raise CometError: If the token is not valid, or cannot be judged.
        """

    def identify(credential: Credential) -> Deferred[Client]:
        """
        Find out which client a token names.  The Deferred may be cancelled.

        @return: Fails with a L{CometError}.
        """

    def forget(matches: Callable[[Client], bool]) -> None:
        """
        Forget the tokens of some clients: they are verified again.
        """


class IConnectHook(Interface):
    """
    Asks the backend which client sends a request.
    """

    def identify(
        credentials: Credentials, isOpen: Callable[[str, bool], bool]
    ) -> Client | Deferred[Client]:
        """
        Find out which client shows these credentials, none of which is a key or a
        token that the server judges itself.  The Deferred may be cancelled.

        @param isOpen: Tells of a name, and whether it is published to, whether every
            client may do that.

        @raise CometError: If the request is refused.
        """

    def renew(client: Client) -> Deferred[Client] | None:
        """
        Ask again about a client whose time is over: see
        L{Access.renew<comet.access.rights.Access.renew>}.
        """

    def replacedBy(other: object) -> None:
        """
        Let another decide from now on, also about connections that began before.

        @param other: What provides this interface, too; or L{None} if no backend is asked
            any more.
        """

    def forget(matches: Callable[[Client], bool]) -> None:
        """
        Forget what was told of some clients.
        """


@frozen
class AccessSettings:
    """
    Keys, and what is open.

    @ivar publishKeys: The keys that let a backend publish and read everywhere.

    @ivar adminKeys: Those of the admin; if there is none, the publish keys are.

    @ivar openPatterns: The channels and patterns to which every client may publish.

    @ivar openReadPatterns: Those that every client may read.

    @ivar tokens: An L{ITokenVerifier}, or L{None}.

    @ivar hook: An L{IConnectHook}, or L{None}.
    """

    publishKeys: tuple[str, ...] = ()
    adminKeys: tuple[str, ...] = ()
    openPatterns: tuple[str, ...] = ()
    openReadPatterns: tuple[str, ...] = ()
    tokens: object = None
    hook: object = None

    def __attrs_post_init__(self) -> None:
        """
        Check the values.

        @raise ValueError: If a key or a pattern is not valid.
        """
        for kind, keys in (("publish", self.publishKeys), ("admin", self.adminKeys)):
            if not all(KEY.fullmatch(key) for key in keys):
                raise ValueError(
                    f"the {kind} key is not of printable ASCII characters without spaces"
                )
        for pattern in (*self.openPatterns, *self.openReadPatterns):
            try:
                parseName(pattern)
            except BadChannel as error:
                raise ValueError(f"a channel to open is not valid: {error.detail}") from None

    @property
    def isRestricted(self) -> bool:
        """
        Whether only those read who have a right to.
        """
        return self.tokens is not None or self.hook is not None

    def withKeys(self, publishKeys: tuple[str, ...], adminKeys: tuple[str, ...]) -> AccessSettings:
        """
        Return the same settings with other keys.
        """
        return evolve(self, publishKeys=publishKeys, adminKeys=adminKeys)
