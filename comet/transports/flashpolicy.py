"""
Flash's policy file, which a player asks for before it lets a movie open a
socket: on the port itself, or on one that serves nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

from comet.framing.policy import REQUEST, encodePolicy
from comet.hub import Hub
from comet.timers import NOT_SET

# For how many seconds a client may take to ask and to be answered.
POLICY_TIMEOUT: Final = 20.0


def makeFlashPolicy(hub: Hub, transport: Any, ports: Iterable[int]) -> bytes:
    """
    The policy file of a server: it allows what the server allows to pages, the
    pages that come from the address at which it was asked among them.

    @param transport: The connection on which it is asked for.

    @param ports: The ports to which movies may connect.
    """
    host = getattr(transport.getHost(), "host", None)
    domains = hub.origins.hosts
    return encodePolicy(domains if host is None or "*" in domains else {*domains, host}, ports)


class FlashPolicyProtocol(Protocol):
    """
    One client, which is answered once.
    """

    # Whatever the endpoint makes: more than the interface of a transport says.
    transport: Any

    def __init__(self, hub: Hub, ports: Sequence[int]) -> None:
        self.hub = hub
        self.moment = NOT_SET
        self._ports = ports
        self._left = REQUEST

    def connectionMade(self) -> None:
        """
        A client came.
        """
        self.hub.fanout.wheel.set(self, POLICY_TIMEOUT)

    def timedOut(self) -> None:
        """
        The client did not ask, or does not take the answer.
        """
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        The client said something.
        """
        if not self._left:
            # It was answered.
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
        The client left.
        """
        self.hub.fanout.wheel.clear(self)


class FlashPolicyFactory(ServerFactory):
    """
    Serves the policy file, and nothing else.

    @ivar ports: The ports to which it lets movies connect.
    """

    noisy = False

    def __init__(self, hub: Hub, ports: Sequence[int] = ()) -> None:
        self.hub = hub
        self.ports = ports

    def buildProtocol(self, addr: IAddress | None) -> FlashPolicyProtocol:
        """
        A client came.
        """
        protocol = FlashPolicyProtocol(self.hub, self.ports)
        protocol.factory = self
        return protocol
