"""
What an application orders about clients: who is disconnected, and what is revoked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from comet.access.revocations import Revocation
from comet.framing.orders import Order, readOrder
from comet.hub.inprocess import InProcess
from comet.model.clients import Client


class ClientOrders(InProcess):
    """
    Lets the application disconnect clients and revoke tokens, on all nodes.
    """

    def clients(self, pattern: str) -> Deferred[list[Client]]:
        """
        Find the clients that read a channel, or one that a pattern matches, on this node.
        A client that polls is not there between two polls.

        @return: Fires with one client of each name, and all that have no name, in the
            order in which they came; those of which nothing is known are left out.  Fails
            with a L{CometError}.
        """
        return maybeDeferred(self._audience.clients, pattern)

    def disconnect(
        self,
        client: str | None = None,
        token: str | None = None,
        channels: Sequence[str] = (),
    ) -> Deferred[int]:
        """
        End what a client reads, on all nodes.  It may come back, and is identified anew.

        @param client: The client's name.

        @param token: The C{jti} of its token, in the place of its name.

        @param channels: The channels and patterns to end; all if there are none.

        @return: Fires with how many readers were ended, or lost names, on all nodes, but
            for those that do not tell within a second.  Fails with a L{CometError}, and
            then none was.
        """
        fields = {"client": client, "token": token, "channels": list(channels) or None}
        return maybeDeferred(lambda: self.control.disconnect(_order(fields, False)))

    def endKeyHolders(self, holders: Sequence[Client]) -> Deferred[int]:
        """
        End what was begun with keys that count no longer, on this node: see
        L{Access.gone<comet.access.rights.Access>}.

        @return: Fires with how many readers were ended.
        """
        self.dropKeys(holders)
        return self._audience.endKeyHolders(holders)

    def revoke(
        self,
        client: str | None = None,
        token: str | None = None,
        channels: Sequence[str] = (),
        issuedBefore: float | None = None,
        seconds: float | None = None,
    ) -> Deferred[Revocation]:
        """
        Refuse the tokens of a client, or one token, on all nodes; and end what was begun
        with them.  Of what the backend or the application knows, the client is asked
        about again.

        @param client: The client's name.

        @param token: The C{jti} of the token, in the place of a name.

        @param channels: The channels and patterns that are taken away; all if there are
            none.

        @param issuedBefore: Which tokens of the client are meant, in seconds since 1970:
            those that were made up to the end of this second.  By default of now.

        @param seconds: For how long; by default, as long as any token lasts.

        @return: Fires once all nodes will know.  Fails with a L{CometError}, and then
            nothing is revoked; but with L{Unknown<comet.errors.Unknown>} it may be.
        """
        fields = {
            "client": client,
            "token": token,
            "channels": list(channels) or None,
            "issuedBefore": issuedBefore,
            "seconds": self.settings.revokedSeconds if seconds is None else seconds,
        }
        return maybeDeferred(lambda: self.control.revoke(_order(fields, True)))

    def restore(self, id: str) -> Deferred[bool]:
        """
        Undo what L{revoke} has done, on all nodes.

        @param id: The id of the revocation.

        @return: Fires with whether it was in force.  Fails with a L{CometError}.
        """
        return maybeDeferred(self.control.restore, id)

    def revocations(self) -> list[Revocation]:
        """
        Return what is revoked, as far as this node knows.
        """
        return list(self._revoked)


def _order(fields: dict[str, Any], isRevoking: bool) -> Order:
    """
    Make an order of what an application gives.

    @raise BadRequest: If it is not allowed.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    return readOrder(given, isRevoking)
