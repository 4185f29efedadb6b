"""
The base class of the tests of a cluster.
"""

from __future__ import annotations

import atexit
import functools
import traceback
from collections.abc import Callable
from typing import Any, ClassVar

from twisted.trial.unittest import TestCase

from tests.cluster.nodes import Cluster, Front, HAProxy
from tests.edge.clients import Client
from tests.edge.connections import Site
from tests.edge.speakers import CLIENTS

# The clusters that tests share, by their proxies.
_shared: dict[type[Front], Cluster] = {}

# A history so large that no message falls off the log.
HISTORY = ("--history-messages", "1000000", "--history-bytes", "1000000000")


def _removeShared() -> None:
    for cluster in _shared.values():
        cluster.remove()
    _shared.clear()


atexit.register(_removeShared)


def telling(
    method: Callable[[], None], clusters: Callable[[], list[Cluster]]
) -> Callable[[], None]:
    """
    Wrap a test: it prints the logs of its clusters when it fails, and fails if
    they contain an unexpected error.
    """

    @functools.wraps(method)
    def run() -> None:
        try:
            method()
            for cluster in clusters():
                for node in cluster.nodes:
                    node.assertNoTracebacks()
        except Exception:
            nodes = [node for cluster in clusters() for node in cluster.nodes]
            tails = [node.tail(15) for node in nodes]
            raise AssertionError("\n".join([traceback.format_exc(), *tails])) from None

    return run


class ClusterTestCase(TestCase):
    """
    A test with a cluster.

    @cvar frontType: The proxy.
    """

    timeout = 120
    frontType: ClassVar[type[Front]] = HAProxy

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self.clusters: list[Cluster] = []

    def run(self, result: Any = None) -> Any:
        """
        Run the test; if it fails, it tells what its clusters have logged.
        """
        name = self._testMethodName
        # Not before: trial finds a single test by its method.
        setattr(self, name, telling(getattr(self, name), lambda: self.clusters))
        try:
            return super().run(result)
        finally:
            # Both kinds of cases do this for a test that is of both.
            vars(self).pop(name, None)

    @property
    def cluster(self) -> Cluster:
        """
        The cluster that all tests behind the same proxy share.
        """
        cluster = _shared.get(self.frontType)
        if cluster is None:
            cluster = _shared[self.frontType] = Cluster(self.frontType, *HISTORY)
        if cluster not in self.clusters:
            self.clusters.append(cluster)
        return cluster

    def startCluster(self, *options: str) -> Cluster:
        """
        Start a cluster for this test alone.
        """
        cluster = Cluster(self.frontType, *HISTORY, *options)
        self.addCleanup(cluster.remove)
        self.clusters.append(cluster)
        return cluster

    @property
    def site(self) -> Site:
        """
        The address of the shared cluster.
        """
        return self.cluster.site

    def kinds(self) -> list[type[Client]]:
        """
        The clients of the transports that pass the proxy.
        """
        return [kind for name, kind in CLIENTS.items() if name != "tcp" or self.frontType.withTcp]

    def makeClient(self, kind: type[Client], site: Site | None = None) -> Client:
        """
        Make a client that is closed when the test is over.
        """
        client = kind(site or self.site)
        self.addCleanup(client.close)
        return client
