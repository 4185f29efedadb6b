"""
Tests of L{comet.command.topcommand}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from comet.command.topcommand import Figures, _lines


def told(node: str, **counts: Any) -> dict[str, Any]:
    """
    What a node tells of one transport.
    """
    return {"node": node, "transports": {"sse": counts}}


class FiguresTests(SynchronousTestCase):
    """
    L{Figures}.
    """

    def test_rates(self) -> None:
        """
        Rates are of a second, by two figures of a node; what is open is as it is.
        """
        figures = Figures()
        self.assertFalse(figures.take(told("a", open=2, requests=5, headOut=100, dataOut=0), 10.0))
        self.assertTrue(figures.take(told("a", open=3, requests=9, headOut=300, dataOut=50), 12.0))
        self.assertEqual(
            figures.table(12.0),
            {
                "nodes": 1,
                "transports": {"sse": {"open": 3, "requests": 2.0, "in": 0, "out": 125.0}},
            },
        )

    def test_nodes(self) -> None:
        """
        Nodes are added up, for as long as they tell anything.
        """
        figures = Figures()
        for seconds in (0.0, 1.0):
            for node in ("a", "b"):
                figures.take(told(node, open=1, requests=seconds * 3), seconds)
        row = figures.table(1.0)["transports"]["sse"]
        self.assertEqual((row["open"], row["requests"]), (2, 6.0))
        figures.take(told("a", open=1, requests=3), 7.0)
        self.assertEqual(figures.table(7.0)["nodes"], 1)

    def test_restarted(self) -> None:
        """
        A count that falls is none that grows.
        """
        figures = Figures()
        for seconds, count in ((0.0, 100), (1.0, 3)):
            figures.take(told("a", requests=count), seconds)
        self.assertEqual(figures.table(1.0)["transports"]["sse"]["requests"], 0)

    def test_strange(self) -> None:
        """
        What is no figure of a node counts for nothing.
        """
        figures = Figures()
        strange: tuple[Any, ...] = (
            *(None, [], {}, {"node": 1}, {"node": "a"}, {"node": "a", "transports": [1]}),
        )
        for data in strange:
            figures.take(data, 0.0)
        figures.take({"node": "a", "transports": {"sse": 1, "x": {"open": "2", "y": True}}}, 1.0)
        row = {"open": 0, "requests": 0, "in": 0, "out": 0}
        self.assertEqual(figures.table(1.0), {"nodes": 1, "transports": {"x": row}})

    def test_lines(self) -> None:
        """
        The table is made for people: with units, and without what a terminal obeys.
        """
        row = {"open": 1234, "requests": 2.5, "in": 999, "out": 2_500_000}
        lines = list(_lines({"nodes": 2, "transports": {"ss\x1be": row}}))
        self.assertIn("2 nodes", lines[0])
        self.assertEqual(lines[2].split(), r"ss\x1be 1,234 2.5 999 B 2.5 MB".split())
