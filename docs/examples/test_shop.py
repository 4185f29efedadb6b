"""
Tests of C{shop.py}, without a server: C{trial test_shop}.
"""

from __future__ import annotations

from typing import cast

from shop import makeApplication, nightly
from twisted.trial.unittest import SynchronousTestCase

from comet.client.blocking import Client
from comet.testing import BlockingStandIn, MemoryServer


class ShopTests(SynchronousTestCase):
    """
    What the shop publishes.
    """

    def setUp(self) -> None:
        """
        Make a server in memory, and the shop's client.
        """
        self.server = MemoryServer()
        self.client = cast(Client, BlockingStandIn(self.server, key=self.server.key))

    def test_order(self) -> None:
        """
        Who reads the orders is told of a new one.
        """
        reader = BlockingStandIn(self.server).subscribe("orders", since="earliest")
        visitor = makeApplication(self.client).test_client()
        answer = visitor.post("/orders", data={"item": "tea"})
        [message] = self.server.published("orders")
        self.assertEqual((answer.status_code, message.data), (201, {"item": "tea"}))
        item = reader.next(timeout=0)
        assert item is not None
        self.assertEqual(item.cursor, answer.get_json()["cursor"])
        self.assertEqual(self.server.countReaders("orders"), 1)

    def test_withoutServer(self) -> None:
        """
        An order is placed, also if comet takes no message.
        """
        visitor = makeApplication(cast(Client, BlockingStandIn(self.server))).test_client()
        answer = visitor.post("/orders", data={"item": "tea"})
        self.assertEqual((answer.status_code, answer.json), (201, {"item": "tea"}))
        self.assertEqual(self.server.published(), [])

    def test_nightly(self) -> None:
        """
        All prices are published, each to the channel of its item.
        """
        nightly(self.client, {"tea": 2.5, "jam": 4.0})
        found = {each.channel: each.data for each in self.server.published("prices/*")}
        self.assertEqual(found, {"prices/tea": 2.5, "prices/jam": 4.0})
