"""
Idempotency keys: a publication with a key that came before is not stored again,
and gets the answer that the first one got.

L{KeyedBatches} has the rules for every bus that decides in Python;
L{KeyMemory} keeps the keys in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from comet.errors import KeyReused
from comet.model.messages import KeyScope, Publication, Published

# For how long a key is known, in seconds.
KEY_SECONDS: Final = 300.0

# How many bytes the known keys may take; then the oldest are forgotten early.
# It is enough for 800 new keys a second, with a single channel each.
MOST_BYTES: Final = 209715200

# What a key costs, and each of its channels beside the name, as measured on
# CPython 3.11.
KEY_OVERHEAD: Final = 620
CHANNEL_OVERHEAD: Final = 130


def keyReused(key: str | None) -> KeyReused:
    """
    The error for a publisher whose key belongs to another message already.
    """
    return KeyReused(
        f"the key {(key or '')[:64]!r} was used for another message to the same channels within "
        "the last five minutes; a key belongs to one message"
    )


def scopeDigest(scope: KeyScope, size: int) -> bytes:
    """
    Make the short name under which a key is stored: the names of its channels
    may be long.

    @param size: How many bytes the name has.
    """
    publisher, channels, key = scope
    digest = blake2b(digest_size=size)
    for part in (publisher, key, *channels):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()


class KeyedBatches:
    """
    Stores batches of publications, each key once.  Subclasses keep the keys.
    """

    def storeBatch(
        self, publications: Sequence[Publication], store: Callable[[Publication], Published]
    ) -> list[Published]:
        """
        Store those publications whose keys are new, in order.

        Every key is checked before the first publication is stored.

        @param store: Stores one publication, and returns the answer to it.

        @return: The answer to each publication: for a known key, the answer of
            the first publication that had it.

        @raise KeyReused: If a key came before with another message.  Then
            nothing was stored.
        """
        for each in publications:
            if each.key is not None:
                plan = self._plan(publications)
                break
        else:
            return list(map(store, publications))
        answers: list[Published] = []
        for publication, known in zip(publications, plan, strict=True):
            if isinstance(known, int):
                # The same key stands earlier in this very batch.
                answer = answers[known]
            elif known is not None:
                answer = known
            else:
                answer = store(publication)
                self.remember(publication, answer)
            answers.append(answer)
        return answers

    def _plan(self, publications: Sequence[Publication]) -> list[Published | int | None]:
        """
        Decide for each publication what its answer will be.

        @return: The answer that its key got before; or the index of an earlier
            publication of the batch with the same key, whose answer it gets; or
            L{None} if it has to be stored.
        """
        plan: list[Published | int | None] = []
        here: dict[KeyScope, tuple[bytes, int]] = {}
        for index, publication in enumerate(publications):
            scope = publication.keyScope
            if scope is None:
                plan.append(None)
                continue
            fingerprint = publication.fingerprint()
            known = self.find(scope, publication)
            first, firstIndex = here.setdefault(scope, (fingerprint, index))
            if first != fingerprint or (known is not None and known[0] != fingerprint):
                raise keyReused(publication.key)
            if known is not None:
                plan.append(known[1])
            else:
                plan.append(None if firstIndex == index else firstIndex)
        return plan

    def find(self, scope: KeyScope, publication: Publication) -> tuple[bytes, Published] | None:
        """
        Look a key up.

        @param publication: The publication that has the key now.

        @return: The fingerprint of the first message that had the key, and the
            answer that it got; L{None} if the key is not known.
        """
        raise NotImplementedError

    def remember(self, publication: Publication, answer: Published) -> None:
        """
        Keep the answer to a stored publication, if that has a key.
        """
        raise NotImplementedError


class _Known(NamedTuple):
    fingerprint: bytes
    answer: Published
    until: float
    size: int


class KeyMemory(KeyedBatches):
    """
    Keeps the keys, and the answers that they got, in memory.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        lifetime: float = KEY_SECONDS,
        mostBytes: int = MOST_BYTES,
    ) -> None:
        """
        @param seconds: Returns the present time, in seconds from any moment.

        @param lifetime: For how long a key is known, in seconds.

        @param mostBytes: How many bytes all keys may take; then the oldest are
            forgotten early.
        """
        self._seconds = seconds
        self._lifetime = lifetime
        self._mostBytes = mostBytes
        self._size = 0
        # All keys live equally long, so the oldest are in front.  A plain
        # dictionary would be slow to find its first item, once many before it
        # are gone.
        self._known: OrderedDict[KeyScope, _Known] = OrderedDict()

    def __len__(self) -> int:
        """
        How many keys are known.
        """
        return len(self._known)

    def storeBatch(
        self, publications: Sequence[Publication], store: Callable[[Publication], Published]
    ) -> list[Published]:
        """
        See L{KeyedBatches.storeBatch}.
        """
        if self._known:
            self._forgetOld()
        return super().storeBatch(publications, store)

    def find(self, scope: KeyScope, publication: Publication) -> tuple[bytes, Published] | None:
        """
        See L{KeyedBatches.find}.
        """
        known = self._known.get(scope)
        return None if known is None else (known.fingerprint, known.answer)

    def remember(self, publication: Publication, answer: Published) -> None:
        """
        See L{KeyedBatches.remember}.
        """
        scope = publication.keyScope
        if scope is None:
            return
        self._forget(scope)
        until = self._seconds() + self._lifetime
        size = _sizeOf(scope)
        self._known[scope] = _Known(publication.fingerprint(), answer, until, size)
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

    def _forget(self, scope: KeyScope) -> None:
        known = self._known.pop(scope, None)
        if known is not None:
            self._size -= known.size


def _sizeOf(scope: KeyScope) -> int:
    publisher, channels, key = scope
    names = sum(map(len, channels)) + len(publisher) + len(key)
    return KEY_OVERHEAD + len(channels) * CHANNEL_OVERHEAD + names
