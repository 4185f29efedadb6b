"""
A command that has half come: it has to go on, and what has come of it is counted.
"""

from __future__ import annotations

from collections.abc import Callable

from comet.http.pace import BODY_TIME, LEAST_RATE, extended
from comet.hub.hub import Hub
from comet.limits.capacity import UPLOAD_RETRY
from comet.model.messages import Close
from comet.reactor.timers import NOT_SET
from comet.transports.throttle import InputThrottle


class PartialCommand:
    """
    A command, of which a part has come, on a transport that carries both
    directions.

    It has to go on as the body of a request has to: see L{comet.http.pace}.  Only
    the time counts in which the server reads the client's input.
    """

    __slots__ = ("_due", "_giveUp", "_hub", "_length", "_throttle", "timerSlot")

    def __init__(
        self, hub: Hub, throttle: InputThrottle, giveUp: Callable[[Close], object]
    ) -> None:
        """
        @param throttle: What the command comes through.

        @param giveUp: Called at most once, when the command does not go on, or
            there is no room for it.  The command is over then.
        """
        self.timerSlot = NOT_SET
        self._hub = hub
        self._throttle = throttle
        self._giveUp = giveUp
        self._length = 0
        self._due = throttle.readFor() + BODY_TIME
        hub.fanout.wheel.set(self, BODY_TIME)

    def wentOn(self, length: int, kept: int) -> None:
        """
        A part of the command has come.

        @param length: How many bytes of it have come so far.

        @param kept: How many of them are kept.
        """
        self._due = extended(self._due, self._throttle.readFor(), length - self._length)
        self._length = length
        self._hub.partialCommands.keep(self, kept)

    def end(self) -> None:
        """
        The command is whole, or given up.
        """
        self._hub.fanout.wheel.clear(self)
        self._hub.partialCommands.forget(self)

    def timedOut(self) -> None:
        """
        Give the command up, if it is late.
        """
        left = self._due - self._throttle.readFor()
        if left > 0:
            # Not in each slot of the wheel, where the server does not read.
            self._hub.fanout.wheel.set(self, max(left, 1.0))
            return
        self.end()
        self._giveUp(
            Close(
                "unavailable",
                f"a command has to come at {LEAST_RATE:.0f} bytes a second",
                UPLOAD_RETRY,
            )
        )

    def crowdedOut(self) -> None:
        """
        See L{Partial.crowdedOut<comet.limits.capacity.Partial.crowdedOut>}.
        """
        self.end()
        self._giveUp(
            Close("unavailable", "too much is kept of commands that have half come", UPLOAD_RETRY)
        )
