"""
What was published under which idempotency key, for the buses that keep it in
memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from comet.errors import KeyReused
from comet.messages import Publication, Published
from comet.publishing import fingerprint, keyScope

# For how long a key is known, in seconds.
KEY_SECONDS: Final = 300.0

# How many keys are known at most: then the oldest are forgotten early.  Some
# 100 MB, and 800 new keys a second for five minutes.
MOST_KEYS: Final = 250_000

_Scope = tuple[str, tuple[str, ...], str]


class _Known(NamedTuple):
    fingerprint: bytes
    answer: Published
    until: float


class KeyMemory:
    """
    The answers that were given to publications with a key.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        lifetime: float = KEY_SECONDS,
        most: int = MOST_KEYS,
    ) -> None:
        """
        @param seconds: The time of now, in seconds from any moment.
        """
        self._seconds = seconds
        self._lifetime = lifetime
        self._most = most
        # All live equally long, so the oldest are in front.
        self._known: dict[_Scope, _Known] = {}

    def __len__(self) -> int:
        """
        How many keys are known.
        """
        return len(self._known)

    def plan(self, publications: Sequence[Publication]) -> list[Published | int | None]:
        """
        Tell what is to be done with each publication.

        @return: The answer it had before; or the index of an earlier one in
            the sequence with the same key, whose answer will be its own; or
            L{None} where it is to be stored.

        @raise KeyReused: If any key came before with another message.
        """
        self._forgetOld()
        plan: list[Published | int | None] = []
        here: dict[_Scope, tuple[bytes, int]] = {}
        for index, publication in enumerate(publications):
            scope = keyScope(publication)
            if scope is None:
                plan.append(None)
                continue
            print_ = fingerprint(publication)
            known = self._known.get(scope)
            first, firstIndex = here.setdefault(scope, (print_, index))
            if first != print_ or (known is not None and known.fingerprint != print_):
                raise KeyReused(
                    f"the key {scope[2][:64]!r} was used for another message to the same "
                    "channels within the last five minutes; a key belongs to one message"
                )
            if known is not None:
                plan.append(known.answer)
            else:
                plan.append(None if firstIndex == index else firstIndex)
        return plan

    def remember(self, publication: Publication, answer: Published) -> None:
        """
        Keep the answer to a publication that is stored, if it has a key.
        """
        scope = keyScope(publication)
        if scope is not None:
            until = self._seconds() + self._lifetime
            self._known[scope] = _Known(fingerprint(publication), answer, until)
            while len(self._known) > self._most:
                del self._known[next(iter(self._known))]

    def clear(self) -> None:
        """
        Forget all keys.
        """
        self._known.clear()

    def _forgetOld(self) -> None:
        now = self._seconds()
        while self._known:
            scope, known = next(iter(self._known.items()))
            if known.until > now:
                break
            del self._known[scope]
