"""
Tests of servers whose clock is set while clients are connected.

The servers run with L{tests.edge.stepping}, which sets C{time.time}.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.edge.case import EdgeTestCase
from tests.edge.clients import Client
from tests.edge.connections import HttpConnection, Silence, TcpConnection, Violation
from tests.edge.envelopes import BareCursor
from tests.edge.publisher import publish
from tests.edge.server import CometProcess
from tests.edge.tls import authority
from tests.edge.ways import WAYS
from tests.redisserver import RedisServer

# The seconds for which a test waits for what comes a second or two later.
WHILE = 40.0

APPLICATION = (sys.executable, "-m", "tests.edge.application")


class SteppedClockTests(EdgeTestCase):
    """
    C{twistd comet}: its reactor follows a steady clock.

    @cvar program: The program that serves; by default C{twistd}.

    @cvar bus: The options that choose the bus.
    """

    program: ClassVar[Sequence[str]] = ()
    bus: Sequence[str] = ()

    def begin(self, *options: str) -> CometProcess:
        """
        Start a server whose clock can be set.
        """
        process = CometProcess(
            *("--open", "open/**", *self.bus, *options),
            secure=authority(),
            program=self.program,
            paths=[Path(__file__).with_name("stepping")],
        )
        self.addCleanup(process.remove)
        self.servers.append(process)
        return process

    def readers(self, server: CometProcess, wait: str) -> list[Client]:
        """
        Open a reader in each way of each transport, and a held request in each
        way of each kind of poll.
        """
        clients = []
        for way in WAYS:
            if way.name == "poll":
                continue
            client = self.take(way, server.site)
            if client.endless:
                client.open(["open/a"], "now")
                self.assertIsInstance(client.next(), BareCursor)
            else:
                client.open(["open/a"], "now", wait=wait)
            clients.append(client)
        return clients

    def listen(self, client: Client) -> None:
        """
        Drop what a client has not read yet.
        """
        try:
            while True:
                client.next(0.01)
        except Silence:
            pass

    def assertAllHear(self, server: CometProcess, clients: Sequence[Client]) -> None:
        """
        Check that a message reaches all these clients, on their connections.
        """
        publish(server.site, "open/a", {"n": 1})
        for client in clients:
            self.assertEqual([each.data for each in client.messages(1, WHILE)], [{"n": 1}])

    def test_setBack(self) -> None:
        """
        After the clock was set back by an hour, readers have heartbeats, and
        held polls are answered when their time is over.
        """
        server = self.begin("--heartbeat", "0.5")
        clients = self.readers(server, "1")
        server.setBack()
        for client in clients:
            # A heartbeat of before the step may be among the first two.
            for _ in range(4 if client.endless else 1):
                self.assertIsInstance(client.next(WHILE), BareCursor, client.label)
        endless = [client for client in clients if client.endless]
        self.assertAllHear(server, endless)

    def test_setForward(self) -> None:
        """
        When the clock is set forward by two hours, no heartbeat is sent, no
        poll is answered, and no connection is closed.
        """
        server = self.begin("--heartbeat", "300")
        clients = self.readers(server, "50")
        site = server.site
        idle = [
            HttpConnection(TcpConnection(site.port)),
            HttpConnection(TcpConnection(site.secured.port, site.secured.tls)),
        ]
        for connection in idle:
            self.addCleanup(connection.tcp.close)
            connection.send("GET", "/health")
            self.assertEqual(connection.answer().status, 200)
        for client in clients:
            if client.endless:
                self.listen(client)
        server.setForward()
        self.assertRaises(Silence, clients[0].next, 1.5)
        for client in clients:
            self.assertRaises(Silence, client.next, 0.01)
        for connection in idle:
            connection.send("GET", "/health")
            self.assertEqual(connection.answer().status, 200)
        self.assertAllHear(server, clients)

    def test_stopsAfterSteps(self) -> None:
        """
        A server whose clock was set back drains, and stops when the time for that
        is over: some of its clients do not leave.
        """
        server = self.begin("--drain", "2")
        clients = self.readers(server, "50")
        server.setForward()
        server.setBack()
        server.setBack()
        server.setBack()
        server.terminate()
        # A held poll might not be read before the signal.
        for client in (client for client in clients if client.endless):
            self.assertEqual(client.untilClose(WHILE).code, "draining")
            client.close()
        server.wait(WHILE)


class TwistedEdgeTests(SteppedClockTests):
    """
    C{twistd comet} with Twisted's edge and the SQLite bus.
    """

    bus = ("--edge", "twisted", "--bus", "sqlite:comet.db")


class ApplicationTests(SteppedClockTests):
    """
    An application whose reactor follows the clock of the system, with the
    memory bus.
    """

    program = APPLICATION


class ApplicationSQLiteTests(SteppedClockTests):
    """
    An application whose reactor follows the clock of the system, with Twisted's
    edge and the SQLite bus.
    """

    program = APPLICATION
    bus = TwistedEdgeTests.bus


class RedisTests(SteppedClockTests):
    """
    C{twistd comet} with the Redis bus.
    """

    def setUp(self) -> None:
        """
        Start Redis.
        """
        self.redis = RedisServer("--appendonly yes", "--appendfsync always").start()
        self.addCleanup(self.redis.destroy)
        self.bus = ("--bus", f"redis://127.0.0.1:{self.redis.port}?timeout=1")

    def publishOnce(self, server: CometProcess) -> None:
        """
        Publish as soon as the server can store.
        """
        deadline = time.monotonic() + WHILE
        while True:
            try:
                publish(server.site, "open/a", {"n": 1}, {"Idempotency-Key": "once"})
                return
            except Violation as error:
                if time.monotonic() > deadline:
                    raise AssertionError("nothing could be stored") from error
                time.sleep(0.1)

    def test_connectsAgain(self) -> None:
        """
        After the clock was set back, a lost connection to Redis is noticed, and
        made again.
        """
        server = self.begin("--heartbeat", "1")
        client = self.client("sse", server.site)
        client.open(["open/a"], "now")
        server.setBack()
        self.redis.kill()
        self.redis.start()
        self.publishOnce(server)
        self.assertEqual([each.data for each in client.messages(1, WHILE)], [{"n": 1}])


class ApplicationRedisTests(RedisTests):
    """
    An application whose reactor follows the clock of the system, with the Redis
    bus.
    """

    program = APPLICATION


class WorkersTests(RedisTests):
    """
    Two workers with the Redis bus.
    """

    def begin(self, *options: str) -> CometProcess:
        """
        See L{SteppedClockTests.begin}.
        """
        return super().begin("--workers", "2", *options)
