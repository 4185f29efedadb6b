"""
What clients may read without being asked about again, for a while.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from comet.model.clients import Client

# How many names of clients are remembered, and how many characters they have in all.
MOST_NAMES: Final = 100_000
MOST_SIZE: Final = 32 * 1024 * 1024

# What each takes beside, about.
_EACH: Final = 256


class AllowedNames:
    """
    The names that clients may read.  Beyond the bounds those go first that were used least
    recently: they are asked about again.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: Returns the time of a clock that goes on.
        """
        self._seconds = seconds
        self._size = 0
        # The client, and until when, by its name and that of what it may read.
        self._allowed: OrderedDict[tuple[str, str], tuple[Client, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._allowed)

    def has(self, client: Client, name: str) -> bool:
        """
        Tell whether a client may read a name.
        """
        key = (client.name, name)
        found = self._allowed.get(key)
        if found is None:
            return False
        if self._seconds() >= found[1]:
            self._drop(key)
            return False
        self._allowed.move_to_end(key)
        return True

    def add(self, client: Client, name: str, seconds: float) -> None:
        """
        Remember for some seconds that a client may read a name.  Of a client without a name
        nothing is remembered: others have none, too.
        """
        if not client.name:
            return
        key = (client.name, name)
        if key in self._allowed:
            self._drop(key)
        self._allowed[key] = (client, self._seconds() + seconds)
        self._size += _sizeOf(key)
        while self._allowed and (len(self._allowed) > MOST_NAMES or self._size > MOST_SIZE):
            self._drop(next(iter(self._allowed)))

    def forget(self, matches: Callable[[Client], bool]) -> None:
        """
        Forget what some clients may read.
        """
        for key, (client, _) in list(self._allowed.items()):
            if matches(client):
                self._drop(key)

    def clear(self) -> None:
        """
        Forget everything.
        """
        self._allowed.clear()
        self._size = 0

    def _drop(self, key: tuple[str, str]) -> None:
        del self._allowed[key]
        self._size -= _sizeOf(key)


def _sizeOf(key: tuple[str, str]) -> int:
    return len(key[0]) + len(key[1]) + _EACH
