"""
The fan-out: what is published during one turn of the reactor goes out together
at the turn's end.

How it works
============

The bus tells the fan-out of each stored message of the names that are heard
(C{messagesStored}), and of positions that were given to other messages
(C{endMoved}).  The fan-out keeps these until the reactor's next turn, and then
I{ticks}: the registry tells which groups get which messages, each group flushes
its messages to its live readers, and then the publishers are answered.  So a
publisher that has an answer knows that the readers of this node were written to.

  - C{cursor} is where all live readers stand: everything up to it was delivered
    to them, or was not of their names.  A tick moves it at its end.  In the
    middle of a tick a group knows by itself whether it was flushed already; and so
    does a group whose flush goes on in later turns.

  - A reader joins its group once it has read the log to its end.  It may then be
    ahead of the cursor, since the bus stores a message before the fan-out hears
    of it.  Each reader holds its position, so a flush gives it only what comes
    after that: no message twice, and none left out.

  - When the bus is I{interrupted}, messages may have been missed.  What was
    heard and not flushed is dropped, every reader becomes unsettled, and reads
    the log again from its own position.  C{isContinuous} is false until the bus
    reports the next message or end: until then nothing proves that a reader at
    the cursor has missed nothing.

  - An epoch is one life of the log.  A tick that brings another epoch moves the
    cursor there.  Readers notice it by themselves when they read.

  - Not all is done in one turn.  Large groups of streams are written, and large
    groups of polls are answered, in parts (L{busygroups<comet.fanout.busygroups>}, and the
    L{backlog<comet.fanout.backlog>}), and only some of the readers that have more to
    read go on in each turn, so that new requests are not kept waiting.

While readers are written to, applications' receivers are called, which may
publish, subscribe, and close readers.  What they publish is for the next tick.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from time import time
from typing import Any, TypeAlias

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from comet.fanout.backlog import Backlog
from comet.fanout.busygroups import Parts
from comet.fanout.catchups import CatchUps
from comet.fanout.delivery import Member
from comet.fanout.duereaders import DueReaders
from comet.fanout.encodingcache import EncodingCache
from comet.fanout.groups import Group, Prepared
from comet.fanout.latemessages import LateMessages
from comet.fanout.leaving import Leaving
from comet.fanout.logquestions import LogQuestions
from comet.fanout.registry import Registry
from comet.fanout.unsent import Unsent
from comet.framing.budget import MOST_AT_ONCE
from comet.interfaces.busabilities import INodesBus
from comet.interfaces.messagebus import IBusListener, IMessageBus
from comet.logging.clientlog import ClientLogger
from comet.metrics.tally import Tally
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from comet.reactor.timers import TimerWheel
from comet.reactor.turns import Turns

# See L{Fanout.spare}.
Spare: TypeAlias = Callable[[Sequence[Message], Mapping[Group, Sequence[Message]], Cursor], None]


def _nothing() -> bool:
    """
    Do nothing, with nothing left to do.
    """
    return False


@implementer(IBusListener)
class Fanout:
    """
    Gives each reader exactly the messages of its names after its position, in
    the order of positions, each once; or a gap, at its place.

    @ivar bus: Where messages come from.

    @ivar cursor: Everything up to here was delivered to the live readers.

    @ivar isContinuous: Whether every message after the cursor will be heard:
        not between an interruption and the next report of the bus.

    @ivar heardFrom: The position, in the epoch of the cursor, after which no message
        of the names that were heard was missed, while C{isContinuous}.

    @ivar seconds: Tells the time of now, in seconds from any moment.

    @ivar now: Tells the time of day, in seconds since 1970.

    @ivar turns: Those that have input of their clients left.

    @ivar heartbeat: After how many seconds of silence a stream is told where
        its reader stands.

    @ivar questions: What readers ask the bus.

    @ivar registry: The groups.

    @ivar readers: The readers that are not closed.

    @ivar leaving: Closed readers whose connections are not closed yet.

    @ivar due: Readers that go on reading in later turns.

    @ivar backlog: What is left to do of earlier ticks.

    @ivar parts: The groups whose flush takes long.

    @ivar late: The messages that some readers were not written yet, since it takes long.

    @ivar catchUps: Bounds the responses that groups keep for polls that catch up.

    @ivar unsent: Counts the bytes of responses that wait for their clients.

    @ivar tally: Counts what passes.

    @ivar isDraining: Whether the server is going down: each response then ends
        its connection.

    @ivar readerEnded: Called with each reader that is closed; L{None} while nothing
        needs to know.

    @ivar readerClosed: Called with each reader that the server closes, before
        C{readerEnded}, and with the reason that its client is told; L{None} while nothing
        needs to know.

    @ivar namesChanged: Called with each reader that has taken names, once it knows where
        they begin, or has lost some; not when it is closed.  L{None} while nothing needs
        to know.

    @ivar spare: Called before the groups are given the messages of a tick: see
        L{SparedReaders.spare<comet.fanout.spared.SparedReaders.spare>}.  L{None} while no
        client spares its readers.

    @ivar beforeTick: Called at the beginning of each tick, to store what was
        published during the turn.  Returns whether anything was published meanwhile,
        by publishers that were answered at once: it is stored before another tick.
    """

    _log = ClientLogger()

    def __init__(self, bus: IMessageBus, clock: IReactorTime, heartbeat: float = 25.0) -> None:
        self.heartbeat = heartbeat
        self.unsent = Unsent()
        self.tally = Tally()
        self.wheel = TimerWheel(clock)
        self.turns = Turns(clock, self.beginTurn, self.endTurn)
        self.encodings = EncodingCache(self.wheel)
        self.catchUps = CatchUps(self.wheel, INodesBus.providedBy(bus))
        self.readers: dict[Member, None] = {}
        self.cursor = Cursor("", 0)
        self.isContinuous = True
        self.heardFrom = 0
        self.isDraining = False
        self.readerEnded: Callable[[Any], None] | None = None
        self.readerClosed: Callable[[Any, Close], None] | None = None
        self.namesChanged: Callable[[Any], None] | None = None
        self.spare: Spare | None = None
        self.bus = bus
        self._clock = clock
        self.seconds: Callable[[], float] = clock.seconds
        self.now: Callable[[], float] = time
        self.questions = LogQuestions(bus, self.wheel, self.turns, self.tally)
        # A query under way may miss messages of names that are not heard from
        # now on.
        self.registry = Registry(bus, self.wheel, self, self, self.questions.forget)
        # What was heard and not flushed: messages, and the last end.
        self._heard: list[Message] = []
        self._heardEnd: Cursor | None = None
        self._wasInterrupted = False
        # The groups that these messages touch, once it was asked.
        self._touched: tuple[Sequence[Message], int, Mapping[Group, object]] | None = None
        self.backlog = Backlog()
        self.parts = Parts(clock.seconds)
        self.late = LateMessages(self.parts, self.backlog, self._goSoon)
        self.leaving = Leaving(lambda: self.backlog or self.parts)
        self.due = DueReaders(self.turns, self.tickSoon)
        # Called after the next tick: publishers to be answered.
        self._afterFlush: list[Callable[[], None]] = []
        self.beforeTick: Callable[[], bool] = _nothing
        self._isTickDue = False
        self._tickCall: IDelayedCall | None = None
        self._isInTurn = False
        self._isTicking = False
        self._ticksAtEndOfTurn = False

    # -- What is heard

    def messagesStored(self, messages: Sequence[Message]) -> None:
        """
        See L{IBusListener.messagesStored}.
        """
        self._heard.extend(messages)
        if not self._isTickDue:
            self.tickSoon()

    def endMoved(self, end: Cursor) -> None:
        """
        See L{IBusListener.endMoved}.
        """
        self._heardEnd = end
        self.tickSoon()

    def interrupted(self) -> None:
        """
        See L{IBusListener.interrupted}.
        """
        self.tally.interruptions += 1
        # Readers will read these from the log instead.
        self._heard.clear()
        self._heardEnd = None
        # Queries under way may have been answered before what was missed.
        self.questions.forget()
        self.catchUps.clear()
        self._wasInterrupted = True
        self.tickSoon()

    def hasHeard(self, group: Group) -> bool:
        """
        Tell whether a message of a group's names was heard that no reader was given yet.
        """
        heard, touched = self._heard, self._touched
        if not heard:
            return False
        if touched is None or touched[0] is not heard or touched[1] != len(heard):
            self._touched = touched = (heard, len(heard), self.registry.route(heard))
        return group in touched[2]

    def whenFlushed(self, call: Callable[[], None]) -> None:
        """
        Call something once all that was heard so far has been given to the groups: at
        once, if it has been.  Some of it may be L{late} then.
        """
        if self._heard or self._wasInterrupted:
            self._afterFlush.append(call)
        else:
            call()

    def _goSoon(self) -> None:
        """
        Have the backlog go on: at the end of this tick, if there is one under way.
        """
        if not self._isTicking:
            self.tickSoon()

    def afterAnswers(self, call: Callable[[], None]) -> None:
        """
        Call something once all publishers have been answered whose answers are due
        by now: what a connection has for several of them can be sent together.
        """
        self.backlog.first.append(call)
        if not self._isTicking:
            self.tickSoon()

    # -- The tick

    def beginTurn(self) -> None:
        """
        The caller deals with the input of many clients, and calls L{endTurn}
        when that is done: then the tick needs no timer.
        """
        self._isInTurn = True

    def endTurn(self) -> None:
        """
        Give the readers what was published since L{beginTurn}.
        """
        self._isInTurn = False
        if self._ticksAtEndOfTurn:
            self._ticksAtEndOfTurn = False
            self._tick()

    def tickSoon(self) -> None:
        """
        Have a tick at the end of this turn.
        """
        if not self._isTickDue:
            self._isTickDue = True
            if self._isInTurn:
                self._ticksAtEndOfTurn = True
            else:
                self._tickCall = self._clock.callLater(0, self._tick)

    def _tick(self) -> None:
        """
        Flush what was published and heard during the turn, and then go on with what
        was left over from earlier ones.
        """
        self._isTicking = True
        isAnotherDue = False
        try:
            try:
                # What is heard by this is for this tick.
                isAnotherDue = self.beforeTick()
            except Exception:
                # Otherwise no tick would ever come again.
                self._log.failure("what was published in this turn could not be stored")
            self._isTickDue = False
            self._tickCall = None
            parts = self.parts
            parts.left, parts.over = parts.most, None
            self._flush()
            if parts.busy:
                self._renewBudget()
                parts.goOn()
            if self.backlog.calls or self.backlog.first:
                self.backlog.go()
        finally:
            self._isTicking = False
        if self.leaving.waiting:
            self.leaving.tellDrained()
        if self.backlog.calls or self.backlog.first or isAnotherDue or self.parts.busy:
            self.tickSoon()
        if self.due.readers:
            self.due.go()

    def _flush(self) -> None:
        """
        Write what was heard to the readers.
        """
        if self._wasInterrupted:
            self._wasInterrupted = False
            self._unsettleReaders()
        messages, self._heard = self._heard, []
        self._touched = None
        end, self._heardEnd = self._heardEnd, None
        calls, self._afterFlush = self._afterFlush, []
        if messages:
            newest = self._cursorOf(messages[-1])
            if end is None or end.epoch != newest.epoch or end.position < newest.position:
                end = newest
        if end is not None:
            if end.epoch != self.cursor.epoch:
                # The positions of the old epoch mean nothing from now on.
                self.parts.finish()
                self.cursor = Cursor(end.epoch, 0)
                self.heardFrom = 0
            elif end.position < self.cursor.position:
                end = self.cursor
            if not self.isContinuous:
                # What was missed is not newer than this.
                self.heardFrom = end.position
            # What is spent has made it less.
            if self.encodings.budget.left < MOST_AT_ONCE:
                self.encodings.budget.renew()
            prepared: Prepared = {}
            touched = self.registry.route(messages)
            if self.spare is not None:
                self.spare(messages, touched, end)
            for group, given in touched.items():
                group.flush(given, end, prepared)
            written: Sequence[Message] = messages if touched else ()
            if touched and (self.parts.busy or self.backlog.calls):
                written = self.late.measure(touched, messages, self.tally.written, self.now)
            if written:
                # Counted here, without a call.
                taken, first = self.tally.written, written[0].time
                took = max(self.now() - first, 0.0)
                if first == written[-1].time:
                    # What was stored together; another moment is worth a call.
                    taken.counts[bisect_left(taken.bounds, took)] += len(written)
                    taken.total += took * len(written)
                else:
                    for message in written:
                        taken.add(took + first - message.time)
            self.cursor = end
            self.isContinuous = True
        # First the readers are written to, then the publishers are answered.
        self.backlog.first.extend(calls)

    def _renewBudget(self) -> None:
        """
        Let as much be compressed as a tick may.
        """
        if self.encodings.budget.left < MOST_AT_ONCE:
            self.encodings.budget.renew()

    def _cursorOf(self, message: Message) -> Cursor:
        """
        Return the cursor of a message: mostly it is the last one of the log, and the
        bus has its cursor.
        """
        end = self.bus.end
        isLast = end.position == message.position and end.epoch == message.epoch
        return end if isLast else message.cursor

    def _unsettleReaders(self) -> None:
        self.isContinuous = False
        self.catchUps.clear()
        for reader in list(self.readers):
            reader.unsettle()
        # The readers have left their groups.
        self.parts.abandon()
        epoch = self.bus.end.epoch
        if epoch != self.cursor.epoch:
            self.cursor = Cursor(epoch, 0)

    def end(self) -> Cursor:
        """
        The position of the newest message that the bus knows of.
        """
        return self.bus.end

    # -- The end

    def stop(self) -> None:
        """
        Keep nothing for readers that might come, and make the calls that wait.
        No timer is left then.
        """
        self.registry.stop()
        self.encodings.stop()
        self.catchUps.stop()
        self.turns.finish()
        self.questions.stop()
        # If a receiver of an application calls this, the tick that calls it goes on later.
        isInTick = self._isTicking
        if self._tickCall is not None:
            self._tickCall.cancel()
            self._tick()
        while not isInTick and (self.parts or self.backlog) and self._tickCall is not None:
            self._tickCall.cancel()
            self._tick()
