"""
Tests of a node that starts before its Redis: its ports are bound, but it accepts
no connection.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.edge.connections import HttpConnection, Silence, TcpConnection
from tests.edge.server import STARTING, twistd
from tests.ports import freePorts
from tests.redisserver import RedisServer


class StartingTests(TestCase):
    """
    A node that starts before its Redis.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        Start a node that waits for its Redis.
        """
        self.redis = RedisServer()
        self.addCleanup(self.redis.destroy)
        directory = Path(tempfile.mkdtemp(prefix="comet-starting-"))
        self.addCleanup(shutil.rmtree, directory, True)
        (self.port,) = freePorts(1)
        self.log = directory / "log"
        command = [
            *twistd(),
            *("-n", "--pidfile=", "comet", "--listen", f"tcp:{self.port}:interface=127.0.0.1"),
            *("--bus", f"redis://127.0.0.1:{self.redis.port}/0"),
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        self.awaitPort()

    def awaitPort(self) -> None:
        """
        Wait until the node's port is bound.
        """
        deadline = time.monotonic() + STARTING
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                self.assertIsNone(self.process.poll(), self.log.read_text())
                self.assertLess(time.monotonic(), deadline, self.log.read_text())
                time.sleep(0.02)

    def test_later(self) -> None:
        """
        A client that connects before Redis runs waits, and is answered when
        Redis runs.
        """
        connection = HttpConnection(TcpConnection(self.port))
        self.addCleanup(connection.tcp.close)
        connection.send("GET", "/health")
        self.assertRaises(Silence, connection.answer, 0.3)
        self.assertNotIn("comet serves", self.log.read_text())
        self.redis.start()
        self.assertEqual(connection.answer(STARTING).status, 200)
        self.assertIn("comet serves HTTP on", self.log.read_text())

    def test_stopped(self) -> None:
        """
        The node can be stopped while it waits for Redis.
        """
        self.process.terminate()
        self.assertIn(self.process.wait(STARTING), (0, -signal.SIGTERM))
        self.assertNotIn("Traceback", self.log.read_text())
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", self.port))
