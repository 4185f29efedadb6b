"""
What is revoked, as this node knows it.

The bus keeps it, and each change is told on the channel C{$control}.  A node reads it
when it starts, and again when it may have missed a change.  It judges no token from then
on until it has read everything.  What it hears meanwhile is made part of what it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.access.keptrevocations import KeptRevocations
from comet.access.revocations import Revocation, Revocations
from comet.errors import CometError, TooMany
from comet.interfaces.messagebus import IMessageBus
from comet.logging.clientlog import ClientLogger

# After how many seconds the bus is asked again that could not be read.
AGAIN: Final = 1.0

# For how many seconds a server that starts waits until it knows what is revoked.
LOADING: Final = 5.0


class InForce:
    """
    Reads from the bus what is in force, and keeps it up with the changes.

    @ivar revocations: What is revoked, as far as this node knows.

    @ivar kept: What is revoked on all nodes, as the bus keeps it.
    """

    _log = Logger()
    # Other programs may write to the bus as often as they like.
    _busLog = ClientLogger()

    def __init__(
        self,
        bus: IMessageBus,
        now: Callable[[], float],
        clock: IReactorTime,
        found: Callable[[Collection[str]], object],
    ) -> None:
        """
        @param now: Tells the time of day, in seconds since 1970.

        @param found: Called when all is read and something is in force, with the names
            of clients about which this node had heard no change.  It must not raise.
        """
        self.revocations = Revocations(now)
        self.kept = KeptRevocations(bus)
        self._clock = clock
        self._found = found
        # Changes that were heard while the state is read, to be made once it is; and
        # the number of that reading.
        self._changes: list[Callable[[], object]] | None = None
        self._reading = 0
        self._again: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []
        self._isStopped = False

    def whenLoaded(self) -> Deferred[None]:
        """
        Wait until it is known what is revoked.

        @return: Fires then, or after L{LOADING} seconds, or when this stops.
        """
        if self.revocations.isLoaded:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting.addTimeout(LOADING, self._clock, lambda result, seconds: None)

    def stop(self) -> None:
        """
        Read no more.  No timer is left.
        """
        self._isStopped = True
        self._cancel()
        self._tellLoaded()

    def mistrust(self) -> None:
        """
        What is in force is not known for certain any more, until L{load} has read it.
        """
        self._cancel()
        self._reading += 1
        self._changes = None
        if self.kept.isKept:
            self.revocations.unload()

    def load(self) -> None:
        """
        Read from the bus what is in force.  The changes have to be heard already: one that
        is made meanwhile is told either there or here.
        """
        self.mistrust()
        if self.kept.isKept and not self._isStopped:
            self._changes = []
            read = Deferred.fromCoroutine(self.kept.all())
            number = self._reading
            read.addCallback(self._loaded, number).addErrback(self._notLoaded, number)

    def loadLater(self) -> None:
        """
        Read again what is in force, after L{AGAIN} seconds.  Until then it is not known.
        """
        self.mistrust()
        if self.kept.isKept and not self._isStopped:
            self._again = self._clock.callLater(AGAIN, self._loadAgain)

    def add(self, revocation: Revocation) -> None:
        """
        Put a revocation in force here.
        """
        self._change(partial(self._add, revocation))

    def remove(self, id: str) -> None:
        """
        Put a revocation out of force here, if it is in force.
        """
        self._change(partial(self.revocations.remove, id))

    def tellTrouble(self, what: str, failure: Failure) -> None:
        """
        Log why it is not known what is in force.

        @param what: What failed, as the beginning of a sentence.
        """
        error = failure.value
        if isinstance(error, CometError):
            self._busLog.warn(
                "{what}: {detail}; until they are, tokens are unavailable",
                what=what,
                detail=error.detail,
            )
        else:
            self._log.failure("{what}", failure, what=what)

    def _cancel(self) -> None:
        again, self._again = self._again, None
        if again is not None:
            again.cancel()

    def _loadAgain(self) -> None:
        self._again = None
        self.load()

    def _loaded(self, found: Sequence[Revocation], number: int) -> None:
        if number != self._reading:
            # It was begun again since.
            return
        revocations = self.revocations
        missed = {each.client for each in found if each.id not in revocations} - {""}
        revocations.load(found)
        changes, self._changes = self._changes or (), None
        for change in changes:
            change()
        if not revocations.isQuiet:
            self._found(missed)
        if revocations.isLoaded:
            self._tellLoaded()

    def _notLoaded(self, failure: Failure, number: int) -> None:
        if number == self._reading:
            self.tellTrouble("the revocations in force cannot be read", failure)
            self.loadLater()

    def _tellLoaded(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.called:
                each.callback(None)

    def _change(self, change: Callable[[], object]) -> None:
        """
        Change what is in force, now and when what was in force before is known.
        """
        if self._changes is not None:
            self._changes.append(change)
        change()

    def _add(self, revocation: Revocation) -> None:
        try:
            self.revocations.add(revocation)
        except TooMany as error:
            # The bus has taken it: some others are over there.
            self._busLog.warn("{detail}: what is in force is read again", detail=error.detail)
            self.loadLater()
