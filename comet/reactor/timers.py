"""
One timer for every heartbeat, hold and expiry.
"""

from __future__ import annotations

import heapq
import math
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from comet.logging.clientlog import ClientLogger

NOT_SET = -1

# How many items may be cleared, at least, before the slots are rebuilt.
MOST_CLEARED: Final = 1024

# For how many seconds of a turn of the reactor items are called.  Ten thousand clients
# that came in one moment have their heartbeats in one moment, too.
SHARE: Final = 0.002


class Timed(Protocol):
    """
    An object that a L{TimerWheel} calls when its time has come.  It waits for
    one time at most.

    @ivar timerSlot: The number of the slot that it waits in.  Only the wheel
        sets it, after it began as L{NOT_SET}.
    """

    timerSlot: int

    def timedOut(self) -> None:
        """
        The time has come.  The object may be set again from within this call.
        """


class TimerWheel:
    """
    Calls L{Timed.timedOut} of each item when its time has come: never early,
    and late by at most the resolution; or later, where more are due than are called in a
    L{SHARE} of time: the others are called in the next turns.

    A server with 100,000 readers has 100,000 heartbeats.  With a C{callLater}
    for each, the reactor would keep 100,000 delayed calls sorted, and every
    cancelled one would cost time again.  So the wheel divides time into slots
    of one resolution each.  An item lies in the slot in which its time ends,
    in a dictionary, so that it is put in and taken out in constant time; a
    heap has only the slots in use, of which there are few; and the clock has
    one delayed call, for the first slot that is not empty.  Cleared items leave
    room behind, which is freed when they are more than those that wait.

    While slots are being emptied, items may be set, cleared and set again by
    the calls.  What is set then never comes into a slot that is due, so that
    an item that sets itself again and again does not stop the reactor.
    """

    _log = ClientLogger()

    def __init__(self, clock: IReactorTime, resolution: float = 0.1) -> None:
        """
        @param clock: A clock that is never set; see L{comet.reactor.clocks}.

        @param resolution: How long a slot is, in seconds.
        """
        self._clock = clock
        self._resolution = resolution
        self._slots: dict[int, dict[Timed, None]] = {}
        self._numbers: list[int] = []
        self._waiting = 0
        # How many items were cleared since the slots were last rebuilt.
        self._cleared = 0
        self._call: IDelayedCall | None = None
        self._callSlot = 0
        # While slots are being emptied, the last of them is this.
        self._isTurning = False
        self._now = 0

    def __len__(self) -> int:
        """
        How many items wait.
        """
        return self._waiting

    def set(self, item: Timed, delay: float) -> None:
        """
        Let an item wait for C{delay} seconds from now, and no longer for what
        it was set to before.
        """
        if item.timerSlot != NOT_SET:
            self.clear(item)
        number = math.ceil((self._clock.seconds() + max(delay, 0.0)) / self._resolution)
        if self._isTurning:
            # Never into a slot that is being emptied.
            number = max(number, self._now + 1)
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = {}
            heapq.heappush(self._numbers, number)
        slot[item] = None
        item.timerSlot = number
        self._waiting += 1
        if not self._isTurning and (self._call is None or number < self._callSlot):
            self._schedule()

    def setBy(self, item: Timed, due: float) -> None:
        """
        Let an item wait no longer than until a time.  If it is set to an
        earlier time, it stays there: an item that looks at what is due when it
        is called is cheaper to call early than to set anew.

        @param due: The time, in seconds of the reactor's clock.
        """
        number = item.timerSlot
        if number == NOT_SET or number * self._resolution > due + self._resolution:
            self.set(item, due - self._clock.seconds())

    def setWithin(self, item: Timed, delay: float) -> None:
        """
        Let an item wait no longer than C{delay} seconds from now, as L{setBy} does.
        """
        self.setBy(item, self._clock.seconds() + delay)

    def clear(self, item: Timed) -> None:
        """
        Let an item wait no more.  Does nothing if it does not wait.
        """
        if item.timerSlot == NOT_SET:
            return
        del self._slots[item.timerSlot][item]
        item.timerSlot = NOT_SET
        self._waiting -= 1
        self._cleared += 1
        if self._isTurning:
            return
        if not self._waiting:
            self._slots.clear()
            self._numbers.clear()
            self._cleared = 0
            self._schedule()
        elif self._cleared > MOST_CLEARED and self._cleared > self._waiting:
            self._rebuild()

    def _rebuild(self) -> None:
        """
        Free the memory of what was cleared.

        A dictionary keeps its room when items are taken out, and an empty slot
        would stay until its time: for items that wait long and are cleared soon,
        that is the memory of all that were ever set.
        """
        self._cleared = 0
        self._slots = {number: dict(slot) for number, slot in self._slots.items() if slot}
        self._numbers = sorted(self._slots)

    def _schedule(self) -> None:
        """
        Set the delayed call for the first slot that is not empty.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None
        while self._numbers and not self._slots[self._numbers[0]]:
            del self._slots[heapq.heappop(self._numbers)]
        if self._numbers:
            self._callSlot = self._numbers[0]
            delay = self._callSlot * self._resolution - self._clock.seconds()
            self._call = self._clock.callLater(max(delay, 0.0), self._turned)

    def _turned(self) -> None:
        """
        Call the items whose time has come, as many as there is time for.
        """
        self._call = None
        # The call may come a hair before its slot begins: that time is a
        # rounded product.
        now = math.floor(self._clock.seconds() / self._resolution)
        self._now = max(now, self._callSlot)
        self._isTurning = True
        over = self._clock.seconds() + SHARE
        try:
            while self._numbers and self._numbers[0] <= self._now:
                if not self._empty(self._slots[self._numbers[0]], over):
                    break
                del self._slots[heapq.heappop(self._numbers)]
        finally:
            self._isTurning = False
            self._schedule()

    def _empty(self, slot: dict[Timed, None], over: float) -> bool:
        """
        Call the items of a slot.

        @param over: When the time for that is over, in seconds of the clock.

        @return: Whether the slot is empty.
        """
        seconds = self._clock.seconds
        while slot:
            item, _ = slot.popitem()
            item.timerSlot = NOT_SET
            self._waiting -= 1
            try:
                item.timedOut()
            except Exception:
                self._log.failure("timedOut of {item} failed", item=item)
            if seconds() >= over:
                break
        return not slot
