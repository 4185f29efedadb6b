"""
The options of Autobahn, each with a safe value, and how a connection gets them without
a copy of its own.
"""

from __future__ import annotations

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.interfaces import IReactorTime

from comet.hub.hub import Hub
from comet.transports.websocketprotocol import CometWebSocketProtocol


def makeFactory(hub: Hub) -> WebSocketServerFactory:
    """
    Make Autobahn's factory, with safe values for all options that are unsafe by
    default.
    """
    clock: IReactorTime = hub.clock
    factory = WebSocketServerFactory(server=None, reactor=clock)
    most = hub.settings.limits.maxCommandBytes
    factory.setProtocolOptions(
        versions=[13],
        webStatus=False,
        utf8validateIncoming=True,
        maskServerFrames=False,
        requireMaskedClientFrames=True,
        applyMask=True,
        maxFramePayloadSize=most,
        maxMessagePayloadSize=most,
        autoFragmentSize=0,
        # Tell the client what was wrong before the connection is closed.
        failByDrop=False,
        echoCloseCodeReason=False,
        # Autobahn's timers would be on the global reactor; comet's are on the
        # timer wheel.
        openHandshakeTimeout=0,
        closeHandshakeTimeout=0,
        tcpNoDelay=True,
        perMessageCompressionAccept=lambda offers: None,
        autoPingInterval=0,
        autoPingTimeout=0,
        serveFlashSocketPolicy=False,
        # The exchange checks the origin of the request.
        allowedOrigins=["*"],
        allowNullOrigin=True,
        maxConnections=0,
        trustXForwardedFor=0,
    )
    return factory


def makeProtocolClass(factory: WebSocketServerFactory) -> type[CometWebSocketProtocol]:
    """
    Make a protocol class that has the options of a factory as class attributes.
    Without it Autobahn would copy each option to each connection.
    """
    options = {name: getattr(factory, name) for name in CometWebSocketProtocol.CONFIG_ATTRS}
    # A plain function would become a method.
    accept = staticmethod(options.pop("perMessageCompressionAccept"))
    members = {**options, "perMessageCompressionAccept": accept, "CONFIG_ATTRS": ()}
    return type("ConfiguredProtocol", (CometWebSocketProtocol,), members)
