"""
Which responses are compressed.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.framing.compression import Compression
from comet.http.contentcoding import chooseCoding
from tests.http.heads import makeHead


class ChooseCodingTests(SynchronousTestCase):
    """
    L{chooseCoding}.
    """

    def test_acceptEncoding(self) -> None:
        """
        RFC 9110 12.5.3: the client takes gzip by its name or by a wildcard, and neither
        with a quality of 0 nor where it would rather have none.
        """
        compression = Compression(1)
        for accepted, isChosen in (
            (b"gzip", True),
            (b"GZIP", True),
            (b"x-gzip", True),
            (b"gzip, deflate, br, zstd", True),
            (b"br;q=1.0, gzip;q=0.8, *;q=0.1", True),
            (b"*", True),
            (b"gzip;q=0.001", True),
            (b"identity;q=0.5, gzip", True),
            (b"identity, gzip", True),
            (b"identity;q=0, *", True),
            (b"", False),
            (b"br", False),
            (b"gzip;q=0", False),
            (b"gzip;q=0.000, *", False),
            (b"*;q=0", False),
            (b"identity", False),
            (b"identity, gzip;q=0.5", False),
            (b"gzip;q=2", False),
        ):
            head = makeHead(headers={"Accept-Encoding": accepted})
            chosen = chooseCoding(head, ["news"], compression)
            self.assertEqual(chosen, compression if isChosen else None, accepted)
        self.assertIsNone(chooseCoding(makeHead(), ["news"], compression))

    def test_concerned(self) -> None:
        """
        Nothing is chosen for names of which no message is compressed.
        """
        head = makeHead(headers={"Accept-Encoding": b"gzip"})
        self.assertIsNone(chooseCoding(head, ["news"], None))
        self.assertIsNone(chooseCoding(head, ["news"], Compression(0, (("chat/*", 1),))))
