"""
Tests of L{comet.server.wsgilength}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.server.wsgilength import ToldLength, TooShort


class ToldLengthTests(SynchronousTestCase):
    """
    A length by itself.
    """

    def test_anySplit(self) -> None:
        """
        However the body comes, as much of it goes out as the length tells.
        """
        body = b"0123456789"
        for size in range(1, len(body) + 1):
            length = ToldLength("GET")
            length.begun("200 OK", [("content-length", "7")])
            parts = [body[start : start + size] for start in range(0, len(body), size)]
            self.assertEqual(b"".join(map(length.within, parts)), body[:7])
            self.assertTrue(length.isExceeded)
            length.ended()

    def test_short(self) -> None:
        """
        What is missing is told with the length.
        """
        length = ToldLength("GET")
        length.begun("200 OK", [("Content-Length", "7")])
        self.assertEqual(length.within(b"0123"), b"0123")
        error = self.assertRaises(TooShort, length.ended)
        self.assertEqual(str(error), "3 of 7 bytes of Content-Length are missing")

    def test_without(self) -> None:
        """
        Without a length, with one that is none, and without a body, nothing is counted.
        """
        for method, status, told in (
            ("GET", "200 OK", ()),
            ("GET", "200 OK", (("Content-Length", "-1"),)),
            ("GET", "200 OK", (("Content-Length", "\u0667"),)),
            ("HEAD", "200 OK", (("Content-Length", "7"),)),
            ("GET", "304 Not Modified", (("Content-Length", "7"),)),
            ("GET", "204 No Content", (("Content-Length", "7"),)),
        ):
            length = ToldLength(method)
            length.begun(status, told)
            self.assertEqual(length.within(b"01234567"), b"01234567")
            self.assertFalse(length.isExceeded)
            length.ended()

    def test_replaced(self) -> None:
        """
        An application that tells of a failure in place of its page tells another length.
        """
        length = ToldLength("GET")
        length.begun("200 OK", [("Content-Length", "7")])
        length.begun("500 Internal Server Error", [("Content-Length", "2")])
        self.assertEqual(length.within(b"no"), b"no")
        length.ended()
