"""
The head of an answer to a request that the server sends itself, within bounds.

Twisted bounds a line of it, and not their number: neither of headers, nor of responses
before the last one, such as C{100 Continue}, each of which is logged.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.interfaces import IAddress
from twisted.web._newclient import BODY, DONE, HTTP11ClientProtocol
from twisted.web.client import HTTPConnectionPool

# How many bytes an answer may have before its body.
MAX_HEAD: Final = 16384

# How many bytes are looked at together.
_PIECE: Final = 1024


class BoundedHeads(HTTP11ClientProtocol):
    """
    Closes the connection of a server whose answer does not come to its body.
    """

    # Any: what Twisted gives has more than ITransport.
    transport: Any

    _left = 0

    def request(self, request: Any) -> Any:
        """
        Send a request.
        """
        self._left = MAX_HEAD
        return super().request(request)

    def dataReceived(self, data: bytes) -> None:
        """
        Take a part of the answer.
        """
        parser: Any = self._parser
        while data and parser is not None and parser.state not in (BODY, DONE):
            piece, data = data[:_PIECE], data[_PIECE:]
            self._left -= len(piece)
            if self._left < 0:
                # The request fails with that.
                self.transport.abortConnection()
                return
            super().dataReceived(piece)
            if self._parser is not parser:
                # The answer is whole, or was given up.
                return
        if data:
            super().dataReceived(data)


def makePool(reactor: Any, persistent: bool = True) -> HTTPConnectionPool:
    """
    Make a pool of connections to servers whose answers have bounds.

    @param persistent: Whether connections are kept for another request.
    """
    pool = HTTPConnectionPool(reactor, persistent)
    # Any: there is no other way.
    anyPool: Any = pool

    class Bounded(anyPool._factory):  # type: ignore[misc]
        """
        Makes the connections.
        """

        # It would log two lines for each.
        noisy = False

        def buildProtocol(self, addr: IAddress | None) -> BoundedHeads:
            """
            Make a connection.
            """
            return BoundedHeads(self._quiescentCallback)

    anyPool._factory = Bounded
    return pool
