"""
Endpoints of which each connection begins with a header of the PROXY protocol.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import implementer

from comet.framing.proxyheader import BadProxyHeader, Endpoint, ProxyHeader, parseProxyHeader
from comet.logging.clientlog import ClientLogger


@implementer(IHalfCloseableProtocol)
class ProxiedProtocol(ProtocolWrapper):
    """
    A connection that a proxy has made for a client.

    Its peer and host are those of the client, once they are known.  A connection
    that begins with anything else than a header is closed at once.
    """

    _log = ClientLogger()

    # Any: the transport that Twisted gives has more than ITransport says.
    transport: Any

    def __init__(self, factory: Any, wrappedProtocol: Any) -> None:
        super().__init__(factory, wrappedProtocol)
        self._begun = b""
        self._header: ProxyHeader | None = None

    def dataReceived(self, data: bytes) -> None:
        """
        Take the header first, and give the rest to the protocol.
        """
        if self._header is None:
            self._begun += data
            try:
                self._header = header = parseProxyHeader(self._begun)
            except BadProxyHeader as error:
                self._begun = b""
                self._log.debug(
                    "the connection of {peer} is closed: {error}",
                    peer=self.transport.getPeer(),
                    error=error,
                )
                self.transport.abortConnection()
                return
            if header is None:
                return
            data, self._begun = self._begun[header.size :], b""
        if data:
            self.wrappedProtocol.dataReceived(data)

    def readConnectionLost(self) -> None:
        """
        The client has closed its writing side: tell the protocol, or else close
        the connection as Twisted does.
        """
        protocol = IHalfCloseableProtocol(self.wrappedProtocol, None)
        if protocol is None or self._header is None:
            self.transport.loseConnection()
        else:
            protocol.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """
        See L{IHalfCloseableProtocol.writeConnectionLost}.
        """

    def getPeer(self) -> IAddress:
        """
        Return the address of the client.
        """
        source = None if self._header is None else self._header.source
        found: IAddress = self.transport.getPeer() if source is None else _address(source)
        return found

    def getHost(self) -> IAddress:
        """
        Return the address that the client has connected to.
        """
        there = None if self._header is None else self._header.destination
        found: IAddress = self.transport.getHost() if there is None else _address(there)
        return found


def _address(end: Endpoint) -> IAddress:
    if end.port is None:
        return UNIXAddress(end.host)
    kind = IPv6Address if ":" in end.host else IPv4Address
    return kind("TCP", end.host, end.port)


class ProxiedFactory(WrappingFactory):
    """
    Makes the protocols of proxied connections.
    """

    noisy = False
    protocol = ProxiedProtocol


@implementer(IStreamServerEndpoint)
@frozen
class ProxiedEndpoint:
    """
    An endpoint behind a proxy.

    @ivar endpoint: The endpoint to which the proxy connects.
    """

    endpoint: IStreamServerEndpoint

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        See L{IStreamServerEndpoint}.
        """
        return self.endpoint.listen(ProxiedFactory(protocolFactory))
