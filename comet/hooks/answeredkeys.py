"""
The idempotency keys of messages that are asked about: what each was answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from comet.bus.idempotency import KeyBudget, KeyMemory, NewKey, keyReused, scopeDigest
from comet.model.messages import KeyScope, Publication, Published

# The keys of messages that were asked about and stored.
KEYS: Final = KeyBudget(8 * 1024 * 1024, 32 * 1024 * 1024)


class AnsweredKeys:
    """
    Knows the messages that have come with their keys: those that are under way, and what
    others were answered.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: Returns the time of a clock that goes on.
        """
        self._memory = KeyMemory(seconds, budget=KEYS)
        # What comes again while the first of the same key is under way.
        self._underWay: dict[KeyScope, list[Callable[[], object]]] = {}

    def isUnderWay(self, scope: KeyScope) -> bool:
        """
        Whether a message with a key is under way.
        """
        return scope in self._underWay

    def begin(self, scopes: Iterable[KeyScope]) -> None:
        """
        Messages with these keys are under way.
        """
        for scope in scopes:
            self._underWay[scope] = []

    def wait(self, scope: KeyScope, again: Callable[[], object]) -> None:
        """
        Call a function once the message with a key is under way no more.
        """
        self._underWay[scope].append(again)

    def end(self, scopes: Iterable[KeyScope]) -> None:
        """
        Messages with these keys are under way no more: go on with those that have come
        again meanwhile.
        """
        for scope in scopes:
            for again in self._underWay.pop(scope, ()):
                again()

    def find(self, publication: Publication) -> Published | None:
        """
        Return what a message with a key was answered before; L{None} if it was not.

        @raise KeyReused: If its key came with another message.
        """
        scope = publication.keyScope
        known = None if scope is None else self._memory.find(scopeDigest(scope), publication)
        if known is None:
            return None
        if known[0] != publication.fingerprint():
            raise keyReused(publication.key)
        return known[1]

    def remember(self, publication: Publication, answer: Published) -> None:
        """
        Remember what a message with a key was answered.
        """
        scope = publication.keyScope
        if scope is not None:
            digest = scopeDigest(scope)
            if self._memory.find(digest, publication) is None:
                new = NewKey(digest, publication, publication.fingerprint())
                self._memory.remember(new, answer)
                self._memory.trim()
