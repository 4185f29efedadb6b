"""
A backend that is down for ten minutes while clients go on: it hangs, then it refuses
connections, then it fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, evolve
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionRefusedError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from comet.access.rights import Access
from comet.errors import CometError
from comet.fanout.streams import StreamReader
from comet.framing.ndjson import NDJSONShape
from comet.hooks.sender import HookSender
from comet.hooks.webhooks import Webhooks
from comet.http.outgoing import ASKED
from comet.model.clients import ANONYMOUS, Client
from comet.model.events import CHANNEL
from comet.model.log import Retention
from comet.model.messages import Publication
from comet.model.positions import StartPositions
from comet.reactor.timers import TimerWheel
from comet.testing.memoryhub import MemoryHub
from tests.control.test_control import Stream
from tests.hooks.case import SETTINGS, FakeBackend, FakeResponse, Sent

DOWN = 600
STEP = 1.0
TIMEOUT = SETTINGS.timeout
CLIENTS = tuple(Client(name) for name in ("eve", "eve", "ada"))


@define
class Asked:
    """
    Something that a client has asked for.

    @ivar took: After how many seconds it was told.

    @ivar told: The error, or L{None} if there was none.
    """

    kind: str
    begun: float
    took: float = -1.0
    told: CometError | None = None


class OutageTests(SynchronousTestCase):
    """
    A hub with a backend for everything.
    """

    def setUp(self) -> None:
        """
        Begin with a backend that works.
        """
        held = Retention(100_000, 86_400.0, 64 * 1024 * 1024)
        self.hub = hub = MemoryHub(
            Access(openPatterns=["**"]),
            retention=lambda name: held if name == CHANNEL else Retention(),
        )
        self.addCleanup(hub.stop)
        self.backend = FakeBackend()
        seconds = hub.clock.seconds
        settings = evolve(SETTINGS, concurrency=2)
        self.sender = sender = HookSender(
            settings, self.backend, TimerWheel(hub.clock), seconds, seconds
        )
        sender.counts = hub.hookCounts
        hub.useHooks(Webhooks(sender, ASKED, False), [("**", ["publish", "subscribe"])])
        hub.tellEvents(["chat/**"], 1.0)
        assert hub.events is not None
        self.events = hub.events
        self.events.start()
        self.events.send(lambda: sender)
        self.asked: list[Asked] = []
        # What waits at any time, at most.
        self.most = {"messages": 0, "bytes": 0, "requests": 0}

    def begin(self, kind: str, begun: Deferred[Any]) -> None:
        """
        A client asks for something.
        """
        asked = Asked(kind, self.hub.clock.seconds())
        self.asked.append(asked)

        def told(result: object) -> None:
            asked.took = self.hub.clock.seconds() - asked.begun
            if isinstance(result, Failure):
                assert isinstance(result.value, CometError), result
                asked.told = result.value

        begun.addBoth(told)

    def load(self, number: int) -> None:
        """
        Let clients do what they do within a second.
        """
        hub = self.hub
        for client in CLIENTS:
            sent = Publication(("chat/a",), b'"%d"' % number, publisher=client.publisher)
            self.begin("publish", hub.store(client, [sent]))
        self.begin("subscribe", maybeDeferred(self._askToRead, f"room/{number}"))
        self.begin("call", hub.call(CLIENTS[-1], "m", number))
        # A reader that comes and goes is told on $events.
        shape = NDJSONShape(chunked=False)
        reader = hub.openStream(
            ANONYMOUS,
            ["chat/b"],
            StartPositions(),
            lambda: StreamReader(hub.fanout, shape, Stream()),
        )
        reader.ended()

    def _askToRead(self, name: str) -> Any:
        asked: Any = self.hub.askToRead(CLIENTS[-1], [name])
        done: Deferred[Any] = Deferred()
        asked.then(done.callback, done.errback)
        return done

    def advance(self, seconds: float) -> None:
        """
        Let time go on, in steps.
        """
        hub, places = self.hub, self.hub.publishHook
        assert places is not None
        for _ in range(round(seconds / STEP)):
            for pause in (STEP, 0.0):
                hub.advance(pause)
            now = (places.places.waiting, places.places.bytes, self.sender.load[1])
            for name, count in zip(self.most, now, strict=True):
                self.most[name] = max(self.most[name], count)

    def work(self, sent: Sent) -> None:
        """
        Answer a request as a backend that works.
        """
        if sent.json["type"] == "events":
            response = FakeResponse(204)
            sent.answer.callback(response)
            response.give(b"")
        else:
            sent.reply({"data": 1} if sent.json["type"] == "call" else {})

    def answerAll(self, answer: Callable[[Sent], object]) -> None:
        """
        Answer all requests, also those for which there is a place only then.
        """
        for sent in self.backend.sent:
            if not sent.answer.called:
                answer(sent)

    def test_tenMinutes(self) -> None:
        """
        Every client is told that it is unavailable, and when to come again, within the
        time for an answer; what waits is bounded by that time.  Once the backend is back,
        all is as before, and it gets all that has happened, in order and each once.
        """
        for number in range(DOWN):
            # It hangs, then nothing listens there, then it fails.
            phase = number * 3 // DOWN
            self.backend.error = ConnectionRefusedError() if phase == 1 else None
            self.load(number)
            if phase == 2:
                self.answerAll(lambda sent: sent.answer.callback(FakeResponse(500)))
            self.backend.sent[:] = [each for each in self.backend.sent if not each.answer.called]
            self.advance(1.0)
        self.advance(TIMEOUT + 1.0)
        told = {
            (each.kind, each.told and (each.told.code, each.told.retryAfter)) for each in self.asked
        }
        expected = {(kind, ("unavailable", 2.0)) for kind in ("publish", "subscribe", "call")}
        self.assertEqual(told, expected)
        self.assertEqual(len(self.asked), DOWN * (len(CLIENTS) + 2))
        self.assertLessEqual(max(each.took for each in self.asked), TIMEOUT + STEP)
        self.assertGreaterEqual(min(each.took for each in self.asked), 0.0)
        # What comes within the time for an answer, and one more second.
        bound = len(CLIENTS) * (TIMEOUT + 1.0)
        self.assertLessEqual(self.most["messages"], bound)
        self.assertLessEqual(self.most["bytes"], 5 * bound)
        self.assertLessEqual(self.most["requests"], (len(CLIENTS) + 2) * (TIMEOUT + 1.0))
        self.assertGreater(self.most["requests"], len(CLIENTS))
        self.assertEqual(self.hub.published("chat/a"), [])
        self.assertEqual(self.sender.load, (0, 0))

        self.comeBack()

    def comeBack(self) -> None:
        """
        The backend works again.
        """
        self.backend.error, self.asked = None, []
        # What it left without an answer for too long, and is sent again.
        self.backend.sent[:] = [each for each in self.backend.sent if not each.answer.called]
        for number in range(10):
            self.load(number)
            self.answerAll(self.work)
            self.advance(1.0)
        self.assertEqual({each.told for each in self.asked}, {None})
        count = len(self.hub.published("chat/a"))
        self.assertEqual(count, 10 * len(CLIENTS))
        for _ in range(60):
            self.answerAll(self.work)
            self.advance(1.0)
        happened = [str(each.cursor) for each in self.hub.published(CHANNEL)]
        self.assertGreater(len(happened), DOWN)
        got = [
            each["cursor"]
            for sent in self.backend.sent
            if sent.json["type"] == "events"
            for each in sent.json["events"]
        ]
        self.assertEqual(got, happened)
        counts = self.events.counts
        self.assertEqual((counts["delivered"], counts["waiting"]), (len(happened), 0))
        self.assertEqual((counts["gaps"], counts["dropped"]), (0, 0))
