"""
Tests of a cluster behind HAProxy, and of its latency.
"""

from __future__ import annotations

import statistics
import sys
import time

from tests.cluster import robin
from tests.cluster.nodes import HAProxy
from tests.edge.clients import SseClient
from tests.edge.connections import HttpConnection, Site, TcpConnection
from tests.edge.envelopes import BareCursor
from tests.edge.publisher import headersOf, readPublished
from tests.edge.server import CometProcess

# The number of messages that are timed.
TIMED = 200


class HAProxyTests(robin.RobinTestCase):
    """
    A cluster behind HAProxy.
    """

    frontType = HAProxy

    def median(self, publishing: Site, reading: Site) -> float:
        """
        Return the median time from before a publication to its reader, in
        seconds.
        """
        client = self.makeClient(SseClient, reading)
        client.open(["timed"])
        self.assertIsInstance(client.next(), BareCursor)
        connection = HttpConnection(TcpConnection(publishing.port))
        self.addCleanup(connection.tcp.close)
        times = []
        for number in range(TIMED):
            began = time.perf_counter()
            connection.send("POST", "/channels/timed", headersOf(publishing), b"%d" % number)
            client.messages(1)
            times.append(time.perf_counter() - began)
            readPublished(connection.answer(), ["timed"])
        return statistics.median(times)

    def test_latency(self) -> None:
        """
        Redis and a second node add milliseconds to the latency of a message: it
        waits for no polling interval.  The test prints the latency.
        """
        alone = CometProcess()
        self.addCleanup(alone.remove)
        first, second, _ = self.cluster.nodes
        memory = self.median(alone.site, alone.site)
        same = self.median(first.site, first.site)
        other = self.median(first.site, second.site)
        shown = ", ".join(
            f"{name} {1000 * value:.2f} ms"
            for name, value in (
                ("one node in memory", memory),
                ("the same node with Redis", same),
                ("another node with Redis", other),
                ("added", other - memory),
            )
        )
        print(f"\nfrom publisher to reader, median of {TIMED}: {shown}", file=sys.stderr)
        self.assertLess(other - memory, 0.1)
