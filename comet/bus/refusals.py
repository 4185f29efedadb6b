"""
Logs what a store was refused, without letting another program fill the log.
"""

from __future__ import annotations

from typing import Final

from twisted.logger import Logger

# How often a refusal is logged at most, in seconds.
LOGGED_SECONDS: Final = 60.0


class Refusals:
    """
    Logs the first refusal of each minute, with the number of those since the
    last line.
    """

    _log = Logger()

    def __init__(self, store: str) -> None:
        """
        @param store: The store, as the log names it.
        """
        self._store = store
        self._loggedAt: float | None = None
        self._count = 0

    def refused(self, reason: object, now: float) -> None:
        """
        Something was refused.

        @param now: The time, in seconds of any clock.
        """
        self._count += 1
        if self._loggedAt is not None and 0 <= now - self._loggedAt < LOGGED_SECONDS:
            return
        count, self._count = self._count, 0
        self._loggedAt = now
        self._log.error(
            "{store} has entries that comet cannot have written; they are not delivered "
            "({count} since the last such line): {reason}",
            store=self._store,
            count=count,
            reason=str(reason),
        )
