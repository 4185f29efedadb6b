"""
The figures of one node, for an admin.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from comet.fanout.core import Fanout
from comet.fanout.counting import countReaders
from comet.fanout.states import State
from comet.metrics.traffic import Metrics

# By how many seconds the reactor calls later than asked for that is told as late.
LATE: Final = 0.1


def figuresOf(fanout: Fanout, metrics: Metrics, why: str) -> dict[str, Any]:
    """
    Return the figures of this node: numbers of now, and counts since its start.

    @param why: See L{Hub.whyNotReady<comet.hub.hub.Hub.whyNotReady>}.
    """
    tally = fanout.tally
    kinds: Counter[str] = Counter()
    behind = 0
    for (kind, state), count in countReaders(fanout.readers).items():
        kinds[kind] += count
        if state == State.BEHIND.value:
            behind += count
    lateness = tally.lateness
    late = zip(lateness.bounds, lateness.counts, strict=False)
    return {
        "time": round(fanout.now(), 3),
        "ready": not why,
        **({"reason": why} if why else {}),
        "transports": metrics.sums(),
        "readers": dict(kinds),
        "behind": behind,
        "unsent": fanout.unsent.kept,
        "published": tally.published,
        "delivered": tally.delivered,
        "gaps": tally.gaps,
        "refused": sum(tally.refused.values()),
        "lateness": {
            "calls": lateness.count,
            "seconds": round(lateness.total, 6),
            "late": lateness.count - sum(count for bound, count in late if bound <= LATE),
        },
    }
