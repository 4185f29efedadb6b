"""
Tests of L{comet.web.metrics.families}: each figure moves as what the tests do, and
count by themselves, makes it move.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from comet.errors import Unavailable
from comet.fanout.counting import countReaders
from comet.fanout.polls import PollReader
from comet.fanout.states import State
from comet.framing.budget import MOST_AT_ONCE
from comet.framing.compression import Compression
from comet.hub.hubsettings import Settings
from comet.model.clients import Client
from comet.model.log import Retention
from comet.model.messages import Publication
from comet.server.lateness import INTERVAL, LatenessService
from comet.transports.tcp import CometFactory
from tests.transports.case import get, post, request
from tests.transports.wire import FULL, Wire
from tests.web.metrics.case import Figures, MetricsCase, nameOf


class MovingCase(MetricsCase):
    """
    Scrapes before and after.
    """

    def setUp(self) -> None:
        """
        Scrape for the first time.
        """
        super().setUp()
        self.before = self.scrape()

    def moved(self, name: str, **labels: str) -> float:
        """
        Scrape, and return by how much a figure has changed.
        """
        return self.movedIn(self.scrape(), name, **labels)

    def movedIn(self, after: Figures, name: str, **labels: str) -> float:
        """
        Return by how much a figure has changed in a scrape.
        """
        told = nameOf(name, **labels)
        return after[told] - self.before.get(told, 0.0)

    def open(self, transport: str, names: str = "open/a", more: str = "") -> Wire:
        """
        Begin to read.
        """
        wire = self.connect()
        wire.send(get(f"/channels/{names}?transport={transport}{more}"))
        self.turn()
        return wire

    def publishByClient(self, channel: str, count: int = 1) -> None:
        """
        Let clients publish.
        """
        for number in range(count):
            response = self.ask(request("POST", f"/channels/{channel}", body=b"%d" % number))
            self.assertEqual(response.status, 201, response.body)


class TransportTests(MovingCase):
    """
    Connections, requests and bytes.
    """

    def test_connections(self) -> None:
        """
        The open streams of each transport are told, and those that have ended are not.
        """
        wires = [self.open(name) for name in ("sse", "sse", "stream", "multipart")]
        after = self.scrape()
        for transport, count in (("sse", 2), ("stream", 1), ("multipart", 1)):
            told = self.movedIn(after, "comet_connections", transport=transport)
            self.assertEqual(told, count, transport)
            told = self.movedIn(after, "comet_requests_total", transport=transport)
            self.assertEqual(told, count, transport)
        wires[0].leave()
        self.turn()
        after = self.scrape()
        self.assertEqual(self.movedIn(after, "comet_connections", transport="sse"), 1)
        self.assertEqual(self.movedIn(after, "comet_requests_total", transport="sse"), 2)

    def test_bytes(self) -> None:
        """
        The bytes are those on the wire.
        """
        wire = self.connect()
        asked = get("/channels/open/a?transport=sse")
        wire.send(asked)
        self.turn()
        self.publishByClient("open/a", 3)
        self.turn()
        head, _, data = wire.take().partition(b"\r\n\r\n")
        after = self.scrape()
        for direction, part, count in (
            ("in", "head", len(asked)),
            ("in", "data", 0),
            ("out", "head", len(head) + 4),
            ("out", "data", len(data)),
        ):
            labels = {"transport": "sse", "direction": direction, "part": part}
            self.assertEqual(self.movedIn(after, "comet_bytes_total", **labels), count, labels)


class CompressionTests(MovingCase):
    """
    What is compressed.
    """

    settings = Settings(compression=Compression(20))

    def test_compressions(self) -> None:
        """
        A message counts once, however many readers get it in one format, by what came of
        it.
        """
        headers = "Accept-Encoding: gzip"
        wires = [self.connect() for _ in range(3)]
        for wire in wires:
            wire.send(get("/channels/open/a?transport=stream", headers))
        self.turn()
        self.publish("open/a", "x" * 500, "small", "aZ3k9QxW0pLm7vRt5yUe1NsB")
        self.assertEqual(self.compressed(), (1, 1, 0))
        after = self.scrape()
        before = self.movedIn(after, "comet_compressed_bytes_total", side="before")
        self.assertGreater(before, 500)
        left = self.movedIn(after, "comet_compressed_bytes_total", side="after")
        self.assertTrue(20 < left < before / 2, left)

    def test_budget(self) -> None:
        """
        Those are told for which there was no time, of streams and of polls.
        """
        wires = [self.connect() for _ in range(2)]
        for wire, transport in zip(wires, ("stream", "longpoll"), strict=True):
            path = f"/channels/open/a?transport={transport}"
            wire.send(get(path, "Accept-Encoding: gzip"))
        self.turn()
        for _ in range(30):
            self.hub.publish("open/a", "x" * 60_000)
        self.turn()
        shorter, longer, beyond = self.compressed()
        self.assertEqual((shorter, longer), (MOST_AT_ONCE // 60_600, 0))
        self.assertGreater(beyond, 30)

    def compressed(self) -> tuple[float, ...]:
        """
        Return how many messages were made shorter, which were longer, and for how many the
        budget did not last.
        """
        after = self.scrape()
        outcomes = ("shorter", "longer", "budget")
        return tuple(
            self.movedIn(after, "comet_compressions_total", outcome=each) for each in outcomes
        )


class ReaderTests(MovingCase):
    """
    Readers, and what they are told.
    """

    def test_states(self) -> None:
        """
        Readers are counted by what they do: those that do not take what is written are
        behind.
        """
        self.open("stream")
        slow = self.open("stream")
        self.open("longpoll", more="&wait=60")
        slow.transport.isStuck = True
        for _ in range(FULL // 900 + 2):
            self.publish("open/a", "x" * 900)
        self.open("longpoll", more="&wait=60")
        after = self.scrape()
        for kind, state, count in (
            ("stream", "live", 1),
            ("stream", "behind", 1),
            ("poll", "live", 1),
            ("poll", "behind", 0),
        ):
            told = self.movedIn(after, "comet_readers", kind=kind, state=state)
            self.assertEqual(told, count, (kind, state))

    def test_delivered(self) -> None:
        """
        Each message counts for each reader that is given it, live or from the log, once;
        those of the application, too.
        """
        heard: list[Any] = []
        self.hub.subscribe("open/*", "now", heard.append)
        for transport in ("stream", "sse", "multipart"):
            self.open(transport)
        self.open("longpoll", more="&wait=60")
        self.open("stream", "open/b")
        self.publishByClient("open/a", 2)
        # A stream each, the application; the poll, once.
        live = 2 * 4 + 1
        self.open("stream", more="&since=earliest")
        self.ask(get("/channels/open/a?transport=poll&since=earliest"))
        self.assertEqual(len(heard), 2)
        self.assertEqual(self.moved("comet_messages_delivered_total"), live + 2 + 2)

    def test_deliveredOnceByBehind(self) -> None:
        """
        What a slow reader takes in parts, and then from the log, counts once.
        """
        wire = self.open("stream")
        wire.transport.isStuck = True
        for _ in range(400):
            self.hub.publish("open/a", "x" * 900)
        self.turn()
        self.assertLess(self.moved("comet_messages_delivered_total"), 400)
        wire.transport.isStuck = False
        for _ in range(20):
            self.turn()
        self.assertEqual(wire.take().count(b'"data":"x'), 400)
        self.assertEqual(self.moved("comet_messages_delivered_total"), 400)

    def test_published(self) -> None:
        """
        The messages of clients are counted, not those of the server; one for each channel.
        """
        self.publishByClient("open/a", 3)
        self.publish("open/a", 1, 2)
        lines = b'{"channel":"open/a","data":1}\n{"channel":"open/b","data":2}\n'
        self.ask(post("/publish", lines, "Content-Type: application/x-ndjson"))
        self.ask(post("/channels/open/a,open/b", b"3"))
        self.assertEqual(self.moved("comet_messages_published_total"), 7)

    def test_gaps(self) -> None:
        """
        A reader that has lost messages is told, and counted.
        """
        old = self.publish("open/a", 0)[0]
        self.bus.configure(lambda channel: Retention(1, 3600, 1 << 20), 1 << 28, {})
        self.publish("open/a", 1, 2, 3)
        for transport in ("stream", "poll"):
            wire = self.open(transport, more=f"&since={old}")
            self.assertIn(b'"gap"', wire.take())
        self.open("stream")
        self.assertEqual(self.moved("comet_gaps_total"), 2)

    def test_closed(self) -> None:
        """
        Readers that the server closes are counted by the reason.
        """
        self.open("stream")
        self.open("sse")
        self.hub.drain(1)
        self.turn(2)
        self.assertEqual(self.moved("comet_readers_closed_total", code="draining"), 2)

    def test_ownClasses(self) -> None:
        """
        Readers of a class of an application's own are counted, too.
        """

        class Own(PollReader[bytes]):
            """
            A poll of an application's own.
            """

            __slots__ = ()

        readers = {Own.__new__(Own): None for _ in range(3)}
        for reader in readers:
            reader.state = State.LIVE
        self.assertEqual(countReaders(readers)["poll", "live"], 3)


class RefusedTests(MovingCase):
    """
    What is refused.
    """

    def test_requests(self) -> None:
        """
        Refused requests are counted by their code: at the head, and with their bodies.
        """
        self.ask(get("/nowhere"))
        self.ask(get("/channels/a//b"))
        self.ask(request("POST", "/channels/closed", body=b"1"))
        json = "Content-Type: application/json"
        self.ask(request("POST", "/channels/open/a", json, body=b"{"))
        self.ask(request("POST", "/channels/open/a", body=b"x" * 2000))
        self.ask(get("/health", "Host: x"))
        after = self.scrape()
        for code in ("notFound", "badChannel", "unauthorized", "badMessage", "tooLarge"):
            self.assertEqual(self.movedIn(after, "comet_refused_total", code=code), 1, code)

    def test_commands(self) -> None:
        """
        Refused commands are counted, and connections that begin with none.
        """
        wire = self.connect(CometFactory(self.hub))
        wire.send(
            b'{"subscribe":["open/a"]}\n{"publish":"closed","data":1}\n{"subscribe":["a//b"]}\n'
        )
        self.turn()
        other = self.connect(CometFactory(self.hub))
        other.send(b"nonsense\n")
        self.turn()
        after = self.scrape()
        for code in ("unauthorized", "badChannel", "badMessage"):
            self.assertEqual(self.movedIn(after, "comet_refused_total", code=code), 1, code)

    def test_noRoom(self) -> None:
        """
        Clients for which there is no room are counted.
        """
        self.hub.refusals.add("a test")
        self.assertEqual(self.moved("comet_no_room_total"), 1)


class BusTests(MovingCase):
    """
    The bus, and how long things take.
    """

    def test_stored(self) -> None:
        """
        How long a slow bus takes to store is told, and how long the publisher waits.
        """
        waiting: list[Deferred[None]] = []
        publish = self.bus.publish

        def slowly(publications: Any) -> Deferred[Any]:
            waiting.append(Deferred())
            return waiting[-1].addCallback(lambda _: publish(publications))

        self.patch(self.bus, "publish", slowly)
        wire = self.connect()
        wire.send(request("POST", "/channels/open/a", body=b"1"))
        self.turn()
        self.turn(0.2)
        waiting.pop().callback(None)
        self.turn()
        self.assertIn(b" 201 ", wire.take())
        after = self.scrape()
        for name, labels in (
            ("comet_bus_seconds", {"operation": "store"}),
            ("comet_publish_seconds", {}),
        ):
            told = [
                self.movedIn(after, f"{name}_bucket", le=le, **labels)
                for le in ("0.1", "0.25", "+Inf")
            ]
            self.assertEqual(told, [0, 1, 1], name)
            self.assertAlmostEqual(self.movedIn(after, f"{name}_sum", **labels), 0.2)

    def test_queried(self) -> None:
        """
        How long a slow bus takes to answer questions is told.
        """
        waiting: list[Deferred[None]] = []
        read = self.bus.read

        def slowly(*asked: Any) -> Deferred[Any]:
            waiting.append(Deferred())
            return waiting[-1].addCallback(lambda _: read(*asked))

        self.publish("open/a", 1)
        self.patch(self.bus, "read", slowly)
        wire = self.open("stream", more="&since=earliest")
        self.turn(2)
        waiting.pop().callback(None)
        self.turn()
        self.assertIn(b'"data":1', wire.take())
        labels = {"operation": "query"}
        self.assertEqual(self.moved("comet_bus_seconds_count", **labels), 1)
        self.assertAlmostEqual(self.moved("comet_bus_seconds_sum", **labels), 2)

    def test_written(self) -> None:
        """
        How long it takes until a message is written to readers is told: of all that are
        read here.
        """
        self.open("stream")
        self.hub.fanout.now = lambda: self.clock.seconds() + 0.03
        self.publish("open/a", 1, 2)
        self.publish("open/unread", 1)
        after = self.scrape()
        self.assertEqual(self.movedIn(after, "comet_written_seconds_bucket", le="0.025"), 0)
        self.assertEqual(self.movedIn(after, "comet_written_seconds_bucket", le="0.05"), 2)
        self.assertEqual(self.movedIn(after, "comet_written_seconds_count"), 2)
        self.assertAlmostEqual(self.movedIn(after, "comet_written_seconds_sum"), 0.06)

    def test_writtenOfOtherTimes(self) -> None:
        """
        Messages of one tick that were stored at several times count each for itself.
        """
        self.open("stream")
        now = self.clock.seconds()
        times = iter([now - 2.0, now - 0.2])
        self.bus._wallClock = lambda: next(times, now)
        self.publish("open/a", 1, 2)
        self.assertEqual(self.moved("comet_written_seconds_bucket", le="0.25"), 1)
        self.assertEqual(self.moved("comet_written_seconds_bucket", le="2.5"), 2)

    def test_interruptions(self) -> None:
        """
        Interruptions are counted.
        """
        self.open("stream")
        self.bus.renew()
        self.turn()
        self.assertEqual(self.moved("comet_bus_interruptions_total"), 1)

    def test_held(self) -> None:
        """
        What the bus holds is told.
        """
        self.publish("open/a", 1, 2)
        self.publish("open/b", 3)
        after = self.scrape()
        self.assertEqual(self.movedIn(after, "comet_log_messages"), 3)
        self.assertEqual(self.movedIn(after, "comet_log_channels"), 2)
        self.assertEqual(after["comet_log_bytes"], self.bus.size)
        self.hub.bus.forget("open/a")
        after = self.scrape()
        self.assertEqual(self.movedIn(after, "comet_log_messages"), 1)
        self.assertEqual(self.movedIn(after, "comet_log_channels"), 1)

    def test_notHeld(self) -> None:
        """
        A bus that does not answer keeps back its own figures alone, and not for long.
        """
        for answer in (Deferred[Any](), None):
            self.patch(self.bus, "measure", lambda answer=answer: answer or _raise())
            wire = self.connect()
            wire.send(get("/metrics", "Authorization: Bearer the-admin-key-of-these-tests"))
            self.turn()
            self.turn(1.5)
            text = wire.take()
            self.assertIn(b"comet_ready 1.0", text)
            self.assertNotIn(b"comet_log_bytes", text)

    def test_readiness(self) -> None:
        """
        Whether the node is ready is told, with the reason.
        """
        self.assertEqual(self.before["comet_ready"], 1)
        self.hub.control.revocations.unload()
        after = self.scrape()
        self.assertEqual(after["comet_ready"], 0)
        self.assertEqual(after[nameOf("comet_not_ready", reason="revocations")], 1)
        self.assertEqual(after[nameOf("comet_not_ready", reason="bus")], 0)
        self.bus.isAvailable = False
        after = self.scrape()
        self.assertEqual(after[nameOf("comet_not_ready", reason="bus")], 1)
        self.assertEqual(after["comet_bus_available"], 0)

    def test_lateness(self) -> None:
        """
        How late the reactor is, is told while the service runs.
        """
        service = LatenessService(self.clock, self.hub.tally.lateness)
        service.startService()
        self.clock.advance(INTERVAL)
        self.clock.advance(INTERVAL + 0.3)
        service.stopService()
        after = self.scrape()
        told = [
            self.movedIn(after, "comet_reactor_lateness_seconds_bucket", le=le)
            for le in ("0.0005", "0.25", "0.5", "+Inf")
        ]
        self.assertEqual(told, [1, 1, 2, 2])


def _raise() -> Any:
    raise Unavailable("a test")


class Approving:
    """
    Hooks that approve of all but one message.
    """

    def publish(self, client: Client, publication: Publication) -> Deferred[None]:
        """
        Let it pass later, or refuse.
        """
        if publication.payload == b'"bad"':
            raise Unavailable("bad")
        return succeed(None)


class HookTests(MovingCase):
    """
    Hooks and presence.
    """

    def test_hooks(self) -> None:
        """
        Questions are counted by type and outcome.
        """
        hooks: Any = Approving()
        self.hub.useHooks(hooks, [("open/**", ["publish"])])
        self.publishByClient("open/a", 2)
        self.ask(request("POST", "/channels/open/a", body=b"bad"))
        after = self.scrape()
        for outcome, count in (("answered", 2), ("refused", 1), ("failed", 0)):
            labels = {"type": "publish", "outcome": outcome}
            self.assertEqual(self.movedIn(after, "comet_hooks_total", **labels), count)

    def test_members(self) -> None:
        """
        A client in a channel is a member once, however many readers it has.
        """
        self.hub.keepPresence(["open/**"])
        ada = Client("ada")
        self.hub.access.clientOf = lambda credentials: ada  # type: ignore[attr-defined]
        self.patch(self.hub, "identify", lambda credentials: ada)
        wires = [self.open("stream", "open/a"), self.open("stream", "open/a,open/b")]
        self.assertEqual(self.members(), 2)
        wires[0].leave()
        self.turn()
        self.assertEqual(self.members(), 2)
        wires[1].leave()
        self.turn()
        self.assertEqual(self.members(), 0)

    def members(self) -> int:
        """
        Return how many are told of.
        """
        attendance = self.hub.attendance
        assert attendance is not None
        return attendance.members
