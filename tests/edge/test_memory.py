"""
Tests that readers that do not read cost the server no memory, and do not disturb
other readers.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from tests.edge.case import EdgeTestCase
from tests.edge.clients import Client
from tests.edge.connections import Ended, HttpConnection, Site, TcpConnection, Violation
from tests.edge.envelopes import Gap, Message
from tests.edge.publisher import publishBatch
from tests.edge.server import CometProcess
from tests.edge.speakers import CLIENTS

ENDLESS = ("stream", "multipart", "sse", "iframe", "websocket", "tcp")
HELD = 100
SIZE = 62_500
COUNT = 1_600
LIMIT = 60_000_000
NAME = "flood"


class Follow(threading.Thread):
    """
    A reader that reads all that comes, in a thread.

    @ivar count: The number of messages that it got.

    @ivar gaps: The number of gaps that it got.
    """

    def __init__(self, client: Client) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.count = 0
        self.gaps = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        """
        Read up to the last message.  Numbers may be missing only behind a gap.
        """
        try:
            last = 0
            while last < COUNT:
                last = self.step(last, self.client.next(60))
        except BaseException as error:
            self.error = error

    def step(self, last: int, event: object) -> int:
        """
        Take one event.

        @return: The number of the last message.
        """
        if isinstance(event, Message):
            self.count += 1
            number: int = event.data["n"]
            if number != last + 1 and last >= 0:
                raise Violation(f"{self.client.name}: {number} after {last}")
            return number
        if isinstance(event, Gap):
            self.gaps += 1
            return -1
        return last


class Deaf:
    """
    A client that sends requests, and never reads a response.
    """

    def __init__(self, site: Site, target: str, times: int) -> None:
        self.tcp = TcpConnection(site.port, receiveBuffer=8192)
        connection = HttpConnection(self.tcp)
        for _ in range(times):
            connection.send("GET", target)


class MemoryTests(EdgeTestCase):
    """
    100 MB published to forty readers that do not read.
    """

    timeout = 180

    def flood(self, server: CometProcess, first: int, last: int, pause: float = 0.0) -> int:
        """
        Publish the messages with these numbers.

        @return: The most memory that the server had, in bytes.
        """
        connection = HttpConnection(TcpConnection(server.port))
        filler = "x" * (SIZE - 60)
        most = 0
        try:
            for start in range(first, last + 1, 20):
                numbers = range(start, min(start + 20, last + 1))
                lines: list[tuple[str, Any]] = [
                    (NAME, {"n": number, "filler": filler}) for number in numbers
                ]
                publishBatch(connection, server.site, lines)
                most = max(most, server.resident())
                # The readers share this machine and this process.
                time.sleep(pause)
        finally:
            connection.tcp.close()
        return most

    def test_deaf(self) -> None:
        """
        Forty readers that do not read make the server grow by less than 60 MB.
        Other readers get every message in order, or a gap.  When some of the
        forty read again, they get a gap, and then the held messages in order.
        """
        server = self.startServer("--history-messages", str(HELD), "--history-bytes", "100000000")
        site = server.site
        sleepers = {kind: self.sleepers(kind, site) for kind in ENDLESS}
        for _ in range(5):
            deaf = Deaf(site, f"/channels/{NAME}?wait=300", 30)
            self.addCleanup(deaf.tcp.close)
            deaf = Deaf(site, f"/channels/{NAME}?transport=poll&since=earliest", 30)
            self.addCleanup(deaf.tcp.close)
        followers = [self.follower(kind, site) for kind in CLIENTS]
        before = server.resident()
        most = max(self.flood(server, 1, COUNT, 0.05), server.resident())
        self.assertLess(most - before, LIMIT, f"from {before} to {most} bytes")
        for follower in followers:
            follower.join(60)
            if follower.error is not None:
                raise follower.error
            self.assertFalse(follower.is_alive(), follower.client.name)
            self.assertTrue(follower.gaps or follower.count == COUNT, follower.client.name)
            self.assertGreaterEqual(follower.count, HELD)
        for kind in ENDLESS:
            self.wakes(sleepers[kind][0], server)
        self.assertLess(server.resident() - before, LIMIT)

    def sleepers(self, kind: str, site: Site) -> list[Client]:
        """
        Open five readers, which then do not read.
        """
        clients = [self.client(kind, site, receiveBuffer=8192) for _ in range(5)]
        for client in clients:
            client.open([NAME])
        return clients

    def follower(self, kind: str, site: Site) -> Follow:
        """
        Start a reader that reads, in a thread.
        """
        client = self.client(kind, site)
        client.open([NAME], "earliest")
        follower = Follow(client)
        follower.start()
        return follower

    def wakes(self, client: Client, server: CometProcess) -> None:
        """
        Let a reader read again, after all messages were published, and check
        what it gets.
        """
        follow = Follow(client)
        follow.run()
        if isinstance(follow.error, Ended):
            raise AssertionError(f"{client.name} was closed, and not told why")
        if follow.error is not None:
            raise follow.error
        self.assertEqual(follow.gaps, 1, client.name)
        self.assertGreaterEqual(follow.count, HELD)
        self.assertLess(follow.count, COUNT)
        client.close()
