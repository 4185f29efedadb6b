"""
All cases, on both edges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.rfc6455.cases import allCases
from tests.rfc6455.echo import Connection, LeanEcho, MemoryEcho, play


def playAll(test: Any, open: Callable[[], Connection], edge: str) -> None:
    """
    Play all cases against an echo, and print how many there were of each section.
    """
    counts: Counter[str] = Counter()
    wrong = []
    for case in allCases():
        counts[case.section] += 1
        found = play(case, open())
        if found:
            wrong.append(f"{case.name}: {found}"[:400])
    test.assertEqual(wrong, [], "\n".join(wrong))
    sections = ", ".join(f"{count} of section {name}" for name, count in counts.items())
    print(f"{edge}: {sum(counts.values())} cases of RFC 6455 passed: {sections}")


class TwistedTests(MemoryEcho):
    """
    Twisted's edge.
    """

    def test_allCases(self) -> None:
        """
        The echo answers every case as RFC 6455 says.
        """
        playAll(self, self.open, "Twisted's edge")


class LeanTests(LeanEcho):
    """
    The lean edge.
    """

    def test_allCases(self) -> None:
        """
        The echo answers every case as RFC 6455 says.
        """
        playAll(self, self.open, "lean edge")
