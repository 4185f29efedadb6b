"""
Tests of L{comet.hub.waitingrequests}, by L{comet.hub.bursts} over a bus that takes its
time: whom it stores next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from comet.bus.memory.bus import MemoryBus
from comet.errors import Unavailable, Unknown
from comet.hub import waitingrequests
from comet.hub.bursts import MOST_TOGETHER, PUBLISH_SECONDS
from comet.hub.hub import Hub
from comet.hub.waitingrequests import MOST_ASKED, MOST_HELD, MOST_WHILE_READING
from comet.model.messages import Publication, Published
from comet.model.positions import HistoryPage
from comet.reactor.turns import TURN
from tests.fanout.case import HubTestCase


class LateBus(MemoryBus):
    """
    Stores when it is told to.

    @ivar asked: What it is asked to store: the channel of each.

    @ivar bursts: How many requests each burst had that it was asked to store.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.asked: list[str] = []
        self.bursts: list[int] = []
        self._waiting: list[tuple[Deferred[Any], Sequence[Publication]]] = []

    def publish(self, publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        Store some publications later.
        """
        stored: Deferred[Sequence[Published]] = Deferred()
        self.asked.append(publications[0].channels[0])
        self._waiting.append((stored, publications))
        return stored

    def goOn(self, count: int = 1) -> None:
        """
        Store what came first.
        """
        for _ in range(count):
            stored, publications = self._waiting.pop(0)
            self.asked.pop(0)
            super().publish(publications).chainDeferred(stored)


class LateBurstBus(LateBus):
    """
    Stores bursts, too, when it is told to.
    """

    def publish(self, publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        Store some publications later.
        """
        self.bursts.append(1)
        return super().publish(publications)

    def publishBurst(self, requests: Sequence[Sequence[Publication]]) -> Deferred[Any]:
        """
        Store some requests later.
        """
        self.bursts.append(len(requests))
        return gatherResults([super(LateBurstBus, self).publish(each) for each in requests])


class LateBusTests(HubTestCase):
    """
    A hub over a bus that does not answer at once.
    """

    def setUp(self) -> None:
        """
        Replace the bus.
        """
        super().setUp()
        self.use(LateBus)
        self.answered: list[Any] = []

    def use(self, busType: type[LateBus]) -> None:
        """
        Make a hub over a bus of this type.
        """
        bus: Any = busType(self.clock, wallClock=self.clock.seconds)
        self.late = self.inner = bus
        self.hub = Hub(self.late, self.clock, self.settings, self.hub.access)

    def tearDown(self) -> None:
        """
        Store what waits: no timer is left then.
        """
        while self.late.asked:
            self.late.goOn()
        self.clock.settle()
        super().tearDown()

    def add(self, publisher: str | None, count: int = 1, **options: Any) -> None:
        """
        Publish, each time one message to the channel with the name of the publisher.
        """
        self.put(publisher, [Publication((publisher or "server",), b"1", **options)], count)

    def put(
        self, publisher: str | None, publications: Sequence[Publication], count: int = 1
    ) -> None:
        """
        Publish the same again and again.
        """
        channel = publications[0].channels[0]
        for _ in range(count):
            self.hub.bursts.add(
                publications,
                lambda answers: self.answered.append(channel),
                lambda failure: self.answered.append(type(failure.value)),
                publisher,
            )

    def test_asksForLittle(self) -> None:
        """
        The bus is asked for so much that it has something to do, and for the rest when
        it has answered.
        """
        self.add("a", 3 * MOST_ASKED)
        self.clock.turn()
        # What came before the bus was found to be slow is one burst.
        self.assertEqual(len(self.late.asked), MOST_ASKED)
        self.late.goOn(10)
        self.assertEqual(len(self.late.asked), MOST_ASKED)
        while self.late.asked:
            self.late.goOn()
        self.clock.settle()
        self.assertEqual(self.answered, ["a"] * (3 * MOST_ASKED))
        self.successResultOf(self.hub.bursts.whenAnswered())

    def test_asksForLessWhileReading(self) -> None:
        """
        While a reader waits for the bus, it does not wait for many publications in each
        of its steps.
        """
        reading: Deferred[Any] = Deferred()
        self.patch(self.late, "history", lambda *asked: reading)
        page = self.hub.history("a")
        self.add("a", 3 * MOST_ASKED)
        self.clock.turn()
        self.late.goOn(MOST_ASKED)
        self.assertEqual(len(self.late.asked), MOST_WHILE_READING)
        reading.callback(HistoryPage())
        self.assertEqual(self.successResultOf(page), HistoryPage())
        self.late.goOn(1)
        self.assertEqual(len(self.late.asked), MOST_ASKED)

    def test_readersBeforeBatches(self) -> None:
        """
        A large batch lets the questions go first that are under way, and those that readers
        ask on with; questions without an end do not keep it.  What its publisher has sent
        behind it stays there; what others send, if it is little, waits for neither.
        """
        questions: dict[str, Deferred[Any]] = {}

        def history(channel: str, *asked: Any) -> Deferred[Any]:
            questions[channel] = Deferred()
            return questions[channel]

        self.patch(self.late, "history", history)
        names = iter([f"question {number}" for number in range(MOST_HELD + 1)])
        asked = next(names)
        self.hub.history(asked)
        batch = [Publication(("batch",), b"1")] * (MOST_WHILE_READING + 1)
        self.put("a", batch)
        self.add("a")
        self.add("z")
        self.clock.turn()
        self.assertEqual(self.late.asked, ["z"])
        self.late.goOn()
        for name in names:
            self.clock.turn()
            self.assertEqual(self.late.asked, [])
            self.hub.history(name)
            questions[asked].callback(HistoryPage())
            asked = name
        self.clock.turn()
        self.assertEqual(self.late.asked, ["batch"])
        self.late.goOn()
        self.assertEqual(self.late.asked, ["a"])
        questions[asked].callback(HistoryPage())

    def test_batchesDoNotWaitForWork(self) -> None:
        """
        Once the readers have gone first, the batch is stored in the next turn, however many
        clients have work left in this process.
        """
        turns = self.hub.turns
        rounds = iter(range(40))

        def work() -> None:
            self.clock.rightNow += 2 * TURN
            if next(rounds, None) is not None:
                turns.later(work)

        question: Deferred[Any] = Deferred()
        self.patch(self.late, "history", lambda *asked: question)
        self.hub.history("a")
        self.put("a", [Publication(("batch",), b"1")] * (MOST_WHILE_READING + 1))
        self.clock.turn()
        self.assertEqual(self.late.asked, [])
        for _ in range(20):
            turns.later(work)
        question.callback(HistoryPage())
        self.clock.turn()
        self.assertEqual(self.late.asked, ["batch"])

    def test_newcomerIsNext(self) -> None:
        """
        A publisher with one message waits for what the bus is doing, and not for all
        that others have waiting.
        """
        for publisher in "abcd":
            self.add(publisher, 2 * MOST_ASKED)
        self.clock.turn()
        self.add("z")
        self.clock.turn()
        self.late.goOn(5)
        self.assertEqual(self.late.asked.count("z"), 1)

    def test_batchesWait(self) -> None:
        """
        Large batches are stored one at a time, and what is small comes between them.
        """
        batch = [Publication(("a",), b"1")] * (2 * MOST_ASKED)
        for _ in range(5):
            self.put("a", batch)
        self.clock.turn()
        self.assertEqual(self.late.asked, ["a"])
        self.add("z")
        self.clock.turn()
        self.assertEqual(self.late.asked, ["a"])
        self.late.goOn()
        self.assertEqual(self.late.asked, ["z"])
        self.late.goOn()
        self.assertEqual(self.late.asked, ["a"])

    def test_keysAndDataCost(self) -> None:
        """
        Of what takes longer, less is asked at a time.
        """
        for options, cost in (({"key": "k"}, 4), ({"event": "e"}, 1)):
            with self.subTest(options=options):
                self.add("a", 3 * MOST_ASKED, **options)
                self.clock.turn()
                self.assertLessEqual(len(self.late.asked), MOST_TOGETHER + MOST_ASKED // cost)
                while self.late.asked:
                    self.late.goOn()
        large = [Publication(("a",), b"1" * 20480)]
        self.put("a", large, 200)
        self.clock.turn()
        self.assertLessEqual(len(self.late.asked), 1024 * 1024 // 20480 + 1)

    def test_applicationWaitsForNone(self) -> None:
        """
        What the application publishes itself is given to the bus at once.
        """
        self.add("a", 3 * MOST_ASKED)
        self.clock.turn()
        self.add(None)
        self.clock.turn()
        self.assertEqual(self.late.asked[-1], "server")
        self.hub.publish("own", 1)
        self.assertEqual(self.late.asked[-1], "own")

    def test_asksForSomething(self) -> None:
        """
        The bus is never asked to store nothing, whoever publishes while it is busy.
        """
        self.use(LateBurstBus)
        for publisher in ("a", "b", None, "c", None, None):
            self.add(publisher)
            self.clock.turn()
        self.assertEqual(len(self.late.asked), 6)
        self.assertNotIn(0, self.late.bursts)

    def test_awaitedKeepsOrder(self) -> None:
        """
        What is to be stored at once is stored behind what its publisher has waiting.
        """
        self.add("a", 2 * MOST_ASKED)
        self.clock.turn()
        behind = [Publication(("behind",), b"1")]
        self.hub.bursts.publish(behind, self.answered.append, self.answered.append, "a")
        while self.late.asked[0] != "behind":
            self.late.goOn()
        self.assertEqual(self.late.asked, ["behind"])
        self.clock.settle()
        self.assertEqual(self.answered, ["a"] * (2 * MOST_ASKED))

    def test_silentBus(self) -> None:
        """
        When the bus has not answered for its time, what it was asked to store is unknown,
        and what waits for it is refused.
        """
        self.add("a", MOST_ASKED + 10)
        self.clock.turn()
        self.clock.advance(PUBLISH_SECONDS - 1)
        self.clock.settle()
        self.assertEqual(self.answered, [])
        for _ in range(2):
            self.clock.advance(1)
            self.clock.settle()
        self.assertEqual(self.answered.count(Unknown), MOST_ASKED)
        self.assertEqual(self.answered.count(Unavailable), 10)
        self.successResultOf(self.hub.bursts.whenAnswered())
        # It may answer again.
        self.add("b")
        self.clock.turn()
        self.assertEqual(self.late.asked[-1], "b")

    def test_boundsWaiting(self) -> None:
        """
        When too much waits, the rest is refused; and is not any more once it was stored.
        """
        self.add("a", MOST_ASKED)
        self.clock.turn()
        self.patch(waitingrequests, "MOST_WAITING", 20_000)
        self.put("a", [Publication(("a",), b"1" * 5000)], 5)
        self.clock.turn()
        self.assertEqual(self.answered, [Unavailable])
        while self.late.asked:
            self.late.goOn()
        self.clock.settle()
        self.answered.clear()
        self.put("a", [Publication(("a",), b"1" * 5000)], 2)
        self.clock.turn()
        self.late.goOn(2)
        self.clock.settle()
        self.assertEqual(self.answered, ["a", "a"])
