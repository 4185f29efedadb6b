"""
Tests for L{comet.events.teller} on a hub: what is told on C{$events}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadChannel, Unavailable
from comet.events import closings
from comet.events.closings import AGAIN
from comet.events.eventsender import LINGER
from comet.events.follower import Page
from comet.events.teller import LAST_MOMENT, EventTeller
from comet.fanout.streams import StreamReader
from comet.framing.ndjson import NDJSONShape
from comet.hooks.sender import HookSender
from comet.hub.hub import Hub
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client
from comet.model.cursors import Cursor
from comet.model.events import CHANNEL, readersChannel, readersOf
from comet.model.messages import Close
from comet.model.positions import StartPositions
from comet.reactor.timers import TimerWheel
from comet.testing.memoryhub import MemoryHub
from tests.control.test_control import Stream
from tests.hooks.case import SETTINGS, FakeBackend, FakeResponse
from tests.presence.test_attendance import poll

GRACE = 10.0
ADA = Client("ada")
KEY = Client("key", mayPublishAll=True)


class TellerCase(SynchronousTestCase):
    """
    A hub that tells of C{chat/**}, and keeps presence of C{chat/*}.
    """

    def setUp(self) -> None:
        """
        Make the hub.
        """
        self.hub = MemoryHub()
        self.hub.keepPresence(["chat/*"], GRACE)
        self.hub.tellEvents(["chat/**"], GRACE)
        self.teller.start()
        self.addCleanup(self.hub.stop)

    @property
    def teller(self) -> EventTeller:
        """
        What tells.
        """
        teller = self.hub.events
        assert teller is not None
        return teller

    def advance(self, seconds: float = 0.0) -> None:
        """
        Let time go on, and everybody have a turn.
        """
        for pause in (*[0.0] * 10, seconds, *[0.0] * 10):
            self.hub.advance(pause)

    def told(self) -> list[str]:
        """
        Return what was told.
        """
        self.advance()
        found = []
        for message in self.hub.published(CHANNEL):
            data = dict(message.data)
            words = [str(message.event), data.pop("channel")]
            found.append(" ".join(words + [str(each) for each in data.values()]))
        return found

    def stream(self, client: Client, *names: str) -> StreamReader:
        """
        Open a stream.
        """
        fanout, shape = self.hub.fanout, NDJSONShape(chunked=False)
        return self.hub.openStream(
            client, names, StartPositions(), lambda: StreamReader(fanout, shape, Stream())
        )


class TellerTests(TellerCase):
    """
    L{EventTeller} on a hub.
    """

    def test_occupied(self) -> None:
        """
        The first reader of a channel occupies it, whichever it is; the last one vacates it
        once it is gone for the grace.
        """
        first = poll(self.hub, ANONYMOUS, "chat/deep/a news")
        second = poll(self.hub, KEY_HOLDER, "chat/deep/a")
        self.assertEqual(self.told(), ["occupied chat/deep/a"])
        first.ended()
        self.advance(2 * GRACE)
        second.ended()
        self.advance(GRACE - 1)
        self.assertEqual(self.told(), ["occupied chat/deep/a"])
        self.advance(1)
        self.assertEqual(self.told(), ["occupied chat/deep/a", "vacated chat/deep/a"])

    def test_pollsDoNotFlap(self) -> None:
        """
        Polls one after the other are one reader, also if each ends in its turn.
        """
        for _ in range(20):
            poll(self.hub, ANONYMOUS, "chat/deep/a").ended()
            self.advance(GRACE - 1)
        self.assertEqual(self.told(), ["occupied chat/deep/a"])

    def test_othersAreNotSaid(self) -> None:
        """
        The bus is told nothing of readers that come and go while there are others.
        """
        bus: Any = self.hub.bus
        polls = [poll(self.hub, ANONYMOUS, "chat/deep/a") for _ in range(4)]
        self.advance()
        said: list[Any] = []
        real = bus.setPresence

        def note(holdings: Any) -> Any:
            said.append(list(holdings))
            return real(holdings)

        bus.setPresence = note
        for _ in range(5):
            polls.pop(0).ended()
            polls.append(poll(self.hub, ANONYMOUS, "chat/deep/a"))
            self.advance()
        self.assertEqual(said, [])
        for each in polls:
            each.ended()
        self.advance(GRACE)
        self.assertEqual([each.connections for [each] in said], [0])
        self.assertEqual(self.told(), ["occupied chat/deep/a", "vacated chat/deep/a"])

    def test_notByPatterns(self) -> None:
        """
        Who reads a pattern, the server's own channels, or is the application, occupies
        nothing.
        """
        poll(self.hub, KEY_HOLDER, "chat/* chat/** $presence/chat/a")
        self.hub.subscribe(["chat/a"], "now", lambda message: None)
        self.assertEqual(self.told(), [])

    def test_members(self) -> None:
        """
        Where presence is kept, too, members are told, with what they do in its order.
        """
        reader = poll(self.hub, ADA, "chat/a")
        self.assertEqual(set(self.told()), {"join chat/a ada", "occupied chat/a"})
        reader.ended()
        self.advance(GRACE)
        self.assertEqual(set(self.told()[2:]), {"leave chat/a ada", "vacated chat/a"})
        self.assertEqual(len(self.told()), 4)

    def test_presenceAlone(self) -> None:
        """
        Of channels of which only presence is kept nothing is told; nor of a change of info.
        """
        self.hub.keepPresence(["**"], GRACE)
        poll(self.hub, ADA, "news")
        reader = poll(self.hub, ADA, "chat/a")
        self.advance()
        self.hub.clientChanged(reader, Client("ada", info={"mood": "new"}))
        self.advance()
        updates = [each.event for each in self.hub.published("$presence/chat/a")]
        self.assertEqual(updates, ["join", "update"])
        self.assertEqual(len(self.told()), 2)

    def test_closed(self) -> None:
        """
        A stream that is closed is told for each channel, with why.
        """
        reader = self.stream(KEY, "chat/deep/a", "chat/deep/b", "chat/*", "news")
        self.told()
        reader.close(Close("disconnected", "", None))
        self.assertEqual(
            self.told()[-2:],
            ["closed chat/deep/a key disconnected", "closed chat/deep/b key disconnected"],
        )

    def test_left(self) -> None:
        """
        A client that leaves by itself has no code; one without a name none.
        """
        reader = self.stream(ANONYMOUS, "chat/deep/a")
        self.told()
        reader.ended()
        self.assertEqual(self.told()[1:], ["closed chat/deep/a None None"])

    def test_nameAlone(self) -> None:
        """
        A name that is taken from a stream is not told as closed: neither then, nor when the
        stream ends.  That the channel has no reader any more is.
        """
        reader = self.stream(ADA, "chat/deep/a", "chat/deep/b")
        self.told()
        reader.removeNames(["chat/deep/a"])
        self.advance(2 * GRACE)
        self.assertEqual(self.told()[2:], ["vacated chat/deep/a"])
        reader.ended()
        self.assertEqual(self.told()[3:], ["closed chat/deep/b ada None"])

    def test_pollsAreNotClosed(self) -> None:
        """
        The end of a poll is not told.
        """
        poll(self.hub, ADA, "chat/deep/a").close(Close("disconnected", "", None))
        self.assertEqual(self.told(), ["occupied chat/deep/a"])

    def test_closedWhileBusFails(self) -> None:
        """
        What the bus does not take now is told later, once.
        """
        bus: Any = self.hub.bus
        reader = self.stream(ADA, "chat/deep/a")
        self.told()
        publish = bus.publish
        bus.publish = lambda publications: fail(Unavailable("away"))
        reader.ended()
        self.advance(3 * AGAIN)
        self.assertEqual(self.teller.closings.waiting, 1)
        bus.publish = publish
        self.advance(AGAIN)
        self.assertEqual(self.told()[1:], ["closed chat/deep/a ada None"])
        self.assertEqual(self.teller.closings.waiting, 0)

    def test_tooManyClosed(self) -> None:
        """
        Events that wait are bounded.
        """
        self.patch(self.teller.closings, "_publishSoon", lambda delay: None)
        self.patch(closings, "MOST", 2)
        for _ in range(3):
            reader = self.stream(ADA, "chat/deep/a")
            reader.ended()
        self.assertEqual((self.teller.closings.waiting, self.teller.closings.dropped), (2, 1))

    def test_relayedOnce(self) -> None:
        """
        A page of changes that is given twice is told once.
        """
        poll(self.hub, ADA, "chat/a")
        self.advance()
        told = self.told()
        relaying = self.teller._relaying
        bus = self.hub.bus
        first = Cursor(bus.end.epoch, 0)
        page: Any = self.successResultOf(bus.read(["$presence/chat/a"], first, 9, 999, None))
        again = Page(page.messages, False, page.after, page.reached)
        coroutine: Any = relaying._take(again, relaying._lease)
        taken: Deferred[Any] = Deferred.fromCoroutine(coroutine)
        self.successResultOf(taken)
        self.assertEqual(self.told(), told)

    def test_strangeMembers(self) -> None:
        """
        What another program writes where members are told of is left out, and holds up
        nothing.
        """
        for data in ("x", None, ["client"], {}, {"client": 5}):
            self.hub.publish("$presence/chat/a", data, "join")
        self.hub.publish("$presence/chat/a", {"client": "ada"}, "strange")
        self.hub.publish("$presence/$readers/chat/a", 1)
        poll(self.hub, ADA, "chat/a")
        self.assertEqual(set(self.told()), {"join chat/a ada", "occupied chat/a"})

    def test_otherChannels(self) -> None:
        """
        Other channels may be told of at any time; what is not told of any more becomes
        vacant without a word.
        """
        poll(self.hub, ADA, "chat/deep/a news")
        self.assertEqual(self.told(), ["occupied chat/deep/a"])
        self.hub.tellEvents("news", GRACE)
        self.advance(GRACE)
        self.assertEqual(self.told(), ["occupied chat/deep/a", "occupied news"])

    def test_stops(self) -> None:
        """
        At the end it is told which readers are closed, and no timer is left.
        """
        self.stream(ADA, "chat/deep/a")
        self.told()
        stopped = self.hub.stop()
        for _ in range(30):
            self.hub.advance(0.1)
        self.successResultOf(stopped)
        told = self.hub.published(CHANNEL)
        heard = [each.data["code"] for each in told if each.event == "closed"]
        self.assertEqual(heard, ["draining"])
        # The wheel of the fan-out ends by itself.
        calls = [str(each) for each in self.hub.clock.getDelayedCalls()]
        self.assertEqual([each for each in calls if "TimerWheel" not in each], [])

    def test_stopsWithoutBus(self) -> None:
        """
        A bus that takes nothing does not hold up the end for long.
        """
        reader = self.stream(ADA, "chat/deep/a")
        self.told()
        bus: Any = self.hub.bus
        bus.publish = lambda publications: Deferred()
        reader.ended()
        self.advance()
        stopped = self.teller.stop()
        self.assertNoResult(stopped)
        self.advance(LAST_MOMENT)
        self.successResultOf(stopped)
        self.assertEqual(self.teller.closings.dropped, 1)


class SendingTests(TellerCase):
    """
    What is told, sent to the backend.
    """

    def setUp(self) -> None:
        """
        Make a backend.
        """
        super().setUp()
        self.backend = FakeBackend()
        self.tell()

    def test_sent(self) -> None:
        """
        The backend gets what is told.
        """
        poll(self.hub, ADA, "chat/deep/a")
        self.advance()
        self.advance(LINGER)
        [sent] = self.backend.sent
        [event] = sent.json["events"]
        self.assertEqual(self.teller.counts["waiting"], 1)
        self.assertEqual((event["event"], event["data"]), ("occupied", {"channel": "chat/deep/a"}))
        self.hub.advance(2.0)
        response = FakeResponse(500)
        sent.answer.callback(response)
        response.give(b"")
        counts = self.teller.counts
        self.assertGreater(counts.pop("late"), 2.0)
        self.assertEqual(
            counts,
            {"delivered": 0, "repeated": 1, "waiting": 1, "gaps": 0, "closing": 0, "dropped": 0},
        )

    def test_noMore(self) -> None:
        """
        Where the backend is to be told no more, it is not; later it goes on.
        """
        self.teller.send(None)
        self.assertEqual(set(self.teller.counts.values()), {0})
        poll(self.hub, ADA, "chat/deep/a")
        self.advance()
        self.advance(LINGER)
        self.assertEqual(self.backend.sent, [])
        self.tell()
        self.advance(LINGER)
        self.assertEqual(len(self.backend.sent), 1)
        response = FakeResponse(204)
        self.backend.sent[0].answer.callback(response)
        response.give(b"")
        sender = self.teller.sender
        assert sender is not None
        self.assertEqual(sender.delivered, 1)

    def tell(self) -> None:
        """
        Have the backend told.
        """
        clock = self.hub.clock
        sender = HookSender(SETTINGS, self.backend, TimerWheel(clock), clock.seconds, clock.seconds)
        self.teller.send(lambda: sender)


class PlainBus:
    """
    A bus that knows neither members nor state.
    """

    end = Cursor("", 0)


class ChannelTests(SynchronousTestCase):
    """
    Which channels events are told of.
    """

    def test_refused(self) -> None:
        """
        Names that are not valid are refused, and so is a bus that cannot tell; to tell of
        none needs nothing.
        """
        hub = MemoryHub()
        with self.assertRaises(BadChannel):
            hub.tellEvents("a//b")

        # Any: it provides nothing.
        bus: Any = PlainBus()
        plain = Hub(bus, hub.clock)
        plain.tellEvents([])
        self.assertIsNone(plain.events)
        with self.assertRaises(ValueError):
            plain.tellEvents("chat/*")

    def test_names(self) -> None:
        """
        The channel of readers names the channel, unless that is too long.
        """
        self.assertEqual(readersChannel("chat/a"), "$readers/chat/a")
        self.assertEqual(readersChannel("a" * 250), "")
        self.assertEqual(readersOf("$presence/$readers/chat/a"), "chat/a")
        self.assertIsNone(readersOf("$presence/chat/a"))
