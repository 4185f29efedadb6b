"""
WebSocket, RFC 6455: each envelope is a message, and commands come upwards.

Autobahn reads the frames that clients send, but for commands that have come whole.  The
response to the handshake is comet's: Autobahn begins with an open WebSocket.  What goes
to the clients is written by the reader, past Autobahn.
"""

from __future__ import annotations

from comet.fanout.streams import StreamReader
from comet.http.deflateoffers import agree
from comet.http.handshake import answerHandshake, notUpgrade, otherVersion
from comet.http.parameters import warningOf
from comet.http.reads import ReadRequest
from comet.http.request import checkHeaderValues
from comet.hub.hub import Hub
from comet.model.clients import Client
from comet.transports.detach import detach, isDetachable
from comet.transports.exchange import Exchange
from comet.transports.resource import HubResource
from comet.transports.websocketfactory import makeFactory, makeProtocolClass
from comet.transports.websocketprotocol import CometWebSocketProtocol


class WebSocketResource(HubResource):
    """
    Upgrades to a WebSocket that reads the names in the path.

    @cvar isBare: Whether the reader begins without names, and the path has
        none.
    """

    transport = "websocket"
    isBare = False

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._factory = makeFactory(hub)
        self._protocol = makeProtocolClass(self._factory)

    def makeProtocol(self) -> CometWebSocketProtocol:
        """
        Make the protocol of one client.
        """
        protocol = self._protocol()
        protocol.factory = self._factory
        return protocol

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Upgrade.
        """
        names = () if self.isBare else self.names(exchange)
        readRequest = exchange.parseReadRequest(names, self.transport)
        self.read(exchange, readRequest, self.begin, self.refuse)

    def begin(self, exchange: Exchange, readRequest: ReadRequest, client: Client) -> None:
        """
        Upgrade for a request that is parsed.

        @raise CometError: If the client may not read, or its origin is not
            allowed.
        """
        checkHeaderValues(exchange.rawHeaders(), resplit=True)
        exchange.checkOrigin()
        request = exchange.request
        if not isDetachable(request):
            raise notUpgrade()
        extension, compression = agree(exchange.head, self.hub.settings.compression)
        answer = answerHandshake(exchange.head, warningOf(exchange.head), extension)
        if answer is None:
            exchange.respond(otherVersion())
            return

        def makeReader() -> StreamReader:
            protocol = self.makeProtocol()
            protocol.traffic = exchange.trafficFor(self.transport)
            exchange.countRequest(protocol.traffic)
            request.setResponseCode(101)
            detach(request, protocol)
            return protocol.makeReader(
                self.hub,
                client,
                readRequest,
                self.isBare,
                answer,
                compression,
                exchange.forwarded,
            )

        names, since = readRequest.names, readRequest.since
        self.hub.openStream(
            client,
            names,
            since,
            makeReader,
            peer=exchange,
            readerID=readRequest.reader,
            transport=self.transport,
        )


class SocketResource(WebSocketResource):
    """
    Upgrades to a WebSocket that begins without names.
    """

    isBare = True
    hasPath = False
