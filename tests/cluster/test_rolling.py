"""
Rolling restarts: all nodes, or all workers, are restarted one after the other while
readers of each transport read.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from functools import partial
from typing import Final

from tests.cluster.case import HISTORY, ClusterTestCase
from tests.cluster.test_workers import WorkersTestCase, isGone
from tests.edge.clients import Client, Refused
from tests.edge.connections import Ended, Silence, Site
from tests.edge.envelopes import Close, Gap, Message
from tests.edge.publisher import publish
from tests.edge.server import CometProcess
from tests.edge.speakers import CLIENTS

# The transports that wait for messages.
KINDS: Final = ("longpoll", "stream", "sse", "websocket", "tcp")

# How many readers there are of each.
EACH: Final = 3

# The pause between two messages, in seconds.
PAUSE: Final = 0.02


class Watcher(threading.Thread):
    """
    A reader that comes back when it is sent away, and measures how long it hears
    nothing.

    @ivar longest: The longest time without a message, in seconds.

    @ivar heard: What the messages said.

    @ivar closes: How often the reader was told to come back, with what C{retry}.

    @ivar faults: What must not happen.
    """

    def __init__(self, site: Site, kind: type[Client], since: str) -> None:
        super().__init__(daemon=True)
        self.kind = kind
        self.longest = 0.0
        self.heard: list[int] = []
        self.closes: list[float | None] = []
        self.faults: list[str] = []
        self.isWatching = True
        self._site = site
        self._since = since
        self._last = 0.0

    def run(self) -> None:
        """
        Read until the test is over.
        """
        while self.isWatching:
            client = self.kind(self._site)
            try:
                client.open(["open/rolling"], self._since)
                self._follow(client)
            except (OSError, Ended):
                time.sleep(0.02)
            except Refused as refused:
                if refused.status != 503:
                    self.faults.append(str(refused))
                time.sleep(0.1)
            finally:
                self._since = client.cursor or self._since
                client.close()

    def _follow(self, client: Client) -> None:
        while self.isWatching:
            try:
                event = client.next(0.5)
            except Silence:
                continue
            if isinstance(event, Gap):
                self.faults.append(f"a gap at {self._since}")
            elif isinstance(event, Message):
                now = time.monotonic()
                if self._last:
                    self.longest = max(self.longest, now - self._last)
                self._last = now
                self.heard.append(event.data["n"])
            elif isinstance(event, Close):
                self.closes.append(event.retry)
                time.sleep(event.retry or 0.0)
                return


class Publisher(threading.Thread):
    """
    Publishes numbers, a pause apart.

    @ivar slowest: The longest time from one answer to the next, in seconds.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(daemon=True)
        self._site = site
        self.count = 0
        self.slowest = 0.0
        self.isPublishing = True

    def run(self) -> None:
        """
        Publish until the test is over.
        """
        last = time.monotonic()
        while self.isPublishing:
            self.count += 1
            publish(self._site, "open/rolling", {"n": self.count})
            now = time.monotonic()
            self.slowest, last = max(self.slowest, now - last), now
            time.sleep(PAUSE)


class Rolling:
    """
    Readers of each transport, and a publisher.  It is a context manager.
    """

    def __init__(self, site: Site, publishing: Site) -> None:
        first = publish(publishing, "open/rolling", {"n": 0})
        self.watchers = [
            Watcher(site, CLIENTS[kind], str(first.cursor)) for kind in KINDS for _ in range(EACH)
        ]
        self._publisher = Publisher(publishing)

    def __enter__(self) -> Rolling:
        for thread in (*self.watchers, self._publisher):
            thread.start()
        time.sleep(1.0)
        return self

    def __exit__(self, *about: object) -> None:
        self._publisher.isPublishing = False
        self._publisher.join(10)
        deadline = time.monotonic() + 20
        while any(each.heard[-1:] != [self._publisher.count] for each in self.watchers):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        for watcher in self.watchers:
            watcher.isWatching = False
        for watcher in self.watchers:
            watcher.join(10)

    def findings(self) -> list[str]:
        """
        Return what went wrong: lost and repeated messages, gaps, and clients that
        were told to wait.
        """
        found = []
        for watcher in self.watchers:
            name = watcher.kind.name
            found += [f"{name}: {fault}" for fault in watcher.faults]
            if watcher.heard != list(range(1, self._publisher.count + 1)):
                found.append(f"{name}: heard {len(watcher.heard)} of {self._publisher.count}")
            if any(retry is None or retry > 0.1 for retry in watcher.closes):
                found.append(f"{name}: told to wait {watcher.closes}")
        return found

    def told(self) -> str:
        """
        Return the longest silence on each transport, in one line, and for
        comparison the longest time between two answers to the publisher.
        """
        longest = {
            kind: max(each.longest for each in self.watchers if each.kind.name == kind)
            for kind in KINDS
        }
        longest["(the publisher itself)"] = self._publisher.slowest
        return ", ".join(f"{kind} {1000 * most:.0f} ms" for kind, most in longest.items())


class NodesTests(ClusterTestCase):
    """
    Three nodes behind HAProxy.
    """

    def test_restarted(self) -> None:
        """
        Each node is restarted once.  No reader loses or repeats a message, has a
        gap, or is told to wait.
        """
        cluster = self.startCluster("--drain-notice", "1")
        other = self.publisher(cluster.redis.port)
        with Rolling(cluster.site, other) as rolling:
            for node in cluster.nodes:
                self.assertIn(node.stop(), (0, -signal.SIGTERM))
                node.restart()
                time.sleep(1.0)
        print(f"\nnodes: {rolling.told()}", file=sys.stderr)
        self.assertEqual(rolling.findings(), [])
        self.assertTrue(all(each.closes for each in rolling.watchers if each.kind.endless))

    def publisher(self, redis: int) -> Site:
        """
        Start a node for the publisher, which is not restarted.
        """
        node = CometProcess("--open", "open/**", "--bus", f"redis://127.0.0.1:{redis}/0", *HISTORY)
        self.addCleanup(node.remove)
        return node.site


class WorkersTests(WorkersTestCase):
    """
    Two workers on one port.
    """

    count = 2

    def test_restarted(self) -> None:
        """
        Each worker is restarted once.  No reader loses or repeats a message, has
        a gap, or is told to wait.
        """
        server = self.start("--open", "open/**")
        other = CometProcess(*self.options("--workers", "1", "--open", "open/**"))
        self.addCleanup(other.remove)
        with Rolling(Site(server.port, server.tcpPort), other.site) as rolling:
            for pid in self.workers(server):
                os.kill(pid, signal.SIGTERM)
                self.until(partial(isGone, pid), "drained", server)
                self.awaitWorkers(server)
                time.sleep(1.0)
        print(f"\nworkers: {rolling.told()}", file=sys.stderr)
        self.assertEqual(rolling.findings(), [])
