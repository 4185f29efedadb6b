"""
Tests of L{comet.hooks.publicationparts}: what is asked about a publication of several
channels, and what is stored of it.
"""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.hooks.publicationparts import joined, partsOf, piecesOf, sizeOf
from comet.model.messages import Publication, Published

CHANNELS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True).map(tuple)
KEYS = st.none() | st.just("key")
PAYLOADS = st.sampled_from([b"1", b"2"])


class PartsTests(SynchronousTestCase):
    """
    Parts are asked about, pieces are stored.
    """

    @given(CHANNELS, KEYS)
    def test_asItWas(self, channels: tuple[str, ...], key: str | None) -> None:
        """
        A publication that no hook has rewritten is stored whole, so that its channels get
        it in one step.
        """
        publication = Publication(channels, b"1", key=key)
        parts = partsOf(publication)
        self.assertEqual([each.channels for each in parts], [(each,) for each in channels])
        self.assertEqual(list(piecesOf(publication, parts)), [publication])

    @given(CHANNELS, KEYS, st.lists(PAYLOADS, min_size=6, max_size=6))
    def test_rewritten(
        self, channels: tuple[str, ...], key: str | None, payloads: list[bytes]
    ) -> None:
        """
        Each channel is stored once, with what its part was rewritten to; pieces of one
        publication share no key of a publisher's.
        """
        publication = Publication(channels, b"1", key=key)
        parts = [
            evolve(part, payload=payload)
            for part, payload in zip(partsOf(publication), payloads, strict=False)
        ]
        pieces = piecesOf(publication, parts)
        stored = {channel: each.payload for each in pieces for channel in each.channels}
        self.assertEqual(stored, dict(zip(channels, payloads, strict=False)))
        self.assertEqual(sum(len(each.channels) for each in pieces), len(channels))
        if key is not None and len(pieces) > 1:
            self.assertEqual({each.mark for each in pieces}, {publication.fingerprint()})
            for each in pieces:
                self.assertIn("\n", each.key or "")

    def test_size(self) -> None:
        """
        A publication counts once for each channel, its data once.
        """
        self.assertEqual(
            sizeOf([Publication(("a", "b"), b"123"), Publication(("c",), b"4")]), (3, 4)
        )

    def test_joined(self) -> None:
        """
        The publisher gets one answer with the position in each channel.
        """
        first, second = Published("e", {"a": 4}), Published("e", {"b": 5})
        self.assertIs(joined([first]), first)
        both = joined([first, second])
        self.assertEqual((both.epoch, both.positions), ("e", {"a": 4, "b": 5}))
