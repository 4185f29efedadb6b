"""
Idempotency keys after any history of any bus, compared with a very simple model:
a list of all keys that are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from comet.bus.idempotency import KEY_SECONDS, KeyBudget, keySize
from comet.errors import KeyReused
from comet.model.messages import KeyScope, Publication, Published

# Publishers whose names have the same length, and others.
PUBLISHERS = ("", "ka", "kb", "kc", "m")
CHANNELS = ("a", "b", "c/a")

publications = st.builds(
    Publication,
    st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=3, unique=True).map(tuple),
    st.sampled_from([b"1", b"1", b"1", b"2"]),
    publisher=st.sampled_from(PUBLISHERS),
    key=st.none() | st.sampled_from("abcdefgh"),
)


class _Key(NamedTuple):
    scope: KeyScope
    fingerprint: bytes
    answer: dict[str, int]
    until: float
    size: int


class KeyModel:
    """
    Answers what a bus with the same history answers.
    """

    def __init__(self, budget: KeyBudget) -> None:
        self.budget = budget
        self.end = 0
        self.known: list[_Key] = []

    def publish(self, batch: Sequence[Publication], now: float) -> list[dict[str, int]] | None:
        """
        Store what has to be stored.

        @return: The positions of each publication; or L{None} if a key was used
            for another message.
        """
        known = [key for key in self.known if key.until > now]
        end = self.end
        answers = []
        for publication in batch:
            scope, fingerprint = publication.keyScope, publication.fingerprint()
            found = [key for key in known if key.scope == scope]
            if found and found[0].fingerprint != fingerprint:
                return None
            if found:
                answer = found[0].answer
            else:
                answer = {name: end + i for i, name in enumerate(publication.channels, 1)}
                end += len(answer)
                if scope is not None:
                    until, size = now + KEY_SECONDS, keySize(publication)
                    known.append(_Key(scope, fingerprint, answer, until, size))
            answers.append(answer)
        self.known, self.end = known, end
        self._trim()
        return answers

    def sizeOf(self, publisher: str) -> int:
        """
        How many bytes the keys of a publisher count for.
        """
        return sum(key.size for key in self.known if key.scope[0] == publisher)

    def _trim(self) -> None:
        for publisher in PUBLISHERS:
            while self.sizeOf(publisher) > self.budget.each:
                self._forgetOldestOf(publisher)
        while sum(key.size for key in self.known) > self.budget.inAll:
            self._forgetOldestOf(max(PUBLISHERS, key=self.sizeOf))

    def _forgetOldestOf(self, publisher: str) -> None:
        self.known.remove(next(key for key in self.known if key.scope[0] == publisher))


class KeyMachine(RuleBasedStateMachine):
    """
    Publishes the same to a bus and to its model, and compares the answers.
    """

    def makeBus(self, budget: KeyBudget) -> Any:
        """
        Make a bus that answers at once, with the clock of the machine.
        """
        raise NotImplementedError

    @initialize(each=st.integers(0, 9), inAll=st.integers(0, 24))
    def begin(self, each: int, inAll: int) -> None:
        """
        Make a bus with room for a few keys, and its model.
        """
        size = keySize(Publication(("a",), b"1", publisher="kk", key="a"))
        budget = KeyBudget(each * size, inAll * size)
        self.clock = Clock()
        # Its seconds are exact, also far from 1970.
        self.clock.advance(1 << 30)
        self.bus = self.makeBus(budget)
        self.model = KeyModel(budget)

    @rule(batch=st.lists(publications, min_size=1, max_size=6))
    def publish(self, batch: list[Publication]) -> None:
        """
        Publish a batch to both.
        """
        outcomes: list[Any] = []
        asked: Deferred[Sequence[Published]] = self.bus.publish(batch)
        asked.addBoth(outcomes.append)
        [outcome] = outcomes
        expected = self.model.publish(batch, self.clock.seconds())
        if isinstance(outcome, Failure):
            assert outcome.check(KeyReused), outcome
            assert expected is None
        else:
            assert [dict(answer.positions) for answer in outcome] == expected

    @rule(seconds=st.sampled_from([1, 50, 149.5, 150, 299.5, 300]))
    def advance(self, seconds: float) -> None:
        """
        Advance the clock of both.
        """
        self.clock.advance(seconds)

    def teardown(self) -> None:
        """
        Stop the bus.
        """
        if hasattr(self, "bus"):
            self.bus.stop()
