"""
A bus that answers when a test says so, as one does that lies behind a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.bus.memory.bus import MemoryBus
from comet.interfaces.messagebus import IBusListener, IMessageBus
from comet.model.cursors import Cursor
from comet.model.messages import Message, Publication, Published
from comet.model.patterns import matches
from comet.model.positions import HistoryPage, ReadResult, ResolvedStarts, StartPosition


class WatchedBus(MemoryBus):
    """
    A bus of one process that lets a test see what it does.

    @ivar stored: All messages ever stored: channels by position, by epoch, in
        the order of epochs.

    @ivar error: What reading raises, instead of an answer.

    @ivar part: How many messages are read at once, if a reader wants more; L{None} for all
        of them.

    @ivar readsAhead: Whether it answers where names begin with the first messages, too.

    @ivar onResolved: Is called with every answer to L{resolve}.
    """

    error: Exception | None = None
    part: int | None = None
    readsAhead = False
    onResolved: Callable[[Mapping[str, StartPosition], ResolvedStarts], None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored: dict[str, dict[int, str]] = {self.end.epoch: {}}

    def renew(self) -> None:
        """
        Begin a new epoch.
        """
        super().renew()
        # A listener may have published in it already.
        self.stored.setdefault(self.end.epoch, {})

    def publish(self, publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        See L{IMessageBus.publish}.
        """

        def note(answers: Sequence[Published]) -> Sequence[Published]:
            for answer in answers:
                log = self.stored.setdefault(answer.epoch, {})
                log.update({position: channel for channel, position in answer.positions.items()})
            return answers

        return super().publish(publications).addCallback(note)

    def read(
        self, names: Sequence[str], after: Cursor, limit: int, maxBytes: int, upTo: int | None
    ) -> Deferred[ReadResult]:
        """
        See L{IMessageBus.read}.
        """
        if self.error is not None:
            raise self.error
        if self.part is None or self.part >= limit:
            return super().read(names, after, limit, maxBytes, upTo)
        part = super().read(names, after, self.part, maxBytes, upTo)
        return part.addCallback(lambda page: evolve(page, isPart=page.more))

    def history(
        self, channel: str, before: Cursor | None, limit: int, maxBytes: int
    ) -> Deferred[HistoryPage]:
        """
        See L{IMessageBus.history}.
        """
        if self.error is not None:
            raise self.error
        return super().history(channel, before, limit, maxBytes)

    def resolve(self, names: Mapping[str, StartPosition]) -> Deferred[ResolvedStarts]:
        """
        See L{IMessageBus.resolve}.
        """
        located = super().resolve(names)

        def note(resolved: ResolvedStarts) -> ResolvedStarts:
            if self.readsAhead and resolved.starts:
                resolved = evolve(resolved, page=self._pageAt(resolved))
            if self.onResolved is not None:
                self.onResolved(names, resolved)
            return resolved

        return located.addCallback(note)

    def _pageAt(self, resolved: ResolvedStarts) -> ReadResult:
        """
        Read a few messages from where names begin.
        """
        starts = resolved.starts.values()
        begin = min if all(start.isRelative for start in starts) else max
        after = Cursor(resolved.end.epoch, begin(start.position for start in starts))
        page: ReadResult = now(super().read(list(resolved.starts), after, 3, 1000, None))
        return page

    def floor(self, name: str) -> int:
        """
        The floor of a channel or pattern.
        """
        reading: ReadResult = now(self.read([name], Cursor(self.end.epoch, 0), 1, 1, 0))
        return reading.gaps.get(name, 0)

    def lost(self) -> frozenset[int]:
        """
        The messages of this epoch that are not held any more.
        """
        start = Cursor(self.end.epoch, 0)
        held = {m.position for m in now(self.read(["**"], start, 1 << 30, 1 << 50, None)).messages}
        return frozenset(self.stored[self.end.epoch].keys() - held)


def now(deferred: Deferred[Any]) -> Any:
    """
    The result of a Deferred that has one.
    """
    results: list[Any] = []
    deferred.addCallback(results.append)
    return results[0]


class Operation:
    """
    An operation that the bus was asked for: it is carried out at one moment,
    and answered at a later one.
    """

    def __init__(self, kind: str, do: Callable[[], Deferred[Any]], note: Callable[[Any], None]):
        self.kind = kind
        self.answered: Deferred[Any] = Deferred()
        self.isDone = False
        self._do = do
        self._note = note
        self._result: Any = None

    def do(self) -> None:
        """
        Carry it out.
        """
        if not self.isDone:
            self.isDone = True
            self._result = now(self._do())

    def answer(self) -> None:
        """
        Give its result.
        """
        self.do()
        self._note(self._result)
        self.answered.callback(self._result)

    def fail(self, error: Exception) -> None:
        """
        Let it fail without being carried out.
        """
        self.answered.errback(Failure(error))


@implementer(IMessageBus, IBusListener)
class SlowBus:
    """
    Passes everything on to another bus, when it is told to.

    @ivar operations: What it was asked for and has not answered.

    @ivar heard: What its listener has yet to hear, in this order.

    @ivar asked: How often it was asked for what.
    """

    isAvailable = True

    def __init__(self, inner: WatchedBus) -> None:
        self.inner = inner
        self.end = inner.end
        self.operations: list[Operation] = []
        self.heard: list[Callable[[], None]] = []
        self.asked: dict[str, int] = {}
        self.isDeaf = False
        self._listener: IBusListener | None = None
        self._names: set[str] = set()
        self._unmade: dict[str, list[int]] = {}
        self._made = 0
        inner.listen(self, ["**"])

    # -- For the test

    def do(self, index: int) -> None:
        """
        Carry out an operation without answering.
        """
        if self.operations:
            self.operations[index % len(self.operations)].do()

    def answer(self, index: int = 0) -> None:
        """
        Answer an operation.
        """
        if self.operations:
            self.operations.pop(index % len(self.operations)).answer()

    def hear(self) -> None:
        """
        Let the listener hear the next report.
        """
        if self.heard:
            self.heard.pop(0)()

    def beat(self) -> None:
        """
        Report the log end.
        """
        if not self.isDeaf:
            end = self.inner.end
            self.heard.append(lambda: self._tell("endMoved", end, end))

    def cut(self) -> None:
        """
        Drop all reports that were not heard yet, and all that follow.
        """
        self.isDeaf = True
        self.heard.clear()

    def mend(self) -> None:
        """
        Report all that happens from now on.
        """
        self.isDeaf = False
        end = self.inner.end
        self.heard.append(lambda: self._tell("interrupted", end))

    def catchUp(self) -> bool:
        """
        Answer all operations, and let the listener hear all reports.

        @return: Whether there were any.
        """
        if self.isDeaf:
            self.mend()
        some = bool(self.operations or self.heard)
        while self.operations or self.heard:
            self.hear()
            self.answer()
        return some

    def _tell(self, method: str, end: Cursor, *arguments: Any) -> None:
        self._note(end)
        if self._listener is not None:
            getattr(self._listener, method)(*arguments)

    def _note(self, cursor: Cursor) -> None:
        epochs = list(self.inner.stored)
        if (epochs.index(cursor.epoch), cursor) > (epochs.index(self.end.epoch), self.end):
            self.end = cursor

    # -- What the bus within tells

    def messagesStored(self, messages: Sequence[Message]) -> None:
        """
        See L{IBusListener.messagesStored}.
        """
        heard = [m for m in messages if any(matches(name, m.channel) for name in self._names)]
        if heard and not self.isDeaf:
            self.heard.append(lambda: self._tell("messagesStored", heard[-1].cursor, heard))

    def endMoved(self, end: Cursor) -> None:
        """
        See L{IBusListener.endMoved}.
        """

    def interrupted(self) -> None:
        """
        See L{IBusListener.interrupted}.
        """
        if not self.isDeaf:
            self.mend()

    # -- What it is asked for

    def _ask(
        self, kind: str, do: Callable[[], Deferred[Any]], note: Callable[[Any], None]
    ) -> Deferred[Any]:
        self.asked[kind] = self.asked.get(kind, 0) + 1
        operation = Operation(kind, do, note)
        self.operations.append(operation)
        return operation.answered

    def start(self) -> Deferred[None]:
        """
        See L{IMessageBus.start}.
        """
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """
        See L{IMessageBus.stop}.
        """
        return self.inner.stop()

    def publish(self, publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        See L{IMessageBus.publish}.
        """
        return self._ask(
            "publish",
            lambda: self.inner.publish(publications),
            lambda answers: self._note(answers[-1].cursor),
        )

    def forget(self, channel: str) -> Deferred[None]:
        """
        See L{IMessageBus.forget}.
        """
        return self._ask("forget", lambda: self.inner.forget(channel), lambda _: None)

    def history(
        self, channel: str, before: Cursor | None, limit: int, maxBytes: int
    ) -> Deferred[HistoryPage]:
        """
        See L{IMessageBus.history}.
        """
        return self._ask(
            "history",
            lambda: self.inner.history(channel, before, limit, maxBytes),
            lambda _: None,
        )

    def resolve(self, names: Mapping[str, StartPosition]) -> Deferred[ResolvedStarts]:
        """
        See L{IMessageBus.resolve}.
        """
        return self._ask(
            "resolve",
            lambda: self.inner.resolve(names),
            lambda resolved: self._note(resolved.end),
        )

    def read(
        self, names: Sequence[str], after: Cursor, limit: int, maxBytes: int, upTo: int | None
    ) -> Deferred[ReadResult]:
        """
        See L{IMessageBus.read}.
        """
        return self._ask(
            "read",
            lambda: self.inner.read(names, after, limit, maxBytes, upTo),
            lambda reading: self._note(reading.reached),
        )

    def listen(self, listener: IBusListener, names: Iterable[str]) -> Deferred[None]:
        """
        See L{IMessageBus.listen}.
        """
        self._listener = listener
        self._made += 1
        number = self._made
        for name in names:
            self._unmade.setdefault(name, []).append(number)
        asked = list(names)

        def listen() -> Deferred[None]:
            for name in asked:
                waiting = self._unmade.get(name, [])
                if number in waiting:
                    waiting.remove(number)
                    self._names.add(name)
            return succeed(None)

        return self._ask("listen", listen, lambda _: None)

    def unlisten(self, listener: IBusListener, names: Iterable[str]) -> None:
        """
        See L{IMessageBus.unlisten}.
        """
        for name in names:
            self._names.discard(name)
            self._unmade.pop(name, None)
