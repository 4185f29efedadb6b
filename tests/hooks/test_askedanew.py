"""
What a backend has told of a client counts no longer once an order about that client is
given: on both edges.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from comet.access.accesssettings import AccessSettings
from comet.access.rights import Access
from comet.hooks.connect import Connect
from comet.hooks.hookclients import MOST_NAMES, AskedAnew, HookClient
from comet.hooks.sender import HookSender
from comet.hub.hub import Hub
from comet.model.clients import Client, Known
from comet.transports.tcp import CometFactory
from tests.hooks.case import SETTINGS, FakeBackend
from tests.lean.case import LeanTestCase
from tests.transports.case import HubTestCase

KEY = "k" * 16
RIGHTS = {"client": "ada", "subscribe": ["news/*"], "publish": ["news/*"]}


class AskedAnewTests(SynchronousTestCase):
    """
    What is kept of orders.
    """

    def test_orders(self) -> None:
        """
        A client that was told of before an order about it is to be asked about anew; those
        of other names, of another kind, and that were told of later, are not.
        """
        asked = AskedAnew()
        before, other = HookClient("ada", known=Known.HOOK), HookClient("bob", known=Known.HOOK)
        self.assertNotIn(before, asked)
        asked.add("ada")
        self.assertIn(before, asked)
        self.assertNotIn(other, asked)
        self.assertNotIn(Client("ada", known=Known.TOKEN), asked)
        self.assertNotIn(HookClient("ada", known=Known.HOOK), asked)

    def test_bounded(self) -> None:
        """
        Of many orders no more is kept, and none is forgotten: then all are asked about anew
        that were told of before.
        """
        asked = AskedAnew()
        before, other = HookClient("ada", known=Known.HOOK), HookClient("bob", known=Known.HOOK)
        asked.add("ada")
        for number in range(MOST_NAMES):
            asked.add(str(number))
        self.assertIn(before, asked)
        self.assertIn(other, asked)
        self.assertNotIn(HookClient("bob", known=Known.HOOK), asked)
        self.assertLessEqual(len(asked._orders), MOST_NAMES)


class OrdersMixin:
    """
    A backend that knows a client, which an admin gives orders about.
    """

    hub: Hub
    backend: FakeBackend
    # Any: those of a test case.
    assertEqual: Any
    assertIn: Any
    assertNotIn: Any

    def open(self, said: bytes, isTCP: bool = False) -> Any:
        """
        Connect a client that sends some bytes.
        """
        raise NotImplementedError

    def go(self) -> None:
        """
        Let everything that is due happen.
        """
        raise NotImplementedError

    def useBackend(self, seconds: Any) -> None:
        """
        Let the backend decide on all but one channel.
        """
        self.hub.leases.now = seconds
        self.backend = FakeBackend()
        wheel = self.hub.fanout.wheel
        sender = HookSender(evolve(SETTINGS), self.backend, wheel, seconds, seconds)
        self.hook = hook = Connect(sender, wheel, seconds, seconds)
        self.hub.access = Access(settings=AccessSettings((KEY,), (), (), ("open",), None, hook))

    def answer(self, **answer: Any) -> None:
        """
        Answer the last question.
        """
        self.backend.sent[-1].reply(answer)
        self.go()

    def say(self, client: Any, *commands: Any) -> str:
        """
        Send commands, and return what is heard.
        """
        client.send(b"".join(json.dumps(each).encode() + b"\n" for each in commands))
        self.go()
        return self.heard(client)

    def heard(self, client: Any) -> str:
        """
        Return what is heard.
        """
        said: bytes = client.take()
        client.said = b""
        return said.decode()

    def attached(self) -> Any:
        """
        Connect a client that reads a channel of its own and an open one.
        """
        client = self.open(b'{"id":1,"token":"abc"}\n', True)
        self.answer(**RIGHTS)
        said = self.say(client, {"id": 2, "subscribe": ["news/a", "open"]})
        self.assertIn('{"id":2,"ok"', said)
        return client

    def test_connectionThatGoesOn(self) -> None:
        """
        A client that has lost a name by an order, and keeps its connection, gets it back only
        if the backend, which is asked, permits it.  So it is with what it publishes.
        """
        for order in (self.hub.revoke, self.hub.disconnect):
            client, before = self.attached(), len(self.backend.sent)
            order("ada", channels=["news/*"])
            self.go()
            self.assertIn('"ended":{"names":["news/a"]', self.heard(client))
            again = {"id": 3, "subscribe": ["news/a"]}, {"id": 4, "publish": "news/b", "data": 1}
            self.assertEqual(self.say(client, *again), "")
            self.assertEqual(len(self.backend.sent), before + 1)
            self.answer(client="ada")
            said = self.heard(client)
            self.assertIn('{"id":3,"error":{"code":"forbidden"', said)
            self.assertIn('{"id":4,"error":{"code":"forbidden"', said)
            # What is open to all it reads on.
            self.hub.publish("open", "to all")
            self.go()
            self.assertIn("to all", self.heard(client))
            self.assertEqual(len(self.backend.sent), before + 1)
            self.hook.clear()

    def test_permittedAnew(self) -> None:
        """
        What the backend permits anew is read and published as before, and asked about once.
        """
        client, before = self.attached(), len(self.backend.sent)
        self.hub.disconnect("ada", channels=["news/*"])
        self.go()
        self.heard(client)
        self.say(client, {"id": 3, "publish": "news/b", "data": 1})
        self.answer(**RIGHTS)
        self.assertIn('{"id":3,"ok"', self.heard(client))
        self.assertIn('{"id":4,"ok"', self.say(client, {"id": 4, "subscribe": ["news/a"]}))
        self.assertEqual(len(self.backend.sent), before + 1)

    def test_refusedAnew(self) -> None:
        """
        A client that the backend refuses is nobody, and may not become another one.
        """
        client = self.attached()
        self.hub.revoke("ada", channels=["news/*"])
        self.go()
        self.heard(client)
        self.say(client, {"id": 3, "subscribe": ["news/a"]})
        self.answer(error={"code": "forbidden"})
        self.assertIn('{"id":3,"error":{"code":"unauthorized"', self.heard(client))
        self.say(client, {"id": 4, "token": "of another one"})
        self.answer(client="bob", subscribe=["news/*"])
        self.assertIn('{"id":4,"error":{"code":"forbidden"', self.heard(client))

    def test_uploadUnderWay(self) -> None:
        """
        What a client began to publish before an order about it is not stored.
        """
        for order in (self.hub.revoke, self.hub.disconnect):
            got: list[Any] = []
            self.hub.subscribe("news/*", None, got.append)
            head = b"POST /channels/news/a HTTP/1.1\r\nHost: localhost\r\n"
            head += b"Authorization: Bearer abc\r\nContent-Length: 4\r\n\r\n"
            client = self.open(head + b"ab")
            self.answer(**RIGHTS)
            self.assertEqual(self.heard(client), "")
            order("ada")
            self.go()
            client.send(b"cd")
            self.go()
            said = self.heard(client)
            self.assertIn("503 Service Unavailable", said)
            self.assertIn("Retry-After", said)
            self.assertEqual(got, [])
            # The next request asks.
            client = self.open(head + b"abcd")
            self.answer(**RIGHTS)
            self.assertIn("201 Created", self.heard(client))
            self.hook.clear()


class TwistedOrdersTests(OrdersMixin, HubTestCase):
    """
    Twisted's edge.
    """

    def setUp(self) -> None:
        """
        Use the backend.
        """
        super().setUp()
        self.useBackend(self.clock.seconds)

    def open(self, said: bytes, isTCP: bool = False) -> Any:
        """
        See L{OrdersMixin.open}.
        """
        wire = self.connect(CometFactory(self.hub)) if isTCP else self.connect()
        wire.send(said)
        self.turn()
        return wire

    def go(self) -> None:
        """
        See L{OrdersMixin.go}.
        """
        self.turn()


class LeanOrdersTests(OrdersMixin, LeanTestCase):
    """
    The lean edge.
    """

    def setUp(self) -> None:
        """
        Use the backend.
        """
        super().setUp()
        self.useBackend(self.reactor.seconds)

    def open(self, said: bytes, isTCP: bool = False) -> Any:
        """
        See L{OrdersMixin.open}.
        """
        peer = self.peer(said, isTCP=isTCP)
        self.reactor.settle()
        return peer

    def go(self) -> None:
        """
        See L{OrdersMixin.go}.
        """
        self.reactor.settle()
