"""
How a handshake agrees on compression.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.framing.compression import Compression
from comet.http.deflateoffers import MOST_OFFERS, agree
from tests.http.heads import makeHead

ON = Compression(100)
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


class AgreeTests(SynchronousTestCase):
    """
    L{agree}.
    """

    def offer(self, *offers: str) -> tuple[str, Compression | None]:
        """
        Offer extensions, each in a header of its own.
        """
        headers = [each.encode("ascii") for each in offers]
        return agree(makeHead(headers={"Sec-WebSocket-Extensions": headers}), ON)

    def test_accepted(self) -> None:
        """
        An offer is accepted without context takeover, whether it asks for that or not.
        """
        for offer in (
            "permessage-deflate",
            "Permessage-Deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=8",
            "permessage-deflate;server_no_context_takeover ; client_no_context_takeover",
            "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits = 10",
            ",, permessage-deflate",
        ):
            self.assertEqual(self.offer(offer), (ANSWER, ON), offer)

    def test_window(self) -> None:
        """
        A window that the client limits is kept, in the answer and in the shape; there are
        few of them, so that clients that ask for many do not have each message compressed
        as often.
        """
        for offer, bits in (
            ("permessage-deflate; server_max_window_bits=9", 9),
            ("permessage-deflate; server_max_window_bits=10", 9),
            ("permessage-deflate; server_max_window_bits=11", 9),
            ('permessage-deflate; server_max_window_bits="12"', 12),
            ("permessage-deflate; server_max_window_bits=13", 12),
            ("permessage-deflate; server_max_window_bits=14", 12),
            ("permessage-deflate; server_max_window_bits=15", 15),
        ):
            agreed = f"{ANSWER}; server_max_window_bits={bits}", Compression(100, window=bits)
            self.assertEqual(self.offer(offer), agreed)

    def test_declined(self) -> None:
        """
        RFC 7692 7.1: an offer with a parameter that is unknown, wrong, or there twice is
        declined; and one for a window of 256 bytes, which zlib does not have.
        """
        for parameters in (
            "server_max_window_bits=8",
            "server_max_window_bits",
            "server_max_window_bits=",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=09",
            "server_max_window_bits=+9",
            "client_max_window_bits=7",
            "client_max_window_bits=",
            "server_no_context_takeover=1",
            "client_no_context_takeover; client_no_context_takeover",
            "something",
            "",
        ):
            offer = f"permessage-deflate; {parameters}"
            self.assertEqual(self.offer(offer), ("", None), offer)
        for offer in ("", "permessage-deflate2", "x-webkit-deflate-frame"):
            self.assertEqual(self.offer(offer), ("", None), offer)

    def test_firstThatFits(self) -> None:
        """
        Of several offers the first is accepted that can be; and not many are looked at.
        """
        bad, good = "permessage-deflate; server_max_window_bits=8", "permessage-deflate"
        self.assertEqual(self.offer(f"{bad}, {good}"), (ANSWER, ON))
        self.assertEqual(self.offer(bad, good), (ANSWER, ON))
        self.assertEqual(self.offer(*[bad] * MOST_OFFERS, good), ("", None))

    def test_off(self) -> None:
        """
        Where nothing is compressed, no offer is looked at.
        """
        head = makeHead(headers={"Sec-WebSocket-Extensions": b"permessage-deflate"})
        self.assertEqual(agree(head, None), ("", None))
