"""
The board and the alarms ask for figures that a server tells, and the book says what
each alarm means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain

from comet.model.held import Held
from comet.web.metrics.families import families, heldFamilies
from tests.docs.running import DOCS
from tests.transports.case import HubTestCase, get

ALARMS = DOCS / "monitoring" / "comet.rules.yml"
BOARD = DOCS / "monitoring" / "comet.json"

# A name of a figure, and the labels that are asked for.
_ASKED = re.compile(r"\b((?:comet|process)_\w+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r'(\w+)=~?"([^"]*)"')
_BY = re.compile(r"by \(([^)]*)\)")

# Labels that Prometheus adds, and the bound of a bucket.
_ADDED = {"instance", "job", "le"}

# What prometheus-client tells of each process.
_PROCESS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
}

_ENDS = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


class MonitoringTests(HubTestCase):
    """
    The files, and the page.
    """

    def setUp(self) -> None:
        """
        Have a server tell all its figures.
        """
        super().setUp()
        self.hub.tellEvents(["open/**"])
        # The labels of some are there once something has happened.
        self.ask(get("/nowhere"))
        self.hub.tally.closed.add("internal")
        # The labels of each figure, with the values that are told.
        self.told: dict[str, Mapping[str, set[str]]] = {name: {} for name in _PROCESS}
        for family in chain(families(self.hub), heldFamilies(Held(1, 1, 1))):
            labels: dict[str, set[str]] = {}
            for each, _ in family.values:
                for label, value in each.items():
                    labels.setdefault(label, set()).add(value)
            for end in _ENDS[family.kind]:
                self.told[family.name + end] = labels

    def check(self, expression: str) -> None:
        """
        Assert that what an expression asks for is told.
        """
        found = _ASKED.findall(expression)
        self.assertTrue(found or expression.startswith("up{"), expression)
        known: set[str] = set(_ADDED)
        for name, asked in found:
            self.assertIn(name, self.told, expression)
            labels = self.told[name]
            known |= set(labels)
            for label, value in _LABEL.findall(asked):
                if label in _ADDED:
                    continue
                self.assertIn(label, labels, expression)
                # Those of errors and transports come with what happens.
                if label not in ("code", "transport"):
                    self.assertIn(value, labels[label], expression)
        for named in _BY.findall(expression):
            self.assertLessEqual(set(named.split(", ")), known, expression)

    def test_alarms(self) -> None:
        """
        Each alarm asks for what is told, and has a section of the page; there is no
        section more.
        """
        rules = ALARMS.read_text("utf-8")
        names = re.findall(r"^      - alert: (\w+)$", rules, re.MULTILINE)
        expressions = re.findall(r"^        expr: (.+)$", rules, re.MULTILINE)
        self.assertEqual(len(names), len(expressions))
        self.assertGreater(len(names), 10)
        for expression in expressions:
            self.check(expression)
        page = (DOCS / "howto" / "watching.rst").read_text("utf-8")
        sections = re.findall(r"^(Comet\w+)\n-+$", page, re.MULTILINE)
        self.assertEqual(sections, names)

    def test_board(self) -> None:
        """
        Each panel of the board asks for what is told, and lies beside the others.
        """
        board = json.loads(BOARD.read_text("utf-8"))
        count = 0
        for expression in _expressions(board["panels"]):
            self.check(expression)
            count += 1
        self.assertGreater(count, 20)
        places = [tuple(panel["gridPos"].values())[:2] for panel in board["panels"]]
        self.assertEqual(len(places), len(set(places)))
        ids = [panel["id"] for panel in board["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual(board["templating"]["list"][0]["type"], "datasource")


def _expressions(panels: list[dict[str, object]]) -> Iterator[str]:
    """
    Yield what the panels of a board ask for.
    """
    for panel in panels:
        targets = panel.get("targets", [])
        assert isinstance(targets, list)
        for target in targets:
            yield target["expr"]
