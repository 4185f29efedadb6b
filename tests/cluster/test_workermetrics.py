"""
The metrics of several workers, seen from outside.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from tests.cluster.test_workers import WorkersTestCase
from tests.edge.connections import ask
from tests.edge.publisher import publish
from tests.edge.server import CometProcess
from tests.web.metrics.case import Figures, readFigures

# How many connections are made, so that each worker gets some.
MANY = 24


class MetricsTests(WorkersTestCase):
    """
    Two workers over Redis.
    """

    count = 2

    def scrape(self, server: CometProcess) -> Figures:
        """
        Ask one of the workers for the metrics.
        """
        bearer = {"Authorization": f"Bearer {server.site.key}"}
        answer = ask(server.site, "GET", "/metrics", bearer)
        self.assertEqual(answer.status, 200, answer.body)
        return readFigures(answer.body.decode())

    def both(self, figures: Figures, name: str) -> list[float]:
        """
        Return a figure of each worker: 0 for one that has none, as one of them may have taken
        all clients.
        """
        return [figures.get(name.replace("#", str(number)), 0) for number in (1, 2)]

    def test_all(self) -> None:
        """
        Each scrape, whichever worker answers, has the readers and the published messages
        of both; what the bus holds is told once.
        """
        server = self.start()
        readers = [self.client("stream", server.site) for _ in range(MANY)]
        for reader in readers:
            reader.open(["news"])
            reader.next()
        for _ in range(MANY):
            publish(server.site, "news", "x")
        for _ in range(MANY):
            figures = self.scrape(server)
            self.assertEqual(figures["comet_workers"], 2)
            open_ = self.both(figures, 'comet_connections{transport="stream",worker="#"}')
            self.assertEqual(sum(open_), MANY)
            published = self.both(figures, 'comet_messages_published_total{worker="#"}')
            self.assertEqual(sum(published), MANY)
            delivered = self.both(figures, 'comet_messages_delivered_total{worker="#"}')
            self.assertGreaterEqual(sum(delivered), MANY * MANY)
            self.assertEqual(figures["comet_log_channels"], 1)
            pids = self.both(figures, 'process_start_time_seconds{worker="#"}')
            self.assertNotIn(0, pids)
        server.assertNoTracebacks()

    def test_restarted(self) -> None:
        """
        A worker that hangs is left out after a second, and the one that takes its place is
        there again, with counters of its own; those of the other go on.
        """
        server = self.start()
        for _ in range(MANY):
            publish(server.site, "news", "x")
        before = self.both(self.scrape(server), 'comet_messages_published_total{worker="#"}')
        first, second = self.workers(server)
        numbers = {
            pid: number
            for number in (1, 2)
            for pid in (first, second)
            if f"worker {number} ({pid})" in server.log()
        }
        os.kill(second, signal.SIGSTOP)
        gone = numbers[second]
        began = time.monotonic()
        figures = self.scrape(server)
        self.assertLess(time.monotonic() - began, 20)
        self.assertEqual(figures["comet_workers"], 1)
        kept = f'comet_messages_published_total{{worker="{3 - gone}"}}'
        self.assertEqual(figures[kept], before[2 - gone])
        self.assertNotIn(f'comet_messages_published_total{{worker="{gone}"}}', figures)
        os.kill(second, signal.SIGKILL)
        self.awaitFigures(server, lambda figures: figures["comet_workers"] == 2)
        figures = self.scrape(server)
        self.assertEqual(figures[kept], before[2 - gone])
        self.assertEqual(figures[f'comet_messages_published_total{{worker="{gone}"}}'], 0)
        server.assertNoTracebacks()

    def awaitFigures(self, server: CometProcess, are: Callable[[Figures], bool]) -> None:
        """
        Wait for some figures.
        """
        self.until(lambda: are(self.scrape(server)), "such figures", server)
