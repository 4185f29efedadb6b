"""
What tokens mean that were verified already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from comet.model.clients import Client

# How many tokens are remembered, and how many bytes they may have together.
MAX_TOKENS: Final = 50_000
MAX_TOKEN_BYTES: Final = 32 * 1024 * 1024

# What a client takes, about, and each pattern of its rights beside its own bytes.
_CLIENT: Final = 800
_PATTERN: Final = 80


class RememberedTokens:
    """
    The client of each token, by the whole token, until it ends.  When there are too
    many, those are forgotten first that were verified first.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """
        @param now: Returns the time in seconds since 1970.
        """
        self._now = now
        self._clients: dict[str, Client] = {}
        self._bytes = 0

    def __len__(self) -> int:
        """
        How many tokens are remembered.
        """
        return len(self._clients)

    def find(self, text: str) -> Client | None:
        """
        Return the client of a token with this text; L{None} if it is not known, or has ended.
        """
        client = self._clients.get(text)
        if client is None or client.until is None or self._now() < client.until:
            return client
        self._drop(text)
        return None

    def add(self, token: str, client: Client) -> None:
        """
        Remember the client of a token.
        """
        if token in self._clients:
            self._drop(token)
        self._clients[token] = client
        self._bytes += _size(token, client)
        while len(self._clients) > MAX_TOKENS or self._bytes > MAX_TOKEN_BYTES:
            self._drop(next(iter(self._clients)))

    def forget(self, matches: Callable[[Client], bool]) -> None:
        """
        Forget the tokens of some clients.
        """
        for token in [each for each, client in self._clients.items() if matches(client)]:
            self._drop(token)

    def clear(self) -> None:
        """
        Forget all tokens.
        """
        self._clients.clear()
        self._bytes = 0

    def _drop(self, token: str) -> None:
        self._bytes -= _size(token, self._clients.pop(token))


def _size(token: str, client: Client) -> int:
    """
    How many bytes a token and its client take, about.
    """
    rights = client.rights
    patterns = (*rights.subscribe, *rights.publish, *rights.presence)
    # What info takes follows from the length of the token.
    return 3 * len(token) + _CLIENT + sum(_PATTERN + len(each) for each in patterns)
