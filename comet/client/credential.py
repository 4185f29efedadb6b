"""
What a client shows of itself.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from comet.client.clientsteps import Ask, Steps
from comet.client.failures import Ended
from comet.errors import CometError, Unauthorized

#: A token, or a function that returns one or an awaitable of one.
Token: TypeAlias = "str | Callable[[], str | Awaitable[str]]"

# What can follow "Bearer " in a header: printable ASCII characters without spaces.
_WORD: Final = re.compile(r"[!-~]+")


class Credential:
    """
    A key, a token, or a function that gives tokens.

    The function is called before the first request, and again after the server has refused a token
    that it took before, or has ended a reader with C{expired}.
    """

    def __init__(self, token: Token | None = None, key: str | None = None) -> None:
        """
        @raise ValueError: If both are given, or one has characters that none can have.
        """
        if token is not None and key is not None:
            raise ValueError("a client has a token or a key, not both")
        shown = key if token is None else token
        self._give = None if shown is None or isinstance(shown, str) else shown
        self._word = _checkWord(shown) if isinstance(shown, str) else None
        self._wasTaken = False

    def headers(self) -> Steps[dict[str, str]]:
        """
        Return the header that shows it; none without a credential.

        @raise ValueError: If the function gives what can be no token.
        """
        # Another thread may find meanwhile that it is over.
        word = self._word
        if word is None and self._give is not None:
            given = yield Ask(self._give)
            word = self._word = _checkWord(given)
            self._wasTaken = False
        return {} if word is None else {"Authorization": f"Bearer {word}"}

    def taken(self) -> None:
        """
        The server has accepted it.
        """
        self._wasTaken = True

    def isOver(self, error: CometError) -> bool:
        """
        Whether another credential helps after an error: it was accepted before, and there is a
        function that gives another one.
        """
        isRefused = isinstance(error, Unauthorized)
        isExpired = isinstance(error, Ended) and error.code == "expired"
        if self._give is None or not self._wasTaken or not (isRefused or isExpired):
            return False
        self._word = None
        return True


def _checkWord(word: object) -> str:
    # The text is not shown, since it is secret.
    if not isinstance(word, str) or not _WORD.fullmatch(word):
        raise ValueError("a key or token is one or more printable ASCII characters without spaces")
    return word
