"""
What the shells for coroutines have in common: they await the steps of the core, and keep what a
connection brings until it is taken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, TypeVar

from comet.client.clientreading import Reading
from comet.client.clientsteps import Step, Steps
from comet.client.received import Gap, Message

T = TypeVar("T")

# Does a step.
Do: TypeAlias = Callable[[Step], Awaitable[object]]

# How many bytes may wait to be taken before no more are read.
_MOST_UNREAD: Final = 65536

# How many bytes a piece counts at least: an empty one takes memory, too.
_LEAST: Final = 64


class GivenUp(BaseException):
    """
    The caller has cancelled its wait.  The core does not see it.
    """


class CancelledToken(Exception):
    """
    The application's function for tokens was cancelled, and not by the caller that waits.
    """

    def __init__(self) -> None:
        super().__init__("the function for tokens was cancelled")


async def awaitSteps(steps: Steps[T], do: Do) -> T:
    """
    Do all steps.

    @return: Their result.
    """
    try:
        step = next(steps)
        while True:
            try:
                result = await do(step)
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as done:
        value: T = done.value
        return value
    finally:
        # Also when the caller has given up: closes the connection that was in use.
        steps.close()


async def awaitItem(reading: Reading, do: Do) -> Message | Gap:
    """
    Do steps until an item has come.  If the caller gives up meanwhile, it may ask again later, and
    the step is done again.

    @raise CometError: If the subscription has ended.
    """
    while True:
        item = reading.take()
        if item is not None:
            return item
        step = reading.step()
        if step is None:
            continue
        try:
            result = await do(step)
        except Exception as error:
            reading.failed(error)
        else:
            reading.done(result)


class Inbox:
    """
    What has arrived on a connection.

    @ivar error: Why the connection has ended, if that is no ordinary end.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._isOver = False

    @property
    def isFull(self) -> bool:
        """
        Whether nothing more is to be read until what is here was taken.
        """
        return self._size > _MOST_UNREAD

    def received(self, data: bytes) -> None:
        """
        Keep bytes.
        """
        self._pieces.append(data)
        self._size += max(len(data), _LEAST)

    def end(self, error: Exception | None = None) -> None:
        """
        Nothing more will come.
        """
        self._isOver = True
        self.error = error

    def take(self) -> bytes | None:
        """
        Return all that has arrived; nothing at the end; L{None} if there may be more later.

        @raise Exception: The error with which the connection has ended.
        """
        pieces = self.takePieces()
        if pieces is None or len(pieces) == 1:
            return pieces[0] if pieces else None
        return b"".join(pieces)

    def takePieces(self) -> list[bytes] | None:
        """
        Do as L{take}, but return the pieces as they have arrived.
        """
        if self._pieces:
            pieces, self._pieces, self._size = self._pieces, [], 0
            return pieces
        if not self._isOver:
            return None
        if self.error is not None:
            raise self.error
        return []
