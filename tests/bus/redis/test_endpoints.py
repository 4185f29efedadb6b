"""
Tests for L{comet.bus.redis.endpoints} and L{comet.bus.redis.tls}: a Redis on a
port or a socket, behind TLS, or behind sentinels.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.redis.bus import RedisBus
from comet.bus.redis.endpoints import SentinelEndpoint
from comet.bus.redis.protocol import RedisConnectionLost
from comet.bus.redis.urls import parseURL
from comet.model.cursors import Cursor
from comet.testing.case import BusCase, Listener
from tests.bus.redis.case import RedisCase, pause, until
from tests.edge.tls import makeCertificate
from tests.ports import freePort
from tests.redisserver import RedisServer

SENTINEL = """
sentinel monitor mine 127.0.0.1 {port} 1
sentinel down-after-milliseconds mine 500
sentinel failover-timeout mine 3000
"""


class EndpointTests(RedisCase, BusCase):
    """
    L{RedisBus} with different URLs.
    """

    async def used(self, url: str) -> RedisBus:
        """
        Start a bus, and publish.
        """
        bus = self.newBus(url=parseURL(url))
        self.addCleanup(bus.stop)
        await bus.start()
        listener = Listener()
        await bus.listen(listener, ["a"])
        positions = await self.put(bus, "a")
        self.assertEqual(listener.heard, positions)
        return bus

    async def test_unixSocket(self) -> None:
        """
        A bus can use a UNIX socket, and a database with a number.
        """
        path = self.server.path
        await self.used(f"redis+unix://{path}?db=3&prefix={self._testMethodName}")
        script = "redis.call('SELECT', ARGV[1]) return redis.call('EXISTS', KEYS[1])"
        for db, answer in (("0", ":0\r\n"), ("3", ":1\r\n")):
            key = f"{{{self._testMethodName}}}:state"
            self.assertEqual(self.server.ask("EVAL", script, "1", key, db), answer)

    async def test_databasesAreApart(self) -> None:
        """
        Two databases of one Redis have separate logs.
        """
        where = f"redis://127.0.0.1:{self.server.port}"
        first, second = [await self.used(f"{where}/{db}?prefix=two") for db in (4, 5)]
        self.assertNotEqual(first.end.epoch, second.end.epoch)
        listener = Listener()
        await second.listen(listener, ["a", "*"])
        await self.put(first, "a a")
        await self.settle(second)
        self.assertEqual((listener.heard, second.end.position), ([], 1))

    async def test_tls(self) -> None:
        """
        A bus can use TLS: it verifies the certificate of Redis, and shows its
        own if Redis asks for one.  It does not use a Redis that it does not
        trust.
        """
        folder = Path(tempfile.mkdtemp(prefix="comet-redis-tls-"))
        key, certificate = makeCertificate(folder)
        port = freePort()
        server = RedisServer(
            f"--tls-port {port}",
            f"--tls-cert-file {certificate}",
            f"--tls-key-file {key}",
            f"--tls-ca-cert-file {certificate}",
        ).start()
        self.addCleanup(server.destroy)
        own = f"ssl_certfile={certificate}&ssl_keyfile={key}"
        await self.used(f"rediss://localhost:{port}?ssl_ca_certs={certificate}&{own}")
        for url in (
            f"rediss://localhost:{port}?{own}",
            f"rediss://localhost:{port}?ssl_ca_certs={certificate}",
        ):
            bus = self.newBus(url=parseURL(url))
            self.addCleanup(bus.stop)
            started = bus.start()
            started.addErrback(lambda failure: None)
            await pause(0.3)
            self.assertFalse(bus.isAvailable)

    async def test_failover(self) -> None:
        """
        When the sentinels choose another Redis, the bus uses it, in a new
        epoch: it may lack messages that were answered.
        """
        first = RedisServer().start()
        second = RedisServer(f"--replicaof 127.0.0.1 {first.port}").start()
        sentinel = RedisServer(sentinel=SENTINEL.format(port=first.port)).start()
        for server in (first, second, sentinel):
            self.addCleanup(server.destroy)
        await until(lambda: second.info("replication")["master_link_status"] == "up")
        await until(lambda: sentinel.info("sentinel").get("master0", "").find("slaves=1") > 0)
        # The first sentinel is not there.
        url = f"redis+sentinel://127.0.0.1:{freePort()},127.0.0.1:{sentinel.port}/mine"
        bus = await self.used(url)
        listener = Listener()
        await bus.listen(listener, ["b"])
        [b1] = await self.put(bus, "b")
        epoch = bus.end.epoch
        await until(
            lambda: (
                second.info("replication")["slave_repl_offset"]
                == first.info("replication")["master_repl_offset"]
            )
        )
        first.kill()
        await until(lambda: bus.isAvailable and bus.end.epoch != epoch, 30.0)
        self.assertGreaterEqual(len(listener.interruptions), 1)
        [b2] = await self.put(bus, "b")
        self.assertEqual(listener.heard, [b1, b2])
        reading = await self.read(bus, "b", Cursor(epoch, b1))
        self.assertEqual(set(reading.gaps), {"b"})
        self.assertEqual(await self.held(bus, "b"), [b1, b2])
        self.assertEqual(second.info("replication")["role"], "master")

    async def test_serviceUnknown(self) -> None:
        """
        Sentinels that do not know the service are asked again.
        """
        sentinel = RedisServer(sentinel="sentinel resolve-hostnames no\n").start()
        self.addCleanup(sentinel.destroy)
        bus = self.newBus(url=parseURL(f"redis+sentinel://127.0.0.1:{sentinel.port}/other"))
        self.addCleanup(bus.stop)
        started = bus.start()
        started.addErrback(lambda failure: None)
        await pause(0.3)
        self.assertFalse(started.called)
        text = sentinel.ask("SENTINEL", "MASTERS")
        self.assertEqual(text, "*0\r\n")


class _Answering:
    """
    A connection to a sentinel, and the endpoint that makes it.
    """

    def __init__(self, master: Any) -> None:
        self.master = master
        self.aborted = 0

    def connect(self, protocolFactory: object) -> Deferred[Any]:
        """
        See L{IStreamClientEndpoint}.
        """
        return succeed(self)

    def command(self, name: str, *words: object) -> Deferred[Any]:
        """
        Answer the greeting, or tell where the master is.
        """
        return succeed({} if name == "HELLO" else self.master)

    def abort(self, reason: str) -> None:
        """
        Count that the connection is closed.
        """
        self.aborted += 1


class SentinelTests(SynchronousTestCase):
    """
    L{SentinelEndpoint}.
    """

    def connected(self, *masters: Any) -> tuple[Any, list[_Answering]]:
        """
        Connect by way of sentinels.

        @param masters: What each says where the master is.

        @return: What the connecting fires with, and the connections to the sentinels.
        """
        url = parseURL(f"redis+sentinel://{','.join(f's{i}' for i in range(len(masters)))}/mine")
        sentinels = {
            host: _Answering(told) for (host, _), told in zip(url.hosts, masters, strict=True)
        }
        master = _Answering(None)

        def endpoint(host: str, port: int) -> Any:
            return master if (host, port) == ("db", 6379) else sentinels[host]

        made = SentinelEndpoint(Clock(), url, endpoint)
        return made.connect(Factory()), [*sentinels.values(), master]

    def test_asksNext(self) -> None:
        """
        A sentinel that answers in another form than that of a host and a port is passed
        over, and the next one is asked.
        """
        for told in (
            None,
            7,
            [],
            [b"db"],
            [None, None],
            [b"db", b"x"],
            [b"db", b"0"],
            [b"db", b"65536"],
            [b"", b"6379"],
            [b"\xff", b"6379"],
            {b"db": b"6379"},
        ):
            connecting, [wrong, right, master] = self.connected(told, [b"db", b"6379"])
            self.assertIs(self.successResultOf(connecting), master, told)
            self.assertEqual((wrong.aborted, right.aborted), (1, 1))

    def test_noneKnows(self) -> None:
        """
        Where no sentinel tells a master, the error says what each has told.
        """
        connecting, _ = self.connected(None, [b"db", b"-1"])
        error = self.failureResultOf(connecting, RedisConnectionLost).value
        self.assertIn("s0:26379: the sentinel knows no service 'mine'", str(error))
        self.assertIn("s1:26379: [b'db', b'-1'] is not where a master is", str(error))
