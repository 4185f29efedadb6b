"""
Tests of a cluster whose parts are killed under load, behind a proxy that sends
each request to the next node.
"""

from __future__ import annotations

import sys
import time

from tests.cluster import case
from tests.cluster.load import Load
from tests.cluster.nodes import Cluster

# How often Redis is killed, and the number of messages between two kills.
KILLS = 3
BETWEEN = 40


class FaultTests(case.ClusterTestCase):
    """
    No answered message is lost, repeated, or out of order.
    """

    def assertNothingFound(self, load: Load) -> None:
        """
        Check that all readers have read all messages.
        """
        findings = load.finish()
        print(f"\n{self._testMethodName}: {load.told()}", file=sys.stderr)
        shown = "\n".join(map(str, findings[:10]))
        self.assertEqual(findings, [], f"{len(findings)} findings\n{shown}")
        self.assertGreater(load.answered, KILLS * BETWEEN)

    def test_redis(self) -> None:
        """
        Redis is killed several times, and started again after a while.
        Publishers repeat with their keys; readers stay connected, or resume with
        their cursors.
        """
        cluster = self.startCluster("--heartbeat", "1")
        with Load(cluster.site, seed=1) as load:
            for number in range(KILLS):
                load.awaitAnswers(BETWEEN)
                cluster.redis.kill()
                time.sleep(0.4 * number)
                cluster.redis.start()
            load.awaitAnswers(BETWEEN)
            self.assertNothingFound(load)

    def test_nodes(self) -> None:
        """
        Each node is killed once, and started again.  Its clients go on at
        another node.
        """
        cluster = self.startCluster("--heartbeat", "1")
        with Load(cluster.site, seed=2) as load:
            for node in cluster.nodes:
                load.awaitAnswers(BETWEEN)
                node.kill()
                load.awaitAnswers(BETWEEN)
                node.restart()
            load.awaitAnswers(BETWEEN)
            self.assertNothingFound(load)

    def test_drained(self) -> None:
        """
        The nodes are stopped one after the other in the ordinary way, and
        started again, as for a new version.
        """
        cluster: Cluster = self.startCluster("--heartbeat", "1", "--drain", "1")
        with Load(cluster.site, seed=3) as load:
            for node in cluster.nodes:
                load.awaitAnswers(BETWEEN)
                self.assertIn(node.stop(), (0, -15))
                node.restart()
            load.awaitAnswers(BETWEEN)
            self.assertNothingFound(load)
