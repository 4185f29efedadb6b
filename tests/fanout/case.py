"""
What the tests of the fan-out and of the hub have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from comet.fanout.application import Subscription
from comet.fanout.polls import PollReader
from comet.fanout.reader import Reader
from comet.fanout.streams import StreamReader
from comet.http.polls import Outcome
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.model.log import Retention
from comet.model.messages import Publication, Published
from comet.model.positions import StartPositions, parseStartPosition
from tests.fanout.doubles import (
    ANYONE,
    AllAccess,
    LineShape,
    MemoryReceiver,
    MemorySink,
    MemoryWaiter,
    OutcomeShape,
    TurnClock,
)
from tests.fanout.slowbus import SlowBus, WatchedBus, now

Act = Callable[[list[Any]], object]


def since(starts: str | Mapping[str, str]) -> StartPositions:
    """
    Start positions, from texts as on the wire.
    """
    if isinstance(starts, str):
        return StartPositions(parseStartPosition(starts))
    return StartPositions(
        byName={name: parseStartPosition(start) for name, start in starts.items()}
    )


class Stream:
    """
    A client of an endless transport.
    """

    def __init__(self, sink: MemorySink, reader: StreamReader) -> None:
        self.sink = sink
        self.reader = reader

    @property
    def positions(self) -> list[int]:
        """
        The positions of the messages that were written to it.
        """
        return [line[3] for line in self.sink.lines if line[0] == "message"]

    @property
    def kinds(self) -> list[str]:
        """
        What was written to it.
        """
        return [line[0] for line in self.sink.lines]


class HubTestCase(SynchronousTestCase):
    """
    A hub over a bus in memory, or over one that answers when a test says so.
    After each test, all readers leave, and nothing may be left.
    """

    settings = Settings(heartbeat=25.0)
    retention = Retention()
    isSlow = False

    def setUp(self) -> None:
        """
        Make the hub.
        """
        self.clock = TurnClock()
        self.inner = WatchedBus(
            self.clock, lambda channel: self.retention, wallClock=self.clock.seconds
        )
        self.slow = SlowBus(self.inner)
        bus = self.slow if self.isSlow else self.inner
        self.hub = Hub(bus, self.clock, self.settings, AllAccess())
        self.fanout = self.hub.fanout

    def tearDown(self) -> None:
        """
        Close all readers, and assert that nothing is left.
        """
        self.rest()
        for reader in [*self.fanout.readers, *self.fanout.leaving.readers]:
            assert isinstance(reader, Reader)
            reader.ended()
            if isinstance(reader, StreamReader):
                reader.sinkLost()
        self.rest()
        self.clock.advance(11.0)
        self.assertEqual((len(self.fanout.registry), len(self.fanout.wheel)), (0, 0))
        self.assertEqual(self.fanout.encodings.bytes, 0)
        now(self.inner.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def rest(self) -> None:
        """
        Do all that is due now.
        """
        self.clock.settle()
        while self.isSlow and self.slow.catchUp():
            self.clock.settle()

    def cursor(self, position: int) -> str:
        """
        A cursor, as on the wire.
        """
        return f"{self.inner.end.epoch}-{position}"

    def publish(self, *channels: str, payload: bytes = b"1") -> Deferred[Any]:
        """
        Publish a message to each, as one publication each, which are stored at once.
        """
        publications = [Publication((channel,), payload) for channel in channels]
        stored: Deferred[Any] = self.hub.store(ANYONE, publications)
        self.hub.bursts.store()

        def positions(answers: list[Published]) -> list[int]:
            return [answer.cursor.position for answer in answers]

        return stored.addCallback(positions)

    def stream(
        self,
        *names: str,
        begin: str | Mapping[str, str] = "now",
        shape: LineShape | None = None,
        sink: MemorySink | None = None,
        opening: bytes | None = b"",
    ) -> Stream:
        """
        Open a stream.
        """
        given = MemorySink() if sink is None else sink
        reader = self.hub.openStream(
            ANYONE,
            names,
            since(begin),
            lambda: StreamReader(self.fanout, shape or LineShape(), given, opening),
        )
        return Stream(given, reader)

    def poll(
        self,
        *names: str,
        begin: str | Mapping[str, str] = "now",
        wait: float = 20.0,
        shape: OutcomeShape | None = None,
    ) -> tuple[MemoryWaiter, PollReader[Outcome]]:
        """
        Poll.
        """
        waiter = MemoryWaiter()
        reader = self.hub.openPoll(
            ANYONE, names, since(begin), shape or OutcomeShape(), waiter, wait
        )
        return waiter, reader

    def subscribe(
        self, *names: str, begin: Any = "now", react: Act | None = None
    ) -> tuple[MemoryReceiver, Subscription]:
        """
        Subscribe; what is held comes in the turns that follow.
        """
        receiver = MemoryReceiver()
        subscribed = self.hub.subscribe(names, begin, receiver)
        self.rest()
        receiver.react = react
        subscription = self.successResultOf(subscribed)
        assert isinstance(subscription, Subscription)
        return receiver, subscription
