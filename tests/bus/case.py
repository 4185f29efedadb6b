"""
What the contract suite of all buses stands on: a maker, hooks for what differs
between them, and words to write the tests in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zope.interface import implementer

from comet.interfaces import IBusListener, IMessageBus
from comet.model.cursors import Cursor
from comet.model.messages import Message, Publication, Published
from comet.model.positions import ReadResult, ResolvedStart, StartPosition

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase as _TestCase
else:
    # A mix-in: trial must not take the contract itself for tests.
    _TestCase = object

HOUR = 3600.0
DAY = 24 * HOUR

# The beginning of 2026, in seconds since 1970.
EPOCH_SECONDS = 1767225600.0

# An epoch that no bus has: it is longer than those that are made up.
OTHER_EPOCH = "another0epoch"


class BusCase(_TestCase):
    """
    Tests of one kind of bus, to be mixed into trial's C{TestCase}, not its
    C{SynchronousTestCase}: tests are coroutines.
    """

    async def makeBus(
        self,
        messages: int = 1000,
        seconds: float = HOUR,
        bytes: int = 1048576,
        totalBytes: int = 268435456,
    ) -> IMessageBus:
        """
        Make a bus that has never held anything, and start it; let it stop when
        the test is over.

        @param messages: The retention of each channel, as are C{seconds} and
            C{bytes}.
        """
        raise NotImplementedError

    async def advance(self, seconds: float) -> None:
        """
        Let time go by, for all buses that were made.
        """
        raise NotImplementedError

    async def renew(self, bus: IMessageBus) -> None:
        """
        Make a bus lose its log, so that it begins a new epoch.
        """
        raise NotImplementedError

    async def settle(self, bus: IMessageBus) -> None:
        """
        Wait until everything that is stored has been heard.
        """
        raise NotImplementedError

    # -- Words

    async def publish(
        self,
        bus: IMessageBus,
        channels: str,
        payload: bytes = b'"x"',
        event: str | None = None,
        encoding: str | None = None,
        publisher: str = "me",
        key: str | None = None,
    ) -> Published:
        """
        Publish one message to some channels, named with spaces between.
        """
        names = tuple(channels.split())
        publication = Publication(names, payload, event, encoding, publisher, key)
        [answer] = await bus.publish([publication])
        return answer

    async def put(self, bus: IMessageBus, channels: str, payload: bytes = b'"x"') -> list[int]:
        """
        Publish a message to each of these channels, one after the other.

        @return: Their positions.
        """
        answers = [await self.publish(bus, name, payload) for name in channels.split()]
        return [answer.cursor.position for answer in answers]

    async def read(
        self,
        bus: IMessageBus,
        names: str,
        after: int | Cursor = 0,
        limit: int = 1000,
        maxBytes: int = 1048576,
        upTo: int | None = None,
    ) -> ReadResult:
        """
        Read some names, with spaces between.

        @param after: A cursor, or a position in the epoch of now.
        """
        cursor = after if isinstance(after, Cursor) else Cursor(bus.end.epoch, after)
        return await bus.read(names.split(), cursor, limit, maxBytes, upTo)

    async def held(self, bus: IMessageBus, names: str) -> list[int]:
        """
        The positions of what is held of some names.
        """
        return positionsOf((await self.read(bus, names)).messages)

    async def start(
        self, bus: IMessageBus, name: str, startPosition: StartPosition
    ) -> ResolvedStart:
        """
        Where one name begins.
        """
        resolved = await bus.resolve({name: startPosition})
        self.assertEqual(resolved.end, bus.end)
        return resolved.starts[name]

    def assertStart(
        self, start: ResolvedStart, position: int, floor: int = 0, isGap: bool = False
    ) -> None:
        """
        Assert that a name begins here.

        @param floor: Its floor if it is above the position, else 0.
        """
        above = start.floor if start.floor > start.position else 0
        self.assertEqual((start.position, above, start.isGap), (position, floor, isGap))


def positionsOf(messages: Sequence[Message]) -> list[int]:
    """
    The positions of messages.
    """
    return [message.position for message in messages]


@implementer(IBusListener)
class Listener:
    """
    Notes what it hears.

    @ivar heard: The positions of all messages, in the order in which they came.

    @ivar messages: The messages themselves.

    @ivar interruptions: How many messages it had heard at each.
    """

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.messages: list[Message] = []
        self.interruptions: list[int] = []

    def messagesStored(self, messages: Sequence[Message]) -> None:
        """
        Note them.
        """
        self.messages.extend(messages)
        self.heard.extend(positionsOf(messages))

    def endMoved(self, end: Cursor) -> None:
        """
        Nothing is to be noted: a bus need not say it.
        """

    def interrupted(self) -> None:
        """
        Note that it was.
        """
        self.interruptions.append(len(self.heard))

    def of(self, *channels: str) -> list[int]:
        """
        The positions that were heard of some channels: others may be heard
        too.
        """
        return positionsOf([each for each in self.messages if each.channel in channels])
