"""
Tests of L{comet.hub.bursts}: what is published in one turn is stored together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from comet.bus.memory.bus import MemoryBus
from comet.errors import KeyReused, Unavailable, Unknown
from comet.hub.bursts import MOST_BYTES, MOST_TOGETHER
from comet.hub.hub import Hub
from comet.interfaces.busabilities import IBurstBus, Outcome
from comet.model.cursors import Cursor
from comet.model.messages import Publication, Published
from tests.fanout.case import HubTestCase
from tests.fanout.doubles import ANYONE, MemoryReceiver, MemoryWaiter, TurnClock


@implementer(IBurstBus)
class CountedBus(MemoryBus):
    """
    Notes how many requests were stored at once.
    """

    def __init__(self, clock: TurnClock) -> None:
        super().__init__(clock, wallClock=clock.seconds)
        self.bursts: list[int] = []
        self.singles = 0

    def publish(self, publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        Count the request.
        """
        self.singles += 1
        return super().publish(publications)

    def publishBurst(
        self, requests: Sequence[Sequence[Publication]]
    ) -> Deferred[Sequence[Outcome]]:
        """
        Count the requests.
        """
        if not self.singles or len(requests) > 1:
            self.bursts.append(len(requests))
        return super().publishBurst(requests)


class SingleBus(MemoryBus):
    """
    A subclass that knows of no bursts.
    """

    asked = 0

    def publish(self, publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        Count the request.
        """
        self.asked += 1
        return super().publish(publications)


def positionsOf(waiter: MemoryWaiter) -> list[int]:
    """
    The positions of the messages that a poll was answered with.
    """
    return [message.position for message, _ in waiter.outcome.messages]


class BurstsTests(HubTestCase):
    """
    A hub over a bus that stores bursts.
    """

    def setUp(self) -> None:
        """
        Replace the bus, and note how publishers are answered.
        """
        super().setUp()
        self.answered: list[Any] = []
        self.useBus(CountedBus(self.clock))

    def useBus(self, bus: Any) -> None:
        """
        Make the hub anew, over a bus.
        """
        self.bus = self.inner = bus
        self.hub = Hub(bus, self.clock, self.settings, self.hub.access)
        self.fanout = self.hub.fanout

    def add(self, *channels: str, data: bytes = b"1", key: str | None = None) -> None:
        """
        Publish, as a connection does.
        """

        def stored(answers: Sequence[Published]) -> None:
            self.answered.append(answers[0].cursor.position)

        self.hub.bursts.add(
            [Publication(channels, data, key=key)],
            stored,
            lambda failure: self.answered.append(type(failure.value)),
        )

    def test_storesTurnTogether(self) -> None:
        """
        What is published in one turn is stored by one call of the bus, is written to
        each reader at once, and is answered in order.
        """
        stream = self.stream("a")
        before = len(stream.sink.writes)
        for _ in range(200):
            self.add("a")
        self.assertEqual((self.bus.bursts, self.answered), ([], []))
        self.clock.turn()
        self.assertEqual((self.bus.bursts, self.bus.singles), ([200], 0))
        self.assertEqual(len(stream.sink.writes) - before, 1)
        self.assertEqual(stream.positions, list(range(1, 201)))
        self.assertEqual(self.answered, list(range(1, 201)))

    def test_storesOneAlone(self) -> None:
        """
        A single request is stored as such, in the same turn.
        """
        self.add("a", "b")
        self.clock.turn()
        self.assertEqual((self.bus.bursts, self.bus.singles), ([], 1))
        self.assertEqual(self.answered, [2])

    def test_boundsBursts(self) -> None:
        """
        A burst with many messages, or with much data, is stored at once.  The
        publishers are answered at the end of the turn all the same.
        """
        self.stream("a")
        for _ in range(MOST_TOGETHER + 1):
            self.add("a")
        self.assertEqual((self.bus.bursts, self.answered), ([MOST_TOGETHER], []))
        for _ in range(2):
            self.add("a", data=b"x" * (MOST_BYTES // 2))
        self.assertEqual(self.bus.bursts, [MOST_TOGETHER, 3])
        self.add("a")
        self.add(*(f"b{number}" for number in range(MOST_TOGETHER)))
        self.assertEqual(self.bus.bursts, [MOST_TOGETHER, 3, 2])
        self.clock.turn()
        self.assertEqual(len(self.answered), MOST_TOGETHER + 5)

    def test_storesBeforeReading(self) -> None:
        """
        Whatever reads the log, or deletes from it, finds what was published before.
        """
        epoch = self.bus.end.epoch
        self.add("a")
        self.assertEqual(self.hub.end, Cursor(epoch, 1))
        self.add("a")
        waiter, _ = self.poll("a", begin="earliest", wait=0.0)
        self.assertEqual(positionsOf(waiter), [1, 2])
        self.add("a")
        stream = self.stream("a", begin="earliest")
        self.assertEqual(stream.positions, [1, 2, 3])
        self.add("a")
        receiver = MemoryReceiver()
        self.hub.subscribe("a", "earliest", receiver)
        self.assertEqual(receiver.positions, [1, 2, 3, 4])
        self.add("a")
        self.hub.forget(ANYONE, ["a"])
        self.assertEqual(self.bus.end.position, 5)
        self.clock.turn()
        self.assertEqual(self.answered, [1, 2, 3, 4, 5])
        waiter, _ = self.poll("a", begin="earliest", wait=0.0)
        self.assertEqual(positionsOf(waiter), [])

    def test_applicationStoresAtOnce(self) -> None:
        """
        What the application publishes is stored when C{publish} returns, behind what
        clients have published.
        """
        self.add("a")
        self.hub.publish("b", 1).addCallback(lambda cursor: self.answered.append(cursor.position))
        self.assertEqual(self.bus.end.position, 2)
        self.clock.turn()
        self.assertEqual(self.answered, [1, 2])

    def test_answersEachAlone(self) -> None:
        """
        A request that is refused is refused alone, at its place.
        """
        self.add("a", key="k")
        self.add("a", data=b"2", key="k")
        self.add("a", key="k")
        self.add("a")
        self.clock.turn()
        self.assertEqual(self.answered, [1, KeyReused, 1, 2])

    def test_busFails(self) -> None:
        """
        If the bus fails with all, or with one, each publisher is told, and those
        before it are answered first.
        """
        self.stream("a")
        for error in (Unavailable("gone"), Unknown("perhaps")):
            self.patch(self.bus, "publishBurst", lambda requests, e=error: fail(e))
            self.add("a")
            self.add("a")
            self.clock.turn()
            self.assertEqual(self.answered, [type(error)] * 2)
            self.answered.clear()

    def test_busRaises(self) -> None:
        """
        An exception that a bus raises is told like one that it answers with.
        """

        def publishBurst(requests: object) -> Any:
            raise ZeroDivisionError

        self.patch(self.bus, "publishBurst", publishBurst)
        self.add("a")
        self.add("a")
        self.clock.turn()
        self.assertEqual(self.answered, [ZeroDivisionError] * 2)

    def test_publishesWhenAnswered(self) -> None:
        """
        A publisher may publish again when it is answered, also where nobody reads,
        so that it is answered within the storing itself.  That is stored in the next
        turn, so that one who goes on and on stops nothing.
        """
        given = [Publication(("a",), b"1")]

        def again(answers: Sequence[Published]) -> None:
            if self.bus.end.position < 4:
                self.hub.bursts.add(given, again, self.answered.append)

        self.hub.bursts.add(given, again, self.answered.append)
        for number in range(1, 5):
            self.clock.turn()
            self.assertEqual(self.bus.end.position, number)

    def test_busAnswersWrongly(self) -> None:
        """
        Where a bus does not tell what became of each publication, the publishers
        hear so, and later ones are served.
        """
        answer = [Published("e", {"a": 7})]
        for outcomes, errors in (
            ([], [Unknown, Unknown]),
            (None, [Unknown, Unknown]),
            ([answer], [Unknown, Unknown]),
            ([answer, []], [7, Unknown]),
            ([None, answer], [Unknown, 7]),
        ):
            with self.subTest(outcomes=outcomes):
                self.bus.publishBurst = lambda requests, all=outcomes: succeed(all)
                self.add("a")
                self.add("a")
                self.clock.turn()
                self.assertEqual(self.answered, errors)
                self.answered.clear()
        del self.bus.publishBurst
        self.add("a")
        self.add("a")
        self.clock.turn()
        self.assertEqual(self.answered, [1, 2])
        self.successResultOf(self.hub.bursts.whenAnswered())

    def test_ticksGoOn(self) -> None:
        """
        An exception before a tick is logged, and keeps nothing from the readers.
        """
        stream = self.stream("a")

        def broken() -> None:
            raise ZeroDivisionError

        self.patch(self.fanout, "beforeTick", broken)
        for number in (1, 2):
            self.hub.publish("a", 1)
            self.clock.turn()
            self.assertEqual(stream.positions, list(range(1, number + 1)))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_busAnswersLater(self) -> None:
        """
        A bus may take its time.  Draining waits for it.
        """
        waiting: list[Deferred[Any]] = []

        def publishBurst(requests: Sequence[object]) -> Deferred[Any]:
            waiting.append(Deferred())
            return waiting[-1]

        self.patch(self.bus, "publishBurst", publishBurst)
        self.add("a")
        self.add("a")
        drained = self.hub.drain(10.0)
        self.clock.turn()
        self.assertNoResult(drained)
        waiting[0].callback([[Published("e", {"a": 1})], Unavailable("full")])
        self.clock.settle()
        self.assertEqual(self.answered, [1, Unavailable])
        self.successResultOf(drained)

    def test_answersOthersOfBurst(self) -> None:
        """
        A publisher that cannot be answered does not keep the others from it.
        """

        def broken(answers: object) -> None:
            raise ZeroDivisionError

        self.add("a")
        self.hub.bursts.add([Publication(("a",), b"1")], broken, broken)
        self.add("a")
        self.clock.turn()
        self.assertEqual(self.answered, [1, 3])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.successResultOf(self.hub.bursts.whenAnswered())

    def test_busWithoutBursts(self) -> None:
        """
        A bus that knows no bursts, and one whose C{publish} was overridden or
        replaced, stores the requests one by one.
        """
        bus = SingleBus(self.clock, wallClock=self.clock.seconds)
        self.useBus(bus)
        stream = self.stream("a")
        before = len(stream.sink.writes)
        for _ in range(5):
            self.add("a")
        self.clock.turn()
        self.assertEqual((bus.asked, self.answered), (5, [1, 2, 3, 4, 5]))
        self.assertEqual(len(stream.sink.writes) - before, 1)
        self.answered.clear()
        self.tearDown()
        replaced = CountedBus(self.clock)
        answer = [Published("e", {"a": 7})]
        self.patch(replaced, "publish", lambda publications: succeed(answer))
        self.useBus(replaced)
        self.add("a")
        self.add("a")
        self.clock.turn()
        self.assertEqual(self.answered, [7, 7])

    def test_instantBus(self) -> None:
        """
        A bus that stores at once makes no Deferred for what is stored, also for a request
        alone; what it refuses, and what it raises, is told to the publisher.
        """
        bus = MemoryBus(self.clock, wallClock=self.clock.seconds)
        self.useBus(bus)
        self.patch(MemoryBus, "_heard", None)
        self.add("a", data=b"1", key="k")
        self.clock.turn()
        self.add("a", data=b"2", key="k")
        self.add("a")
        self.clock.turn()
        self.assertEqual(self.answered, [1, KeyReused, 2])
        self.successResultOf(bus.stop())
        self.add("a")
        self.clock.turn()
        self.assertEqual(self.answered[3:], [Unavailable])
        self.successResultOf(self.hub.bursts.whenAnswered())

    def test_storesWhenStopped(self) -> None:
        """
        What was published just before the hub stops is stored.
        """
        self.add("a")
        self.add("a")
        self.successResultOf(self.hub.stop())
        self.assertEqual(self.answered, [1, 2])
