"""
Tests of L{comet.framing.firstline}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing.firstline import FirstBytes
from comet.framing.flashpolicy import REQUEST
from tests.framing.readers import CUTS, cut

BLANK = st.text(" \t\r\n\0", max_size=30).map(str.encode)


def judge(*pieces: bytes) -> list[bool]:
    """
    Return the judgement after each piece.
    """
    firstBytes = FirstBytes()
    return [firstBytes.feed(piece) for piece in pieces]


def expected(data: bytes) -> bool:
    """
    Judge a whole beginning.
    """
    begun = data.lstrip(b" \t\r\n\0")
    return begun[:1] == b"{" or begun.startswith(REQUEST) or REQUEST.startswith(begun)


class FirstLineTests(SynchronousTestCase):
    """
    L{FirstBytes}.
    """

    def test_takesObjectAndPolicyRequest(self) -> None:
        """
        A JSON object and the request for the policy file are taken at each byte, with
        anything behind them.
        """
        for data in (
            b'{"ping":1}\n<\0',
            b"{",
            b" \r\n\0\t{}",
            REQUEST,
            REQUEST + b"more",
            b"",
            b"\n",
        ):
            self.assertEqual(judge(*(bytes([byte]) for byte in data)), [True] * len(data))
            self.assertEqual(judge(data), [True])

    def test_refusesAtFirstWrongByte(self) -> None:
        """
        All else is refused at the first byte that is wrong, and for good.
        """
        for data in (
            *(b"POST / HTTP/1.1\r\n", b"G", b"\x16\x03\x01", b"[", b'"', b"\xef\xbb\xbf{", b"-"),
            *(b" x", b"\0\x0b{", b"<policy-file-request/>\n", b"<{"),
        ):
            wrong = next(n for n in range(1, len(data) + 1) if not expected(data[:n]))
            answers = judge(*(bytes([byte]) for byte in data + b"{"))
            self.assertEqual(answers, [n < wrong for n in range(1, len(data) + 2)], data)

    @given(BLANK, st.sampled_from([b"{", b"<", b"P", REQUEST, REQUEST[:-2]]), st.binary(), CUTS)
    def test_anySplit(self, blank: bytes, first: bytes, rest: bytes, sizes: list[int]) -> None:
        """
        The judgement does not depend on how TCP cuts the bytes, and little of them is
        kept.
        """
        data = blank + first + rest
        firstBytes = FirstBytes()
        pieces = list(cut(data, sizes))
        for number, piece in enumerate(pieces, 1):
            self.assertIs(firstBytes.feed(piece), expected(b"".join(pieces[:number])))
            self.assertTrue(len(firstBytes._begun) <= len(REQUEST))
