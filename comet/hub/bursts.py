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

  - before anything is read from the log, or deleted from it, so that a client that
    publishes and then reads finds what it has published.

What a busy bus has no room for waits in L{comet.hub.waitingrequests}.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.python.failure import Failure

from comet.errors import CometError, Internal, Unavailable, Unknown
from comet.fanout.core import Fanout
from comet.hub.requests import CalledRequest, Done, Failed, PublishRequest, costOf
from comet.hub.waitingrequests import MOST_ASKED, WaitingRequests
from comet.interfaces.busabilities import IBurstBus, IInstantBus
from comet.interfaces.messagebus import IMessageBus
from comet.interfaces.overrides import speaksFor
from comet.logging.clientlog import ClientLogger
from comet.model.messages import Publication, Published
from comet.reactor.deadlines import withDeadline

# How many messages, and how many bytes of data, make a burst that is stored at once.
MOST_TOGETHER: Final = MOST_ASKED
MOST_BYTES: Final = 1024 * 1024

# How many seconds a publication waits for the bus.  It is more than a bus takes that
# has to connect again, or whose disk is busy.
PUBLISH_SECONDS: Final = 60.0

_publications = attrgetter("publications")

# To look for the first is fast, and nearly all are that.
_SEQUENCE: Final = (list, Sequence)


class Bursts:
    """
    Stores what is published, and answers the publishers once it is stored and was
    written to the readers.

    @ivar filter: See L{Hub.filter<comet.hub.publishers.Publishers.filter>}.

    @ivar added: What was added and is not stored yet.
    """

    _log = ClientLogger()

    def __init__(self, bus: IMessageBus, fanout: Fanout) -> None:
        """
        @param fanout: Tells when the turn ends, and when readers were written to.
        """
        self._bus = bus
        self._isInstant = IInstantBus.providedBy(bus) and speaksFor(
            type(bus), "storeNow", "publish", "publishBurst"
        )
        self._fanout = fanout
        self.filter: Callable[[Publication], Publication] | None = None
        self.added: list[PublishRequest] = []
        self._messages = self._size = 0
        # When the first of these came: the others came in the same turn.
        self._begun = 0.0
        self._tally = fanout.tally
        self._underWay = 0
        self._requests = WaitingRequests(fanout, self._isInstant, self._storeAll, self._fail)
        self._waiting: list[Deferred[None]] = []
        fanout.beforeTick = self.store

    def add(
        self,
        publications: Sequence[Publication],
        done: Done,
        failed: Failed,
        publisher: object | None = None,
    ) -> None:
        """
        Store some publications, all or none, together with all else that is
        published in this turn.

        @param done: As for L{CalledRequest}; and so are the others.
        """
        self.addRequest(CalledRequest(publications, done, failed, publisher))

    def addRequest(self, request: PublishRequest) -> None:
        """
        Store what a request publishes, together with all else that is published in
        this turn.  Then it is answered.
        """
        if self.filter is not None and not self._filtered(self.filter, request):
            return
        burst = self.added
        if not burst:
            self._begun = self._fanout.seconds()
        request.begun = self._begun
        burst.append(request)
        self._underWay += 1
        for publication in request.publications:
            self._messages += len(publication.channels)
            self._size += len(publication.payload)
        if self._messages >= MOST_TOGETHER or self._size >= MOST_BYTES:
            self.store()
        elif len(burst) == 1:
            self._fanout.tickSoon()

    def publish(
        self,
        publications: Sequence[Publication],
        done: Done,
        failed: Failed,
        publisher: object | None = None,
    ) -> None:
        """
        Store some publications now, behind what was added before.

        @param done: As for L{CalledRequest}; and so are the others.  It may be called
            before this returns.
        """
        self.store()
        request = CalledRequest(publications, done, failed, publisher)
        if self.filter is not None and not self._filtered(self.filter, request):
            return
        self._underWay += 1
        request.begun = self._fanout.seconds()
        if publisher is not None and self._requests.isBusy:
            self._requests.add([request])
        else:
            self._storeAll([request])

    def _filtered(
        self, filter: Callable[[Publication], Publication], request: PublishRequest
    ) -> bool:
        """
        Let the application see what is to be stored.

        @return: Whether it takes all of it; else the request is answered.
        """
        try:
            request.publications = self._seen(filter, request.publications)
        except CometError:
            request.notStored(Failure())
            return False
        return True

    def _seen(
        self,
        filter: Callable[[Publication], Publication],
        publications: Sequence[Publication],
    ) -> Sequence[Publication]:
        """
        Return what the application stores in place of some publications.

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

    def store(self) -> bool:
        """
        Store what was added so far.

        @return: Whether more was added meanwhile: see L{Fanout.beforeTick}.
        """
        burst = self.added
        if not burst:
            return False
        self.added, self._messages, self._size = [], 0, 0
        # Every publication comes by here: a bus that stores at once is not asked twice.
        requests = self._requests
        isIdle = self._isInstant and not (requests.asked or requests.size)
        if isIdle or not requests.isBusy:
            self._storeAll(burst)
        else:
            # The application's own are asked at once, if there are any: to a bus with a thread
            # or a network behind it, to store nothing is as long a way as to store something.
            own = [each for each in burst if each.publisher is None]
            if own:
                self._storeAll(own)
            requests.add([each for each in burst if each.publisher is not None])
        return bool(self.added)

    def _storeAll(self, burst: Sequence[PublishRequest]) -> None:
        """
        Store some requests, or ask the bus to.
        """
        bus: Any = self._bus
        if self._isInstant and "publish" not in bus.__dict__:
            try:
                outcomes = bus.storeNow(list(map(_publications, burst)))
            except Exception:
                self._fail(burst, Failure())
                return
            if outcomes is not None:
                # The readers have heard of it within the call.
                self._fanout.whenFlushed(partial(self._answer, burst, outcomes))
                return
        if len(burst) == 1:
            self._call(bus.publish, burst[0].publications, burst)
            return
        if self._storesBursts:
            requests = [each.publications for each in burst]
            self._call(bus.publishBurst, requests, burst)
            return
        for each in burst:
            self._storeAll([each])

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
        burst: Sequence[PublishRequest],
    ) -> None:
        stored: Any
        try:
            stored = publish(given)
        except Exception:
            stored = fail()
        if type(stored) is not Deferred:
            stored = maybeDeferred(_same, stored)
        if stored.called and not stored.paused and not isinstance(stored.result, Failure):
            # Fast path for a bus that stores at once: adding callbacks would cost
            # as much as storing.
            self._settle(burst, stored.result)
        else:
            if not stored.called:
                stored = withDeadline(stored, self._fanout.wheel, PUBLISH_SECONDS, self._late)
                cost = sum([costOf(each.publications) for each in burst])
                self._requests.asked += cost
                stored.addBoth(self._isAnswered, cost, self._fanout.seconds())
            stored.addCallbacks(partial(self._settle, burst), partial(self._fail, burst))

    def _isAnswered(self, result: Any, cost: int, asked: float) -> Any:
        """
        The bus has answered what had this cost.

        @param asked: When it was asked, in seconds of the fan-out's clock.
        """
        self._tally.stored.add(self._fanout.seconds() - asked)
        self._requests.answered(cost)
        return result

    def _late(self) -> Unknown:
        """
        The bus has not answered: refuse what waits for it, which it was not asked to
        store yet.

        @return: The error for what it was asked to store.
        """
        self._fail(self._requests.takeAll(), Failure(_silent()))
        return _unknown()

    def _settle(self, burst: Sequence[PublishRequest], outcomes: Any) -> None:
        """
        Answer some requests once the readers have been written to.

        @param outcomes: What the bus has told: of a request alone, only its outcome.
        """
        if len(burst) == 1:
            outcomes = (outcomes,)
        elif not isinstance(outcomes, _SEQUENCE) or len(outcomes) != len(burst):
            # Nothing tells which outcome is whose.
            outcomes = [None] * len(burst)
        self._fanout.whenFlushed(partial(self._answer, burst, outcomes))

    def _fail(self, burst: Sequence[PublishRequest], failure: Failure) -> None:
        # Those that were stored before it in this turn are answered first.
        self._fanout.whenFlushed(partial(self._answer, burst, [failure] * len(burst)))

    def _answer(
        self,
        burst: Sequence[PublishRequest],
        outcomes: Sequence[Any],
        areWritten: bool = False,
    ) -> None:
        """
        Answer some requests whose messages the groups were given.

        @param areWritten: Whether the messages were written to all readers.  Otherwise those
            for which that takes long are answered once it is done.
        """
        fanout = self._fanout
        if not areWritten and (fanout.parts.busy or fanout.backlog.calls):
            burst, outcomes = self._withoutLate(burst, outcomes)
        # Counted here, without a call for each.
        tally, took = self._tally, self._tally.publishing
        now, counts, bounds = fanout.seconds(), took.counts, took.bounds
        for request, outcome in zip(burst, outcomes, strict=True):
            spent = now - request.begun
            counts[bisect_left(bounds, spent)] += 1
            took.total += spent
            publications = request.publications
            try:
                if isinstance(outcome, _SEQUENCE) and len(outcome) == len(publications):
                    for each in publications:
                        if each.publisher != "server":
                            tally.published += len(each.channels)
                    request.stored(outcome)
                else:
                    self._refuse(request, outcome)
            except Exception:
                # The others have to be answered.
                self._log.failure("a publisher could not be answered")
        # The clients are answered before C{whenAnswered} fires, which may close
        # their connections.
        self._underWay -= len(burst)
        if self._waiting and not self._underWay:
            self._tellAnswered()

    def _withoutLate(
        self, burst: Sequence[PublishRequest], outcomes: Sequence[Any]
    ) -> tuple[Sequence[PublishRequest], Sequence[Any]]:
        """
        Have those requests answered later whose messages take long to write.

        @return: The others, and their outcomes.
        """
        fanout = self._fanout
        late = fanout.late.positions()
        rest = []
        for request, outcome in zip(burst, outcomes, strict=True):
            if own := late & _positionsOf(outcome):
                fanout.late.whenWritten(own, partial(self._answer, [request], [outcome], True))
            else:
                rest.append((request, outcome))
        return [each for each, _ in rest], [each for _, each in rest]

    def _refuse(self, request: PublishRequest, outcome: Any) -> None:
        """
        Tell a publisher why nothing is stored.

        @param outcome: What the bus has told.
        """
        if isinstance(outcome, Failure):
            request.notStored(outcome)
        elif isinstance(outcome, Exception):
            request.notStored(Failure(outcome))
        else:
            self._log.error(
                "the bus gave no answer to each of {count} publications",
                count=len(request.publications),
            )
            request.notStored(Failure(_unanswered()))

    @property
    def waiting(self) -> int:
        """
        How many requests wait that the bus was not asked yet to store.
        """
        return len(self._requests)

    def hold(self) -> None:
        """
        Let L{whenAnswered} wait for something that is added later.
        """
        self._underWay += 1

    def release(self) -> None:
        """
        What L{hold} was called for was added, or is not any more.
        """
        self._underWay -= 1
        if not self._underWay:
            self._tellAnswered()

    def _tellAnswered(self) -> None:
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


def _same(value: Any) -> Any:
    """
    Return a value as it is.
    """
    return value


def _positionsOf(outcome: Any) -> set[int]:
    """
    Return the positions of the messages that a request has stored.
    """
    if not isinstance(outcome, _SEQUENCE):
        return set()
    stored = [each for each in outcome if isinstance(each, Published)]
    return {position for each in stored for position in each.positions.values()}


def _unanswered() -> Unknown:
    """
    Make the error for a publication of which the bus does not tell what became of it.
    """
    return Unknown(
        "the bus has not told what became of this, so it is not known whether it is stored; "
        "publish it again with the same key"
    )


def _silent() -> Unavailable:
    """
    Make the error for a publication that has waited for a bus that does not answer.
    """
    return Unavailable(
        f"nothing was stored: the bus has not answered for {PUBLISH_SECONDS:.0f} seconds"
    )


def _unknown() -> Unknown:
    """
    Make the error for a publication that the bus has not answered.
    """
    return Unknown(
        f"the bus has not answered for {PUBLISH_SECONDS:.0f} seconds, so it is not known whether "
        "this is stored; publish it again with the same key"
    )
