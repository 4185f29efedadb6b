"""
Readers that are answered once: polls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from twisted.internet.defer import Deferred, succeed

from comet.fanout.catchups import CatchUp
from comet.fanout.core import Fanout
from comet.fanout.groups import Group
from comet.fanout.logquestions import FIRST_BYTES, FIRST_MESSAGES
from comet.fanout.polldelivery import PollDelivery, PreparedPolls
from comet.fanout.reader import Reader
from comet.fanout.states import Input, State, step
from comet.fanout.unsent import CUT_BYTES
from comet.fanout.waiters import PollShape, Waiter
from comet.http.polls import MOST_NEW, Outcome
from comet.interfaces.sockets import DirectSocket
from comet.model.clients import Client
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from comet.model.positions import At, ReadResult, ResolvedStarts, StartPosition
from comet.model.progress import Progress, Step, Wanted

# For how many seconds a poll is held at most after its client has closed its
# writing side.  Most such clients have left, which nothing else tells.
HALF_CLOSED: Final = 5.0

# For how many seconds a poll that need not wait for a message waits for the bus.
# It is more than a bus takes that has to connect again.
BUS_SECONDS: Final = 15.0

# After how many seconds its client may come back.
BUS_RETRY: Final = 2.0

# What a poll is that waits at the log end.
_LIVE: Final = step(State.OPENING, Input.CAUGHT_UP)

R = TypeVar("R")


class PollReader(Reader, Generic[R]):
    """
    A reader that is answered once: with the messages that are held, or with
    the first that are published within its time.

    Most clients ask for the same again at once.  A direct poll that was answered as it
    waited at the log end has nothing left of its reading, so it may be opened once more,
    by its waiter and for the same request: to make a reader takes longer than to hold it.

    @ivar waiter: Sends the response.

    @ivar wasShared: Whether the last response was another reader's, and nothing was asked
        for this one: it may be opened once more, too.
    """

    __slots__ = (
        *("_bytes", "_gap", "_isPart", "_messages", "_most", "_start", "_time"),
        *("direct", "isListening", "shape", "waiter", "wasShared"),
    )

    # Slots of the class, narrower than what it inherits.
    isListening: bool
    shape: PollShape[R]
    direct: DirectSocket | None

    def __init__(self, fanout: Fanout, shape: PollShape[R], waiter: Waiter[R], wait: float) -> None:
        """
        @param wait: For how many seconds the poll may wait for a message; 0 if
            it must be answered at once.
        """
        Reader.__init__(self, fanout)
        self.shape = shape
        # Direct polls are closed all at once, without a call for each, so there is
        # no timer to clear: their waiters keep the time.
        self.direct = waiter.direct if waiter.keepsTime else None
        self.isListening = wait > 0
        # For how many seconds the reader waits by its own timer; 0 if the waiter
        # keeps the time.
        self._time = 0.0 if waiter.keepsTime else wait or BUS_SECONDS
        self.waiter = waiter
        self._gap: tuple[str, ...] = ()
        self._messages: Sequence[tuple[Message, bool]] = ()
        self._bytes = 0
        # How many bytes of payload the response has at most.
        self._most = 0
        # Whether what is read may be only the first part of the response.
        self._isPart = False
        # The cursor after which all names are read, if it is the same for all.
        self._start: Cursor | None = None
        self.wasShared = False

    @property
    def standing(self) -> Cursor:
        """
        The cursor of the response.  A response that ends within a replay has
        the position of the replay, and the client gets again what the other
        names had delivered beyond it.
        """
        return self.progress.lowest if self.progress.isReplaying else self.position

    def begun(self, gap: Sequence[str]) -> None:
        """
        See L{Reader.begun}.
        """
        self._gap = tuple(gap)

    def read(
        self, wanted: Wanted, isFirst: bool, ahead: ResolvedStarts | None
    ) -> Deferred[ReadResult]:
        """
        See L{Reader.read}.
        """
        limit = self.shape.limit - len(self._messages)
        self._most = CUT_BYTES if self.waiter.isBehind else self.fanout.unsent.pollBytes
        most = max(self._most - self._bytes, 1)
        self._isPart = isFirst and most > FIRST_BYTES
        if self._isPart:
            limit, most = min(limit, FIRST_MESSAGES), FIRST_BYTES
        return self.fanout.questions.read(
            wanted, self.asker, limit, most, self.isListening, self.isGone, ahead
        )

    def tell(self, step: Step) -> bool:
        """
        See L{Reader.tell}.
        """
        if step.gap:
            # A name may lose messages before, at and after a new epoch.
            self._gap = tuple(dict.fromkeys(self._gap + step.gap))
        told = [(message, step.isReplay) for message in step.messages]
        self._messages = [*self._messages, *told] if self._messages else told
        self._bytes += sum(len(message.payload) for message in step.messages)
        isFull = len(self._messages) >= self.shape.limit or self._bytes >= self._most
        # A reading that was cut for its bytes ends the response, unless only a part was
        # asked for or read; after a replay there is always more to read.
        isPart = self._isPart or step.isPart
        isEnd = not step.more or (step.messages and not (step.isReplay or isPart))
        if isFull or (isEnd and (self._messages or self._gap)):
            self._answer(more=step.more)
        return True

    def open(self, startPositions: Mapping[str, StartPosition]) -> Deferred[Any]:
        """
        See L{Reader.open}.
        """
        if self.progress.names:
            # It is opened again.
            self.progress = Progress(self.fanout.bus.end)
        self.wasShared = False
        self._start = _startOf(startPositions)
        names = tuple(startPositions)
        if len(self.fanout.catchUps) and self._start is not None:
            group = self.fanout.registry.known(self, names)
            if group is not None and self._takeShared(group):
                self.progress.begin(names, self.fanout.cursor)
                self.wasShared = True
                return succeed(None)
        opened = super().open(startPositions)
        if self._time and self.state is not State.CLOSED:
            # The time runs while the bus does not answer, too.
            self.fanout.wheel.set(self, self._time)
        return opened

    def beginAtEnd(self) -> bool:
        """
        See L{Reader.beginAtEnd}.
        """
        self.state = _LIVE
        self._start = None
        if self._time:
            self.fanout.wheel.set(self, self._time)
        return True

    def joinAgain(self, group: Group, client: Client) -> None:
        """
        Open a direct poll again that was answered as it waited at the log end: at the
        cursor of the fan-out, without a query to the bus.

        @param group: The group in which it reads the names that it had.  A poll that has
            asked for the same may join there in this turn.

        @param client: The client that asks now.
        """
        fanout, direct = self.fanout, self.direct
        assert direct is not None, "a poll that is not direct"
        self.client = client
        self.state = _LIVE
        # That of an earlier opening means nothing now.
        self._start = None
        self.progress.begin(self.progress.names, fanout.cursor)
        self.group = group
        if group.rest is None:
            group.direct[self] = direct
        else:
            group.joinAtCursor(self)
        fanout.readers[self] = None
        if group.members:
            group.members += 1
        else:
            fanout.registry.addMember(group)
        if fanout.namesChanged is not None:
            fanout.namesChanged(self)

    def pump(self) -> None:
        """
        See L{Reader.pump}.
        """
        group = self.group
        if group is not None and group.catchUps and self.state is State.READING:
            # A reader that began where this one did may have read the rest meanwhile.
            if not self._isPumping and self._takeShared(group):
                return
        super().pump()

    def _takeShared(self, group: Group) -> bool:
        """
        Answer as another reader was answered that began where this one does.

        @return: Whether there is such a response, and it has all that there is.
        """
        fanout, start = self.fanout, self._start
        if start is None or not group.catchUps:
            return False
        made = group.catchUps.get(start)
        if made is None or made.size > fanout.unsent.pollBytes:
            return False
        if self._gap or self.readerID is not None or self.waiter.isBehind:
            return False
        if not fanout.isContinuous or (made.end != fanout.bus.end and fanout.hasHeard(group)):
            return False
        # What this one has read is counted already.
        fanout.tally.delivered += made.messages - len(self._messages)
        self._messages, self._bytes, self._isPart = (), 0, False
        self.ended()
        self.waiter.pollAnswered(made.response)
        return True

    @property
    def _isLikeOthers(self) -> bool:
        """
        Whether others that begin where this reader began get the response that it gets.
        """
        if self._start is None or self._gap or not (self._messages and self.fanout.isContinuous):
            return False
        if self.readerID is not None or self.waiter.isBehind:
            return False
        return not any([replay for _, replay in self._messages])

    def _share(self, group: Group, outcome: Outcome, response: R) -> None:
        """
        Keep a response for others that begin where this reader began.
        """
        fanout, start = self.fanout, self._start
        assert start is not None, "a response that is like no other"
        made = CatchUp(response, outcome.cursor, fanout.bus.end, len(self._messages), self._bytes)
        fanout.catchUps.add(group, start, made)

    def caughtUp(self) -> None:
        """
        See L{Reader.caughtUp}.
        """
        if not self.isListening:
            self._answerNow()

    def timedOut(self) -> None:
        """
        Answer with what there is: the time is over.  A poll that need not wait
        for a message has waited for the bus, and is told so.
        """
        if self.isListening or self._messages or self._gap:
            self._answerNow()
        else:
            self.close(Close("unavailable", "the bus does not answer", BUS_RETRY))

    def _answerNow(self, more: bool = True) -> None:
        if self._messages or self._gap:
            self._answer(more)
            return
        cursor = self.standing
        self.ended()
        self.waiter.pollEmpty(cursor)

    def hurry(self) -> None:
        """
        Answer now, with what there is.  Does nothing if the poll is answered.
        """
        if self.state is not State.CLOSED:
            self._answerNow()

    def inputEnded(self) -> None:
        """
        Wait for L{HALF_CLOSED} seconds at most: the client has closed its writing
        side.
        """
        if self.isListening and self.state is not State.CLOSED:
            fanout = self.fanout
            fanout.wheel.setBy(self, fanout.seconds() + HALF_CLOSED)

    def _answer(self, more: bool = False, close: Close | None = None) -> None:
        outcome = Outcome(self.standing, self._messages, self._gap, more, close)
        group = self.group if close is None and self._isLikeOthers else None
        self.ended()
        budget = self.fanout.encodings.budget
        # Each reading has a share of a turn.
        budget.renew(MOST_NEW)
        response = self.shape.respond(outcome, budget)
        if group is not None:
            self._share(group, outcome, response)
        self.waiter.pollAnswered(response)

    def makeDelivery(self) -> PollDelivery[R]:
        """
        See L{Reader.makeDelivery}.
        """
        return PollDelivery(self.fanout, self.shape)

    def take(self, prepared: PreparedPolls[R]) -> None:
        """
        See L{Reader.take}.
        """
        self.ended()
        response, count, _ = prepared
        self.fanout.tally.delivered += count
        self.waiter.pollAnswered(response)

    def sayClose(self, close: Close) -> None:
        """
        See L{Reader.sayClose}.
        """
        self._answer(close=close)


def _startOf(startPositions: Mapping[str, StartPosition]) -> Cursor | None:
    """
    Return the cursor after which all names are read, if there is one.
    """
    first: StartPosition | None = None
    for each in startPositions.values():
        if type(each) is not At or (first is not None and each is not first and each != first):
            return None
        first = each
    return first.cursor if type(first) is At else None
