"""
The policy file of Flash.  A player asks for it before it lets a movie open a
socket: on the same port, or on a port that serves nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

from comet.framing.flashpolicy import REQUEST, encodePolicy
from comet.hub.hub import Hub
from comet.reactor.timers import NOT_SET
from comet.transports.connected import Connections

# Seconds that a client may take to ask, and to take the response.
POLICY_TIMEOUT: Final = 20.0


def makeFlashPolicy(hub: Hub, transport: Any, ports: Iterable[int]) -> bytes:
    """
    Make the policy file of a server.  It admits the pages that the server
    admits, among them those from the address at which the player asked.

    @param transport: The connection on which the player asked.

    @param ports: The ports to which movies may connect.
    """
    host = getattr(transport.getHost(), "host", None)
    domains = hub.origins.hosts
    return encodePolicy(domains if host is None or "*" in domains else {*domains, host}, ports)


class FlashPolicyProtocol(Protocol):
    """
    Answers one client once, and closes the connection.
    """

    # Any: endpoints make more than ITransport says.
    transport: Any
    factory: Any

    def __init__(self, hub: Hub, ports: Sequence[int]) -> None:
        self.hub = hub
        self.timerSlot = NOT_SET
        self._ports = ports
        self._left = REQUEST

    def connectionMade(self) -> None:
        """
        Start the timeout.
        """
        self.hub.fanout.wheel.set(self, POLICY_TIMEOUT)

    def timedOut(self) -> None:
        """
        The client did not ask in time, or does not take the response.
        """
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Compare what the client sends with the one request that there is.  Cut
        the connection at the first byte that differs.
        """
        if not self._left:
            # The client has its response.
            return
        said = data[: len(self._left)]
        if not self._left.startswith(said):
            self.transport.abortConnection()
            return
        self._left = self._left[len(said) :]
        if not self._left:
            self.transport.write(makeFlashPolicy(self.hub, self.transport, self._ports))
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Stop the timeout.
        """
        if self.factory is not None:
            self.factory.connections.discard(self)
        self.hub.fanout.wheel.clear(self)


class FlashPolicyFactory(ServerFactory):
    """
    Serves the policy file on a port of its own.

    @ivar ports: The ports to which movies may connect.

    @ivar connections: The open connections.
    """

    noisy = False

    def __init__(self, hub: Hub, ports: Sequence[int] = ()) -> None:
        self.hub = hub
        self.ports = ports
        self.connections = Connections()

    def cutConnections(self) -> bool:
        """
        Close the connections that are left, when the server stops.

        @return: Whether there was any.
        """
        return self.connections.cut()

    def buildProtocol(self, addr: IAddress | None) -> FlashPolicyProtocol:
        """
        Make the protocol of one client.
        """
        protocol = FlashPolicyProtocol(self.hub, self.ports)
        protocol.factory = self
        self.connections.add(protocol)
        return protocol
