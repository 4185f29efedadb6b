"""
What was published under which idempotency key, for the buses that keep it in
memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from comet.bus.starts import planKeys
from comet.framing.publications import Scope, fingerprint, keyScope
from comet.model.messages import Publication, Published

# For how long a key is known, in seconds.
KEY_SECONDS: Final = 300.0

# How many bytes the keys that are known may take: then the oldest are forgotten
# early.  It is enough for 800 new keys a second, with a single channel each.
MOST_BYTES: Final = 209715200

# What a key costs, and each of its channels beside the name, as measured on
# CPython 3.11.
KEY_OVERHEAD: Final = 620
CHANNEL_OVERHEAD: Final = 130


class _Known(NamedTuple):
    fingerprint: bytes
    answer: Published
    until: float
    size: int


class KeyMemory:
    """
    The answers that were given to publications with a key.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        lifetime: float = KEY_SECONDS,
        mostBytes: int = MOST_BYTES,
    ) -> None:
        """
        @param seconds: The time of now, in seconds from any moment.

        @param lifetime: For how long a key is known, in seconds.

        @param mostBytes: How many bytes all keys may take; then the oldest are
            forgotten early.
        """
        self._seconds = seconds
        self._lifetime = lifetime
        self._mostBytes = mostBytes
        self._size = 0
        # All live equally long, so the oldest are in front.  A plain dictionary
        # would be slow to find the first, once many before it are gone.
        self._known: OrderedDict[Scope, _Known] = OrderedDict()

    def __len__(self) -> int:
        """
        How many keys are known.
        """
        return len(self._known)

    def plan(self, publications: Sequence[Publication]) -> list[Published | int | None]:
        """
        Tell what is to be done with each publication: see L{planKeys}.

        @raise KeyReused: If any key came before with another message.
        """
        if self._known:
            self._forgetOld()
        return planKeys(publications, self._find)

    def _find(self, scope: Scope, publication: Publication) -> tuple[bytes, Published] | None:
        known = self._known.get(scope)
        return None if known is None else (known.fingerprint, known.answer)

    def remember(self, publication: Publication, answer: Published) -> None:
        """
        Keep the answer to a publication that is stored, if it has a key.
        """
        scope = keyScope(publication)
        if scope is None:
            return
        self._forget(scope)
        until = self._seconds() + self._lifetime
        size = _sizeOf(scope)
        self._known[scope] = _Known(fingerprint(publication), answer, until, size)
        self._size += size
        while self._size > self._mostBytes:
            self._forget(next(iter(self._known)))

    def clear(self) -> None:
        """
        Forget all keys.
        """
        self._known.clear()
        self._size = 0

    def _forgetOld(self) -> None:
        now = self._seconds()
        while self._known:
            scope, known = next(iter(self._known.items()))
            if known.until > now:
                break
            self._forget(scope)

    def _forget(self, scope: Scope) -> None:
        known = self._known.pop(scope, None)
        if known is not None:
            self._size -= known.size


def _sizeOf(scope: Scope) -> int:
    publisher, channels, key = scope
    names = sum(map(len, channels)) + len(publisher) + len(key)
    return KEY_OVERHEAD + len(channels) * CHANNEL_OVERHEAD + names
