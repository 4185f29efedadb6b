"""
What a poll needs of its transport: the look of its response, and a waiter that sends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from comet.framing.budget import CompressionBudget
from comet.http.polls import Outcome
from comet.interfaces.sockets import DirectSocket
from comet.model.cursors import Cursor

R_co = TypeVar("R_co", covariant=True)
R_contra = TypeVar("R_contra", contravariant=True)


class PollShape(Protocol[R_co]):
    """
    How the responses to a group of polls look; hashable.
    """

    @property
    def limit(self) -> int:
        """
        How many messages a response has at most.
        """

    def respond(self, outcome: Outcome, budget: CompressionBudget | None = None) -> R_co:
        """
        Make the whole response.

        @param budget: How much may be compressed of it.
        """


class Waiter(Protocol[R_contra]):
    """
    Sends the response to a poll.

    @ivar keepsTime: Whether the waiter has a timer of its own: when the time of the poll is
        over, it calls
        L{PollReader.timedOut<comet.fanout.polls.PollReader.timedOut>}.  Otherwise the reader
        sets one.
    """

    keepsTime: bool

    @property
    def direct(self) -> DirectSocket | None:
        """
        A socket, which does not block, to which the fan-out may send the response
        together with those of others; or L{None}.  Used only if the waiter keeps the time.
        """

    @property
    def isBehind(self) -> bool:
        """
        Whether the client has not taken much of what was sent on the same connection:
        the response is short then.
        """

    def pollAnswered(self, response: R_contra) -> None:
        """
        The poll has messages, a gap, or a reason for its end.  Other polls may
        be given the same response object.
        """

    def pollEmpty(self, cursor: Cursor) -> None:
        """
        The poll has nothing but its cursor.
        """


class DirectWaiter(Waiter[bytes], Protocol):
    """
    A waiter that lets the fan-out send the response to its socket.
    """

    def pollsSent(
        self, waiters: Sequence[Any], response: bytes, short: Sequence[tuple[int, int]]
    ) -> None:
        """
        A response was sent to the sockets of many waiters, this one among
        them, whose polls had the same shape.  Called on one of them.

        @param waiters: All of them.

        @param short: As L{sendAll<comet.fanout.sending.sendAll>} returns it.
        """
