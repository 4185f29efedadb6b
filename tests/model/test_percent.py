"""
Tests of L{comet.model.percent}.
"""

from __future__ import annotations

from urllib.parse import quote_from_bytes, unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.model.percent import isMalformed, unquoted


class UnquotedTests(SynchronousTestCase):
    """
    L{unquoted} and L{isMalformed}.
    """

    @given(
        st.binary()
        | st.lists(st.sampled_from([b"%", b"4", b"1", b"\\", b"x", b"C3"])).map(b"".join)
    )
    def test_anyBytes(self, raw: bytes) -> None:
        """
        All is undone as Python's own function does it, and what was encoded comes back.
        """
        self.assertEqual(unquoted(raw), unquote_to_bytes(raw))
        encoded = quote_from_bytes(raw).encode()
        self.assertEqual(unquoted(encoded, 0), raw)
        self.assertFalse(isMalformed(encoded))

    def test_malformed(self) -> None:
        """
        Percent signs that encode nothing stand for themselves, and may be bounded.
        """
        for raw in (b"%", b"%4", b"a%zz", b"%%41", b"%41%"):
            self.assertTrue(isMalformed(raw), raw)
            self.assertEqual(unquoted(raw, 1), unquote_to_bytes(raw))
            self.assertRaises(ValueError, unquoted, raw, 0)
        self.assertRaises(ValueError, unquoted, b"%" * 8, 7)
        self.assertEqual(unquoted(b"%" * 8, 8), b"%" * 8)
