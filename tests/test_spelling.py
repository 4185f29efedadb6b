"""
Tests of L{comet.http.spelling}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.http.spelling import closest

KNOWN = ("transport", "since", "limit", "history-seconds", "lastEventId")


class ClosestTests(SynchronousTestCase):
    """
    L{closest}.
    """

    def test_findsMistypedWord(self) -> None:
        """
        A letter too many, too few, wrong or out of its place hides no word, nor do
        C{_} and capitals.
        """
        for word, meant in (
            ("transprot", "transport"),
            ("trasport", "transport"),
            ("transports", "transport"),
            ("sinse", "since"),
            ("History_Seconds", "history-seconds"),
            ("lasteventid", "lastEventId"),
        ):
            self.assertEqual(closest(word, KNOWN), meant)

    def test_findsNothingElse(self) -> None:
        """
        Another word is no known one, nor is one that is longer than all.
        """
        for word in ("", "token", "s", "transport" * 4, "x" * 100000):
            self.assertIsNone(closest(word, KNOWN))
