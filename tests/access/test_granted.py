"""
What a token's claim, or an answer of the backend, grants.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis.strategies import text
from twisted.trial.unittest import SynchronousTestCase

from comet.access.granted import Granted, readGranted
from comet.model.clients import checkClientName
from comet.model.grants import Rights, permits


class GrantedTests(SynchronousTestCase):
    """
    Reading what is granted.
    """

    def test_nothing(self) -> None:
        """
        Each part may be absent or null.
        """
        self.assertEqual(readGranted({}, ""), Granted())
        empty = {"subscribe": None, "publish": None, "presence": None, "info": None}
        self.assertEqual(readGranted(empty, ""), Granted())

    def test_all(self) -> None:
        """
        The rights and what others are shown; other keys do not matter.
        """
        value = {
            "subscribe": ["a", "b/*"],
            "publish": ["c"],
            "presence": ["**"],
            "info": [1],
            "x": 2,
        }
        rights = Rights(["a", "b/*"], ["c"], ["**"])
        self.assertEqual(readGranted(value, ""), Granted(rights, [1]))

    def test_subject(self) -> None:
        """
        C{{sub}} as a whole segment is the client's name, and only there.
        """
        given = readGranted({"subscribe": ["{sub}", "a/{sub}/b", "x{sub}"]}, "ada")
        self.assertEqual(given.rights.subscribe, ("ada", "a/ada/b", "x{sub}"))

    def test_noSubject(self) -> None:
        """
        A name that would give the channels of others is refused, and so is none.
        """
        for name in ("", "*", "**", "a/b", "$x", ".", "..", "a,b", "a?", "a#", "x*"):
            self.assertRaises(ValueError, readGranted, {"publish": ["a/{sub}"]}, name)
            readGranted({"publish": ["a"]}, name)

    @given(text(min_size=1, max_size=20))
    def test_anySubject(self, name: str) -> None:
        """
        Whatever the name is, a pattern with C{{sub}} reaches nothing of another client.
        """
        try:
            rights = readGranted({"subscribe": ["inbox/{sub}"]}, name).rights
        except ValueError:
            return
        self.assertEqual(permits(rights.subscribe, "inbox/other"), name == "other")
        self.assertFalse(permits(rights.subscribe, "inbox/*"))

    def test_notAllowed(self) -> None:
        """
        What is no list of patterns, too many of them, or too much info.
        """
        bad: tuple[dict[str, Any], ...] = (
            {"subscribe": "a"},
            {"subscribe": [5]},
            {"publish": ["a//b"]},
            {"presence": {}},
            {"subscribe": ["a"] * 1001},
            {"info": "\xe9" * 2048},
        )
        for value in bad:
            self.assertRaises(ValueError, readGranted, value, "ada")
        readGranted({"info": "\xe9" * 2047}, "ada")

    def test_names(self) -> None:
        """
        A client's name is a text of 1 to 255 bytes without control characters.
        """
        for name in ("a", "Zo\xeb", "a" * 255, "a b/*"):
            self.assertEqual(checkClientName(name), name)
        for bad in ("", "\xe9" * 128, "a\x00", "\x85", "\ud800", 5, None, ["a"]):
            self.assertRaises(ValueError, checkClientName, bad)
