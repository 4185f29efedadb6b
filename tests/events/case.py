"""
What the tests of events share: a bus in memory, and nodes that share it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.memory.bus import MemoryBus
from comet.events.follower import Follower, Page
from comet.events.lease import Lease
from comet.framing.strictjson import encode
from comet.model.log import Retention
from comet.model.messages import Publication
from comet.testing.case import EPOCH_SECONDS

CHANNEL = "$events"
T = TypeVar("T")


class EventsCase(SynchronousTestCase):
    """
    A bus with a clock that stands still.
    """

    held = Retention(1000, 3600.0, 1_000_000)

    def setUp(self) -> None:
        """
        Make the bus.
        """
        self.clock = Clock()
        self.clock.advance(EPOCH_SECONDS)
        self.bus = MemoryBus(
            self.clock,
            lambda channel: self.held if channel == CHANNEL else Retention(),
            wallClock=self.clock.seconds,
        )
        self.bus.start()

    def lease(self, name: str = "work") -> Lease:
        """
        Make the lease of another node.
        """
        return Lease(self.bus, name, self.clock)

    def result(self, awaited: Awaitable[T]) -> T:
        """
        Return what is there at once.
        """
        made: Deferred[Any] = Deferred.fromCoroutine(awaited)  # type: ignore[arg-type]
        result: T = self.successResultOf(made)
        return result

    def put(self, *data: Any) -> None:
        """
        Publish to the channel.
        """
        for each in data:
            self.bus.publish([Publication((CHANNEL,), encode(each), "happened")])

    def advance(self, seconds: float, step: float = 0.05) -> None:
        """
        Let time go on, in small steps.
        """
        for _ in range(round(seconds / step)):
            self.clock.advance(step)


class Takes:
    """
    Takes pages.

    @ivar pages: What was given.

    @ivar waits: If set, it is waited for.
    """

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.waits: Deferred[None] | None = None

    async def take(self, page: Page, lease: Lease) -> None:
        """
        Take a page.
        """
        self.pages.append(page)
        if self.waits is not None:
            await self.waits

    @property
    def data(self) -> list[Any]:
        """
        The data of all messages.
        """
        return [message.data for page in self.pages for message in page.messages]

    def follower(self, case: EventsCase, linger: float = 0.0) -> Follower:
        """
        Make what follows the channel on another node, until the test ends.
        """
        lease = case.lease()
        follower = Follower(case.bus, lease, [CHANNEL], self.take, case.clock, linger)
        case.addCleanup(follower.stop)
        return follower
