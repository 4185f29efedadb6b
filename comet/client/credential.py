"""
What a client shows of itself.
"""

from __future__ import annotations

import logging
import math
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from comet.client.clientsteps import Ask, Steps
from comet.client.failures import ClientError, NoToken
from comet.errors import CometError, Unauthorized
from comet.framing.strictjson import decode

_log: Final = logging.getLogger("comet.client")

#: A token, or a function that returns one or an awaitable of one.
Token: TypeAlias = "str | Callable[[], str | Awaitable[str]]"

# What can follow "Bearer " in a header: printable ASCII characters without spaces.
_WORD: Final = re.compile(r"[!-~]+")

# A token as a JWT.  The client reads its claims, and does not verify them: the server does.
_JWT: Final = re.compile(r"ey[\w-]+\.(ey[\w-]+)\.[\w-]+", re.ASCII)
_MOST_DEPTH: Final = 64

# Seconds: the least life of a token that does not tell when it began, and after how long the
# function is asked again that gave no other token.
_UNKNOWN: Final = 30.0
_AGAIN: Final = 30.0

# The share of its time after which a token is replaced.
_SHARE: Final = 0.8


class Credential:
    """
    A key, a token, or a function that gives tokens.

    The function is called before the first request, and again before the token expires, after the
    server has refused a token that it took before, and after it has ended a reader with
    C{expired}.
    """

    def __init__(
        self,
        token: Token | None = None,
        key: str | None = None,
        now: Callable[[], float] = time.monotonic,
        today: Callable[[], float] = time.time,
    ) -> None:
        """
        @param now: A clock that goes on steadily, in seconds.

        @param today: The time of day, in seconds since 1970.

        @raise ValueError: If both are given, or one has characters that none can have.
        """
        if token is not None and key is not None:
            raise ValueError("a client has a token or a key, not both")
        shown = key if token is None else token
        self._give = None if shown is None or isinstance(shown, str) else shown
        self._word = _checkWord(shown) if isinstance(shown, str) else None
        self._wasTaken = False
        self._now = now
        self._today = today
        # When to ask for another token, by the steady clock.
        self._dueAt = math.inf

    @property
    def word(self) -> str | None:
        """
        What is shown at present.
        """
        return self._word

    @property
    def dueAt(self) -> float:
        """
        When the token is to be replaced, by the steady clock; infinite if it need not be.
        """
        return self._dueAt

    def show(self) -> Steps[str | None]:
        """
        Return the key or token to show; L{None} without a credential.

        @raise NoToken: If the function fails, or gives what can be no token.
        """
        # Another thread may find meanwhile that it is over.
        word = self._word
        if self._give is not None and (word is None or self._now() >= self._dueAt):
            word = yield from self._renew(self._give, word)
        return word

    def hasNext(self, shown: str | None) -> Steps[bool]:
        """
        Ask for another token if that is due.

        @param shown: The token of a connection that is open.

        @return: Whether there is another one.
        """
        if self._give is not None and self._word == shown and self._now() >= self._dueAt:
            yield from self._renew(self._give, shown)
        return self._word is not None and self._word != shown

    def _renew(self, give: Callable[[], Any], former: str | None) -> Steps[str]:
        # Other threads go on with the former token meanwhile.
        self._dueAt = self._now() + _AGAIN
        try:
            word = _checkWord((yield Ask(give)))
        except Exception as error:
            if former is None:
                raise NoToken(error) from error
            # It may be good for a while.  Its text is not logged.
            _log.warning("there is no new token yet: %s", type(error).__name__)
            return former
        if word != former:
            self._word, self._wasTaken = word, False
            self._dueAt = self._now() + timeLeft(word, self._today())
        return word

    def taken(self, shown: str | None) -> None:
        """
        The server has accepted what was shown.
        """
        # Another one may have replaced it meanwhile, which the server has not seen.
        self._wasTaken = self._wasTaken or shown == self._word

    def isOver(self, error: CometError, shown: str | None) -> bool:
        """
        Whether another credential helps after an error: there is another one by now, since several
        requests find at about the same time that theirs is over; or it was accepted before, and
        there is a function that gives another one.

        @param shown: What was shown.
        """
        isRefused = isinstance(error, Unauthorized)
        isExpired = isinstance(error, ClientError) and error.code == "expired"
        if self._give is None or not (isRefused or isExpired):
            return False
        if shown == self._word:
            if not self._wasTaken:
                return False
            self._word = None
        return True


def headersOf(word: str | None) -> dict[str, str]:
    """
    Return the header that shows a key or token; none without one.
    """
    return {} if word is None else {"Authorization": f"Bearer {word}"}


def timeLeft(token: str, today: float) -> float:
    """
    Choose when a token is replaced: after four fifths of the time that is left.  The clock of this
    machine may be wrong, so that time is at most the token's life, both ends of which are the
    server's, and at least a fifth of it.

    @param today: The time of day, in seconds since 1970.

    @return: In seconds; infinite if the token does not tell when it expires.
    """
    found = _JWT.fullmatch(token)
    if found is None:
        return math.inf
    try:
        claims: Any = decode(urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)), _MOST_DEPTH)
    except (CometError, ValueError):
        return math.inf
    ends, began = (_number(claims, name) for name in ("exp", "iat"))
    if ends is None:
        return math.inf
    left = ends - today
    life = max(left, _UNKNOWN) if began is None else max(ends - began, 0.0)
    return _SHARE * max(life / 5, min(life, left))


def _number(claims: Any, name: str) -> float | None:
    value = claims.get(name) if isinstance(claims, dict) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return None


def _checkWord(word: object) -> str:
    # The text is not shown, since it is secret.
    if not isinstance(word, str) or not _WORD.fullmatch(word):
        raise ValueError(
            "a key or token is one or more printable ASCII characters, without spaces and without "
            "the line end of its file"
        )
    return word
