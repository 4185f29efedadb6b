"""
Tests of L{comet.hooks.hooktable}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from comet.hooks.hooktable import HookTable


class HookTableTests(SynchronousTestCase):
    """
    Which names are asked about.
    """

    def test_firstThatMatches(self) -> None:
        """
        For a channel the first table counts; a pattern is asked about where it reaches a
        channel of any.
        """
        table = HookTable(
            [("chat/quiet", []), ("chat/*", ["publish"]), ("game/*/moves", ["subscribe"])]
        )
        asked = {
            ("publish", "chat/a"): True,
            ("publish", "chat/quiet"): False,
            ("publish", "chat/a/b"): False,
            ("subscribe", "chat/a"): False,
            ("subscribe", "game/1/moves"): True,
            ("subscribe", "game/**"): True,
            ("subscribe", "*/1/*"): True,
            ("subscribe", "game/1"): False,
            ("subscribe", "game/*"): False,
        }
        for (kind, name), isAsked in asked.items():
            self.assertIs(table.asks(kind, name), isAsked, (kind, name))

    def test_refusesWhatIsNotValid(self) -> None:
        """
        A name or a kind that is not valid is refused.
        """
        bad: list[list[tuple[str, Any]]] = [
            [("a//b", ["publish"])],
            [("a", ["publishing"])],
            [("a", "publish")],
        ]
        for tables in bad:
            self.assertRaises(ValueError, HookTable, tables)
