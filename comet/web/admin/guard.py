"""
Resources that need the admin key.
"""

from __future__ import annotations

from typing import Final

from twisted.logger import Logger

from comet.errors import Forbidden, Unauthorized
from comet.http.origins import CORS, readOrigin
from comet.logging.clientlog import printable
from comet.transports.exchange import Exchange
from comet.transports.resource import HubResource

# None of what is ordered is left out, as it may be of what others do.
_log = Logger()

# How many characters are logged of each part.
_LOGGED: Final = 1000

# A page of another origin may neither ask nor read, whatever --allow-origin says.
_NO_PAGES = CORS(None, False, False)


class AdminResource(HubResource):
    """
    A resource that needs the admin key.  It serves this server's own pages only, and
    programs.

    A subclass overrides C{answer_GET} and so on as in L{HubResource}; they are called for
    an admin only.
    """

    def dispatch(self, exchange: Exchange) -> None:
        """
        See L{HubResource.dispatch}.
        """
        self._checkPage(exchange)
        super().dispatch(exchange)

    def admit(self, exchange: Exchange) -> None:
        """
        See L{HubResource.admit}.
        """
        exchange.check(self.needsHost)
        self._checkPage(exchange)
        super().admit(exchange)

    def _checkPage(self, exchange: Exchange) -> None:
        origin = exchange.head.header("Origin")
        if origin is None:
            return
        own = self.hub.origins.own(exchange.host, exchange.head.isSecure)
        if own is None or readOrigin(origin) != own:
            exchange.cors = _NO_PAGES
            raise Forbidden(f"the origin {origin[:64]!r} is not this server's own")

    def log(self, exchange: Exchange, what: str) -> None:
        """
        Log what an admin has ordered, and from where.
        """
        request = exchange.request
        asked = f"{request.method.decode('latin-1')} {request.path.decode('latin-1')}"
        _log.info(
            "an admin at {peer} orders {asked}: {what}",
            peer=printable(str(exchange.address), _LOGGED),
            asked=printable(asked, _LOGGED),
            what=printable(what, _LOGGED),
        )

    def checkAdmin(self, exchange: Exchange) -> None:
        """
        Refuse a client that is no admin.

        @raise Unauthorized: If nothing is known of it.

        @raise Forbidden: If it is another client.
        """
        client = exchange.client
        if not client.mayAdmin:
            refused = Unauthorized if client.isAnonymous else Forbidden
            raise refused(
                "this is for the admin: send the admin key as 'Authorization: Bearer' and the key"
            )
