"""
What has a say in what clients do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

from zope.interface import Interface

from comet.model.messages import Publication

if TYPE_CHECKING:
    from comet.model.clients import Client
    from comet.model.hookanswers import Allowed, Rewritten


class IHooks(Interface):
    """
    Has a say in what clients do that have the right to: see
    L{Hub.useHooks<comet.hub.hooked.Hooked.useHooks>}.  A backend that is asked by webhooks is one
    provider of it.

    Each method returns its answer, or a Deferred or coroutine of it.  Only what is asked
    about waits then, and what the same client publishes to the same channel behind it.
    An answer that takes longer than the hub's C{identifySeconds} is
    L{Unavailable<comet.errors.Unavailable>}, and the Deferred is cancelled; also when it is
    seen that the client has left which wanted to read, or to call.

    A method refuses with any L{CometError<comet.errors.CometError>}.  Any other exception
    is logged, and the client is told of an internal error.  What an answer changes is
    checked as if the client had said it; what is not allowed is logged, and the client is
    told C{unavailable}.

    What a client does with a publish key or the admin key is not asked about, but for
    calls.
    """

    def subscribe(
        client: Client, names: Sequence[str]
    ) -> Allowed | Awaitable[Allowed | None] | None:
        """
        Decide whether a client may read channels and patterns.  What is allowed a client
        with a name is remembered for a while, by that name, so that polls and reconnects
        do not ask again.

        @param names: Those that the hub is told to ask about; at least one.

        @return: L{None} to let it be, which is remembered for 60 seconds.  All of them may
            be read, or none.
        """

    def publish(
        client: Client, publication: Publication
    ) -> Rewritten | Awaitable[Rewritten | None] | None:
        """
        Decide whether a message is stored, and how.  Each message of a request, and each of
        its channels, is asked about, all before the first is stored.  If one is refused,
        nothing of the request is stored.

        A message that comes again with its idempotency key is not asked about if it was
        stored.

        @param publication: The message, with one channel.

        @return: L{None} to let it be.
        """

    def call(client: Client, method: str, data: Any) -> Any:
        """
        Answer a client's call.

        @param method: A name that the client has chosen, in the form of a channel's.

        @param data: A value of JSON, or L{bytes}.

        @return: A value of JSON, or L{bytes}; or a Deferred or coroutine of it.

        @raise NotFound: If there is no such method.
        """
