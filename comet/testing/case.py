"""
The base of the contract suite of all buses: a maker, hooks for what differs
between the buses, and short words for the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from comet.bus.idempotency import KeyBudget
from comet.interfaces.messagebus import IBusListener, IMessageBus
from comet.model.cursors import Cursor
from comet.model.messages import Message, Publication, Published
from comet.model.positions import ReadResult, ResolvedStart, StartPosition

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase as _TestCase
else:
    # This is a mix-in: trial must not take the contract itself for tests.
    _TestCase = object

T = TypeVar("T")

HOUR = 3600.0
DAY = 24 * HOUR

# The beginning of 2026, in seconds since 1970.
EPOCH_SECONDS = 1767225600.0

# An epoch that no bus has: it is longer than those that are made up.
OTHER_EPOCH = "another0epoch"


def dataOf(size: int) -> bytes:
    """
    Return JSON of this many bytes, at least one.
    """
    return b'"%b"' % (b"x" * (size - 2)) if size > 1 else b"1"


class BusCase(_TestCase):
    """
    Tests of one kind of bus.  Mix it into trial's C{TestCase}, not its
    C{SynchronousTestCase}: the tests are coroutines.
    """

    async def makeBus(
        self,
        messages: int = 1000,
        seconds: float = HOUR,
        bytes: int = 1048576,
        totalBytes: int = 268435456,
        keyBudget: KeyBudget | None = None,
    ) -> IMessageBus:
        """
        Make and start a bus that has never held anything.  It stops when the
        test is over.

        @param messages: The retention of each channel, like C{seconds} and
            C{bytes}.

        @param keyBudget: How many bytes idempotency keys may count for.
        """
        raise NotImplementedError

    async def advance(self, seconds: float) -> None:
        """
        Advance the time of all buses that were made.
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

    async def answer(self, asked: Deferred[T]) -> T:
        """
        Wait for an answer that may take the bus several turns.
        """
        return await asked

    # -- Short words for the tests

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
        Publish one message to some channels, which are named with spaces
        between.
        """
        names = tuple(channels.split())
        publication = Publication(names, payload, event, encoding, publisher, key)
        [answer] = await bus.publish([publication])
        return answer

    async def put(self, bus: IMessageBus, channels: str, payload: bytes = b'"x"') -> list[int]:
        """
        Publish a message to each of these channels, one after the other.

        @return: The positions of the messages.
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
        Read some names, which are given with spaces between.

        @param after: A cursor, or a position in the present epoch.
        """
        cursor = after if isinstance(after, Cursor) else Cursor(bus.end.epoch, after)
        return await self.answer(bus.read(names.split(), cursor, limit, maxBytes, upTo))

    async def held(self, bus: IMessageBus, names: str) -> list[int]:
        """
        Return the positions of the messages that are held of some names.
        """
        return positionsOf((await self.read(bus, names)).messages)

    async def readAll(self, bus: IMessageBus, names: str) -> tuple[list[int], dict[str, int]]:
        """
        Read all pages from the beginning.

        @return: The positions of the messages, and the gaps of the first page.
        """
        page = await self.read(bus, names)
        gaps = dict(page.gaps)
        found = positionsOf(page.messages)
        while page.more:
            page = await self.read(bus, names, page.reached)
            found += positionsOf(page.messages)
        self.assertEqual(page.reached, bus.end)
        return found, gaps

    async def start(
        self, bus: IMessageBus, name: str, startPosition: StartPosition
    ) -> ResolvedStart:
        """
        Resolve the start position of one name.
        """
        resolved = await self.answer(bus.resolve({name: startPosition}))
        self.assertEqual(resolved.end, bus.end)
        return resolved.starts[name]

    def assertStart(
        self, start: ResolvedStart, position: int, floor: int = 0, isGap: bool = False
    ) -> None:
        """
        Assert that a name begins here.

        @param floor: The floor of the name if it is above the position, else 0.
        """
        above = start.floor if start.floor > start.position else 0
        self.assertEqual((start.position, above, start.isGap), (position, floor, isGap))


def positionsOf(messages: Sequence[Message]) -> list[int]:
    """
    Return the positions of messages.
    """
    return [message.position for message in messages]


@implementer(IBusListener)
class Listener:
    """
    Notes what it hears.

    @ivar heard: The positions of all messages, in the order in which they came.

    @ivar messages: The messages themselves.

    @ivar interruptions: How many messages it had heard at each interruption.
    """

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.messages: list[Message] = []
        self.interruptions: list[int] = []

    def messagesStored(self, messages: Sequence[Message]) -> None:
        """
        Note the messages.
        """
        self.messages.extend(messages)
        self.heard.extend(positionsOf(messages))

    def endMoved(self, end: Cursor) -> None:
        """
        Ignore it: a bus need not tell of each move.
        """

    def interrupted(self) -> None:
        """
        Note the interruption.
        """
        self.interruptions.append(len(self.heard))

    def of(self, *channels: str) -> list[int]:
        """
        Return the positions that were heard of some channels.  A bus may let a
        listener hear other channels, too.
        """
        return positionsOf([each for each in self.messages if each.channel in channels])
