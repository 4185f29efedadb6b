"""
A line protocol over the hub, for people with C{nc}: C{python lines.py [ENDPOINT]}.

A client says C{read NAME} or C{say NAME TEXT}, and is sent C{NAME: TEXT}.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import react
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from comet import (
    Close,
    CometError,
    CometService,
    Cursor,
    Hub,
    IReceiver,
    MemoryBus,
    Message,
    Subscription,
)


@implementer(IReceiver)
class LineProtocol(LineOnlyReceiver):
    """
    One client, who reads at most one name.
    """

    # Any: a transport of TCP has more than ITransport says.
    transport: Any
    delimiter = b"\n"

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.subscription: Subscription | None = None

    def lineReceived(self, line: bytes) -> None:
        """
        Carry out a command.
        """
        word, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
        name, _, text = rest.partition(" ")
        if word == "say":
            self.hub.publish(name, text).addErrback(self.refused)
        elif word == "read" and self.subscription is None:
            self.hub.subscribe(name, "-3", self).addErrback(self.refused)
        else:
            self.sendLine(b"? say NAME TEXT, or once read NAME")

    def refused(self, failure: Failure) -> None:
        """
        Say why a command is not carried out.
        """
        error = failure.trap(CometError) and failure.value
        self.sendLine(f"? {error}".encode())

    def subscriptionOpened(self, subscription: Subscription) -> None:
        """
        Pause the subscription whenever the client takes no more: what it misses
        meanwhile it reads later, or gets a gap.
        """
        self.subscription = subscription
        if self.connected:
            self.transport.registerProducer(subscription, True)
        else:
            subscription.unsubscribe()

    def messageReceived(self, message: Message, replay: bool) -> None:
        """
        Send a message.
        """
        self.sendLine(f"{message.channel}: {message.data}".encode())

    def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
        """
        Say that messages are lost.
        """
        self.sendLine(b"! some are lost")

    def subscriptionClosed(self, close: Close) -> None:
        """
        The server stops.
        """
        self.sendLine(f"! {close.message}".encode())
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Read no more.
        """
        if self.subscription is not None:
            self.subscription.unsubscribe()


class LineFactory(Factory):
    """
    Makes the protocols.
    """

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def buildProtocol(self, addr: object) -> LineProtocol:
        """
        Make the protocol of one client.
        """
        return LineProtocol(self.hub)


def main(reactor: Any, description: str = "tcp:8081:interface=127.0.0.1") -> Deferred[None]:
    """
    Serve until the process is told to stop.
    """
    hub = Hub(MemoryBus(reactor), reactor)
    service = CometService(hub, [(description, LineFactory(hub))])
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    print(f"serving lines on {description}", flush=True)
    return Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
