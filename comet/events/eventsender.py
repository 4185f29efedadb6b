"""
Sending what has happened to the backend, until it has taken it.
"""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from comet.events.follower import Page
from comet.events.lease import Lease, LeaseLost
from comet.hooks.sender import HookSender
from comet.limits.answerbodies import readBounded
from comet.logging.clientlog import ClientLogger
from comet.model.messages import Message

# Messages that come within so many seconds are sent together.
LINGER: Final = 0.1

# After how many seconds a request is sent again that was not taken: at first, and at most.
FIRST: Final = 1.0
LONGEST: Final = 10.0

# The part of that time that is always waited for; the rest is left to chance, so that
# several servers do not come together.
_SURE: Final = 0.75

# For how many seconds the lease has to be held when a request is sent; it is renewed while
# one is under way that takes longer.
_MARGIN: Final = 5.0

# The event that stands where others are lost.
GAP: Final = "gap"


class EventSender:
    """
    Sends pages to the backend, one after the other.  A request that is not taken is sent
    again: the same body under the same id, with a new time and signature.

    @ivar delivered: How many messages were taken.

    @ivar repeated: How many requests had to be sent again.

    @ivar waiting: How many messages of the page that is being sent are not taken yet.
    """

    _log = ClientLogger()

    def __init__(
        self,
        getSender: Callable[[], HookSender | None],
        clock: IReactorTime,
        now: Callable[[], float],
        makeID: Callable[[], str] = lambda: f"msg_{secrets.token_hex(16)}",
        chance: Callable[[], float] = random.random,
    ) -> None:
        """
        @param getSender: Returns what sends requests at present.  Its concurrency does
            not count here.

        @param now: Returns the wall-clock time, in seconds since 1970.

        @param chance: Returns a random number from 0 to 1.
        """
        self._getSender = getSender
        self._clock = clock
        self._now = now
        self._makeID = makeID
        self._chance = chance
        self.delivered = self.repeated = self.waiting = 0
        self._oldest = 0.0

    @property
    def lateness(self) -> float:
        """
        For how many seconds the oldest message of the page waits that is being sent.
        """
        return max(self._now() - self._oldest, 0.0) if self.waiting else 0.0

    async def take(self, page: Page, lease: Lease) -> None:
        """
        Send a page until the backend has taken it.

        @raise LeaseLost: If another node may send it by now.
        """
        body, id = self._encode(page), self._makeID()
        self.waiting = len(page.messages)
        self._oldest = page.messages[0].time if page.messages else self._now()
        pause, isLogged = FIRST, False
        try:
            while True:
                fault = await self._try(body, id, lease)
                if not fault:
                    break
                self.repeated += 1
                if not isLogged:
                    isLogged = True
                    self._log.warn(
                        "the backend has not taken {count} events, which are sent again until "
                        "it has: {fault}",
                        count=len(page.messages),
                        fault=fault,
                    )
                await self._sleep(pause * (_SURE + (1.0 - _SURE) * self._chance()))
                pause = min(2 * pause, LONGEST)
            self.delivered += len(page.messages)
        finally:
            self.waiting = 0

    async def _try(self, body: bytes, id: str, lease: Lease) -> str:
        """
        Send a request once.

        @return: Why it was not taken; empty if it was.
        """
        sender = self._getSender()
        if sender is None:
            return "there is no backend"
        timeout = sender.settings.timeout
        if not lease.isHeld(min(timeout, _MARGIN)):
            # It could be taken here after another node has sent what follows.
            raise LeaseLost
        try:
            response = await self._within(timeout, sender.request(body, id))
        except _TimedOut:
            return f"it took longer than {timeout:g} seconds"
        except CancelledError:
            raise
        except Exception as error:
            if not lease.isHeld():
                # It was given up.
                raise LeaseLost from None
            return f"{type(error).__name__}: {error}"[:200]
        try:
            # What it says does not matter, but the connection can be used again.
            await self._within(timeout, readBounded(response))
        except CancelledError:
            raise
        except Exception:
            pass
        return "" if 200 <= response.code < 300 else f"the status is {response.code}"

    def _within(self, seconds: float, waited: Deferred[Any]) -> Deferred[Any]:
        return waited.addTimeout(seconds, self._clock, onTimeoutCancel=_timedOut)

    def _sleep(self, seconds: float) -> Deferred[None]:
        return deferLater(self._clock, seconds)

    def _encode(self, page: Page) -> bytes:
        events: list[dict[str, Any]] = []
        now = round(self._now(), 3)
        if page.isGap:
            events.append({"event": GAP, "cursor": str(page.after), "time": now, "data": None})
        events += map(_show, page.messages)
        body = {
            "type": "events",
            "time": now,
            "client": None,
            "cursor": str(page.reached),
            "events": events,
        }
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


class _TimedOut(Exception):
    """
    The backend has not answered in time.
    """


def _timedOut(result: object, timeout: float) -> Any:
    raise _TimedOut


def _show(message: Message) -> dict[str, Any]:
    return {
        "event": message.event,
        "cursor": str(message.cursor),
        "time": round(message.time, 3),
        "data": json.loads(message.payload),
    }
