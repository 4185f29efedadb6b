"""
Tests for L{comet.events.eventsender}.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.web.client import ResponseNeverReceived

from comet.events.eventsender import FIRST, LINGER, LONGEST, EventSender
from comet.events.follower import Follower
from comet.hooks.sender import HookSender
from comet.hooks.signing import sign
from comet.model.log import Retention
from comet.reactor.timers import TimerWheel
from tests.events.case import CHANNEL, EventsCase
from tests.hooks.case import SECRET, SETTINGS, FakeBackend, FakeResponse, Sent


class EventSenderTests(EventsCase):
    """
    L{EventSender}, behind a follower.
    """

    def setUp(self) -> None:
        """
        Make a node that sends.
        """
        super().setUp()
        self.backend = FakeBackend()
        self.sender: HookSender | None = self.makeSender()
        self.events, self.follower = self.makeNode()
        self.follower.start()

    def makeSender(self, **changes: Any) -> HookSender:
        """
        Make what sends.
        """
        seconds = self.clock.seconds
        settings = evolve(SETTINGS, **changes)
        return HookSender(settings, self.backend, TimerWheel(self.clock), seconds, seconds)

    def makeNode(self) -> tuple[EventSender, Follower]:
        """
        Make another node.
        """
        seconds = self.clock.seconds
        events = EventSender(lambda: self.sender, self.clock, seconds, chance=lambda: 1.0)
        names = [CHANNEL]
        follower = Follower(self.bus, self.lease(), names, events.take, self.clock, LINGER)
        self.addCleanup(follower.stop)
        return events, follower

    def reply(self, sent: Sent, code: int = 204) -> None:
        """
        Answer a request.
        """
        response = FakeResponse(code)
        sent.answer.callback(response)
        response.give(b"")

    def untilSent(self) -> None:
        """
        Let time go on until another request is sent.
        """
        count = len(self.backend.sent)
        while len(self.backend.sent) == count:
            self.clock.advance(0.25)

    def told(self, sent: Sent) -> list[Any]:
        """
        Return the data in a request.
        """
        return [each["data"] for each in sent.json["events"]]

    def test_request(self) -> None:
        """
        A request has the events in order, where they are, and one signature over all.
        """
        self.put({"channel": "chat/a"}, {"channel": "chat/b"})
        self.advance(LINGER + 0.1)
        [sent] = self.backend.sent
        first = sent.json["events"][0]
        self.assertEqual(first["event"], "happened")
        self.assertEqual(first["data"], {"channel": "chat/a"})
        page = self.successResultOf(self.bus.history(CHANNEL, None, 9, 1000))
        cursors = [str(each.cursor) for each in page.messages]
        self.assertEqual([each["cursor"] for each in sent.json["events"]], cursors)
        self.assertEqual(first["time"], round(page.messages[0].time, 3))
        self.assertEqual(sent.json["type"], "events")
        self.assertIsNone(sent.json["client"])
        self.assertEqual(list(sent.json), ["type", "time", "client", "cursor", "events"])
        id, stamp = sent.header("webhook-id"), int(sent.header("webhook-timestamp"))
        self.assertEqual(sent.header("webhook-signature"), sign([SECRET], id, stamp, sent.body))

    def test_anySuccess(self) -> None:
        """
        Any 2xx takes a request, and the next one has what follows.
        """
        for number, code in enumerate((200, 202, 204, 299)):
            self.put(number)
            self.advance(LINGER + 0.1)
            self.reply(self.backend.sent[-1], code)
        self.assertEqual([self.told(each) for each in self.backend.sent], [[0], [1], [2], [3]])
        self.assertEqual((self.events.delivered, self.events.repeated), (4, 0))

    def test_again(self) -> None:
        """
        What is not taken is sent again after a second, two, four, eight, and then every
        ten: the same body and id, with a new time and signature; nothing overtakes it.
        """
        self.put(1)
        self.advance(LINGER + 0.1)
        pauses = []
        for code in (500, 301, 404, 503, 100, 500):
            before = self.clock.seconds()
            self.reply(self.backend.sent[-1], code)
            self.put("later")
            self.untilSent()
            pauses.append(self.clock.seconds() - before)
        self.assertEqual(pauses, [FIRST, 2, 4, 8, LONGEST, LONGEST])
        ids = {each.header("webhook-id") for each in self.backend.sent}
        stamps = {each.header("webhook-timestamp") for each in self.backend.sent}
        self.assertEqual((len(ids), len({each.body for each in self.backend.sent})), (1, 1))
        self.assertEqual(len(stamps), len(self.backend.sent))
        self.assertEqual((self.events.waiting, self.events.repeated), (1, 6))
        self.assertEqual(round(self.events.lateness), 35)
        self.reply(self.backend.sent[-1])
        self.advance(2 * LINGER)
        self.assertEqual(self.told(self.backend.sent[-1]), ["later"] * 6)
        self.reply(self.backend.sent[-1])
        self.assertEqual((self.events.waiting, self.events.lateness), (0, 0.0))

    def test_jitter(self) -> None:
        """
        A part of each pause is left to chance.
        """
        self.events._chance = lambda: 0.0
        self.put(1)
        self.advance(LINGER + 0.1)
        self.reply(self.backend.sent[-1], 500)
        self.clock.advance(0.74)
        self.assertEqual(len(self.backend.sent), 1)
        self.clock.advance(0.02)
        self.assertEqual(len(self.backend.sent), 2)

    def test_noAnswer(self) -> None:
        """
        A backend that does not answer in time, or is not there, is asked again.
        """
        self.put(1)
        self.advance(LINGER + 0.1)
        self.advance(SETTINGS.timeout + FIRST, 0.5)
        self.assertTrue(self.backend.sent[0].isCancelled)
        self.assertEqual(len(self.backend.sent), 2)
        self.backend.sent[1].answer.errback(ConnectionRefusedError())
        self.backend.error = ConnectionRefusedError()
        self.advance(10, 0.5)
        self.backend.error = None
        self.untilSent()
        self.reply(self.backend.sent[-1])
        self.assertEqual(self.events.delivered, 1)

    def test_endlessBody(self) -> None:
        """
        An answer whose body does not end, or is too long, has taken the events.
        """
        self.put(1)
        self.advance(LINGER + 0.1)
        self.backend.sent[0].answer.callback(FakeResponse(200))
        self.advance(SETTINGS.timeout, 0.5)
        self.assertEqual(self.events.delivered, 1)
        self.put(2)
        self.advance(LINGER + 0.1)
        response = FakeResponse(200)
        self.backend.sent[1].answer.callback(response)
        response.protocol.dataReceived(b"x" * 10_000_000)
        self.assertEqual(self.events.delivered, 2)

    def test_otherBackend(self) -> None:
        """
        Where another backend is set, it gets what the one before has not taken; without
        one, events wait.
        """
        self.put(1)
        self.advance(LINGER + 0.1)
        self.reply(self.backend.sent[-1], 500)
        self.sender = None
        self.advance(2 * LONGEST, 0.5)
        self.assertEqual(len(self.backend.sent), 1)
        self.sender = self.makeSender(url="http://127.0.0.1:9/other")
        self.advance(LONGEST, 0.5)
        self.assertEqual(self.backend.sent[-1].url, b"http://127.0.0.1:9/other")

    def test_outsideConcurrency(self) -> None:
        """
        Events need no place among the questions.
        """
        self.sender = sender = self.makeSender(concurrency=1)
        waiting: Deferred[Any] = sender.send("publish", {}, lambda answer: None)
        self.put(1)
        self.advance(LINGER + 0.1)
        self.assertEqual([each.json["type"] for each in self.backend.sent], ["publish", "events"])
        self.assertEqual(sender.load, (1, 0))
        waiting.cancel()
        self.failureResultOf(waiting)

    def test_downForLong(self) -> None:
        """
        A backend that was away under load gets everything that is held, in order, each
        once; and a gap where some is not.
        """
        self.held = Retention(500, 3600.0, 1_000_000)
        self.advance(0.1)
        self.backend.error = ConnectionRefusedError()
        for number in range(600):
            self.put(number)
            self.clock.advance(1.0)
        self.backend.error = None
        self.untilSent()
        told = []
        for sent in self.backend.sent:
            told += [(each["event"], each["data"]) for each in sent.json["events"]]
            self.reply(sent)
            self.advance(2 * LINGER)
        expected = [0, 1, *range(100, 600)]
        self.assertEqual([data for event, data in told if event == "happened"], expected)
        self.assertEqual(told[2], ("gap", None))
        self.assertEqual([event for event, _ in told].count("gap"), 1)
        self.assertEqual(self.follower.gaps, 1)
        sizes = [len(sent.json["events"]) for sent in self.backend.sent]
        self.assertLessEqual(max(sizes), 101)

    def test_restart(self) -> None:
        """
        Another node goes on behind what was taken, and sends again what was not.
        """
        self.put(1)
        self.advance(LINGER + 0.1)
        self.reply(self.backend.sent[-1])
        self.put(2)
        self.advance(LINGER + 0.1)
        # An agent whose request is cancelled may fail in another way.
        answer: Any = self.backend.sent[-1].answer
        answer._canceller = lambda answer: answer.errback(ResponseNeverReceived([]))
        self.successResultOf(self.follower.stop())
        self.assertTrue(answer.called)
        # The bus has a timer.
        calls = [str(each) for each in self.clock.getDelayedCalls()]
        self.assertEqual([each for each in calls if "TimerWheel" not in each], [])
        self.put(3)
        _, follower = self.makeNode()
        follower.start()
        self.assertEqual(self.told(self.backend.sent[-1]), [2, 3])

    def test_cutOff(self) -> None:
        """
        A node that may have lost the lease sends nothing more.
        """
        self.put(1)
        self.advance(LINGER + 0.1)
        self.follower._lease._until = self.clock.seconds() + 1
        self.reply(self.backend.sent[-1], 500)
        self.advance(FIRST, 0.25)
        self.assertEqual(len(self.backend.sent), 1)

    def test_text(self) -> None:
        """
        Names of any language are sent as they are.
        """
        self.put({"channel": "chat/é\u2028<"})
        self.advance(LINGER + 0.1)
        [sent] = self.backend.sent
        self.assertEqual(json.loads(sent.body)["events"][0]["data"], {"channel": "chat/é\u2028<"})
