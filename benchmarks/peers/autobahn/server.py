"""
A server with Autobahn on Twisted, which prepares a message once for all
readers::

    python server.py PORT PUBLISHING_PORT
"""

from __future__ import annotations

import sys

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.web.server import Site

from benchmarks.peers.posting import Channels
from benchmarks.peers.twistedposting import Publisher

channels = Channels()


class Reader(WebSocketServerProtocol):
    """
    One reader.
    """

    names: tuple[str, ...] = ()

    def onConnect(self, request: ConnectionRequest) -> None:
        """
        Note the names that the request asks for.
        """
        self.names = tuple(request.path[1:].split(","))

    def onOpen(self) -> None:
        """
        Join the channels.
        """
        channels.join(self.names, self)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        """
        Leave the channels.
        """
        channels.leave(self.names, self)


def publish(name: str, data: str) -> None:
    """
    Send a message to all readers of a channel.
    """
    prepared = factory.prepareMessage(data.encode("utf-8"))
    for reader in tuple(channels.get(name, ())):
        reader.sendPreparedMessage(prepared)


factory = WebSocketServerFactory()
factory.protocol = Reader


def main() -> None:
    """
    Serve until the process ends.
    """
    from twisted.internet import reactor

    port, publishing = map(int, sys.argv[1:])
    for number, served in ((port, factory), (publishing, Site(Publisher(publish)))):
        TCP4ServerEndpoint(reactor, number, 4096, "127.0.0.1").listen(served)
    reactor.run()


main()
