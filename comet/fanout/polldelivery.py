"""
How the messages of a tick reach polls.

The response is made once for all polls in one shape.  Direct polls of a group are closed
first, all of them, and then their waiters are answered, in one loop over their sockets.
In a large group the waiters are answered some at a time, by way of the
L{backlog<comet.fanout.backlog>}.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Generic, TypeAlias, TypeVar

from comet.fanout.core import Fanout
from comet.fanout.delivery import GroupReaders
from comet.fanout.sending import sendAll
from comet.fanout.states import Input, State, step
from comet.fanout.waiters import DirectWaiter, PollShape
from comet.http.polls import Outcome
from comet.model.cursors import Cursor
from comet.model.messages import Message

# How many direct polls of a group are answered in one turn.
MOST_AT_ONCE: Final = 256

# What a poll is that is answered as it waits at the log end.
_CLOSED: Final = step(State.LIVE, Input.ENDED)

R = TypeVar("R")

# What polls take together: the response, how many messages it has, and all messages of
# which it has the first.
PreparedPolls: TypeAlias = tuple[R, int, Sequence[Message]]


class PollDelivery(Generic[R]):
    """
    Delivers messages to held polls in one shape: all get the same response.
    """

    __slots__ = ("__weakref__", "_fanout", "_shape")

    def __init__(self, fanout: Fanout, shape: PollShape[R]) -> None:
        self._fanout = fanout
        self._shape = shape

    def prepare(self, messages: Sequence[Message], end: Cursor) -> PreparedPolls[R]:
        """
        See L{Delivery.prepare<comet.fanout.delivery.Delivery.prepare>}.
        """
        size, count, most = 0, 0, self._fanout.unsent.pollBytes
        for message in messages[: self._shape.limit]:
            size += len(message.payload)
            if count and size > most:
                break
            count += 1
        given = [(message, False) for message in messages[:count]]
        if count < len(messages):
            outcome = Outcome(messages[count - 1].cursor, given, more=True)
        else:
            outcome = Outcome(end, given)
        return self._shape.respond(outcome, self._fanout.encodings.budget), count, messages

    def deliver(self, group: GroupReaders, prepared: PreparedPolls[Any]) -> bool:
        """
        See L{Delivery.deliver<comet.fanout.delivery.Delivery.deliver>}.

        @param prepared: Bytes, as the waiters of direct polls take them.
        """
        if self._fanout.isDraining:
            # Each response has to end its connection.
            return False
        # The readers are closed without a call for each.
        fanout = self._fanout
        waiters, readerEnded = [], fanout.readerEnded
        response, count, messages = prepared
        for reader in group.takeDirect():
            reader.state = _CLOSED
            reader.group = None
            del fanout.readers[reader]
            if readerEnded is not None:
                readerEnded(reader)
            waiters.append(reader.waiter)
        fanout.tally.delivered += count * len(waiters)
        if len(waiters) <= MOST_AT_ONCE:
            _answerAll(waiters, response)
        else:
            starts = range(0, len(waiters), MOST_AT_ONCE)
            parts = [waiters[start : start + MOST_AT_ONCE] for start in starts]
            fanout.backlog.addParts(
                [partial(_answerAll, some, response) for some in parts],
                {message.position for message in messages},
            )
        return True


def _answerAll(waiters: Sequence[DirectWaiter], response: bytes) -> None:
    """
    Send the response to waiters whose readers are closed.  Some of their
    sockets may be gone by now.
    """
    # Only direct waiters come here, so none of these is C{None}.
    sockets: Any = [waiter.direct for waiter in waiters]
    waiters[0].pollsSent(waiters, response, sendAll(sockets, response))
