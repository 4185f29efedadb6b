"""
Tests of L{comet.web.metrics.workerfigures}: figures between processes, and put together.
"""

from __future__ import annotations

import json
from collections.abc import Sized
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from comet.metrics.tally import Histogram
from comet.web.metrics.families import Family
from comet.web.metrics.workerfigures import fromRows, ofWorkers, toRows
from tests.transports.case import get
from tests.web.metrics.case import ADMIN, MetricsCase, readFigures


def shown(families: list[Family]) -> list[Any]:
    """
    Return figures in a form that can be compared.
    """
    return [
        [
            (each.name, each.kind, each.text, dict(labels), shownValue(value))
            for labels, value in each.values
        ]
        for each in families
    ]


def shownValue(value: float | Histogram) -> Any:
    """
    Return a value in a form that can be compared.
    """
    if isinstance(value, Histogram):
        return tuple(value.bounds), tuple(value.counts), value.total
    return value


def histogram(values: list[float]) -> Histogram:
    """
    Return a histogram of some values.
    """
    made = Histogram()
    for value in values:
        made.add(value)
    return made


NUMBERS = st.floats(0, 1e12)
VALUES = st.one_of(NUMBERS, st.lists(NUMBERS, max_size=5).map(histogram))
LABELS = st.dictionaries(
    st.sampled_from(["code", "transport", "le"]), st.sampled_from(["", "x", "é\n"])
)
FAMILIES = st.lists(
    st.builds(
        Family,
        st.sampled_from(["comet_a", "comet_b"]),
        st.sampled_from(["gauge", "counter", "histogram"]),
        st.sampled_from(["", "What it is."]),
        st.lists(st.tuples(LABELS, VALUES), max_size=4),
    ),
    max_size=4,
)


class RowsTests(SynchronousTestCase):
    """
    L{toRows} and L{fromRows}.
    """

    @given(FAMILIES)
    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_survive(self, families: list[Family]) -> None:
        """
        Figures that pass from one process to another stay what they are.
        """
        passed = json.loads(json.dumps(toRows(families)))
        self.assertEqual(shown(fromRows(passed)), shown(families))

    def test_otherForms(self) -> None:
        """
        What another release may tell is refused as a whole.
        """
        short = {"bounds": [1.0, 2.0], "counts": [1], "total": 1.0}
        for rows in (
            None,
            [1],
            [["a", "gauge"]],
            [["a", "gauge", "A.", [[None, 1.0]]]],
            [["a", "gauge", "A.", [[{}, "x"]]]],
            [["a", "histogram", "A.", [[{}, short]]]],
            [["a", "histogram", "A.", [[{}, {}]]]],
        ):
            self.assertRaises(ValueError, fromRows, rows)


class TogetherTests(SynchronousTestCase):
    """
    L{ofWorkers}.
    """

    def test_labelled(self) -> None:
        """
        The figures of one name are together, each with its worker.
        """
        one = [Family("a", "counter", "A.").add(1, code="x"), Family("b", "gauge", "B.").add(5)]
        two = [Family("a", "counter", "A.").add(2, code="x").add(3, code="y")]
        found = list(ofWorkers({2: two, 1: one}))
        self.assertEqual([each.name for each in found], ["a", "b"])
        self.assertEqual(
            found[0].values,
            [
                ({"code": "x", "worker": "1"}, 1),
                ({"code": "x", "worker": "2"}, 2),
                ({"code": "y", "worker": "2"}, 3),
            ],
        )

    def test_otherKind(self) -> None:
        """
        A figure that another release tells in another form is left out.
        """
        one, two = Family("a", "counter", "A.").add(1), Family("a", "gauge", "A.").add(2)
        (found,) = ofWorkers({1: [one], 2: [two]})
        self.assertEqual(found.values, [({"worker": "1"}, 1)])


class Others:
    """
    The other workers of a test.
    """

    number = 3

    def __init__(self, rows: dict[int, Any]) -> None:
        self.rows = rows

    def watch(self, held: Sized) -> None:
        """
        See L{Siblings<comet.hub.siblings.Siblings>}.
        """

    def room(self) -> int:
        """
        See L{Siblings<comet.hub.siblings.Siblings>}.
        """
        return 1

    def figures(self) -> Deferred[Any]:
        """
        See L{Siblings<comet.hub.siblings.Siblings>}.
        """
        return succeed(self.rows)


class ScrapeTests(MetricsCase):
    """
    A scrape of one of several workers.
    """

    def test_all(self) -> None:
        """
        All workers are told of; what the bus holds is told once.  What is of no use is
        left out.
        """
        self.hub.siblings = Others(
            {1: toRows([Family("comet_gaps", "counter", "Gaps.").add(7)]), 2: [["odd"]]}
        )
        figures = self.scrape()
        self.assertEqual(figures["comet_workers"], 2)
        self.assertEqual(figures['comet_gaps_total{worker="1"}'], 7)
        self.assertEqual(figures['comet_gaps_total{worker="3"}'], 0)
        self.assertIn('process_cpu_seconds_total{worker="3"}', figures)
        self.assertIn("comet_log_channels", figures)
        names = [name for name in figures if "worker=" not in name]
        self.assertEqual(
            {name for name in names if not name.startswith("comet_log_")}, {"comet_workers"}
        )

    def test_alone(self) -> None:
        """
        Without workers there is no such label.
        """
        response = self.ask(get("/metrics", f"Authorization: Bearer {ADMIN}"))
        self.assertNotIn(b"worker=", response.body)
        self.assertEqual(readFigures(response.body.decode())["comet_workers"], 1)
