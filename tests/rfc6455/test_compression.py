"""
All cases with compression, on both edges.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from attrs import evolve

from comet.framing.compression import Compression
from tests.lean.case import UPGRADE, request
from tests.rfc6455.compression import compressionCases
from tests.rfc6455.echo import ROOMY, LeanEcho, MemoryEcho
from tests.rfc6455.wire import closing

ON = evolve(ROOMY, compression=Compression(1))


def playAll(test: Any, edge: str) -> None:
    """
    Play all cases against an echo, and print how many there were of each section.
    """
    counts: Counter[str] = Counter()
    wrong = []
    for case in compressionCases():
        counts[case.section] += 1
        extensions = f"Sec-WebSocket-Extensions: {case.offer}\r\n"
        connection = test.open(request("/socket", UPGRADE + extensions))
        if (b"permessage-deflate" in test.answer) != case.isAgreed:
            wrong.append(f"{case.name}: {test.answer!r}")
        heard = []
        for packet in case.packets:
            connection.send([packet])
            heard += case.read(connection.take())
        if heard != list(case.sent):
            wrong.append(f"{case.name}: heard {heard}"[:400])
        connection.send([closing(1000)])
        connection.take()
        if connection.isOpen:
            wrong.append(f"{case.name}: not closed")
    test.assertEqual(wrong, [], "\n".join(wrong))
    sections = ", ".join(f"{count} of section {name}" for name, count in counts.items())
    print(f"{edge}: {sum(counts.values())} cases of RFC 7692 passed: {sections}")


class TwistedTests(MemoryEcho):
    """
    Twisted's edge.
    """

    settings = ON

    def test_allCases(self) -> None:
        """
        The echo answers every case as RFC 7692 says.
        """
        playAll(self, "Twisted's edge")


class LeanTests(LeanEcho):
    """
    The lean edge.
    """

    settings = ON

    def test_allCases(self) -> None:
        """
        The echo answers every case as RFC 7692 says.
        """
        playAll(self, "lean edge")
