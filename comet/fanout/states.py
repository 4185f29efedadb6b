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

    # Members are equal only to themselves, and are looked up for each reader.
    __hash__ = object.__hash__

    #: It is not known yet where its names begin.
    OPENING = "opening"
    #: It reads the log from its position.
    READING = "reading"
    #: It stands at the end of the log and is written to as messages arrive.
    LIVE = "live"
    #: Its client does not take what was written; it waits, and keeps nothing.
    BEHIND = "behind"
    #: It is gone.
    CLOSED = "closed"


class Input(Enum):
    """
    What happens to a reader.
    """

    # As in L{State}.
    __hash__ = object.__hash__

    #: The bus told where its names begin.
    RESOLVED = "located"
    #: It has read to the end of the log.
    CAUGHT_UP = "caught up"
    #: The log has to be read again from where it stands: names were added, or
    #: the bus may have missed something.
    UNSETTLED = "unsettled"
    #: What was written to it is more than its client takes for now.
    FILLED = "filled"
    #: Its client has taken all that was written.
    DRAINED = "drained"
    #: It was answered, sent away, or its client left.
    ENDED = "ended"


TRANSITIONS: Final[dict[tuple[State, Input], State]] = {
    (State.OPENING, Input.RESOLVED): State.READING,
    # It is known to stand where the log ends.
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
    What a reader does after something happened to it.

    @raise ValueError: If that cannot happen in this state.
    """
    try:
        return TRANSITIONS[state, given]
    except KeyError:
        raise ValueError(f"a reader that is {state.value} cannot be {given.value}") from None
