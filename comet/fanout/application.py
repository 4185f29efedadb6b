"""
Readers that are an application's own objects, and the subscription that the
application holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import iscoroutine
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from comet.errors import BadRequest
from comet.fanout.core import Fanout
from comet.fanout.delivery import DirectReaders
from comet.fanout.reader import Reader
from comet.fanout.states import State
from comet.interfaces.receiver import IReceiver
from comet.model.channels import NODES_OWN, parseName
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from comet.model.positions import StartPosition, StartPositions, parseStartPosition
from comet.model.progress import Step
from comet.reactor.threads import checkThread

# A start position as an application writes it: a text as on the wire, a cursor,
# or one of these for each name.
Where: TypeAlias = str | Cursor | Mapping[str, str | Cursor] | None


def readStartPositions(names: str | Sequence[str], since: Where) -> dict[str, StartPosition]:
    """
    The start position of each of some names.  A name that is not in a mapping
    starts at C{now}.

    @raise CometError: If a name or a start position is not well-formed.
    """
    asked = [names] if isinstance(names, str) else names
    if isinstance(since, Mapping):
        read = StartPositions(
            byName={n: parseStartPosition(str(start)) for n, start in since.items()}
        )
    else:
        read = StartPositions(parseStartPosition("" if since is None else str(since)))
    return {parseName(name): read.of(name) for name in asked}


class ApplicationReader(Reader):
    """
    Gives the messages to an application's receiver.

    @ivar isCounted: Whether it makes its client a member of channels, as the reader of a
        client does: only that of a client without a socket, in the tests of an application.
    """

    __slots__ = ("_isPaused", "_kept", "_receiver", "_told", "_untold", "isCounted", "subscription")

    def __init__(self, fanout: Fanout, receiver: IReceiver) -> None:
        super().__init__(fanout)
        self._receiver = receiver
        self.isCounted = False
        # What the receiver is to be told of, until it is.
        self.subscription: Subscription | None = None
        self._isPaused = False
        # While the receiver is given what was read: the cursor of the message
        # that it was given last, and the names that the log was read for, except
        # those that it has removed since.
        self._told: Cursor | None = None
        self._kept: tuple[str, ...] = ()
        # While the reader is paused: names that start with a gap.
        self._untold: tuple[str, ...] = ()

    @property
    def shape(self) -> object:
        """
        All receivers are given messages as they are.
        """
        return None

    @property
    def standing(self) -> Cursor:
        """
        Everything up to here, in all names, was given to the receiver.
        """
        cursor = self.position if self._told is None else self._told
        lowest = self.progress.lowest
        if self.progress.isReplaying and (cursor.epoch != lowest.epoch or lowest < cursor):
            return lowest
        return cursor

    def begun(self, gap: Sequence[str]) -> None:
        """
        See L{Reader.begun}.
        """
        subscription, self.subscription = self.subscription, None
        opened = getattr(self._receiver, "subscriptionOpened", None)
        if subscription is not None and opened is not None:
            self._call(opened, subscription)
        self.tellGap(tuple(gap))

    def tellGap(self, names: tuple[str, ...]) -> None:
        """
        Tell the receiver which names start with a gap, once it is not paused.
        """
        if self._isPaused:
            self._untold += names
        elif names and self.state is not State.CLOSED:
            self._call(self._receiver.gapFound, self.standing, names)

    def tell(self, step: Step) -> bool:
        """
        See L{Reader.tell}.
        """
        self._told = step.lowest
        names = self._kept = self.progress.names
        if step.gap:
            self._call(self._receiver.gapFound, step.cursor, step.gap)
        for message in step.messages:
            if self.state is State.CLOSED:
                # C{_told} stays: the reader stands where it was closed.
                return False
            if self._kept is names or self.progress.isWanted(message, self._kept):
                self._told = message.cursor
                self._call(self._receiver.messageReceived, message, step.isReplay)
        if self.state is not State.CLOSED:
            self._told = None
        return not self._isPaused

    def makeDelivery(self) -> ApplicationDelivery:
        """
        See L{Reader.makeDelivery}.
        """
        return ApplicationDelivery()

    def take(self, prepared: Sequence[Message]) -> None:
        """
        See L{Reader.take}.
        """
        group, tally = self.group, self.fanout.tally
        for message in prepared:
            if self.state is not State.LIVE or self.group is not group:
                break
            # The receiver may have paused and resumed, and so have read the
            # message from the log.
            if message.position > self.progress.cursor.position:
                self.progress.advance(message.position)
                if message.channel not in NODES_OWN:
                    tally.delivered += 1
                self._call(self._receiver.messageReceived, message, False)

    @property
    def reached(self) -> int | None:
        """
        See L{Reader.reached}.
        """
        return None if self._told is None else self._told.position

    def removeNames(self, names: Iterable[str]) -> None:
        """
        See L{Reader.removeNames}.
        """
        gone = set(names)
        self._kept = tuple(name for name in self._kept if name not in gone)
        super().removeNames(gone)

    def pause(self) -> None:
        """
        Read no more.  The receiver is given the rest of what was read already.
        """
        self._isPaused = True
        if self.state in (State.READING, State.LIVE):
            self.filled(self.position.position)

    def unpause(self) -> None:
        """
        Go on from where the reader was paused.
        """
        if self._isPaused:
            self._isPaused = False
            untold, self._untold = self._untold, ()
            self.tellGap(untold)
            if not self._isPaused:
                self.drained()

    def timedOut(self) -> None:
        """
        Never called: the reader sets no time on the wheel.
        """

    def sayClose(self, close: Close) -> None:
        """
        See L{Reader.sayClose}.
        """
        self._call(self._receiver.subscriptionClosed, close)

    def _call(self, method: Callable[..., object], *arguments: Any) -> None:
        try:
            result = method(*arguments)
            if result is not None and iscoroutine(result):
                result.close()
                raise TypeError("a receiver returned a coroutine, for which nothing waits")
        except Exception:
            self._log.failure(
                "{method} of a receiver failed; its subscription to {names} goes on",
                method=method,
                names=self.progress.names,
            )


class ApplicationDelivery:
    """
    Delivers messages to an application's receivers as they are.
    """

    __slots__ = ("__weakref__",)

    def prepare(self, messages: Sequence[Message], end: Cursor) -> Sequence[Message]:
        """
        See L{Delivery.prepare<comet.fanout.delivery.Delivery.prepare>}.
        """
        return messages

    def deliver(self, group: DirectReaders, prepared: Sequence[Message]) -> bool:
        """
        See L{Delivery.deliver<comet.fanout.delivery.Delivery.deliver>}.  No
        receiver is direct.
        """
        return False


@implementer(IPushProducer)
class Subscription:
    """
    What an application holds of its own reader.  A transport may be its consumer:
    C{transport.registerProducer(subscription, True)} pauses it while the client takes
    no more.
    """

    def __init__(self, reader: ApplicationReader) -> None:
        self._reader = reader
        self._adding = DeferredLock()

    @property
    def names(self) -> tuple[str, ...]:
        """
        The channels and patterns that are read.
        """
        return self._reader.progress.names

    @property
    def cursor(self) -> Cursor:
        """
        Everything up to here has been given to the receiver.  An application
        that subscribes to the same names with this cursor later misses nothing.
        It gets messages twice only if it took the cursor while older messages of
        added names were being replayed.
        """
        return self._reader.standing

    def add(self, names: str | Sequence[str], since: Where = None) -> Deferred[None]:
        """
        Read more channels and patterns.  Their older messages are replayed,
        except those that another name has delivered.  Names that are read
        already change nothing.

        @param since: As in L{Hub.subscribe<comet.hub.inprocess.InProcess.subscribe>}.

        @return: Fires once every message stored for the names will be received.
            Fails with a L{CometError<comet.errors.CometError>}, and then changes
            nothing.
        """
        checkThread("subscription.add")

        def add() -> Deferred[None]:
            startPositions = readStartPositions(names, since)
            added = self._adding.run(self._add, startPositions)
            return added.addCallback(lambda _: self._reader.resume())

        return maybeDeferred(add)

    def _add(self, startPositions: Mapping[str, StartPosition]) -> Deferred[None]:
        if self._reader.state is State.CLOSED:
            raise BadRequest("the subscription is over: it takes no more names")
        return self._reader.addNames(startPositions).addCallback(self._reader.tellGap)

    def remove(self, names: str | Sequence[str]) -> Deferred[None]:
        """
        Stop reading these channels and patterns.  A pattern is removed only by
        itself, not by a channel that it matches.  Names that are not read change
        nothing.

        @return: Fires when nothing more will be received for the names: at
            once, unless names are being added.
        """
        checkThread("subscription.remove")
        gone = [names] if isinstance(names, str) else list(names)
        if not self._adding.locked:
            return maybeDeferred(self._reader.removeNames, gone)
        return self._adding.run(self._reader.removeNames, gone)

    def unsubscribe(self) -> None:
        """
        End the subscription.  The receiver is not called again.
        """
        checkThread("subscription.unsubscribe")
        self._reader.ended()

    def pauseProducing(self) -> None:
        """
        Read no more until L{resumeProducing}.  Nothing is kept in the meantime:
        messages that the log drops will be a gap.

        A receiver that calls this in the middle of several messages that were
        read at once is still given the rest of them.
        """
        self._reader.pause()

    def resumeProducing(self) -> None:
        """
        Go on from where the subscription was paused.
        """
        self._reader.unpause()

    def stopProducing(self) -> None:
        """
        See L{unsubscribe}.
        """
        self.unsubscribe()


def readerOf(subscription: Subscription) -> ApplicationReader:
    """
    Return the reader of a subscription.  It is for other parts of the package: an
    application has the subscription alone.
    """
    return subscription._reader
