"""
Tests of L{comet.limits.connectioncounts}.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import TooMany
from comet.limits.connectioncounts import ConnectionCounts

_NAMES = st.sampled_from(["", "ada", "bob"])
_ADDRESSES = st.sampled_from(["", "192.0.2.1", "192.0.2.2"])
_READERS = st.integers(0, 12)
_DEEDS = st.one_of(
    st.tuples(st.just("come"), _READERS, _NAMES, _ADDRESSES),
    st.tuples(st.just("rename"), _READERS, _NAMES),
    st.tuples(st.just("go"), _READERS),
)


class ConnectionCountsTests(SynchronousTestCase):
    """
    Readers that come, change their client, and go.
    """

    @settings(deadline=None)
    @given(st.lists(_DEEDS, max_size=80), st.integers(0, 3), st.integers(0, 3))
    def test_counts(self, deeds: list[tuple[str, ...]], perClient: int, perAddress: int) -> None:
        """
        Whatever they do: no client and no address has more than it may, each is
        refused only where it has as many, and nothing is left when all have gone.
        """
        counts = ConnectionCounts()
        counts.perClient, counts.perAddress = perClient, perAddress
        model: dict[str, tuple[str, str]] = {}

        def isFull(name: str, address: str | None) -> bool:
            names = Counter(each[0] for each in model.values())
            addresses = Counter(each[1] for each in model.values())
            return bool(perClient and name and names[name] >= perClient) or bool(
                perAddress and address is not None and addresses[address] >= perAddress
            )

        for kind, reader, *what in deeds:
            if kind == "come" and reader not in model:
                name, address = what
                full = isFull(name, address)
                try:
                    counts.check(name, address)
                except TooMany:
                    self.assertTrue(full)
                else:
                    self.assertFalse(full)
                    counts.add(reader, name, address)
                    model[reader] = (name, address)
            elif kind == "rename":
                before = model.get(reader)
                full = before is not None and before[0] != what[0] and isFull(what[0], None)
                try:
                    counts.rename(reader, what[0])
                except TooMany:
                    self.assertTrue(full)
                else:
                    self.assertFalse(full)
                    if before is not None:
                        model[reader] = (what[0], before[1])
            elif kind == "go":
                counts.remove(reader)
                model.pop(reader, None)
            self.assertEqual(len(counts), len(model))
        for reader in model:
            counts.remove(reader)
        self.assertEqual((counts._byName, counts._byAddress, len(counts)), ({}, {}, 0))
