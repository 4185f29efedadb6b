"""
Tests of the hub: what an application can do, who may what, and the end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.python import threadable
from twisted.trial.unittest import SynchronousTestCase, TestCase

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.bus.sqlite.bus import SQLiteBus
from comet.errors import (
    BadChannel,
    BadCursor,
    BadMessage,
    BadRequest,
    Forbidden,
    Internal,
    KeyReused,
    TooMany,
    Unauthorized,
    Unavailable,
    Unknown,
)
from comet.fanout.states import State
from comet.framing.publications import Limits
from comet.http.origins import Origins
from comet.hub.bursts import PUBLISH_SECONDS
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client
from comet.model.cursors import Cursor
from comet.model.messages import Publication, Published
from tests.fanout.case import HubTestCase
from tests.fanout.doubles import ANYONE, AllAccess, MemoryReceiver, TurnClock
from tests.fanout.slowbus import SlowBus, WatchedBus


class PublishTests(HubTestCase):
    """
    Publishing in plain Python.
    """

    def test_cursorOfTheLastMessage(self) -> None:
        """
        The cursor is that of the last message, and comes after the readers were
        written to.
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

    def test_idempotencyKey(self) -> None:
        """
        The same publication with the same key is stored once; another one with
        that key is refused.
        """
        published = self.hub.publish("a", 1, key="k")
        self.clock.turn()
        first = self.successResultOf(published)
        self.assertEqual(self.successResultOf(self.hub.publish("a", 1, key="k")), first)
        self.failureResultOf(self.hub.publish("a", 2, key="k"), KeyReused)
        self.assertEqual(self.hub.end, first)

    def test_busThatHangs(self) -> None:
        """
        A bus that does not answer makes a publication fail in the end: whether it is
        stored is not known.  What the bus says later is dropped, and no timer is left.
        """
        stored: list[Deferred[Any]] = []

        def publish(publications: object) -> Deferred[Any]:
            stored.append(Deferred())
            return stored[-1]

        self.patch(self.inner, "publish", publish)
        published = [self.hub.publish("a", number) for number in range(3)]
        self.clock.settle()
        stored[0].callback([Published("e", {"a": 1})])
        self.clock.settle()
        self.assertEqual(self.successResultOf(published[0]), Cursor("e", 1))
        self.clock.advance(PUBLISH_SECONDS - 1)
        self.assertNoResult(published[1])
        self.clock.advance(2)
        for each in published[1:]:
            self.failureResultOf(each, Unknown)
        stored[1].callback([Published("e", {"a": 2})])
        stored[2].errback(Unavailable("nothing was stored"))
        self.clock.settle()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failsForBadPublications(self) -> None:
        """
        A publication that is not well-formed makes the Deferred fail; nothing
        is raised.
        """
        self.failureResultOf(self.hub.publish("c/*", 1), BadChannel)
        self.failureResultOf(self.hub.publish("a", float("nan")), BadMessage)
        self.assertEqual(self.hub.end.position, 0)


class EndTests(SynchronousTestCase):
    """
    The log end.
    """

    def test_isUnknownBeforeTheStart(self) -> None:
        """
        Before the bus has started there is no cursor, but an error that says why.
        """
        hub = Hub(SQLiteBus(self.mktemp(), Clock()), Clock())
        error = self.assertRaises(Unavailable, getattr, hub, "end")
        self.assertEqual(error.detail, "the bus has not started")


class ThreadTests(TestCase):
    """
    Calls from other threads than that of the reactor.
    """

    def setUp(self) -> None:
        """
        Make a hub on the reactor.
        """
        from twisted.internet import reactor

        self.hub = Hub(MemoryBus(cast(IReactorTime, reactor)), cast(IReactorTime, reactor))
        self.addCleanup(self.hub.stop)

    async def test_refusesOtherThreads(self) -> None:
        """
        What changes the hub raises in another thread, and names what to call there.
        """
        subscription = await self.hub.subscribe("news", None, MemoryReceiver())
        calls: dict[str, Callable[[], Any]] = {
            "hub.publish": partial(self.hub.publish, "news", 1),
            "hub.subscribe": partial(self.hub.subscribe, "news", None, MemoryReceiver()),
            "subscription.add": partial(subscription.add, "more"),
            "subscription.remove": partial(subscription.remove, "news"),
            "subscription.unsubscribe": subscription.unsubscribe,
        }
        for name, call in calls.items():
            with self.assertRaises(RuntimeError) as caught:
                await deferToThread(call)
            self.assertIn(f"blockingCallFromThread(reactor, {name}, ...)", str(caught.exception))
        self.assertEqual((self.hub.end.position, subscription.names), (0, ("news",)))

    async def test_publishesFromThread(self) -> None:
        """
        In another thread, C{publishFromThread} returns once the message is stored,
        and raises what went wrong.
        """
        receiver = MemoryReceiver()
        await self.hub.subscribe("news", None, receiver)
        publish: Callable[..., Cursor] = self.hub.publishFromThread
        cursor = await deferToThread(publish, "news", {"n": 1})
        self.assertEqual((cursor, receiver.positions), (self.hub.end, [1]))
        with self.assertRaises(BadChannel):
            await deferToThread(publish, "a//b", 1)

    def test_waitsNotForItself(self) -> None:
        """
        In the thread of the reactor, C{publishFromThread} raises rather than wait
        for ever.
        """
        error = self.assertRaises(RuntimeError, self.hub.publishFromThread, "news", 1)
        self.assertIn("call hub.publish", str(error))

    def test_anyThreadBeforeTheReactorRuns(self) -> None:
        """
        Before the reactor runs, the hub may be called.
        """
        self.patch(threadable, "ioThread", None)
        self.successResultOf(self.hub.subscribe("news", None, MemoryReceiver()))


class HistoryTests(HubTestCase):
    """
    Reading back in plain Python.
    """

    def test_pagesBack(self) -> None:
        """
        Each page ends before the oldest message of the one before it.
        """
        self.publish("a", "b", *["a"] * 4)
        pages, before = [], None
        for _ in range(3):
            page = self.successResultOf(self.hub.history("a", before, 2))
            pages.append([message.position for message in page.messages])
            before = page.messages[0].cursor
            self.assertFalse(page.isGap)
            self.assertEqual(page.more, before.position > 1)
        self.assertEqual(pages, [[5, 6], [3, 4], [1]])
        page = self.successResultOf(self.hub.history("a", self.cursor(5)))
        self.assertEqual([message.position for message in page.messages], [1, 3, 4])

    def test_failsForBadQuestions(self) -> None:
        """
        What is not one channel, not a cursor, or no limit, is an error.
        """
        history = self.hub.history
        for bad in ("a*", "*", "a,b", ""):
            self.failureResultOf(history(bad), BadChannel)
        for bad in ("now", "earliest", "-3", ""):
            self.failureResultOf(history("a", bad), BadCursor)
        for limit in (0, -1, 1001):
            self.failureResultOf(history("a", limit=limit), BadRequest)


class SubscribeTests(HubTestCase):
    """
    Subscribing in plain Python.
    """

    def test_failsForBadNamesAndStarts(self) -> None:
        """
        A bad name or start position makes the Deferred fail, and leaves no
        reader.
        """
        receiver = MemoryReceiver()
        self.failureResultOf(self.hub.subscribe("a,b", None, receiver), BadChannel)
        self.failureResultOf(self.hub.subscribe("a", "soon", receiver), BadCursor)
        self.assertEqual(len(self.fanout.readers), 0)

    def test_failsWhileDraining(self) -> None:
        """
        A server that drains takes no subscriptions.
        """
        self.hub.drain(5.0)
        self.failureResultOf(self.hub.subscribe("a", None, MemoryReceiver()), Unavailable)


class SlowSubscribeTests(HubTestCase):
    """
    Subscribing and publishing over a bus that answers later.
    """

    isSlow = True

    def test_namesThatCannotBeHeard(self) -> None:
        """
        If the bus cannot let the names be heard, the Deferred fails, the
        receiver is not called, and no reader is left.
        """
        receiver = MemoryReceiver()
        subscribed = self.hub.subscribe("a", None, receiver)
        self.slow.operations.pop(0).fail(Unavailable("the bus is down"))
        self.failureResultOf(subscribed, Unavailable)
        self.assertEqual((receiver.heard, len(self.fanout.readers)), ([], 0))

    def test_failedPublicationIsOver(self) -> None:
        """
        A publication fails as it did in the bus, and is not under way any more.
        """
        for error in (Unavailable("the bus is down"), Unknown("the link broke")):
            published = self.hub.publish("a", 1)
            self.slow.operations.pop(0).fail(error)
            self.failureResultOf(published, type(error))
        self.assertEqual(self.successResultOf(self.hub.drain(5.0)), None)

    def test_failedForgetting(self) -> None:
        """
        Forgetting fails as it did in the bus.
        """
        forgotten = self.hub.forget(ANYONE, ["a", "b"])
        self.slow.operations.pop(0).fail(Unavailable("the bus is down"))
        self.failureResultOf(forgotten, Unavailable)
        self.rest()


class RightsTests(HubTestCase):
    """
    Which rights are checked.
    """

    def setUp(self) -> None:
        """
        Open one channel only.
        """
        super().setUp()
        self.hub.access = Access("secret", ["open/*"])

    def test_publishesAllOrNothing(self) -> None:
        """
        If one channel of one publication is not allowed, nothing is stored.
        """
        allowed, not_ = Publication(("open/a",), b"1"), Publication(("open/b", "a"), b"1")
        self.failureResultOf(self.hub.store(ANONYMOUS, [allowed, not_]), Unauthorized)
        self.assertEqual(self.hub.end.position, 0)
        stored = self.hub.store(ANONYMOUS, [allowed]), self.hub.store(KEY_HOLDER, [not_])
        self.clock.settle()
        for each in stored:
            self.successResultOf(each)
        self.failureResultOf(
            self.hub.store(KEY_HOLDER, [Publication(("$stats",), b"1")]), Forbidden
        )

    def test_forgetsAllOrNothing(self) -> None:
        """
        If one channel is not allowed, nothing is forgotten.
        """
        self.successResultOf(self.hub.publish(["a", "open/a"], 1))
        self.failureResultOf(self.hub.forget(ANONYMOUS, ["open/a", "a"]), Unauthorized)
        self.assertEqual(self.inner.floor("**"), 0)
        self.assertIsNone(self.successResultOf(self.hub.forget(KEY_HOLDER, ["a", "open/a"])))
        self.assertEqual((self.inner.floor("a"), self.inner.floor("open/a")), (1, 2))

    def test_noReaderForAForbiddenName(self) -> None:
        """
        A client that may not read one of the names gets no reader.
        """

        class Closed(AllAccess):
            def checkSubscribe(self, client: Client, name: str) -> None:
                if name == "secret":
                    raise Forbidden("it is secret")

        self.hub.access = Closed()
        self.assertRaises(Forbidden, self.stream, "a", "secret")
        self.assertRaises(Forbidden, self.poll, "secret")
        self.assertEqual(len(self.fanout.readers), 0)

    def test_defaultRights(self) -> None:
        """
        By default only the application may publish, and every client may read.
        """
        clock = Clock()
        hub = Hub(MemoryBus(clock), clock)
        self.failureResultOf(hub.store(ANONYMOUS, [Publication(("a",), b"1")]), Unauthorized)
        hub.check(ANONYMOUS, ["a"])
        self.assertIsInstance(hub.origins, Origins)
        self.successResultOf(hub.publish("a", 1))


class FilterTests(HubTestCase):
    """
    L{Hub.filter}, which sees all that is published.
    """

    def test_seesAndChanges(self) -> None:
        """
        What clients and the application publish is stored as the filter returns it.
        """
        seen: list[tuple[str, Any]] = []

        def filter(publication: Publication) -> Publication:
            seen.append((publication.publisher, publication.data))
            if publication.data == "rude":
                return self.hub.withData(publication, "***")
            return publication

        got: list[Any] = []
        self.successResultOf(self.hub.subscribe("a", "now", lambda each: got.append(each.data)))
        self.hub.filter = filter
        self.assertIs(self.hub.filter, filter)
        asked: list[Deferred[Any]] = [
            self.hub.publish("a", "rude"),
            self.hub.store(ANONYMOUS, [Publication(("a",), b'"rude"', publisher="ada")]),
            self.hub.publish("a", b"bytes"),
        ]
        self.rest()
        for each in asked:
            self.successResultOf(each)
        self.assertEqual(sorted(map(str, got)), ["***", "***", "b'bytes'"])
        self.assertEqual(
            sorted(map(str, seen)),
            ["('ada', 'rude')", "('server', 'rude')", "('server', b'bytes')"],
        )

    def test_refuses(self) -> None:
        """
        An error of the filter's refuses the request as a whole, and nothing is left
        under way; another exception is logged, and the publisher told of an internal
        error.
        """

        def filter(publication: Publication) -> Publication:
            if publication.data == 1:
                raise Forbidden("no ones")
            if publication.data == 2:
                raise ZeroDivisionError
            return publication

        self.hub.filter = filter
        both = [Publication(("a",), b"0"), Publication(("a",), b"1")]
        self.failureResultOf(self.hub.store(ANONYMOUS, both), Forbidden)
        self.failureResultOf(self.hub.publish("a", 1), Forbidden)
        self.failureResultOf(self.hub.publish("a", 2), Internal)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.hub.end.position, 0)
        self.successResultOf(self.hub.drain(0))

    def test_forgetsToReturn(self) -> None:
        """
        A filter that gives no publication has that logged, and the publisher is told
        of an internal error; others are served once it is mended.
        """
        filters: list[Any] = [lambda publication: None, lambda publication: b"1"]
        for filter in filters:
            self.hub.filter = filter
            self.failureResultOf(self.hub.publish("a", 1), Internal)
            given = [Publication(("a",), b"1")]
            self.failureResultOf(self.hub.store(ANONYMOUS, given), Internal)
        self.hub.filter = None
        asked = self.hub.store(ANONYMOUS, [Publication(("a",), b"1")])
        self.rest()
        self.assertEqual(self.successResultOf(asked)[0].cursor.position, 1)
        self.successResultOf(self.hub.drain(0))


class LimitTests(HubTestCase):
    """
    How many names and readers there may be.
    """

    settings = Settings(Limits(maxChannels=3), maxConnections=2)

    def test_boundsNames(self) -> None:
        """
        A reader may have so many names, with those that it has already.
        """
        self.hub.check(ANYONE, ["a", "b", "d"])
        error = self.assertRaises(BadRequest, self.hub.check, ANYONE, ["a"], 3)
        self.assertIn("3 are allowed", str(error))
        self.assertRaises(BadRequest, self.stream, "a", "b", "d", "e")

    def test_boundsReaders(self) -> None:
        """
        There may be so many readers; polls that do not wait are answered all
        the same.
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
    Draining.
    """

    def test_sendsReadersAway(self) -> None:
        """
        Each client is told to come back after a random delay; draining ends
        when all have left.
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
        # For so few, a moment is enough.
        self.assertTrue(all(0 < retry <= 0.1 for retry in retries), retries)
        for stream in streams:
            self.assertNoResult(drained)
            self.assertEqual(stream.sink.lines[-1][3], "draining")
            stream.sink.lose()
        self.assertIsNone(self.successResultOf(drained))

    def test_spreadsByNeed(self) -> None:
        """
        Clients are spread over a second for each thousand of them.
        """
        streams = [self.stream("a") for _ in range(500)]
        self.hub.drain(10.0)
        retries = [stream.sink.lines[-1][4] for stream in streams]
        self.assertTrue(all(0.1 <= retry <= 0.5 for retry in retries), retries)
        self.assertGreater(max(retries), 0.4)
        self.assertLess(min(retries), 0.2)

    def test_closesEachAtItsMomentOnSharedBus(self) -> None:
        """
        Where other servers take the clients, each reader is written to until its
        own moment, and its client comes back at once.
        """
        streams = [self.stream("a") for _ in range(500)]
        drained = self.hub.drain(10.0, isShared=True)
        self.assertRaises(Unavailable, self.stream, "a")

        def left() -> list[Any]:
            return [stream for stream in streams if "close" not in stream.kinds]

        counts = []
        for _ in range(5):
            counts.append(len(left()))
            self.publish("a")
            self.rest()
            self.assertTrue(all(stream.kinds[-1] == "message" for stream in left()))
            self.clock.advance(0.1)
        self.assertEqual(counts[0], 500)
        self.assertEqual(counts, sorted(counts, reverse=True))
        self.assertTrue(100 < counts[2] < 400, counts)
        self.assertEqual(left(), [])
        self.assertEqual({stream.sink.lines[-1][4] for stream in streams}, {0.1})
        self.assertNoResult(drained)
        for stream in streams:
            stream.sink.lose()
        self.assertIsNone(self.successResultOf(drained))

    def test_takesNothingNew(self) -> None:
        """
        A server that drains refuses readers, and says when to come back.  It
        takes publications until its bus is stopped.
        """
        self.assertIsNone(self.successResultOf(self.hub.drain(4.0)))
        for refused in (self.stream, self.poll):
            error = self.assertRaises(Unavailable, refused, "a")
            assert error.retryAfter is not None
            self.assertTrue(0 < error.retryAfter <= 4.0)
        self.assertRaises(Unavailable, self.poll, "a", wait=0.0)
        self.successResultOf(self.publish("a"))

    def test_endsAfterItsTime(self) -> None:
        """
        Clients that do not leave are waited for until the time is over.
        """
        stream = self.stream("a")
        drained = self.hub.drain(4.0)
        self.clock.advance(3.9)
        self.assertNoResult(drained)
        self.clock.advance(0.2)
        self.assertIsNone(self.successResultOf(drained))
        stream.sink.lose()

    def test_endsAtOnceWithoutTime(self) -> None:
        """
        Without time, draining ends at once.
        """
        self.stream("a")
        drained = self.hub.drain(0.0)
        self.clock.settle()
        self.assertIsNone(self.successResultOf(drained))


class RoomTests(HubTestCase):
    """
    How many readers the system has room for.
    """

    settings = Settings(room=2)

    def test_leavesOpenFilesToOthers(self) -> None:
        """
        Readers for which the process has no open files are refused for now.
        Publications are taken.
        """
        self.stream("a")
        self.poll("a")
        for refused in (self.stream, self.poll):
            error = self.assertRaises(Unavailable, refused, "a")
            self.assertEqual(error.retryAfter, 5.0)
        self.poll("a", wait=0.0)
        published = self.publish("a")
        self.rest()
        self.successResultOf(published)


class SlowDrainTests(HubTestCase):
    """
    Draining while operations of the bus are under way.
    """

    isSlow = True

    def test_answersPublishersFirst(self) -> None:
        """
        Publications under way are answered before draining ends.
        """
        published = [self.publish("a"), self.publish("a")]
        drained: Deferred[None] = self.hub.drain(10.0)
        self.slow.answer()
        self.rest()
        for each in published:
            self.successResultOf(each)
        self.assertIsNone(self.successResultOf(drained))

    def test_failuresAreAnsweredFirst(self) -> None:
        """
        When draining ends, all publishers have been answered, also those whose
        messages were not stored.
        """
        order: list[str] = []
        for _ in range(2):
            self.publish("a").addBoth(lambda _: order.append("answered"))
        drained: Deferred[None] = self.hub.drain(10.0)
        drained.addCallback(lambda _: order.append("down"))
        self.slow.operations.pop(0).fail(Unavailable("the bus is down"))
        self.rest()
        self.assertEqual(order, ["answered", "answered", "down"])

    def test_closesReadersThatAreOpening(self) -> None:
        """
        A client whose reader is opening is told to come back, and nothing of
        what the bus says then.
        """
        stream = self.stream("a")
        self.hub.drain(10.0)
        self.assertEqual(stream.kinds, ["close"])
        stream.sink.lose()
        self.rest()
        self.assertIs(stream.reader.state, State.CLOSED)


class ReadinessTests(HubTestCase):
    """
    Whether a load balancer should send clients here.
    """

    def test_notReadyWithoutBus(self) -> None:
        """
        A hub whose bus is not available is not ready.
        """
        clock = TurnClock()
        bus = SlowBus(WatchedBus(clock))
        hub = Hub(bus, clock)
        self.assertTrue(hub.isReady)
        bus.isAvailable = False
        self.assertFalse(hub.isReady)
