"""
What became of requests, as all buses say it.
"""

from __future__ import annotations

from collections.abc import Sequence

from comet.errors import TooMany
from comet.interfaces.busabilities import Outcome
from comet.model.messages import Published


def onlyOutcome(outcomes: Sequence[Outcome]) -> Sequence[Published]:
    """
    Return the answers to the only request.

    @raise Exception: If nothing of it was stored.
    """
    [outcome] = outcomes
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def stateFull(table: str, most: int) -> TooMany:
    """
    Return the error for a table of state that takes no more.
    """
    return TooMany(f"{table[:64]!r} has {most} entries, which is all it may have", 60.0)
