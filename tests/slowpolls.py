"""
Polls that take time, for the tests of shares of time on each edge.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from comet.hub.hub import Hub
from comet.reactor.turns import SHARE

# For how many seconds of the clock such a poll is dealt with: more than a share, less than
# a turn.
COST: Final = 1.5 * SHARE

# How many of them are begun in one share.
IN_SHARE: Final = int(SHARE / COST) + 1


def slowPolls(case: SynchronousTestCase, hub: Hub, clock: Any) -> list[str]:
    """
    Let each poll take C{COST} seconds of a clock until the test is over.

    @return: Gets the first name of each poll that is begun.
    """
    begun: list[str] = []
    openPoll = hub.openPoll

    def slowly(client: Any, names: Any, *rest: Any, **others: Any) -> Any:
        begun.append(names[0])
        clock.rightNow += COST
        return openPoll(client, names, *rest, **others)

    case.patch(hub, "openPoll", slowly)
    return begun
