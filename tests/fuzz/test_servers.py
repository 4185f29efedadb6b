"""
A part of a minute of fuzzing in each run of the tests: a live server of each edge.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.edge.connections import TcpConnection
from tests.fuzz.__main__ import report
from tests.fuzz.run import EDGES, Run
from tests.fuzz.serving import Server

# The seed of every run, and how long it takes.
SEED = 13
SECONDS = 15.0


class ServerTests(SynchronousTestCase):
    """
    Live servers.
    """

    def test_standFirm(self) -> None:
        """
        No client causes a traceback or a long wait, the edges answer alike, and
        nothing is left.
        """
        result = Run(SEED, SECONDS).run()
        print("\n" + "\n".join([*report(result), f"--seed {SEED}"]))
        if result.findings:
            self.fail("\n".join(map(str, result.findings)))
        for edge in EDGES:
            self.assertGreater(result.polls[edge], 0)
            self.assertGreater(result.cases[f"http1 {edge}"], 0)

    def test_countsWhatIsLeft(self) -> None:
        """
        A client that stays is found in the counts of its server, and no more when
        it has left.
        """
        server = Server("lean")
        self.addCleanup(server.stop)
        before = server.counts()
        clients = [TcpConnection(server.port) for _ in range(10)]
        for client in clients:
            client.send(b"GET /channels/a?transport=sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertIn(b"200 OK", client.receive(10))
        kind = "comet.lean.streams.StreamConnection"
        self.assertEqual(server.counts()[kind], len(clients))
        for client in clients:
            client.close()
        self.assertEqual(server.left(before), {})
        self.assertEqual(server.counts()[kind], 0)
