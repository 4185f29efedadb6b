"""
What became of requests to publish, for buses that store several in one step.
"""

from __future__ import annotations

from collections.abc import Sequence

from comet.interfaces import Outcome
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
