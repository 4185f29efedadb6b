"""
The statistics that the server publishes, of one node or several.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from comet.bus.memory.bus import MemoryBus
from comet.hub.hub import Hub
from comet.interfaces.receiver import IReceiver
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from comet.server.statistics import CHANNEL, StatisticsService


@implementer(IReceiver)
class Reader:
    """
    A receiver that records its messages.
    """

    def __init__(self) -> None:
        self.heard: list[Message] = []

    def subscriptionOpened(self, subscription: object) -> None:
        """
        See L{IReceiver.subscriptionOpened}.
        """

    def messageReceived(self, message: Message, replay: bool) -> None:
        """
        Record the message.
        """
        self.heard.append(message)

    def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
        """
        Nothing to do.
        """

    def subscriptionClosed(self, close: Close) -> None:
        """
        Nothing to do.
        """


class NodeTests(SynchronousTestCase):
    """
    Two nodes that share a bus.
    """

    def setUp(self) -> None:
        """
        Make two nodes.
        """
        self.clock = Clock()
        self.bus = MemoryBus(self.clock)
        self.hubs = [Hub(self.bus, self.clock) for _ in range(2)]
        self.services = [StatisticsService(hub, self.clock) for hub in self.hubs]

    def read(self, hub: Hub) -> Reader:
        """
        Read the statistics on one of the nodes.
        """
        reader = Reader()
        self.successResultOf(hub.subscribe(CHANNEL, "now", reader))
        return reader

    def test_figuresNameTheirNode(self) -> None:
        """
        Each node publishes its figures with a name of its own.
        """
        first, second = self.services
        self.assertNotEqual(first.node, second.node)
        for service in self.services:
            self.assertRegex(service.node, "^[0-9a-f]{8}$")
            figures = service.figures()
            self.assertEqual(list(figures), ["node", "transports", "hooks"])
            self.assertEqual(figures["node"], service.node)
            self.assertEqual(service.figures("me")["node"], service.node)

    def test_publishesWhileItHasReader(self) -> None:
        """
        A node publishes while it has a reader itself.  Every reader gets the
        figures of all nodes that publish.
        """
        first = self.read(self.hubs[0])
        for service in self.services:
            service.publish()
            self.clock.advance(0)
        second = self.read(self.hubs[1])
        for service in self.services:
            service.publish()
            self.clock.advance(0)
        nodes = [service.node for service in self.services]
        told = [[json.loads(one.payload)["node"] for one in each.heard] for each in (first, second)]
        self.assertEqual(told, [[nodes[0], *nodes], nodes])

    def test_publishesNothingWhileDraining(self) -> None:
        """
        A node that drains publishes nothing.
        """
        reader = self.read(self.hubs[0])
        self.hubs[1].drain(1)
        self.services[1].publish()
        self.services[0].publish()
        self.clock.advance(0)
        self.assertEqual(len(reader.heard), 1)
