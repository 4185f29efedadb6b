"""
Tests of the hub: what an application can do, who may what, and the end.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.errors import (
    BadChannel,
    BadCursor,
    BadMessage,
    BadRequest,
    Forbidden,
    KeyReused,
    TooMany,
    Unauthorized,
    Unavailable,
    Unknown,
)
from comet.fanout.states import State
from comet.framing.publications import Limits
from comet.http.origins import Origins
from comet.hub import Hub, Settings
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from tests.fanout.case import HubTestCase
from tests.fanout.doubles import ANYONE, AllAccess, MemoryReceiver, TurnClock
from tests.fanout.slowbus import SlowBus, WatchedBus


class PublishTests(HubTestCase):
    """
    Publishing in plain Python.
    """

    def test_cursor(self) -> None:
        """
        The cursor is that of the last of its messages, and comes after the
        readers were written to.
        """
        stream = self.stream("a", "b")
        published = self.hub.publish(["a", "b"], {"n": 1}, "changed")
        self.assertNoResult(published)
        self.clock.turn()
        self.assertEqual(self.successResultOf(published), Cursor(self.inner.end.epoch, 2))
        self.assertEqual(stream.positions, [1, 2])
        published = self.hub.publish("d", b"bytes")
        self.clock.turn()
        self.assertEqual(self.successResultOf(published), self.hub.end)

    def test_key(self) -> None:
        """
        With a key it is safe to publish again; but not something else.
        """
        published = self.hub.publish("a", 1, key="k")
        self.clock.turn()
        first = self.successResultOf(published)
        self.assertEqual(self.successResultOf(self.hub.publish("a", 1, key="k")), first)
        self.failureResultOf(self.hub.publish("a", 2, key="k"), KeyReused)
        self.assertEqual(self.hub.end, first)

    def test_refused(self) -> None:
        """
        What cannot be published fails, and is not raised.
        """
        self.failureResultOf(self.hub.publish("c/*", 1), BadChannel)
        self.failureResultOf(self.hub.publish("a", float("nan")), BadMessage)
        self.assertEqual(self.hub.end.position, 0)


class SubscribeTests(HubTestCase):
    """
    Subscribing in plain Python.
    """

    def test_refused(self) -> None:
        """
        What is no name, or no place, fails, and leaves no reader.
        """
        receiver = MemoryReceiver()
        self.failureResultOf(self.hub.subscribe("a,b", None, receiver), BadChannel)
        self.failureResultOf(self.hub.subscribe("a", "soon", receiver), BadCursor)
        self.assertEqual(len(self.fanout.readers), 0)

    def test_draining(self) -> None:
        """
        Nobody subscribes to a server that goes down.
        """
        self.hub.drain(5.0)
        self.failureResultOf(self.hub.subscribe("a", None, MemoryReceiver()), Unavailable)


class SlowSubscribeTests(HubTestCase):
    """
    The same over a bus that answers later.
    """

    isSlow = True

    def test_unheard(self) -> None:
        """
        Where the names cannot be heard it fails, the receiver is not called,
        and no reader is left.
        """
        receiver = MemoryReceiver()
        subscribed = self.hub.subscribe("a", None, receiver)
        self.slow.operations.pop(0).fail(Unavailable("the bus is down"))
        self.failureResultOf(subscribed, Unavailable)
        self.assertEqual((receiver.heard, len(self.fanout.readers)), ([], 0))

    def test_published(self) -> None:
        """
        A publication that failed is told as it did, and is not under way any
        more.
        """
        for error in (Unavailable("the bus is down"), Unknown("the link broke")):
            published = self.hub.publish("a", 1)
            self.slow.operations.pop(0).fail(error)
            self.failureResultOf(published, type(error))
        self.assertEqual(self.successResultOf(self.hub.drain(5.0)), None)

    def test_forget(self) -> None:
        """
        The same is true of what was to be forgotten.
        """
        forgotten = self.hub.forget(ANYONE, ["a", "b"])
        self.slow.operations.pop(0).fail(Unavailable("the bus is down"))
        self.failureResultOf(forgotten, Unavailable)
        self.rest()


class PermissionTests(HubTestCase):
    """
    Who may do what.
    """

    def setUp(self) -> None:
        """
        Only one channel is open.
        """
        super().setUp()
        self.hub.access = Access("secret", ["open/*"])

    def test_store(self) -> None:
        """
        All channels of all publications have to be allowed, or nothing is
        stored.
        """
        allowed, not_ = Publication(("open/a",), b"1"), Publication(("open/b", "a"), b"1")
        self.failureResultOf(self.hub.store(ANONYMOUS, [allowed, not_]), Unauthorized)
        self.assertEqual(self.hub.end.position, 0)
        self.successResultOf(self.hub.store(ANONYMOUS, [allowed]))
        self.successResultOf(self.hub.store(KEY_HOLDER, [not_]))
        self.failureResultOf(
            self.hub.store(KEY_HOLDER, [Publication(("$stats",), b"1")]), Forbidden
        )

    def test_forget(self) -> None:
        """
        All channels have to be allowed, or nothing is forgotten.
        """
        self.successResultOf(self.hub.publish(["a", "open/a"], 1))
        self.failureResultOf(self.hub.forget(ANONYMOUS, ["open/a", "a"]), Unauthorized)
        self.assertEqual(self.inner.floor("**"), 0)
        self.assertIsNone(self.successResultOf(self.hub.forget(KEY_HOLDER, ["a", "open/a"])))
        self.assertEqual((self.inner.floor("a"), self.inner.floor("open/a")), (1, 2))

    def test_read(self) -> None:
        """
        Who may not read a name gets no reader at all.
        """

        class Closed(AllAccess):
            def checkSubscribe(self, client: Client, name: str) -> None:
                if name == "secret":
                    raise Forbidden("it is secret")

        self.hub.access = Closed()
        self.assertRaises(Forbidden, self.stream, "a", "secret")
        self.assertRaises(Forbidden, self.poll, "secret")
        self.assertEqual(len(self.fanout.readers), 0)

    def test_default(self) -> None:
        """
        By default nobody but the application may publish, and anyone may read.
        """
        clock = Clock()
        hub = Hub(MemoryBus(clock), clock)
        self.failureResultOf(hub.store(ANONYMOUS, [Publication(("a",), b"1")]), Unauthorized)
        hub.check(ANONYMOUS, ["a"])
        self.assertIsInstance(hub.origins, Origins)
        self.successResultOf(hub.publish("a", 1))


class LimitTests(HubTestCase):
    """
    How many there may be.
    """

    settings = Settings(Limits(maxChannels=3), maxConnections=2)

    def test_names(self) -> None:
        """
        A reader has so many names at most, those that it has included.
        """
        self.hub.check(ANYONE, ["a", "b", "d"])
        error = self.assertRaises(BadRequest, self.hub.check, ANYONE, ["a"], 3)
        self.assertIn("3 are allowed", str(error))
        self.assertRaises(BadRequest, self.stream, "a", "b", "d", "e")

    def test_connections(self) -> None:
        """
        There are so many readers at most; polls that do not wait are always
        answered.
        """
        first = self.stream("a")
        self.poll("a")
        self.assertRaises(TooMany, self.stream, "a")
        self.assertRaises(TooMany, self.poll, "a")
        waiter, _ = self.poll("a", wait=0.0)
        self.assertTrue(waiter.isAnswered)
        first.sink.lose()
        self.stream("a")


class DrainTests(HubTestCase):
    """
    Going down.
    """

    def test_readers(self) -> None:
        """
        Everyone is told to come back at a random moment within the time, and
        it is over when they have left.
        """
        streams = [self.stream("a") for _ in range(20)]
        waiter, _ = self.poll("a")
        receiver, _ = self.subscribe("a")
        self.assertTrue(self.hub.isReady)
        drained = self.hub.drain(10.0)
        self.assertFalse(self.hub.isReady)
        retries = [stream.sink.lines[-1][4] for stream in streams]
        close = waiter.outcome.close
        assert close is not None
        retries += [close.retry, receiver.heard[-1][2]]
        self.assertTrue(all(0 < retry <= 10.0 for retry in retries), retries)
        self.assertGreater(len(set(retries)), 10)
        for stream in streams:
            self.assertNoResult(drained)
            self.assertEqual(stream.sink.lines[-1][3], "draining")
            stream.sink.lose()
        self.assertIsNone(self.successResultOf(drained))

    def test_nothingNew(self) -> None:
        """
        Nothing new is taken, with a moment to come back at.
        """
        self.assertIsNone(self.successResultOf(self.hub.drain(4.0)))
        for refused in (self.stream, self.poll):
            error = self.assertRaises(Unavailable, refused, "a")
            assert error.retryAfter is not None
            self.assertTrue(0 < error.retryAfter <= 4.0)
        self.assertRaises(Unavailable, self.poll, "a", wait=0.0)
        self.failureResultOf(self.publish("a"), Unavailable)

    def test_time(self) -> None:
        """
        Those who do not leave are not waited for longer than that.
        """
        stream = self.stream("a")
        drained = self.hub.drain(4.0)
        self.clock.advance(3.9)
        self.assertNoResult(drained)
        self.clock.advance(0.2)
        self.assertIsNone(self.successResultOf(drained))
        stream.sink.lose()

    def test_noTime(self) -> None:
        """
        It takes no time, if there is none.
        """
        self.stream("a")
        drained = self.hub.drain(0.0)
        self.clock.settle()
        self.assertIsNone(self.successResultOf(drained))


class SlowDrainTests(HubTestCase):
    """
    Going down while something is under way.
    """

    isSlow = True

    def test_published(self) -> None:
        """
        What is being published is answered first.
        """
        published = [self.publish("a"), self.publish("a")]
        drained: Deferred[None] = self.hub.drain(10.0)
        self.slow.answer()
        self.rest()
        for each in published:
            self.successResultOf(each)
        self.assertIsNone(self.successResultOf(drained))

    def test_answeredFirst(self) -> None:
        """
        When it is down, all are answered already, those too whose messages
        were not stored.
        """
        order: list[str] = []
        for _ in range(2):
            self.publish("a").addBoth(lambda _: order.append("answered"))
        drained: Deferred[None] = self.hub.drain(10.0)
        drained.addCallback(lambda _: order.append("down"))
        self.slow.operations.pop(0).fail(Unavailable("the bus is down"))
        self.rest()
        self.assertEqual(order, ["answered", "answered", "down"])

    def test_notBegun(self) -> None:
        """
        Who has not begun is told so, too, and what the bus says later is for
        nobody.
        """
        stream = self.stream("a")
        self.hub.drain(10.0)
        self.assertEqual(stream.kinds, ["close"])
        stream.sink.lose()
        self.rest()
        self.assertIs(stream.reader.state, State.CLOSED)


class ReadinessTests(HubTestCase):
    """
    Whether clients should be sent here.
    """

    def test_bus(self) -> None:
        """
        Not without a bus.
        """
        clock = TurnClock()
        bus = SlowBus(WatchedBus(clock))
        hub = Hub(bus, clock)
        self.assertTrue(hub.isReady)
        bus.isAvailable = False
        self.assertFalse(hub.isReady)
