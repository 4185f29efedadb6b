"""
Tests of L{comet.transports.session}: commands that arrive before the bus has
answered.
"""

from __future__ import annotations

import json
from typing import Any

from comet.access.rights import Access
from comet.fanout.reader import Reader
from comet.fanout.states import State
from comet.framing.publications import Limits
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.transports.tcp import CometFactory
from comet.web.resources import CometResource
from tests.fanout.doubles import TurnClock
from tests.fanout.slowbus import SlowBus, WatchedBus
from tests.framing.readers import LinesReader
from tests.transports.case import HubTestCase, get
from tests.transports.frames import UPGRADE, readFrames, text
from tests.transports.wire import Wire


class OpeningTests(HubTestCase):
    """
    A reader that is still opening.
    """

    settings = Settings(limits=Limits(maxMessage=1024, maxChannels=3))

    def setUp(self) -> None:
        """
        Make a hub over a slow bus.
        """
        super().setUp()
        self.clock = self.turns = TurnClock()
        self.inner = WatchedBus(self.clock, wallClock=self.clock.seconds)
        self.slow = SlowBus(self.inner)
        self.hub = Hub(
            self.slow, self.clock, self.settings, Access("0123456789abcdef", ["open/**"])
        )
        self.site = self.makeSite(CometResource(self.hub))

    def rest(self) -> None:
        """
        Let the bus answer all questions.
        """
        self.turns.settle()
        while self.slow.catchUp():
            self.turns.settle()

    def begin(self) -> Wire:
        """
        Begin to speak over TCP.  The bus was asked to resolve the start
        position, and has not answered.
        """
        wire = self.connect(CometFactory(self.hub))
        wire.send(b'{"id":0,"ping":0}\n')
        self.assertEqual([each["id"] for each in self.read(wire)], [0])
        (reader,) = self.hub.fanout.readers
        assert isinstance(reader, Reader)
        self.assertIs(reader.state, State.OPENING)
        return wire

    def say(self, wire: Wire, *values: Any) -> None:
        """
        Send a command.
        """
        wire.send(b"".join(json.dumps(value).encode() + b"\n" for value in values))

    def read(self, wire: Wire) -> list[Any]:
        """
        Return what has arrived over TCP.
        """
        lines = LinesReader()
        lines.feed(wire.take())
        return lines.values

    def names(self) -> tuple[str, ...]:
        """
        Return the names of the only reader.
        """
        (reader,) = self.hub.fanout.readers
        return reader.progress.names

    def test_subscribesWhileOpening(self) -> None:
        """
        A channel that is subscribed to meanwhile is read.
        """
        wire = self.begin()
        self.say(wire, {"id": 1, "subscribe": ["a"]}, {"id": 2, "subscribe": ["b"]})
        self.assertEqual(self.read(wire), [])
        self.rest()
        self.assertEqual([each["id"] for each in self.read(wire)], [1, 2])
        self.assertEqual(self.names(), ("a", "b"))
        self.hub.publish("a", 1)
        self.hub.publish("b", 2)
        self.rest()
        self.assertEqual([each["data"] for each in self.read(wire)], [1, 2])

    def test_subscribesBesideFirstNames(self) -> None:
        """
        A channel that is subscribed to meanwhile is read beside the first one,
        in each order of the bus's answers.
        """
        for order in (0, -1):
            wire = self.connect()
            wire.send(get("/channels/a", *UPGRADE))
            wire.take()
            wire.send(text({"id": 1, "subscribe": ["b"]}))
            self.assertEqual(wire.take(), b"")
            for _ in range(20):
                self.slow.answer(order)
                self.turns.settle()
            self.rest()
            first, second = readFrames(wire.take())
            self.assertEqual((list(first.json), second.json["id"]), (["cursor"], 1))
            self.assertEqual(self.names(), ("a", "b"))
            wire.leave()

    def test_limitsNames(self) -> None:
        """
        Subscribing meanwhile gives no more channels than are allowed.
        """
        wire = self.begin()
        self.say(wire, {"id": 1, "subscribe": ["a", "b"]}, {"id": 2, "subscribe": ["c", "d"]})
        self.rest()
        first, second = self.read(wire)
        self.assertIn("ok", first)
        self.assertEqual(second["error"]["code"], "badRequest")
        self.assertEqual(self.names(), ("a", "b"))

    def test_countsFirstNames(self) -> None:
        """
        The channels that the reader began with are counted.
        """
        wire = self.connect()
        wire.send(get("/channels/a,b", *UPGRADE))
        wire.take()
        wire.send(text({"id": 1, "subscribe": ["c", "d"]}))
        self.rest()
        _, answer = readFrames(wire.take())
        self.assertEqual(answer.json["error"]["code"], "badRequest")
        self.assertEqual(self.names(), ("a", "b"))

    def test_unsubscribesWhileOpening(self) -> None:
        """
        A channel that is unsubscribed from meanwhile is not read.
        """
        wire = self.connect()
        wire.send(get("/channels/a,b", *UPGRADE))
        wire.take()
        wire.send(text({"id": 1, "unsubscribe": ["a"]}))
        self.rest()
        _, answer = readFrames(wire.take())
        self.assertEqual(answer.json, {"id": 1, "ok": {}})
        self.assertEqual(self.names(), ("b",))
        self.hub.publish("a", 1)
        self.hub.publish("b", 2)
        self.rest()
        self.assertEqual([each.json["data"] for each in readFrames(wire.take())], [2])

    def test_dropsCommandsOfClientThatLeft(self) -> None:
        """
        A command that waits for a reader that leaves, or is sent away, is
        dropped.
        """
        for isSentAway in (False, True):
            wire = self.begin()
            self.say(wire, {"id": 1, "subscribe": ["a"]}, {"id": 2, "unsubscribe": ["b"]})
            (reader,) = self.hub.fanout.readers
            assert isinstance(reader, Reader)
            opened = reader.whenOpen()
            self.assertNoResult(opened)
            if isSentAway:
                self.hub.drain(1)
                self.assertEqual([list(each) for each in self.read(wire)], [["cursor", "close"]])
            else:
                wire.leave()
            self.successResultOf(opened)
            self.rest()
            self.assertFalse(wire.isOpen)
            self.assertEqual(
                (len(self.hub.fanout.readers), len(self.hub.fanout.leaving.readers)), (0, 0)
            )
        self.assertEqual(self.slow.asked.get("listen"), None)
