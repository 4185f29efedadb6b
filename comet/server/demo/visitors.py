"""
The visitors of the chat page, which say what they are called.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import unquote

from comet.access.accesssettings import AccessSettings
from comet.access.rights import Access
from comet.http.credentials import Credentials
from comet.model.clients import ANONYMOUS, Client, checkClientName

# The cookie with the name that a visitor has typed, percent-encoded.
COOKIE: Final = "comet_visitor"


class VisitorAccess(Access):
    """
    Believes visitors what they are called, so that presence shows their names.  A name
    gives no right: a visitor may do what anonymous clients may.
    """

    def __init__(self, settings: AccessSettings, isBelieving: Callable[[], bool]) -> None:
        """
        @param isBelieving: Returns whether names count.
        """
        super().__init__(settings=settings)
        self._isBelieving = isBelieving

    def identify(self, credentials: Credentials) -> Client | Awaitable[Client]:
        """
        Identify the client by its credential, or by the name in its cookie.
        """
        client = super().identify(credentials)
        if client is not ANONYMOUS or not self._isBelieving():
            return client
        try:
            return Client(checkClientName(unquote(credentials.cookies[COOKIE], errors="strict")))
        except (KeyError, ValueError):
            # There is none, or it is no name.
            return ANONYMOUS
