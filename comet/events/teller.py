"""
What tells, on C{$events}, of what happens to channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from comet.events.closings import Closings
from comet.events.eventsender import LINGER, EventSender
from comet.events.follower import Follower
from comet.events.lease import Lease
from comet.events.occupancy import Occupancy
from comet.events.relay import NAMES, Relay
from comet.hooks.sender import HookSender
from comet.interfaces.memberbus import IPresence
from comet.interfaces.statebus import IStateBus
from comet.model.events import CHANNEL
from comet.model.messages import Close
from comet.presence.keptchannels import KeptChannels
from comet.reactor.deferreds import gather

# For how many seconds the end of the server waits for what is to be told.
LAST_MOMENT: Final = 1.0


def checkTells(bus: object) -> None:
    """
    Check that events can be told with a bus.

    @raise ValueError: If it does not know who is in a channel, or keeps no state.
    """
    if not (IPresence.providedBy(bus) and IStateBus.providedBy(bus)):
        raise ValueError(
            f"events cannot be told: {type(bus).__name__} does not know who is in a channel, or "
            "keeps no state"
        )


class EventTeller:
    """
    Tells of the readers of this node, and, on one node at a time, of the members of all;
    and sends what is told to the backend.

    @ivar occupancy: Counts readers.

    @ivar closings: Tells which are closed.

    @ivar sender: Sends what is told to the backend; L{None} if none is told.
    """

    def __init__(
        self,
        bus: Any,
        clock: IReactorTime,
        now: Callable[[], float],
        kept: KeptChannels,
        grace: float,
    ) -> None:
        """
        @param bus: Provides L{IPresence<comet.interfaces.memberbus.IPresence>} and
            L{IStateBus<comet.interfaces.statebus.IStateBus>}.

        @param now: Returns the wall-clock time, in seconds since 1970.

        @param kept: Of which channels events are told.

        @param grace: For how many seconds a channel is not vacant once it has no reader.
        """
        self._bus = bus
        self._clock = clock
        self._now = now
        self.occupancy = Occupancy(bus, clock, kept, grace)
        self.closings = Closings(bus, clock, kept)
        self._relay = Relay(bus, kept)
        lease = Lease(bus, "relay", clock)
        self._relaying = Follower(bus, lease, NAMES, self._relay.take, clock)
        self.sender: EventSender | None = None
        self._sending: Follower | None = None
        self._getSender: Callable[[], HookSender | None] = lambda: None
        self._isStarted = False

    def configure(self, kept: KeptChannels, grace: float, readers: Sequence[Any]) -> None:
        """
        Tell of other channels from now on.

        @param readers: All readers of this node.
        """
        self.closings.kept = self._relay.kept = kept
        self.occupancy.configure(kept, grace, readers)

    def start(self) -> None:
        """
        Begin.  The bus has to be started.
        """
        self._isStarted = True
        self._relaying.start()
        if self._sending is not None:
            self._sending.start()

    def send(self, getSender: Callable[[], HookSender | None] | None) -> None:
        """
        Send what is told to the backend, or no more.  One that is told already goes on
        where it was.

        @param getSender: Returns what sends requests; L{None} to send nothing.
        """
        if getSender is None:
            sending, self._sending, self.sender = self._sending, None, None
            if sending is not None:
                sending.stop()
            return
        self._getSender = getSender
        if self._sending is not None:
            return
        self.sender = EventSender(lambda: self._getSender(), self._clock, self._now)
        lease = Lease(self._bus, "hook", self._clock)
        self._sending = Follower(self._bus, lease, [CHANNEL], self.sender.take, self._clock, LINGER)
        if self._isStarted:
            self._sending.start()

    @property
    def counts(self) -> dict[str, float]:
        """
        What this node has told, by these names: C{delivered}, the events that the backend
        has taken; C{repeated}, the requests that had to be sent again; C{waiting}, the
        events of the request that is not taken yet; C{late}, for how many seconds the
        oldest of these waits; C{gaps}, how many times events were lost to the backend;
        C{closing}, the closed readers that are not told of yet; and C{dropped}, those that
        never will be.
        """
        sender, sending = self.sender, self._sending
        return {
            "delivered": 0 if sender is None else sender.delivered,
            "repeated": 0 if sender is None else sender.repeated,
            "waiting": 0 if sender is None else sender.waiting,
            "late": 0.0 if sender is None else sender.lateness,
            "gaps": 0 if sending is None else sending.gaps,
            "closing": self.closings.waiting,
            "dropped": self.closings.dropped,
        }

    def readerEnded(self, reader: Any) -> None:
        """
        A reader is closed.
        """
        self.occupancy.readerEnded(reader)
        self.closings.readerEnded(reader)

    def readerClosed(self, reader: Any, close: Close) -> None:
        """
        A reader is being closed by the server.
        """
        self.closings.readerClosed(reader, close)

    def stop(self) -> Deferred[Any]:
        """
        Tell nothing more, once all that is to be told of readers is told.

        @return: Fires when that is so, after L{LAST_MOMENT} seconds at most, and no timer
            is left.
        """
        self.occupancy.stop()
        told: Deferred[Any] = self.closings.told()
        told.addTimeout(LAST_MOMENT, self._clock, onTimeoutCancel=lambda result, timeout: None)
        return told.addCallback(self._end)

    def _end(self, result: object) -> Deferred[Any]:
        self.closings.stop()
        followers = [each for each in (self._relaying, self._sending) if each is not None]
        ended: Deferred[Any] = gather([each.stop() for each in followers])
        return ended.addTimeout(
            LAST_MOMENT, self._clock, onTimeoutCancel=lambda result, timeout: None
        )
