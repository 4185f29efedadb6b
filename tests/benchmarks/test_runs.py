"""
Tests of the benchmark's runs, with servers that need nothing installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase, TestCase

from benchmarks.building import buildLoad
from benchmarks.case import Case
from benchmarks.cases import CASES
from benchmarks.commands import NAMES, TRANSPORTS, findPeer
from benchmarks.figures import FIGURES, faults
from benchmarks.runs import NO_TRANSPORT, Run, measure, plan
from benchmarks.servers import Broken, Peer


class MeasureTests(TestCase):
    """
    L{measure}, with few readers and for a moment.
    """

    timeout = 240

    def measured(
        self, peer: str, transport: str, case: str, readers: int = 30
    ) -> Mapping[str, float]:
        """
        Measure, and check that there are no faults.
        """
        small = CASES[case].withReaders(readers)
        run = Run(0, small, transport, findPeer(peer))
        result = measure(run, buildLoad(), {}, 0.3)
        self.assertEqual(faults(result), {}, f"{transport}: {result.get('firstFault')}")
        self.assertEqual(result["readers"], small.readers)
        return result

    def test_transports(self) -> None:
        """
        Comet loses nothing on any of its transports, and the command knows each
        of them.
        """
        self.assertEqual([*findPeer("comet").readings], [*TRANSPORTS])
        for transport in TRANSPORTS:
            result = self.measured("comet", transport, "closed1k")
            self.assertEqual(result["deliveries"], 30 * result["messages"])
            self.assertGreater(result["deliveries"], 0)
            # A message has 100 bytes, and an envelope around it.
            self.assertGreater(FIGURES["down"].of(result) or 0, 100)

    def test_bursts(self) -> None:
        """
        Bursts reach polling readers and streaming readers alike.
        """
        for transport in ("stream", "longpoll"):
            result = self.measured("comet", transport, "burst")
            self.assertEqual(result["messages"] % 200, 0)
            self.assertEqual(result["deliveries"], 30 * result["messages"])

    def test_kindsOfBursts(self) -> None:
        """
        The messages of a burst reach each reader, whether they are requests on one
        connection or on many, or commands of a WebSocket; and a bystander is
        answered meanwhile.
        """
        for kind in ("pipelined", "connections", "websocket"):
            result = self.measured("comet", "longpoll", f"burst-{kind}")
            self.assertEqual(result["deliveries"], 30 * result["messages"])
            self.assertGreater(FIGURES["bystander"].of(result) or 0, 0, kind)

    def test_patterns(self) -> None:
        """
        A reader of a pattern gets the messages of each channel that it matches.
        """
        result = self.measured("comet", "websocket", "patterns")
        self.assertAlmostEqual(result["deliveries"] / result["messages"], 3.0, delta=0.5)

    def test_storm(self) -> None:
        """
        Readers that connect all at once are accepted, and get the message that
        is published then.
        """
        result = self.measured("comet", "sse", "storm")
        self.assertGreater(FIGURES["connects"].of(result) or 0, 0)
        self.assertEqual(result["deliveries"], 30 * (result["messages"] - 1) + 30)

    def test_publishing(self) -> None:
        """
        Publishing is measured without readers.
        """
        for case in ("publish", "publish-100", "publish-batch", "publish-ws"):
            result = self.measured("comet", NO_TRANSPORT, case)
            self.assertEqual(result["deliveries"], 0)
            self.assertGreater(FIGURES["publishes"].of(result) or 0, 0)

    def test_floor(self) -> None:
        """
        The floor delivers every message to every reader.
        """
        for transport in findPeer("floor").readings:
            for case in ("closed1k", "burst-pipelined", "burst-connections"):
                result = self.measured("floor", transport, case)
                self.assertEqual(result["deliveries"], 30 * result["messages"])

    def test_broken(self) -> None:
        """
        The error about a server that does not start holds its last words.
        """
        broken = evolve(findPeer("floor"), command=lambda place: ["sh", "-c", "echo no, sorry"])
        run = Run(0, CASES["closed1k"], "websocket", broken)
        error = self.assertRaises(Broken, measure, run, buildLoad(), {}, 0.3)
        self.assertEqual(str(error), "floor does not start: no, sorry")


class PlanTests(SynchronousTestCase):
    """
    L{plan}, and the attributes of the peers.
    """

    def setUp(self) -> None:
        """
        Find all peers.
        """
        self.peers = [findPeer(name) for name in NAMES]

    def planned(self, peers: Sequence[Peer], *cases: Case, rounds: int = 1) -> list[Run]:
        """
        Plan runs on every transport.
        """
        return list(plan(peers, cases, TRANSPORTS, rounds))

    def test_interleaved(self) -> None:
        """
        In each round the peers that are compared follow right after each other.
        """
        runs = self.planned(self.peers[:2], CASES["closed1k"], rounds=2)
        order = [(run.round, run.transport, run.peer.name) for run in runs]
        self.assertEqual(
            order[:4],
            [
                (0, "websocket", "comet"),
                (0, "websocket", "nchan"),
                (0, "sse", "comet"),
                (0, "sse", "nchan"),
            ],
        )
        half = len(order) // 2
        self.assertEqual([(0, *each[1:]) for each in order[half:]], order[:half])

    def test_fits(self) -> None:
        """
        A peer has no runs of cases that it cannot serve.
        """
        runs = self.planned(self.peers, CASES["patterns"], CASES["publish-batch"])
        self.assertEqual({run.peer.name for run in runs}, {"comet", "faye"})
        runs = self.planned(self.peers, CASES["burst-websocket"])
        self.assertEqual({run.peer.name for run in runs}, {"comet", "nchan"})
        told = self.planned(self.peers, CASES["storm"])
        self.assertNotIn("longpoll", {run.transport for run in told})

    def test_noReaders(self) -> None:
        """
        A case without readers has one run for each peer, and not one for each
        transport.
        """
        runs = self.planned(self.peers[:2], CASES["publish"])
        self.assertEqual(
            [run.key for run in runs], [("publish", "comet", "-"), ("publish", "nchan", "-")]
        )

    def test_peers(self) -> None:
        """
        Every peer has the name under which it is found, takes messages by HTTP,
        and has only transports that the command knows.
        """
        for name, peer in zip(NAMES, self.peers, strict=True):
            self.assertEqual(peer.name, name)
            self.assertLessEqual(peer.readings.keys(), {*TRANSPORTS})
            self.assertIn("http", peer.publishings)
