"""
Tests of several workers on one port, seen from outside.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from tests.cluster.case import HISTORY
from tests.cluster.load import Load
from tests.edge.capacity import until
from tests.edge.clients import Client
from tests.edge.connections import Ended, HttpConnection, Silence, Site, TcpConnection, ask
from tests.edge.envelopes import BareCursor
from tests.edge.publisher import publish
from tests.edge.server import ROOT, STARTING, CometProcess, activated, twistd
from tests.edge.speakers import CLIENTS
from tests.edge.tls import authority
from tests.redisserver import RedisServer

WORKERS = 3


def workersOf(parent: int) -> list[int]:
    """
    List the running child processes of a process.
    """
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # Behind the name of the program, which may contain spaces and brackets.
            state, of = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(of) == parent and state != "Z":
            found.append(int(path.parent.name))
    return sorted(found)


def isGone(pid: int) -> bool:
    """
    Whether a process has ended, be it a child of this process or not.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def killIfThere(pid: int) -> None:
    """
    Kill a process, if it runs.
    """
    if not isGone(pid):
        os.kill(pid, signal.SIGKILL)


class WorkersTestCase(TestCase):
    """
    A server of several workers.

    @cvar count: How many there are.
    """

    timeout = 120
    count = WORKERS

    def setUp(self) -> None:
        """
        Start a Redis.
        """
        self.redis = RedisServer("--appendonly yes", "--appendfsync always")
        self.addCleanup(self.redis.destroy)
        self.redis.start()

    def options(self, *options: str) -> list[str]:
        """
        Return the options of every server, and more.
        """
        bus = f"redis://127.0.0.1:{self.redis.port}/0"
        given = ["--bus", bus, "--workers", str(self.count), "--drain", "2", *HISTORY]
        return [*given, "--open", "load/**", "--heartbeat", "1", *options]

    def start(self, *options: str, **settings: Any) -> CometProcess:
        """
        Start a server, and wait until all its workers serve.
        """
        server = CometProcess(*self.options(*options), **settings)
        self.addCleanup(server.remove)
        self.awaitWorkers(server)
        return server

    def workers(self, server: CometProcess) -> list[int]:
        """
        List the workers of a server.
        """
        return workersOf(server._process.pid)

    def isGone(self, server: CometProcess, pid: int) -> bool:
        """
        Whether a worker has ended.
        """
        return pid not in self.workers(server)

    def awaitWorkers(self, server: CometProcess) -> None:
        """
        Wait until all workers serve: each listens on its ports.
        """

        def all_() -> bool:
            # Each worker listens on two ports with a descriptor of its own.
            return sum(map(self.listening, self.workers(server))) >= 2 * self.count

        self.until(all_, "all workers serve", server)

    def hasLogged(self, server: CometProcess, pid: int) -> bool:
        """
        Whether the log has a line of a worker.
        """
        return f" ({pid}): " in server.log()

    def listening(self, pid: int) -> int:
        """
        Return the number of sockets from which a worker accepts: those in its
        epoll.
        """
        count = 0
        try:
            sockets = {
                each.name
                for each in Path(f"/proc/{pid}/fd").iterdir()
                if os.readlink(each).startswith("socket:")
            }
            for each in Path(f"/proc/{pid}/fdinfo").iterdir():
                lines = each.read_text().splitlines()
                known = {line.split()[1] for line in lines if line.startswith("tfd:")}
                count += len(known & sockets)
        except OSError:
            return 0
        return count

    def until(self, condition: Callable[[], bool], what: str, server: CometProcess) -> None:
        """
        Wait until a condition holds.
        """
        deadline = time.monotonic() + STARTING
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"never {what}\n{server.tail()}")
            time.sleep(0.02)

    def client(self, kind: str, site: Site) -> Client:
        """
        Make a client that is closed when the test is over.
        """
        client = CLIENTS[kind](site)
        self.addCleanup(client.close)
        return client


class LifeTests(WorkersTestCase):
    """
    Workers that start and end.
    """

    def test_announced(self) -> None:
        """
        The parent prints the banner once.  The log lines of a worker carry its
        number.  The workers share one key.
        """
        server = self.start()
        for pid in self.workers(server):
            self.until(partial(self.hasLogged, server, pid), f"{pid} in the log", server)
        log = server.log()
        self.assertEqual(log.count("comet serves HTTP on"), 1)
        self.assertEqual(log.count("the key to publish is in"), 1)
        for number in range(1, WORKERS + 1):
            self.assertIn(f"worker {number} (", log)
        self.assertEqual(server.keyMode, 0o600)
        for _ in range(4 * WORKERS):
            publish(server.site, "news", 1)
        server.assertNoTracebacks()

    def test_shared(self) -> None:
        """
        A message reaches the readers of all workers.
        """
        server = self.start()
        for kind in CLIENTS:
            start = publish(server.site, kind, "start").cursor
            clients = [self.client(kind, server.site) for _ in range(2 * WORKERS)]
            for client in clients:
                client.open([kind], str(start))
                if client.endless:
                    self.assertIsInstance(client.next(), BareCursor)
            published = publish(server.site, kind, "x")
            for client in clients:
                (message,) = client.messages(1)
                self.assertEqual(message.cursor, published.cursor)
        server.assertNoTracebacks()

    def test_stopped(self) -> None:
        """
        A worker that is stopped by SIGSTOP delays no client of the others.
        """
        server = self.start()
        for pid in self.workers(server)[1:]:
            os.kill(pid, signal.SIGSTOP)
            self.addCleanup(os.kill, pid, signal.SIGKILL)
        for _ in range(20):
            self.assertEqual(ask(server.site, "GET", "/health", timeout=5).status, 200)

    def test_drained(self) -> None:
        """
        At SIGTERM the readers of all workers get a close, and all workers end,
        also one without readers.  The exit code is that of a server without workers, and
        the ports are free.
        """
        server = self.start()
        clients = [self.client("stream", server.site) for _ in range(3 * WORKERS)]
        for client in clients:
            client.open(["news"])
            self.assertIsInstance(client.next(), BareCursor)
        pids = self.workers(server)
        server.terminate()
        for client in clients:
            self.assertEqual(client.untilClose().code, "draining")
            client.close()
        self.assertIn(server.wait(), (0, -signal.SIGTERM))
        self.assertTrue(all(map(isGone, pids)))
        self.assertRaises(OSError, ask, server.site, "GET", "/health")
        server.assertNoTracebacks()

    def test_stubborn(self) -> None:
        """
        A worker that does not end in time is killed.
        """
        server = self.start("--drain", "0")
        pids = self.workers(server)
        os.kill(pids[0], signal.SIGSTOP)
        self.assertIn(server.stop(), (0, -signal.SIGTERM))
        self.assertTrue(all(map(isGone, pids)))
        self.assertIn(f"({pids[0]}) does not end: killing it", server.log())

    def test_orphaned(self) -> None:
        """
        When the parent is killed, the workers send a close to their readers, and
        end.
        """
        server = self.start()
        client = self.client("stream", server.site)
        client.open(["news"])
        self.assertIsInstance(client.next(), BareCursor)
        pids = self.workers(server)
        server.kill()
        self.assertEqual(client.untilClose().code, "draining")
        client.close()
        until(lambda: all(map(isGone, pids)), "all have ended")

    def test_cannot(self) -> None:
        """
        If the bus cannot be used, the server does not start, and prints the
        reason once, as without workers.
        """
        self.redis.ask("CONFIG", "SET", "requirepass", "secret")
        command = [*twistd(), "-n", "--pidfile=", "comet", "--listen", "tcp:0", *self.options()]
        done = subprocess.run(
            command, cwd=self.redis.folder, capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertEqual(done.stdout.count("workers.service"), 0)
        told = [line for line in done.stdout.splitlines() if "cannot start: " in line]
        # The other worker may come to say so, too, before it is stopped.
        (reason,) = [line for line in told if "worker " not in line]
        self.assertIn("password", reason)
        self.assertNotIn("comet serves", done.stdout)


class RestartTests(WorkersTestCase):
    """
    A worker that ends is started again.
    """

    def test_killed(self) -> None:
        """
        Each worker is killed once under load.  No answered message is lost,
        repeated, or out of order, and there are as many workers as before.
        """
        server = self.start()
        site = Site(server.port, server.tcpPort)
        with Load(site, seed=5) as load:
            for pid in self.workers(server):
                load.awaitAnswers(40)
                os.kill(pid, signal.SIGKILL)
                until(partial(self.isGone, server, pid), f"{pid} is gone")
                self.awaitWorkers(server)
            load.awaitAnswers(40)
            findings = load.finish()
            print(f"\n{load.told()}", file=sys.stderr)
        self.assertEqual(findings, [])
        self.assertEqual(server.log().count("SIGKILL; restarting at once"), WORKERS)
        server.assertNoTracebacks()

    def test_drained(self) -> None:
        """
        A worker that gets SIGTERM drains, and another takes its place, so all
        workers can be renewed one after the other.
        """
        server = self.start()
        before = self.workers(server)
        for pid in before:
            os.kill(pid, signal.SIGTERM)
            self.until(partial(isGone, pid), "drained", server)
            self.awaitWorkers(server)
        self.assertFalse(set(before) & set(self.workers(server)))
        self.assertEqual(ask(server.site, "GET", "/health").status, 200)
        server.assertNoTracebacks()


class ApplicationTests(WorkersTestCase):
    """
    An application, in several workers over Redis.
    """

    count = 2

    def test_eachWorkerHasIt(self) -> None:
        """
        Each worker calls the application: its access object decides in all of them,
        its resource is in all of them, and each publishes once it serves.
        """
        examples = ROOT / "docs" / "examples"
        server = self.start("--app", "app:extend", paths=[examples])
        site, ada = server.site, {"Cookie": "session=4d1c7a"}
        greeted = "/channels/rooms/hall?transport=poll&since=earliest"

        def greetings() -> int:
            return ask(site, "GET", greeted, ada).body.count(b"the server is back")

        self.until(lambda: greetings() >= self.count, "greeted by each", server)
        for _ in range(4 * self.count):
            self.assertEqual(ask(site, "GET", greeted).status, 401)
        inboxes = [HttpConnection(TcpConnection(site.port)) for _ in range(4 * self.count)]
        for inbox in inboxes:
            self.addCleanup(inbox.tcp.close)
            inbox.send("GET", "/inbox", ada)
            self.assertEqual(inbox.head().status, 200)
        publish(site, "inbox/ada", "for you")
        for inbox in inboxes:
            while b"for you" not in inbox.piece():
                pass
        server.assertNoTracebacks()


class EndpointTests(WorkersTestCase):
    """
    Workers on every kind of endpoint, and as a daemon.
    """

    def test_tls(self) -> None:
        """
        Workers speak TLS, on both ports.
        """
        made = authority()
        server = self.start(listen=made.endpoint, tls=made.context)
        for kind in ("sse", "websocket", "tcp"):
            client = self.client(kind, server.site)
            client.open([kind])
            self.assertIsInstance(client.next(), BareCursor)
            published = publish(server.site, kind, "x")
            self.assertEqual(client.messages(1)[0].cursor, published.cursor)

    def test_policy(self) -> None:
        """
        Workers serve Flash's policy file, which names the port of raw TCP.
        """
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = self.start("--flash-policy", f"tcp:{port}:interface=127.0.0.1")
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"<policy-file-request/>\0")
            answer = client.recv(4096)
        self.assertIn(b'to-ports="%d"' % server.tcpPort, answer)

    def test_systemd(self) -> None:
        """
        Workers serve on a socket that systemd has bound, which stays open after
        they have ended.
        """
        with socket.create_server(("127.0.0.1", 0)) as bound:
            port = bound.getsockname()[1]
            listen = ["--listen", "systemd:domain=INET:index=0"]
            command = [*twistd(), "-n", "--pidfile=", "comet", *listen, *self.options()]
            with (self.redis.folder / "comet.log").open("wb") as log:
                process = subprocess.Popen(
                    activated(bound.fileno(), command),
                    cwd=self.redis.folder,
                    pass_fds=[bound.fileno()],
                    stdout=log,
                    stderr=log,
                )
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            site = Site(port, 0)
            for _ in range(2 * WORKERS):
                self.assertEqual(ask(site, "GET", "/health", timeout=STARTING).status, 200)
            process.terminate()
            self.assertIn(process.wait(20), (0, -signal.SIGTERM))
            # A client that connects now waits for the next start.
            with socket.create_connection(("127.0.0.1", port), 5):
                pass

    def test_daemon(self) -> None:
        """
        As a daemon with a log file and a PID file, a server with workers starts
        and ends as one without.  Paths are relative to the directory in which it
        was started, and the system may choose the port.
        """
        folder = self.redis.folder
        rundir = folder / "elsewhere"
        rundir.mkdir()
        files = [f"--pidfile={folder}/pid", f"--logfile={folder}/log.txt", f"--rundir={rundir}"]
        listen = ["--listen", "tcp:0:interface=127.0.0.1"]
        command = [*twistd(), *files, "comet", *listen, *self.options()]
        subprocess.run(command, cwd=folder, timeout=STARTING, check=True)
        log = folder / "log.txt"

        def announced() -> bool:
            return log.exists() and "comet serves HTTP on http://127.0.0.1:" in log.read_text()

        until(announced, "announced")
        pid = int((folder / "pid").read_text())
        self.addCleanup(killIfThere, pid)
        port = int(log.read_text().partition("on http://127.0.0.1:")[2].partition("/")[0])
        self.assertEqual(ask(Site(port, 0), "GET", "/health").status, 200)
        self.assertTrue((folder / "comet.key").exists())
        os.kill(pid, signal.SIGTERM)
        until(partial(isGone, pid), "ended")
        self.assertFalse((folder / "pid").exists())
        self.assertRaises((OSError, Ended, Silence), ask, Site(port, 0), "GET", "/health")
