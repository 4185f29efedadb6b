"""
Tests of the sets of cases: their tables, their curves, and what only they need.
"""

from __future__ import annotations

import os
import signal
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

from attrs import evolve
from docutils.core import publish_doctree
from docutils.nodes import table
from twisted.trial.unittest import SynchronousTestCase, TestCase

from benchmarks.__main__ import main
from benchmarks.building import buildLoad
from benchmarks.cases import CASES, ORDINARY
from benchmarks.commands import NAMES, TRANSPORTS, findPeer
from benchmarks.curves import curves, drawCurves
from benchmarks.figures import FIGURES, faults
from benchmarks.holding import hold
from benchmarks.results import Results
from benchmarks.runs import NO_TRANSPORT, Run, measure, plan
from benchmarks.scripts import Layout
from benchmarks.servers import Broken, Server
from benchmarks.sets import SETS, Bound
from benchmarks.settables import setTables
from tests.benchmarks.counted import counted

_SVG = "{http://www.w3.org/2000/svg}"


def grown() -> Results:
    """
    Return results in which a delivery to 50,000 readers costs twice what one to 10,000
    does, and of which the last has fewer readers.
    """
    results = Results()
    for count, came, cpu in ((10, 10, 8e6), (10000, 10000, 4e6), (50000, 30000, 8e6)):
        key = (f"readers-{count}", "comet", "sse")
        results.add(key, 0, counted(readers=came, cpuNs=cpu, messages=10))
    return results


class SetTests(SynchronousTestCase):
    """
    L{SETS}.
    """

    def test_fits(self) -> None:
        """
        Each case of a set has a run, with the peers that it names, which exist.
        """
        peers = [findPeer(name) for name in NAMES]
        for one in SETS.values():
            for case in one.cases:
                runs = [*plan(peers, [case], TRANSPORTS, 1)]
                self.assertEqual({run.peer.name for run in runs}, {*case.peers}, case.name)
                self.assertIn(case.figure, FIGURES)

    def test_apart(self) -> None:
        """
        No set is measured if no case is named, and only sets have peers of their own.
        """
        peers = [peer for name in NAMES if (peer := findPeer(name)).isOfSet]
        ordinary = [CASES[name] for name in ORDINARY]
        self.assertEqual([*plan(peers, ordinary, TRANSPORTS, 1)], [])
        self.assertFalse({*ORDINARY} & {case.name for one in SETS.values() for case in one.cases})

    def test_bounds(self) -> None:
        """
        Each bound is of cases and figures that its set has.
        """
        for one in SETS.values():
            spots = {(case.name, peer) for case in one.cases for peer in case.peers}
            for bound in one.bounds:
                self.assertIn(bound.over, spots)
                self.assertIn(bound.under, {None, *spots})
                self.assertIn(bound.figure, FIGURES)

    def test_boundHolds(self) -> None:
        """
        A figure that equals its bound holds.
        """
        most = Bound("cpu", ("a", "b"), None, 1.3)
        least = Bound("cpu", ("a", "b"), None, 0.9, isMost=False)
        self.assertEqual([most.holds(each) for each in (1.3, 1.31)], [True, False])
        self.assertEqual([least.holds(each) for each in (0.9, 0.89)], [True, False])

    def test_apartChannels(self) -> None:
        """
        Readers of a layout that keeps them apart share no channel, and read all.
        """
        groups = [*Layout(30, 10, isApart=True).groups()]
        self.assertEqual([first for first, _ in groups], [0, 10, 20])
        names = [name for _, some in groups for name in some]
        self.assertEqual(len({*names}), 30)


class ShownTests(SynchronousTestCase):
    """
    L{setTables} and L{drawCurves}.
    """

    def test_tables(self) -> None:
        """
        The bounds come first, with the ratio and whether it holds.  A case in which fewer
        readers came says so.
        """
        targets, readers = setTables(grown().rounds, SETS["growth"])
        self.assertEqual([line[-3:] for line in targets[2]], [["2.00", "≤ 1.30", "NO"]])
        self.assertEqual(len(readers[2]), 3)
        self.assertIn("only 30,000", readers[2][-1][0])

    def test_nothing(self) -> None:
        """
        A set of which nothing was measured has no table and no curve.
        """
        self.assertEqual(setTables({}, SETS["growth"]), [])
        root = ElementTree.fromstring(drawCurves({}, SETS["growth"].series))
        self.assertEqual(root.findall(f"{_SVG}polyline"), [])

    def test_places(self) -> None:
        """
        A point stands where the number of readers was that came.
        """
        found = curves(grown().rounds, SETS["growth"].series[0], "cpu")
        self.assertEqual([point.at for point in found["comet"]], [10, 10000, 30000])
        self.assertEqual([point.spread.median for point in found["comet"]], [8.0, 4.0, 8.0])

    def test_drawing(self) -> None:
        """
        A curve goes from left to right, and is as high as its values.
        """
        root = ElementTree.fromstring(drawCurves(grown().rounds, SETS["growth"].series))
        line = root.findall(f"{_SVG}polyline")[0]
        spots = [tuple(map(float, spot.split(","))) for spot in line.attrib["points"].split()]
        (left, high), (middle, low), (right, same) = spots
        self.assertLess(left, middle)
        self.assertLess(middle, right)
        self.assertEqual(high, same)
        # Twice as far from the axis, which is below.
        axis = float(root.findall(f"{_SVG}line")[0].attrib["y1"])
        self.assertAlmostEqual((axis - high) / (axis - low), 2.0, delta=0.01)

    def test_book(self) -> None:
        """
        The command writes the tables and the curves of a set for the book, and nothing of
        the other sets.
        """
        saved, folder = Path(self.mktemp()), Path(self.mktemp())
        folder.mkdir()
        grown().save(saved)
        self.patch(__import__("sys"), "stdout", StringIO())
        self.assertEqual(main(["--input", str(saved), "--book", str(folder)]), 0)
        self.assertEqual(
            sorted(path.name for path in folder.iterdir()),
            ["performance-growth.inc", "performance-growth.svg"],
        )
        text = (folder / "performance-growth.inc").read_text()
        document = publish_doctree(text, settings_overrides={"report_level": 2})
        self.assertEqual(len([*document.findall(table)]), 2)


class HoldTests(TestCase):
    """
    L{hold}.
    """

    timeout = 120

    def test_held(self) -> None:
        """
        The channels hold their messages, and what each takes is told.
        """
        with Server(findPeer("comet"), 0, {}) as server:
            grown = hold(server, 3000)
        # An empty log of Python objects takes some of it, and the message the rest.
        self.assertGreater(grown, 200)
        self.assertLess(grown, 20000)

    def test_refused(self) -> None:
        """
        A server that does not take the messages is broken.
        """
        with Server(findPeer("comet"), 0, {}) as server:
            for pid in server.pids:
                os.kill(pid, signal.SIGKILL)
            self.assertRaises(Broken, hold, server, 1)


class MeasureTests(TestCase):
    """
    L{measure}, with small cases of the sets.
    """

    timeout = 240

    def test_growth(self) -> None:
        """
        Each series of growth can be measured, and nothing is lost.
        """
        for name in ("readers-10", "held-10", "spread-10", "read-10", "patterns-10"):
            case = evolve(CASES[name], held=min(CASES[name].held, 10))
            transport = NO_TRANSPORT if case.readers == 0 else "sse"
            result = measure(Run(0, case, transport, findPeer("comet")), buildLoad(), {}, 0.2)
            self.assertEqual(faults(result), {}, f"{name}: {result.get('firstFault')}")
            self.assertEqual(result["readers"], case.readers)
            self.assertGreater(FIGURES[case.figure].of(result) or 0, 0, name)

    def test_workers(self) -> None:
        """
        Two workers have readers and publishers each, nothing is lost, and how the readers
        are shared is told.
        """
        case = CASES["workers-sse"].withReaders(300)
        for peer, count in (("cometredis", 1), ("cometworkers", 2)):
            result = measure(Run(0, case, "sse", findPeer(peer)), buildLoad(), {}, 0.2)
            self.assertEqual(faults(result), {}, f"{peer}: {result.get('firstFault')}")
            self.assertEqual(result["deliveries"], 300 * result["messages"])
            self.assertEqual(result["processes"], count)
        self.assertLessEqual(result["shareLeast"] + result["shareMost"], 310)
        self.assertGreater(FIGURES["uneven"].of(result) or 0, -0.001)

    def test_encrypted(self) -> None:
        """
        The readers of comet speak TLS with it and with nginx in front, and nothing is
        lost.
        """
        case = CASES["tls-sse"].withReaders(300)
        for peer in ("comettls", "cometnginx"):
            run = Run(0, case, "sse", findPeer(peer))
            result = measure(run, buildLoad(isEncrypted=True), {}, 0.2)
            self.assertEqual(faults(result), {}, f"{peer}: {result.get('firstFault')}")
            self.assertEqual(result["deliveries"], 300 * result["messages"])
            self.assertGreater(FIGURES["handshakes"].of(result) or 0, 0)
