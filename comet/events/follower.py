"""
Following channels from a cursor that is kept in the bus, by one node at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.errors import CometError
from comet.events.lease import RENEW, Lease, LeaseLost
from comet.interfaces.messagebus import IBusListener, IMessageBus
from comet.logging.clientlog import ClientLogger
from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.model.positions import Earliest

# How many messages are taken together, and about how many bytes of them.
MOST: Final = 100
MOST_BYTES: Final = 512 * 1024

# After how many seconds it is looked whether another node still holds the lease, and
# whether the bus works again.
WAIT: Final = 5.0
AGAIN: Final = 1.0

# After how many seconds the log is read even though nothing was heard.
IDLE: Final = 30.0


@frozen
class Page:
    """
    What was read together.

    @ivar messages: In the order of the log.

    @ivar isGap: Whether messages before these are lost.

    @ivar after: The cursor after which the page begins.

    @ivar reached: The cursor up to which it is complete.
    """

    messages: Sequence[Message]
    isGap: bool
    after: Cursor
    reached: Cursor


# Takes a page; fires once it is taken, and the next one may come.  It may take as long as it
# likes, and has to raise LeaseLost when the lease is not held any more.
Take = Callable[[Page, Lease], Awaitable[None]]


@implementer(IBusListener)
class Follower:
    """
    Gives what some channels have, page by page and in order, to a function, at least once.

    Of the nodes with one bus, one at a time does it.  It begins at the first message that
    is held, and goes on after a restart where it was.

    @ivar gaps: How many times messages were lost.
    """

    _log = Logger()
    _busLog = ClientLogger()

    def __init__(
        self,
        bus: IMessageBus,
        lease: Lease,
        names: Sequence[str],
        take: Take,
        clock: IReactorTime,
        linger: float = 0.0,
    ) -> None:
        """
        @param bus: Also the one of the lease.

        @param names: Channels and patterns.

        @param take: Takes a page.

        @param linger: For how many seconds others are waited for when one message has
            come.
        """
        self._bus = bus
        self._lease = lease
        self._names = tuple(names)
        self._take = take
        self._clock = clock
        self._linger = linger
        self.gaps = 0
        self._run: Deferred[Any] | None = None
        self._woken: Deferred[None] | None = None
        self._isWoken = self._isStopped = False

    @property
    def isHolding(self) -> bool:
        """
        Whether this node does it.
        """
        return self._lease.isHeld()

    def start(self) -> None:
        """
        Begin.  The bus has to be started.  What has stopped is not started again.
        """
        if self._run is None and not self._isStopped:
            self._run = Deferred.fromCoroutine(self._forever())
            self._run.addErrback(self._ended)

    def stop(self) -> Deferred[None]:
        """
        End, and let another node go on.

        @return: Fires when the bus knows it, or cannot be told.
        """
        run, self._run = self._run, None
        if run is None:
            return succeed(None)
        # Before the rest: what is under way may fail in another way than by being cancelled,
        # and then looks whether the lease is held.
        self._isStopped = True
        released = Deferred.fromCoroutine(self._lease.release())
        run.cancel()
        self._bus.unlisten(self, self._names)
        return released.addErrback(lambda failure: failure.trap(CometError)).addCallback(_nothing)

    def _ended(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("{names} are followed no longer", failure, names=self._names)

    # -- Hearing

    def messagesStored(self, messages: Sequence[Message]) -> None:
        """
        See L{IBusListener.messagesStored}.
        """
        self._wake()

    def endMoved(self, end: Cursor) -> None:
        """
        See L{IBusListener.endMoved}.
        """

    def interrupted(self) -> None:
        """
        See L{IBusListener.interrupted}.
        """
        self._wake()

    def _wake(self) -> None:
        self._isWoken = True
        woken, self._woken = self._woken, None
        if woken is not None:
            # Not now: a listener may be told in the middle of anything.
            self._clock.callLater(0, _fire, woken)

    async def _wait(self) -> None:
        """
        Wait until something may have been stored.
        """
        if not self._isWoken:
            woken: Deferred[None] = Deferred()
            self._woken = woken
            woken.addTimeout(IDLE, self._clock, onTimeoutCancel=lambda result, timeout: None)
            try:
                await woken
            finally:
                self._woken = None
        self._isWoken = False
        if self._linger:
            await self._sleep(self._linger)

    def _sleep(self, seconds: float) -> Deferred[None]:
        return deferLater(self._clock, seconds)

    # -- Reading

    async def _forever(self) -> None:
        while not self._isStopped:
            pause = WAIT
            try:
                if await self._lease.take():
                    await self._hold()
                    pause = 0.0
            except LeaseLost:
                pause = WAIT
            except CometError as error:
                pause = AGAIN
                self._busLog.warn(
                    "{names} cannot be followed now: {detail}",
                    names=self._names,
                    detail=error.detail,
                )
            except CancelledError:
                raise
            except Exception:
                pause = WAIT
                self._log.failure("{names} could not be followed", names=self._names)
            if not self._isStopped:
                await self._sleep(pause)

    async def _hold(self) -> None:
        """
        Do the work for as long as the lease is held.
        """
        renewing = LoopingCall(self._renew)
        renewing.clock = self._clock
        renewing.start(RENEW, now=False)
        try:
            await self._bus.listen(self, self._names)
            await self._read(await self._begin())
        finally:
            renewing.stop()

    def _renew(self) -> Deferred[Any]:
        # Whether it has worked is seen by the lease.
        renewed: Deferred[Any] = Deferred.fromCoroutine(self._lease.renew())
        return renewed.addErrback(lambda failure: failure.trap(CometError))

    async def _begin(self) -> Cursor:
        if self._lease.cursor is not None:
            return self._lease.cursor
        resolved = await self._bus.resolve(dict.fromkeys(self._names, Earliest()))
        first = min(start.position for start in resolved.starts.values())
        return Cursor(resolved.end.epoch, first)

    async def _read(self, cursor: Cursor) -> None:
        while self._lease.isHeld():
            self._isWoken = False
            read = await self._bus.read(self._names, cursor, MOST, MOST_BYTES, None)
            page = Page(read.messages, bool(read.gaps), read.after, read.reached)
            if page.isGap:
                self.gaps += 1
            if page.isGap or page.messages:
                await self._take(page, self._lease)
                await self._lease.save(page.reached)
            cursor = page.reached
            if not read.more:
                await self._wait()


def _nothing(result: object) -> None:
    pass


def _fire(woken: Deferred[None]) -> None:
    if not woken.called:
        woken.callback(None)
