"""
A thousand readers that come back at once ask Redis once a channel, or little
more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from comet.bus.redis.bus import RedisBus
from comet.bus.redis.retrying import MOST_ASKED
from comet.hub.hub import Hub
from comet.interfaces.receiver import IReceiver
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from comet.testing.case import BusCase
from tests.bus.redis.case import RedisCase, pause, theReactor, until
from tests.redisserver import RedisServer

CROWD = 1000


@implementer(IReceiver)
class Receiver:
    """
    Counts its messages and gaps.
    """

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.gaps: list[Sequence[str]] = []
        self.closed: list[Close] = []

    def subscriptionOpened(self, subscription: object) -> None:
        """
        See L{IReceiver.subscriptionOpened}.
        """

    def messageReceived(self, message: Message, replay: bool) -> None:
        """
        Note the message.
        """
        self.positions.append(message.position)

    def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
        """
        Note the gap.
        """
        self.gaps.append(names)

    def subscriptionClosed(self, close: Close) -> None:
        """
        Note the end.
        """
        self.closed.append(close)


class Timers:
    """
    The timers of the reactor, which a test can end all at once.
    """

    def __init__(self) -> None:
        self.seconds = theReactor().seconds
        self._calls: list[IDelayedCall] = []

    def callLater(self, delay: float, function: Any, *arguments: Any) -> IDelayedCall:
        """
        See L{twisted.internet.interfaces.IReactorTime.callLater}.
        """
        call: IDelayedCall = theReactor().callLater(delay, function, *arguments)
        self._calls = [each for each in self._calls if each.active()] + [call]
        return call

    def end(self) -> None:
        """
        Cancel all calls, and allow no others.
        """
        for call in self._calls:
            if call.active():
                call.cancel()


class CrowdTests(RedisCase, BusCase):
    """
    L{Hub} with many readers, over a L{RedisBus}.
    """

    def setUp(self) -> None:
        """
        Start a Redis for this test.
        """
        self.server = RedisServer("--appendonly yes", "--appendfsync always").start()
        self.addCleanup(self.server.destroy)
        self.url = self.urlOf(self.server)

    async def hubOf(self, bus: RedisBus) -> Hub:
        """
        Make a hub over a bus.
        """
        timers: Any = Timers()
        self.addCleanup(timers.end)
        return Hub(bus, timers)

    def asked(self, *names: str) -> list[int]:
        """
        Return how often Redis got each of these commands since its counters
        were reset.
        """
        calls = self.server.calls()
        return [calls.get(name, 0) for name in names]

    async def subscribed(
        self, hub: Hub, names: Sequence[str], since: Any
    ) -> list[tuple[Receiver, Any]]:
        """
        Subscribe many receivers at the same moment.
        """
        receivers = [Receiver() for _ in range(CROWD)]
        opening = [
            hub.subscribe(names[number % len(names)], since, receiver)
            for number, receiver in enumerate(receivers)
        ]
        crowd = [(receiver, await each) for receiver, each in zip(receivers, opening, strict=True)]
        for _, subscription in crowd:
            self.addCleanup(subscription.unsubscribe)
        return crowd

    async def test_connectionLost(self) -> None:
        """
        When the connection is lost and made again, live readers stay, and get
        the messages that they missed once.  Redis was asked once a channel.
        """
        bus, other = [await self.startedBus() for _ in range(2)]
        hub = await self.hubOf(bus)
        names = ["a", "b", "c/d"]
        crowd = await self.subscribed(hub, names, "now")
        first = await self.put(bus, "a b c/d")
        await until(lambda: all(receiver.positions for receiver, _ in crowd))
        self.server.ask("CONFIG", "RESETSTAT")
        connection = bus._usable.connection
        assert connection is not None
        connection.abort("for the test")
        second = await self.put(other, "a b c/d")
        await until(lambda: all(len(receiver.positions) == 2 for receiver, _ in crowd))
        [subscribed, asked] = self.asked("subscribe", "evalsha")
        for number, (receiver, _) in enumerate(crowd):
            self.assertEqual(receiver.positions, [first[number % 3], second[number % 3]])
            self.assertEqual((receiver.gaps, receiver.closed), ([], []))
        self.assertEqual(subscribed, 1)
        # One read of each channel, what was published, and what each node asks
        # when it joins and every second.
        self.assertLess(asked, 3 + 3 + 8)

    async def test_readersReturnAtOnce(self) -> None:
        """
        When many readers return with the same cursor, Redis is asked once a
        channel, or little more.
        """
        bus = await self.startedBus()
        hub = await self.hubOf(bus)
        names = ["a", "b/*"]
        await self.put(bus, "a b/c")
        cursor = str(bus.end)
        held = await self.put(bus, "a b/d")
        self.server.ask("CONFIG", "RESETSTAT")
        crowd = await self.subscribed(hub, names, cursor)
        await until(lambda: all(receiver.positions for receiver, _ in crowd))
        [subscribed, asked] = self.asked("subscribe", "evalsha")
        for number, (receiver, _) in enumerate(crowd):
            self.assertEqual(receiver.positions, [held[number % 2]])
            self.assertEqual((receiver.gaps, receiver.closed), ([], []))
        self.assertEqual(subscribed, 1)
        self.assertLess(asked, 2 + 2 + 4)

    async def test_readersReturnWithinSecond(self) -> None:
        """
        When many readers return within a second, while messages are stored,
        Redis is asked little more than once a channel.
        """
        bus, other = [await self.startedBus() for _ in range(2)]
        hub = await self.hubOf(bus)
        await self.put(bus, "a")
        cursor = str(bus.end)
        stored = await self.put(bus, "a")
        self.server.ask("CONFIG", "RESETSTAT")
        receivers = [Receiver() for _ in range(CROWD)]
        opening = []
        for start in range(0, CROWD, 50):
            for receiver in receivers[start : start + 50]:
                opening.append(hub.subscribe("a", cursor, receiver))
            if start % 200 == 0:
                stored += await self.put(other, "a")
            await pause(0.02)
        await until(lambda: all(len(each.positions) == len(stored) for each in receivers))
        [asked] = self.asked("evalsha")
        for each in opening:
            self.addCleanup((await each).unsubscribe)
        for receiver in receivers:
            self.assertEqual((receiver.positions, receiver.gaps), (stored, []))
        self.assertLess(asked, 5 + 25)

    async def test_channelsDoNotWaitForPatterns(self) -> None:
        """
        However many questions about patterns are under way, one about channels is asked.
        """
        bus = await self.startedBus()
        await self.put(bus, "a")
        start = Cursor(bus.end.epoch, 0)
        walks: list[Deferred[None]] = []

        def walk(connection: object) -> Deferred[None]:
            walks.append(Deferred())
            return walks[-1]

        going = [bus._retrying.ask(walk, ["*"]) for _ in range(MOST_ASKED)]
        wide = bus.read(["*"], start, 9, 999, None)
        found = await bus.read(["a"], start, 9, 999, None)
        self.assertEqual(len(found.messages), 1)
        self.assertNoResult(wide)
        for each in walks:
            each.callback(None)
        await gatherResults(going)
        self.assertEqual(len((await wide).messages), 1)
