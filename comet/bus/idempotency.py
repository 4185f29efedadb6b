"""
Idempotency keys: a publication with a key that came before is not stored again,
and gets the answer that the first one got.

Each publisher has a budget of its own, so that no publisher can make the bus
forget the keys of another by sending many.  All buses have the same budgets:
L{KeyBudget}.  What is kept of a key has the same size however long its names
are.

L{KeyedBatches} has the rules for every bus that decides in Python;
L{KeyMemory} keeps the keys in memory.
"""

from __future__ import annotations

import heapq
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from attrs import frozen

from comet.errors import KeyReused
from comet.model.messages import KeyScope, Publication, Published

# For how long a key is known, in seconds.
KEY_SECONDS: Final = 300.0

# What a key costs, and each of its channels, as measured on CPython 3.11.  The
# only key of a publisher takes half as much again.  The other buses take less,
# and count the same.
KEY_OVERHEAD: Final = 400
CHANNEL_OVERHEAD: Final = 8

# How many keys that are too old are forgotten at once.
_MOST_FORGOTTEN: Final = 1000

# How many bytes the digest of a key has.
DIGEST_BYTES: Final = 32


@frozen
class KeyBudget:
    """
    How many bytes idempotency keys may count for, as L{keySize} counts them.

    @ivar each: The bytes for the keys of one publisher.  When they are more,
        its oldest keys are forgotten early.  All clients without a credential
        are one publisher.

    @ivar inAll: The bytes for the keys of all publishers.  When they are more,
        the publisher that takes most loses its oldest keys.
    """

    each: int = 104857600
    inAll: int = 209715200


def keyReused(key: str | None) -> KeyReused:
    """
    The error for a publisher whose key belongs to another message already.
    """
    return KeyReused(
        f"the key {(key or '')[:64]!r} was used for another message to the same channels within "
        "the last five minutes; a key belongs to one message"
    )


def keySize(publication: Publication) -> int:
    """
    How many bytes the key of a publication counts for in the budgets.
    """
    publisher = len(rawPublisher(publication))
    return KEY_OVERHEAD + CHANNEL_OVERHEAD * len(publication.channels) + publisher


def rawPublisher(publication: Publication) -> bytes:
    """
    The name of the publisher, which has the budget, as bytes.
    """
    return publication.publisher.encode("utf-8", "surrogatepass")


def scopeDigest(scope: KeyScope) -> bytes:
    """
    Make the short name under which a key is stored: the names of its channels
    may be long.
    """
    publisher, channels, key = scope
    digest = blake2b(digest_size=DIGEST_BYTES)
    for part in (publisher, key, *channels):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()


def packPositions(answer: Published) -> bytes:
    """
    Pack the positions of an answer, in the order of the names of the channels.
    """
    return array("q", [answer.positions[each] for each in sorted(answer.positions)]).tobytes()


def unpackPositions(channels: Sequence[str], packed: bytes) -> dict[str, int]:
    """
    Undo L{packPositions}.

    @param channels: The channels of the publication, in any order.

    @return: The positions, in the order in which they were given out.
    """
    positions = zip(sorted(channels), array("q", packed), strict=True)
    return dict(sorted(positions, key=lambda each: each[1]))


class NewKey(NamedTuple):
    """
    A key that came for the first time.

    @ivar digest: See L{scopeDigest}.

    @ivar publication: The publication that has it.

    @ivar fingerprint: The publication's fingerprint.
    """

    digest: bytes
    publication: Publication
    fingerprint: bytes


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
        for publication, step in zip(publications, plan, strict=True):
            if isinstance(step, int):
                # The same key stands earlier in this very batch.
                answer = answers[step]
            elif isinstance(step, Published):
                answer = step
            else:
                answer = store(publication)
                if step is not None:
                    self.remember(step, answer)
            answers.append(answer)
        self.trim()
        return answers

    def _plan(self, publications: Sequence[Publication]) -> list[Published | int | NewKey | None]:
        """
        Decide for each publication what its answer will be.

        @return: The answer that its key got before; or the index of an earlier
            publication of the batch with the same key, whose answer it gets; or
            its new key, or L{None} without one, if it has to be stored.
        """
        plan: list[Published | int | NewKey | None] = []
        here: dict[bytes, tuple[bytes, int]] = {}
        for index, publication in enumerate(publications):
            scope = publication.keyScope
            if scope is None:
                plan.append(None)
                continue
            digest = scopeDigest(scope)
            fingerprint = publication.fingerprint()
            known = self.find(digest, publication)
            first, firstIndex = here.setdefault(digest, (fingerprint, index))
            if first != fingerprint or (known is not None and known[0] != fingerprint):
                raise keyReused(publication.key)
            if known is not None:
                plan.append(known[1])
            elif firstIndex == index:
                plan.append(NewKey(digest, publication, fingerprint))
            else:
                plan.append(firstIndex)
        return plan

    def find(self, digest: bytes, publication: Publication) -> tuple[bytes, Published] | None:
        """
        Look a key up.

        @param digest: The digest of the key.

        @param publication: The publication that has the key now.

        @return: The fingerprint of the first message that had the key, and the
            answer that it got; L{None} if the key is not known.
        """
        raise NotImplementedError

    def remember(self, new: NewKey, answer: Published) -> None:
        """
        Keep a key that L{find} does not know, and the answer to its
        publication.
        """
        raise NotImplementedError

    def trim(self) -> None:
        """
        Forget what is more than the budgets allow, at the end of a batch.
        """
        raise NotImplementedError


class _Publisher:
    """
    A publisher with keys.

    @ivar name: Its name, as bytes.

    @ivar size: How many bytes its keys count for.

    @ivar oldest: Its oldest key, or L{None} if it has none.

    @ivar newest: Its newest key, or L{None} if it has none.
    """

    __slots__ = ("name", "newest", "oldest", "size")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.size = 0
        self.oldest: _Known | None = None
        self.newest: _Known | None = None


class _Known:
    """
    What is kept of a key.

    @ivar following: The next key of its publisher, or L{None}.  A list of keys
        would cost a publisher with one key twice as much.
    """

    __slots__ = ("digest", "epoch", "fingerprint", "following", "packed", "publisher", "until")

    def __init__(self, new: NewKey, answer: Published, publisher: _Publisher, until: float) -> None:
        self.digest = new.digest
        self.fingerprint = new.fingerprint
        self.epoch = answer.epoch
        self.packed = packPositions(answer)
        self.publisher = publisher
        self.until = until
        self.following: _Known | None = None

    @property
    def size(self) -> int:
        """
        See L{keySize}.
        """
        channels = CHANNEL_OVERHEAD * len(self.packed) // 8
        return KEY_OVERHEAD + channels + len(self.publisher.name)


class KeyMemory(KeyedBatches):
    """
    Keeps the keys, and the answers that they got, in memory.

    @ivar known: The keys by their digests, the oldest first.  Where there are none,
        L{forgetOld} has nothing to do.

    @ivar size: How many bytes the keys count for.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        lifetime: float = KEY_SECONDS,
        budget: KeyBudget | None = None,
    ) -> None:
        """
        @param seconds: Returns the present time, in seconds from any moment.

        @param lifetime: For how long a key is known, in seconds.

        @param budget: How many bytes the keys may count for.
        """
        self._seconds = seconds
        self._lifetime = lifetime
        self._budget = KeyBudget() if budget is None else budget
        self.clear()

    def clear(self) -> None:
        """
        Forget all keys.
        """
        # All keys live equally long, so the oldest are in front.  A plain
        # dictionary would be slow to find its first item, once many before it
        # are gone.
        self.known: OrderedDict[bytes, _Known] = OrderedDict()
        self._publishers: dict[bytes, _Publisher] = {}
        # A heap with the size of each publisher, largest first.  An entry may be
        # out of date, and too large: it is corrected when it comes up.
        self._largest: list[tuple[int, bytes]] = []
        # The publishers with new keys in this batch.
        self._grown: list[_Publisher] = []
        self.size = 0

    def __len__(self) -> int:
        """
        How many keys are kept.
        """
        return len(self.known)

    def storeBatch(
        self, publications: Sequence[Publication], store: Callable[[Publication], Published]
    ) -> list[Published]:
        """
        See L{KeyedBatches.storeBatch}.
        """
        if self.known:
            self.forgetOld()
        return super().storeBatch(publications, store)

    def find(self, digest: bytes, publication: Publication) -> tuple[bytes, Published] | None:
        """
        See L{KeyedBatches.find}.
        """
        known = self.known.get(digest)
        if known is None or known.until <= self._seconds():
            return None
        positions = unpackPositions(publication.channels, known.packed)
        return known.fingerprint, Published(known.epoch, positions)

    def remember(self, new: NewKey, answer: Published) -> None:
        """
        See L{KeyedBatches.remember}.
        """
        old = self.known.get(new.digest)
        if old is not None:
            # It is too old, and was not forgotten yet.
            self._forget(old)
        name = rawPublisher(new.publication)
        publisher = self._publishers.get(name)
        if publisher is None:
            publisher = self._publishers[name] = _Publisher(name)
        known = _Known(new, answer, publisher, self._seconds() + self._lifetime)
        self.known[new.digest] = known
        if publisher.newest is None:
            publisher.oldest = known
        else:
            publisher.newest.following = known
        publisher.newest = known
        publisher.size += known.size
        self.size += known.size
        self._grown.append(publisher)

    def trim(self) -> None:
        """
        See L{KeyedBatches.trim}.
        """
        grown, self._grown = self._grown, []
        for publisher in grown:
            while publisher.size > self._budget.each and publisher.oldest is not None:
                self._forget(publisher.oldest)
            self._noteSize(publisher)
        if self.size > self._budget.inAll:
            self.forgetOld()
        while self.size > self._budget.inAll:
            publisher = self._takeLargest()
            if publisher.oldest is not None:
                self._forget(publisher.oldest)
            self._noteSize(publisher)

    def _noteSize(self, publisher: _Publisher) -> None:
        if publisher.size:
            heapq.heappush(self._largest, (-publisher.size, publisher.name))
        if len(self._largest) > 2 * len(self._publishers) + 64:
            # More than half of the entries are out of date.
            self._largest = [(-each.size, each.name) for each in self._publishers.values()]
            heapq.heapify(self._largest)

    def _takeLargest(self) -> _Publisher:
        """
        Take the publisher whose keys count for most off the heap.
        """
        while True:
            size, name = heapq.heappop(self._largest)
            publisher = self._publishers.get(name)
            if publisher is not None and publisher.size == -size:
                return publisher
            if publisher is not None:
                heapq.heappush(self._largest, (-publisher.size, name))

    def forgetOld(self) -> None:
        """
        Forget some of the keys that are too old.  A bus that stores without L{storeBatch},
        as there is no key, calls this now and then.
        """
        now = self._seconds()
        for _ in range(_MOST_FORGOTTEN):
            known = next(iter(self.known.values()), None)
            if known is None or known.until > now:
                break
            self._forget(known)

    def _forget(self, known: _Known) -> None:
        del self.known[known.digest]
        publisher = known.publisher
        publisher.size -= known.size
        self.size -= known.size
        oldest = publisher.oldest
        # A key that was forgotten out of turn stays until it is the oldest.
        while oldest is not None and self.known.get(oldest.digest) is not oldest:
            oldest = oldest.following
        publisher.oldest = oldest
        if oldest is None:
            del self._publishers[publisher.name]
