"""
Tests of L{comet.server.demo.pair}.
"""

from __future__ import annotations

import gc
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from comet.server.demo.pair import PairEndpoint


class Side(Protocol):
    """
    One side of a connection, which notes what comes.
    """

    transport: Any

    def __init__(self) -> None:
        self.came: Deferred[bytes] = Deferred()
        self.left: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """
        Note the data.
        """
        self.came.callback(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note the end.
        """
        self.left.callback(None)


class PairTests(TestCase):
    """
    L{PairEndpoint}, in trial's reactor.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        Make an endpoint.
        """
        from twisted.internet import reactor

        self.served: list[Side] = []
        self.endpoint = PairEndpoint(reactor, Factory.forProtocol(self.serve))

    def serve(self) -> Side:
        """
        Make the server's side.
        """
        self.served.append(Side())
        return self.served[-1]

    async def test_carriesBothWays(self) -> None:
        """
        What one side says comes to the other, and both learn of the end.
        """
        client: Any = await self.endpoint.connect(Factory.forProtocol(Side))
        (server,) = self.served
        client.transport.write(b"question")
        self.assertEqual(await server.came, b"question")
        server.transport.write(b"answer")
        self.assertEqual(await client.came, b"answer")
        client.transport.loseConnection()
        await client.left
        await server.left

    async def test_keepsNoDescriptor(self) -> None:
        """
        A connection that cannot be made leaves no descriptor open, and its Deferred
        fails.
        """
        # It takes no connections.
        endpoint = PairEndpoint(MemoryReactorClock(), self.endpoint.factory)
        gc.collect()
        before = os.listdir("/dev/fd")
        connecting = endpoint.connect(Factory.forProtocol(Side))
        await self.assertFailure(connecting, AttributeError)
        self.assertEqual(os.listdir("/dev/fd"), before)
