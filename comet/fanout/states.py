"""
The life of a reader, as a table.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class State(Enum):
    """
    What a reader is doing.
    """

    # Members are equal only to themselves.  The hash of an object is faster than
    # that of an Enum, which is a function of Python's, and each reader needs it.
    __hash__ = object.__hash__

    #: The bus has not told yet where the names start.
    OPENING = "opening"
    #: The reader reads the log from its position.
    READING = "reading"
    #: The reader stands at the log end and is written to as messages arrive.
    LIVE = "live"
    #: The client does not take what was written.  Nothing is kept for it.
    BEHIND = "behind"
    #: The reader was answered, sent away, or has left.
    CLOSED = "closed"


class Input(Enum):
    """
    What happens to a reader.
    """

    # As in L{State}.
    __hash__ = object.__hash__

    #: The bus has told where the names start.
    RESOLVED = "resolved"
    #: The reader has read to the log end.
    CAUGHT_UP = "caught up"
    #: The reader must read the log again from its position: its names changed,
    #: or messages may have been missed.
    UNSETTLED = "unsettled"
    #: The client takes no more for now.
    FILLED = "filled"
    #: The client has taken all that was written.
    DRAINED = "drained"
    #: The reader was answered or sent away, or its client left.
    ENDED = "ended"


TRANSITIONS: Final[dict[tuple[State, Input], State]] = {
    (State.OPENING, Input.RESOLVED): State.READING,
    # A reader that was opened by a join point has nothing to read.
    (State.OPENING, Input.CAUGHT_UP): State.LIVE,
    (State.OPENING, Input.UNSETTLED): State.OPENING,
    (State.OPENING, Input.FILLED): State.OPENING,
    (State.OPENING, Input.DRAINED): State.OPENING,
    (State.OPENING, Input.ENDED): State.CLOSED,
    (State.READING, Input.CAUGHT_UP): State.LIVE,
    (State.READING, Input.UNSETTLED): State.READING,
    (State.READING, Input.FILLED): State.BEHIND,
    (State.READING, Input.DRAINED): State.READING,
    (State.READING, Input.ENDED): State.CLOSED,
    (State.LIVE, Input.UNSETTLED): State.READING,
    (State.LIVE, Input.FILLED): State.BEHIND,
    (State.LIVE, Input.DRAINED): State.LIVE,
    (State.LIVE, Input.ENDED): State.CLOSED,
    (State.BEHIND, Input.UNSETTLED): State.BEHIND,
    (State.BEHIND, Input.FILLED): State.BEHIND,
    (State.BEHIND, Input.DRAINED): State.READING,
    (State.BEHIND, Input.ENDED): State.CLOSED,
}


def step(state: State, given: Input) -> State:
    """
    The state that follows on an input.

    @raise ValueError: If the input cannot happen in this state.
    """
    try:
        return TRANSITIONS[state, given]
    except KeyError:
        raise ValueError(f"a reader that is {state.value} cannot be {given.value}") from None
