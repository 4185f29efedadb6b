"""
Bursts: what clients publish in one turn of the reactor is stored together.

A burst has the requests of all connections, on every transport, in the order in
which they were read.  It is stored at the turn's end, by one call of the bus; then
its messages go out as one joined write for each reader, and the publishers are
answered in that order.  Each request is stored or refused on its own: a burst
saves what each call of a bus costs, and means nothing to clients.

A burst ends early

  - when it has L{MOST_TOGETHER} messages or L{MOST_BYTES} of data, which bounds for
    how long the bus is busy with it;

  - before anything is read from the log, or deleted from it, so that whoever asks
    after it has published finds what it has published.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.python.failure import Failure

from comet.clientlog import ClientLogger
from comet.deadlines import withDeadline
from comet.errors import CometError, Internal, Unknown
from comet.fanout.core import Fanout
from comet.interfaces import IBurstBus, IMessageBus
from comet.model.messages import Publication, Published
from comet.overrides import speaksFor

# How many messages, and how many bytes of data, make a burst that is stored at once.
MOST_TOGETHER: Final = 256
MOST_BYTES: Final = 1024 * 1024

# How many seconds a publication waits for the bus.  It is more than a bus takes that
# has to connect again, or whose disk is busy.
PUBLISH_SECONDS: Final = 60.0

Done: TypeAlias = Callable[[Sequence[Published]], object]
Failed: TypeAlias = Callable[[Failure], object]


class _Request(NamedTuple):
    """
    A request to publish.

    @ivar publications: All of these are stored, or none.

    @ivar done: Called with the answer to each.

    @ivar failed: Called with why none is stored.
    """

    publications: Sequence[Publication]
    done: Done
    failed: Failed


class Bursts:
    """
    Stores what is published, and answers the publishers once it is stored and was
    written to the readers.

    @ivar filter: See L{Hub.filter<comet.hub.Hub.filter>}.
    """

    _log = ClientLogger()

    def __init__(self, bus: IMessageBus, fanout: Fanout) -> None:
        """
        @param fanout: Tells when the turn ends, and when readers were written to.
        """
        self._bus = bus
        self._fanout = fanout
        self.filter: Callable[[Publication], Publication] | None = None
        self._burst: list[_Request] = []
        self._messages = self._size = 0
        self._underWay = 0
        self._waiting: list[Deferred[None]] = []
        fanout.beforeTick = self._beforeTick

    def add(self, publications: Sequence[Publication], done: Done, failed: Failed) -> None:
        """
        Store some publications, all or none, together with all else that is
        published in this turn.

        @param done: Called with the answer to each of them, in their order, once all
            are stored and were written to the readers.  It must not raise.

        @param failed: Called with a L{CometError<comet.errors.CometError>} if none is
            stored, or if that cannot be known.  It must not raise.
        """
        if self.filter is not None:
            try:
                publications = self._filtered(self.filter, publications)
            except CometError:
                failed(Failure())
                return
        burst = self._burst
        burst.append(_Request(publications, done, failed))
        self._underWay += 1
        for publication in publications:
            self._messages += len(publication.channels)
            self._size += len(publication.payload)
        if self._messages >= MOST_TOGETHER or self._size >= MOST_BYTES:
            self.store()
        elif len(burst) == 1:
            self._fanout.tickSoon()

    def publish(self, publications: Sequence[Publication], done: Done, failed: Failed) -> None:
        """
        Store some publications now, behind what was added before.

        @param done: As for L{add}; it may be called before this returns.

        @param failed: As for L{add}; it may be called before this returns.
        """
        self.store()
        if self.filter is not None:
            try:
                publications = self._filtered(self.filter, publications)
            except CometError:
                failed(Failure())
                return
        self._underWay += 1
        self._storeOne(_Request(publications, done, failed))

    def _filtered(
        self,
        filter: Callable[[Publication], Publication],
        publications: Sequence[Publication],
    ) -> Sequence[Publication]:
        """
        Let the application see what is to be stored.

        @raise CometError: If it refuses some of it, or fails.
        """
        try:
            filtered: list[Any] = [filter(publication) for publication in publications]
        except CometError:
            raise
        except Exception:
            self._log.failure("the filter of publications failed")
            raise Internal() from None
        for each in filtered:
            if not isinstance(each, Publication):
                self._log.error(
                    "the filter of publications gave {kind}, which is no Publication; what is to "
                    "be stored as it is, it returns as it is",
                    kind=type(each).__name__,
                )
                raise Internal()
        return filtered

    def store(self) -> None:
        """
        Store what was added so far.
        """
        burst = self._burst
        if not burst:
            return
        self._burst, self._messages, self._size = [], 0, 0
        bus: Any = self._bus
        if len(burst) > 1 and self._storesBursts:
            requests = [each.publications for each in burst]
            self._call(bus.publishBurst, requests, burst, self._settle)
            return
        for each in burst:
            self._storeOne(each)

    def _beforeTick(self) -> bool:
        """
        See L{Fanout.beforeTick}.
        """
        self.store()
        return bool(self._burst)

    def _storeOne(self, request: _Request) -> None:
        self._call(self._bus.publish, request.publications, [request], self._settleOne)

    @property
    def _storesBursts(self) -> bool:
        bus = self._bus
        if "publish" in getattr(bus, "__dict__", ()):
            # It was replaced in this object alone, as by a test.
            return False
        return IBurstBus.providedBy(bus) and speaksFor(type(bus), "publishBurst", "publish")

    def _call(
        self,
        publish: Callable[[Any], Deferred[Any]],
        given: object,
        burst: Sequence[_Request],
        settle: Callable[[Sequence[_Request], Any], None],
    ) -> None:
        stored: Any = maybeDeferred(publish, given)
        if stored.called and not stored.paused and not isinstance(stored.result, Failure):
            # Fast path for a bus that stores at once: adding callbacks would cost
            # as much as storing.
            settle(burst, stored.result)
        else:
            if not stored.called:
                stored = withDeadline(stored, self._fanout.wheel, PUBLISH_SECONDS, _late)
            stored.addCallbacks(partial(settle, burst), partial(self._fail, burst))

    def _settleOne(self, burst: Sequence[_Request], answers: Sequence[Published]) -> None:
        self._settle(burst, [answers])

    def _settle(self, burst: Sequence[_Request], outcomes: Any) -> None:
        if not isinstance(outcomes, Sequence) or len(outcomes) != len(burst):
            # Nothing tells which outcome is whose.
            outcomes = [None] * len(burst)
        self._fanout.whenFlushed(partial(self._answer, burst, outcomes))

    def _fail(self, burst: Sequence[_Request], failure: Failure) -> None:
        # Those before it are answered first.
        self._fanout.whenFlushed(partial(self._answer, burst, [failure] * len(burst)))

    def _answer(self, burst: Sequence[_Request], outcomes: Sequence[Any]) -> None:
        for request, outcome in zip(burst, outcomes, strict=True):
            try:
                if isinstance(outcome, Failure):
                    request.failed(outcome)
                elif isinstance(outcome, Exception):
                    request.failed(Failure(outcome))
                elif isinstance(outcome, Sequence) and len(outcome) == len(request.publications):
                    request.done(outcome)
                else:
                    self._log.error(
                        "the bus gave no answer to each of {count} publications",
                        count=len(request.publications),
                    )
                    request.failed(Failure(_unanswered()))
            except Exception:
                # The others have to be answered.
                self._log.failure("a publisher could not be answered")
        # The clients are answered before C{whenAnswered} fires, which may close
        # their connections.
        self._underWay -= len(burst)
        if not self._underWay:
            waiting, self._waiting = self._waiting, []
            for answered in waiting:
                answered.callback(None)

    def whenAnswered(self) -> Deferred[None]:
        """
        @return: Fires when no publication is under way.
        """
        if not self._underWay:
            return succeed(None)
        answered: Deferred[None] = Deferred()
        self._waiting.append(answered)
        return answered


def _unanswered() -> Unknown:
    """
    Make the error for a publication of which the bus does not tell what became of it.
    """
    return Unknown(
        "the bus has not told what became of this, so it is not known whether it is stored; "
        "publish it again with the same key"
    )


def _late() -> Unknown:
    """
    Make the error for a publication that the bus has not answered.
    """
    return Unknown(
        f"the bus has not answered for {PUBLISH_SECONDS:.0f} seconds, so it is not known whether "
        "this is stored; publish it again with the same key"
    )
