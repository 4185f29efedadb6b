"""
A cluster of which parts are killed under load: through one door, behind which
each request is for the next node.
"""

from __future__ import annotations

import sys
import time

from tests.cluster import case
from tests.cluster.load import Load
from tests.cluster.nodes import Cluster

# How often each is killed, and how many messages are published in between.
KILLS = 3
BETWEEN = 40


class FaultTests(case.ClusterTestCase):
    """
    Nothing that was answered is lost, or comes twice, or out of order.
    """

    def assertNothingFound(self, load: Load) -> None:
        """
        What was published was read.
        """
        findings = load.finish()
        print(f"\n{self._testMethodName}: {load.told()}", file=sys.stderr)
        shown = "\n".join(map(str, findings[:10]))
        self.assertEqual(findings, [], f"{len(findings)} findings\n{shown}")
        self.assertGreater(load.answered, KILLS * BETWEEN)

    def test_redis(self) -> None:
        """
        Redis is killed, and started again after a while, several times.
        Publishers repeat with their keys; readers stay, or come back with
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
        Each node is killed once, and started again: whoever was there goes on
        at another.
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
        One node after another is stopped in the ordinary way and started
        again, as when a new version comes.
        """
        cluster: Cluster = self.startCluster("--heartbeat", "1", "--drain", "1")
        with Load(cluster.site, seed=3) as load:
            for node in cluster.nodes:
                load.awaitAnswers(BETWEEN)
                self.assertIn(node.stop(), (0, -15))
                node.restart()
            load.awaitAnswers(BETWEEN)
            self.assertNothingFound(load)
