"""
Logs what Redis denies, and what goes wrong with it, without letting clients fill the
log: they are not told it, and may cause it as often as they like.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from comet.bus.redis.protocol import RedisRefused
from comet.bus.redis.urls import RedisURL
from comet.errors import CometError, Internal

# How often a missing permission is logged at most, in seconds; and any other trouble.
DENIAL_SECONDS: Final = 60.0


class FaultLog:
    """
    Logs a line of each kind at most once in L{DENIAL_SECONDS}.
    """

    _log = Logger()

    def __init__(self, url: RedisURL, clock: IReactorTime) -> None:
        self._url = str(url)
        self._clock = clock
        self._deniedAt: float | None = None
        self._troubledAt: float | None = None

    def denied(self, error: RedisRefused, what: str) -> CometError:
        """
        Log what Redis denies to its user.

        @param what: What that means for the caller.

        @return: The error for the caller.
        """
        self.logDenial(str(error))
        return Internal(f"{what}: Redis does not allow it to this server; the log says why")

    def logDenial(self, reason: str) -> None:
        """
        Log what the user may not do, unless that was logged lately.
        """
        now = self._clock.seconds()
        if self._deniedAt is None or now - self._deniedAt >= DENIAL_SECONDS:
            self._deniedAt = now
            self._log.error(
                "Redis at {url} does not allow its user to do what is needed: {reason}; the "
                "permissions of a user are in the book, under 'Share one log between nodes'",
                url=self._url,
                reason=reason,
            )

    def logTrouble(self, reason: str) -> None:
        """
        Log what Redis said, unless such a line was logged lately.
        """
        now = self._clock.seconds()
        if self._troubledAt is None or now - self._troubledAt >= DENIAL_SECONDS:
            self._troubledAt = now
            self._log.error("trouble with Redis at {url}: {reason}", url=self._url, reason=reason)
