"""
Tests of C{python -m benchmarks}, its tables and its chart.
"""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

from docutils.core import publish_doctree
from docutils.nodes import row as docutils_row
from docutils.nodes import table
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.__main__ import main
from benchmarks.chart import drawChart
from benchmarks.figures import Spread
from benchmarks.results import Results
from benchmarks.tables import cell, number
from tests.benchmarks.counted import counted


class CommandTests(SynchronousTestCase):
    """
    C{python -m benchmarks}.
    """

    def call(self, *words: str) -> tuple[int, str]:
        """
        Call the command.

        @return: The exit status, and what it has printed.
        """
        output = StringIO()
        with redirect_stdout(output):
            return main(words), output.getvalue()

    def saved(self, lost: int = 0) -> Path:
        """
        Save the results of two servers in two rounds.
        """
        results = Results()
        for round in range(2):
            results.add(("closed1k", "comet", "sse"), round, counted(cpuNs=3e6, lost=lost))
            results.add(("closed1k", "nchan", "sse"), round, counted(cpuNs=6e6))
        path = Path(self.mktemp())
        results.save(path)
        return path

    def test_tables(self) -> None:
        """
        The figures of a file are shown by case, with the ratio, its target, and
        whether the target is reached.
        """
        status, text = self.call("--input", str(self.saved()))
        self.assertEqual(status, 0)
        self.assertIn("1 channel, 1,000 readers, closed loop\n", text)
        lines = [line.split() for line in text.splitlines()]
        self.assertIn(["sse", "comet", "3.00"], [line[:3] for line in lines])
        verdict = next(line for line in lines if line[-1:] == ["yes"])
        self.assertEqual(verdict[-4:], ["0.50", "≤", "0.70", "yes"])

    def test_behind(self) -> None:
        """
        The table for the book has the figures in which comet is behind, the worst
        first, and says how long was measured.
        """
        results = Results()
        ours = {"cpuNs": 9e6, "latencyP50Ns": 4e6, "seconds": 2.5, "deliveries": 1000}
        results.add(("closed1k", "comet", "sse"), 0, counted(**ours))
        results.add(("closed1k", "nchan", "sse"), 0, counted(cpuNs=6e6, latencyP99Ns=1.99e6))
        results.add(("closed1k", "comet", "tcp"), 0, counted(cpuNs=9e6))
        saved, behind = Path(self.mktemp()), Path(self.mktemp())
        results.save(saved)
        self.call("--input", str(saved), "--behind", str(behind))
        document = publish_doctree(behind.read_text(), settings_overrides={"report_level": 2})
        rows = [row.astext().split("\n\n") for row in document.findall(docutils_row)][1:]
        self.assertEqual(
            [row[1:] for row in rows],
            [
                ["sse", "p50, ms", "4.00", "1.00", "4.00"],
                ["sse", "CPU a delivery, µs", "9.00", "6.00", "1.50"],
                ["sse", "deliveries a second", "400", "500", "0.80"],
            ],
        )
        self.assertIn("1 round, each run of 2.0 to 2.5 seconds.", behind.read_text())

    def test_faults(self) -> None:
        """
        If a message was lost, the table says so, and the command fails.
        """
        status, text = self.call("--input", str(self.saved(lost=2)))
        self.assertEqual(status, 1)
        self.assertIn("4 lost", text)

    def test_files(self) -> None:
        """
        The command writes tables that are valid reStructuredText, and a chart
        that is valid SVG.
        """
        rst, svg = Path(self.mktemp()), Path(self.mktemp())
        self.call("--input", str(self.saved()), "--rst", str(rst), "--chart", str(svg))
        document = publish_doctree(rst.read_text(), settings_overrides={"report_level": 2})
        self.assertEqual(len([*document.findall(table)]), 2)
        root = ElementTree.fromstring(svg.read_text())
        bars = root.findall("{http://www.w3.org/2000/svg}rect")
        ours, theirs = (float(bar.attrib["width"]) for bar in bars)
        self.assertAlmostEqual(ours * 2, theirs, delta=0.2)

    def test_missing(self) -> None:
        """
        A server that is not installed is left out, and the command says what to
        install.
        """
        self.patch(self.peers(), "_MODULE", Path("/there/is/none"))
        status, text = self.call("--peers", "nchan", "--cases", "closed1k")
        self.assertEqual(status, 0)
        self.assertIn("nchan is left out: it needs apt install", text)

    def peers(self) -> object:
        """
        Return the module that looks for Nchan.
        """
        import benchmarks.peers.nchan

        return benchmarks.peers.nchan

    def test_measures(self) -> None:
        """
        The command measures the given peers, cases and transports, says how far
        it is, and saves the results.
        """
        output = Path(self.mktemp())
        words = ["--peers", "floor", "--cases", "closed1k", "--transports", "websocket"]
        words += ["--readers", "20", "--rounds", "2", "--seconds", "0.2"]
        status, text = self.call(*words, "--output", str(output))
        self.assertEqual(status, 0, text)
        self.assertIn("\n[1/2] round 1 closed1k floor websocket: ", text)
        self.assertIn("[2/2 0 min left] round 2 closed1k floor websocket: ", text)
        results = Results.load(output)
        self.assertEqual([*results.rounds[("closed1k", "floor", "websocket")]], [0, 1])
        self.assertIn("floor", results.about["versions"])

    def test_unknown(self) -> None:
        """
        An unknown peer is refused, and the error lists the known ones.
        """
        output = StringIO()
        with redirect_stderr(output):
            error = self.assertRaises(SystemExit, main, ["--peers", "pigeon"])
        self.assertEqual(error.code, 2)
        self.assertIn("'pigeon' is none of comet, nchan", output.getvalue())


class ResultsTests(SynchronousTestCase):
    """
    L{Results}.
    """

    def test_savedAndLoaded(self) -> None:
        """
        Saved results are equal to the originals when they are loaded.
        """
        results = Results()
        results.add(("burst", "comet", "tcp"), 3, counted(lost=1))
        path = Path(self.mktemp())
        results.save(path)
        loaded = Results.load(path)
        self.assertEqual(loaded.rounds, results.rounds)
        self.assertEqual(loaded.about, results.about)

    def test_refusesOtherFiles(self) -> None:
        """
        A file that holds no results is refused.
        """
        path = Path(self.mktemp())
        for text in ("", "[]", "{}", '{"about": {}, "runs": [{"case": "burst"}]}'):
            path.write_text(text)
            self.assertRaises(ValueError, Results.load, path)


class WordingTests(SynchronousTestCase):
    """
    The format of figures in tables and charts.
    """

    def test_number(self) -> None:
        """
        A number has three significant digits, and zero two decimals.
        """
        written = [number(value) for value in (0, 0.0412, 0.45, 4.567, 45.67, 456.7, 45670.0)]
        self.assertEqual(written, ["0.00", "0.041", "0.45", "4.57", "45.7", "457", "45,670"])

    def test_cell(self) -> None:
        """
        The spread stands behind the median, unless all rounds were equal.
        """
        self.assertEqual(cell(Spread(2.0, 1.0, 3.0)), "2.00 (1.00 to 3.00)")
        self.assertEqual(cell(Spread(2.0, 2.0, 2.0)), "2.00")
        self.assertEqual(cell(None), "-")

    def test_noChart(self) -> None:
        """
        A chart without measurements is valid SVG without bars.
        """
        root = ElementTree.fromstring(drawChart({}))
        self.assertEqual(root.findall("{http://www.w3.org/2000/svg}rect"), [])
