"""
What decides what a client may do.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from zope.interface import Interface

if TYPE_CHECKING:
    from comet.http.credentials import Credential, Credentials
    from comet.model.clients import Client


class IAccess(Interface):
    """
    Finds out which client sends a request, and decides what it may do.

    Each check returns if the client has the right, and raises
    L{Unauthorized<comet.errors.Unauthorized>} or
    L{Forbidden<comet.errors.Forbidden>} if not.  It is called for each request,
    command and message, and must not take long.
    """

    def identify(credentials: Credentials) -> Client | Awaitable[Client]:
        """
        Find out which client sends a request.  Called for each request, for each
        WebSocket when it opens, and for each connection of raw TCP at its first
        line.

        A request with a body may be asked about when its head has come.  A reader
        that is refused on the lean edge may be asked about twice.

        @return: The client, or a Deferred or coroutine of it.  Only the client
            that asks waits then; if it leaves, or does not get an answer within
            the hub's C{identifySeconds}, the Deferred is cancelled.  Without a
            credential, L{ANONYMOUS<comet.model.clients.ANONYMOUS>}.

        @raise Unauthorized: If the credential is not valid.  Such a client must
            not count as anonymous.

        @raise CometError: If the request is refused for another reason.  Any
            other exception is logged, and the client is told of an internal error.
        """

    def checkSubscribe(client: Client, name: str) -> None:
        """
        Check that the client may read a channel or pattern.
        """

    def checkPublish(client: Client, channel: str) -> None:
        """
        Check that the client may publish to a channel.
        """

    def checkDelete(client: Client, channel: str) -> None:
        """
        Check that the client may delete the messages of a channel.
        """


class ICredentialAccess(IAccess):
    """
    Knows clients by their credential alone, at once.

    Where C{identify} is not overridden below C{clientOf}, only C{clientOf} is
    called, which is cheaper: nothing else of a request is read.  Where it is
    overridden, C{clientOf} still tells which requests for an unknown host have the
    publish key.
    """

    def clientOf(credential: Credential | None) -> Client | None:
        """
        Return the client that has a credential, or L{None} if that cannot be told by
        the credential alone, or not at once: then C{identify} is called.

        @param credential: L{None} if the request has none.

        @raise Unauthorized: If the credential is not valid.
        """


class IPublisherAccess(IAccess):
    """
    Knows also which clients may publish nowhere.  Such a client is refused
    before the server takes the body of its request.

    A subclass that overrides C{checkPublish} overrides C{checkPublisher}, too,
    or it is not asked.
    """

    def checkPublisher(client: Client) -> None:
        """
        Check that there may be a channel to which the client may publish.
        """
