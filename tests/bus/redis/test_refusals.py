"""
L{RedisBus} when Redis refuses commands, or cannot be used at all.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from zope.interface import implementer

from comet.bus.redis.bus import RedisBus
from comet.bus.redis.capabilities import CannotUse
from comet.bus.redis.protocol import RedisRefused
from comet.bus.redis.urls import RedisURL, parseURL
from comet.errors import CometError, Forbidden, Internal, Unavailable
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from comet.model.positions import Last, Now
from comet.testing.case import BusCase, Listener, positionsOf
from tests.bus.redis.case import RedisCase, pause, until
from tests.bus.redis.direct import DirectConnection
from tests.ports import freePort
from tests.redisserver import RedisServer

# Bodies that a foreign writer may store or push.
HOSTILE = (
    '1.5\n\n\n"</script>"',
    '1.5\n\n\n1}\n{"channel":"other"',
    "1.5\n\n\n1\r2",
    "1.5\ntick\revent\n\n1",
    "nan\n\n\n1",
    "inf\n\n\n1",
    "1.5\n\ngzip\n1",
    "x",
)

BOOK = Path(__file__).parents[3] / "docs"


def documentedUser() -> str:
    """
    Return the command with which the book makes the user of comet.
    """
    found = re.search(r"ACL SETUSER .*\n +\+.*", (BOOK / "howto/redis.rst").read_text())
    assert found is not None, "the book does not make a user"
    return found[0]


@implementer(ILogObserver)
class _Observer:
    """
    Notes what the bus logs.
    """

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def __call__(self, event: LogEvent) -> None:
        """
        See L{ILogObserver}.
        """
        namespaces = ("comet.bus.redis", "comet.bus.refusals")
        isOurs = str(event["log_namespace"]).startswith(namespaces)
        if isOurs and event["log_level"] >= LogLevel.warn:
            self._lines.append(str(event["log_format"]).format(**event))


class RefusalCase(RedisCase, BusCase):
    """
    Tests with a Redis of their own.
    """

    def ownServer(self, *settings: str) -> RedisServer:
        """
        Start a Redis for this test.
        """
        self.server = RedisServer(*settings).start()
        self.addCleanup(self.server.destroy)
        self.url = self.urlOf(self.server)
        return self.server

    def logged(self) -> list[str]:
        """
        Return a list that gets the warnings and errors that the bus logs from
        now on.
        """
        lines: list[str] = []

        observer = _Observer(lines)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        return lines

    async def refused(self, bus: RedisBus) -> CometError:
        """
        Publish a message, which has to be refused.
        """
        before = await self.held(bus, "a")
        failed: Any = self.assertFailure(bus.publish([Publication(("a",), b"1")]), CometError)
        error: CometError = await failed
        self.assertEqual(await self.held(bus, "a"), before)
        return error

    async def notStarted(self, bus: RedisBus) -> str:
        """
        Start a bus, which has to fail.

        @return: The reason.
        """
        self.addCleanup(bus.stop)
        failed: Any = self.assertFailure(bus.start(), CannotUse)
        return str((await failed).detail)


class RunningTests(RefusalCase):
    """
    Redis can be used, but refuses some commands.
    """

    async def test_fullRedis(self) -> None:
        """
        A full Redis stores nothing, and the log says why, not the error.  Its
        messages can be read, and are dropped when they are too old.
        """
        lines = self.logged()
        server = self.ownServer()
        bus = await self.startedBus(seconds=60.0)
        [a1] = await self.put(bus, "a", b"1")
        server.ask("CONFIG", "SET", "maxmemory", "1")
        error = await self.refused(bus)
        self.assertIsInstance(error, Unavailable)
        self.assertNotIn("OOM", error.detail)
        self.assertIn("OOM", lines[-1])
        self.assertEqual(positionsOf((await self.read(bus, "a *")).messages), [a1])
        await self.advance(100)
        self.assertEqual(dict((await self.read(bus, "a")).gaps), {"a": a1})
        server.ask("CONFIG", "SET", "maxmemory", "0")
        [a2] = await self.put(bus, "a")
        self.assertEqual(a2, a1 + 1)

    async def test_redisWithTooFewReplicas(self) -> None:
        """
        A Redis with fewer replicas than it was told to have stores nothing.
        """
        server = self.ownServer("--min-replicas-to-write 1")
        server.ask("CONFIG", "SET", "min-replicas-to-write", "0")
        bus = await self.startedBus()
        server.ask("CONFIG", "SET", "min-replicas-to-write", "1")
        error = await self.refused(bus)
        self.assertIsInstance(error, Unavailable)
        self.assertNotIn("NOREPLICAS", error.detail)

    async def test_redisBecomesReplica(self) -> None:
        """
        A bus does not use a Redis that becomes a replica.  It uses it again
        when it is a master, in a new epoch.
        """
        server = self.ownServer()
        other = RedisServer().start()
        self.addCleanup(other.destroy)
        bus = await self.startedBus()
        epoch = bus.end.epoch
        server.ask("REPLICAOF", "127.0.0.1", str(other.port))
        failed: Any = self.assertFailure(bus.publish([Publication(("a",), b"1")]), Unavailable)
        self.assertNotIn("READONLY", (await failed).detail)
        self.assertFalse(bus.isAvailable)
        await until(lambda: server.info("replication")["master_link_status"] == "up")
        server.ask("REPLICAOF", "NO", "ONE")
        await until(lambda: bus.isAvailable)
        self.assertNotEqual(bus.end.epoch, epoch)
        await self.put(bus, "a")

    async def test_warnsOfEvictionPolicy(self) -> None:
        """
        A Redis that drops keys when it is full is used, with a warning.
        """
        lines = self.logged()
        self.ownServer("--maxmemory-policy allkeys-lru")
        await self.startedBus()
        self.assertEqual(len(lines), 1)
        self.assertIn("maxmemory-policy allkeys-lru", lines[0])

    async def test_leftoversOfLostState(self) -> None:
        """
        When only the state of the log is lost, the remaining keys do no harm.
        """
        server = self.ownServer()
        bus = await self.startedBus()
        positions = await self.put(bus, "a b a")
        server.ask("DEL", f"{self.url.prefix}state", f"{self.url.prefix}heads")
        answer = await self.publish(bus, "a")
        self.assertEqual(bus.end, answer.cursor)
        self.assertEqual(await self.held(bus, "a"), [answer.positions["a"]])
        self.assertLess(answer.positions["a"], positions[-1])

    async def test_foreignPushes(self) -> None:
        """
        What a foreign writer publishes to comet's topics is not taken for
        messages, does not break the connection, and is logged once.
        """
        lines = self.logged()
        server = self.ownServer()
        bus = await self.startedBus()
        listener = Listener()
        await bus.listen(listener, ["a", "*"])
        epoch = bus.end.epoch
        topicPrefix = f"{self.url.prefix}0:"
        for topic, data in (
            ("head", "x"),
            ("head", f"{epoch} 5 x"),
            ("m:a", "x"),
            ("m:a\nb", f"{epoch} 2\n1.5\n\n\n2"),
            *(("m:b", f"{epoch} {n}\n{body}") for n, body in enumerate(HOSTILE, 2)),
        ):
            server.ask("PUBLISH", topicPrefix + topic, data)
        # One script stores as many messages, so that its positions are theirs.
        await self.put(bus, " ".join("c" * (1 + len(HOSTILE))), b"1")
        self.assertTrue(bus.isAvailable)
        heard = {(each.channel, each.payload) for each in listener.messages}
        self.assertEqual(heard, {("c", b"1")})
        self.assertEqual(listener.heard, list(range(1, 2 + len(HOSTILE))))
        self.assertEqual(len(lines), 1)

    async def test_foreignEntries(self) -> None:
        """
        Entries that a foreign writer adds to the log are left out.  The good
        messages between them are read, and no read fails.
        """
        server = self.ownServer()
        bus = await self.startedBus()
        for body in HOSTILE:
            [before] = await self.put(bus, "a")
            stream = f"{self.url.prefix}s:a"
            server.ask("DEL", stream)
            self.assertIn(f"{before}-0", server.ask("XADD", stream, f"{before}-0", "", body))
            [after] = await self.put(bus, "a")
            for names in ("a", "*"):
                result = await self.read(bus, names)
                self.assertEqual(positionsOf(result.messages), [after], body)
                self.assertEqual(result.reached.position, after)
            page = await bus.history("a", None, 50, 1000)
            self.assertEqual((positionsOf(page.messages), page.more), ([after], False))

    async def test_manyForeignEntries(self) -> None:
        """
        So many of them that a page has no other entry are passed over, too.
        """
        server = self.ownServer()
        bus = await self.startedBus()
        first = await self.put(bus, "a " * 3)
        bad = await self.put(bus, "a " * 6)
        last = await self.put(bus, "a")
        stream = f"{self.url.prefix}s:a"
        server.ask("DEL", stream)
        for position in (*first, *bad, *last):
            body = HOSTILE[0] if position in bad else "1.5\n\n\n1"
            self.assertIn(f"{position}-0", server.ask("XADD", stream, f"{position}-0", "", body))
        before = Cursor(bus.end.epoch, last[0])
        page = await bus.history("a", before, 2, 1000)
        self.assertEqual((positionsOf(page.messages), page.more), (first[1:], True))
        page = await bus.history("a", before._replace(position=bad[3]), 3, 1000)
        self.assertEqual((positionsOf(page.messages), page.more), (first, False))


class StartTests(RefusalCase):
    """
    Redis cannot be used at all.
    """

    async def test_waitsForRedis(self) -> None:
        """
        A bus waits for a Redis that is not there yet, and logs that once.
        """
        lines = self.logged()
        server = self.ownServer()
        server.kill()
        bus = self.newBus()
        self.addCleanup(bus.stop)
        started = bus.start()
        await pause(1.0)
        self.assertFalse(started.called)
        self.assertEqual(len(lines), 1)
        self.assertIn(f"redis://127.0.0.1:{server.port}: Connection refused", lines[0])
        server.start()
        await started
        self.assertTrue(bus.isAvailable)

    async def test_stopsWhileWaiting(self) -> None:
        """
        A bus that waits for Redis can be stopped.
        """
        self.ownServer().kill()
        bus = self.newBus()
        started = bus.start()
        started.addErrback(lambda failure: None)
        await bus.stop()
        self.assertTrue(started.called)

    async def test_passwordMissing(self) -> None:
        """
        Without the password the error says so, and how to give it.
        """
        server = self.ownServer()
        server.ask("CONFIG", "SET", "requirepass", "secret")
        text = await self.notStarted(self.newBus())
        self.assertIn("NOAUTH", text)
        self.assertIn("redis://user:password@host", text)

    async def test_passwordAndUser(self) -> None:
        """
        The bus logs in as the user that the URL names.  A wrong password is
        refused, and is not in the error.
        """
        server = self.ownServer()
        server.ask("ACL", "SETUSER", "comet", "on", ">se@cret", "~*", "&*", "+@all")
        server.ask("CONFIG", "SET", "requirepass", "other")
        for login, isRight in (("comet:se%40cret", True), (":other", True), ("comet:wrong", False)):
            url = parseURL(f"redis://{login}@127.0.0.1:{server.port}/2")
            bus = self.newBus(url=url)
            if isRight:
                await bus.start()
                await self.put(bus, "a")
                await bus.stop()
            else:
                text = await self.notStarted(bus)
                self.assertIn("WRONGPASS", text)
                self.assertNotIn("wrong", text.replace("WRONGPASS", ""))

    async def test_permissionMissing(self) -> None:
        """
        The error says what the user may not do.
        """
        server = self.ownServer()
        server.ask("ACL", "SETUSER", "few", "on", "nopass", "~*", "&*", "+@all", "-evalsha")
        url = evolve(self.url, username="few", password="any")
        self.assertIn("NOPERM", await self.notStarted(self.newBus(url=url)))
        server.ask("ACL", "SETUSER", "few", "+evalsha", "-hset")
        self.assertIn("can't run this command", await self.notStarted(self.newBus(url=url)))

    async def test_documentedPermissionsSuffice(self) -> None:
        """
        A user with exactly the permissions that the book names can do
        everything that a bus does, and does it without a warning.
        """
        lines = self.logged()
        url = self.userURL(documentedUser())
        bus = await self.startedBus(url=url, seconds=60.0)
        other = await self.startedBus(url=url, seconds=60.0)
        listener = Listener()
        await other.listen(listener, ["a", "*", "x/**", "y/*/[z]"])
        positions = await self.put(bus, "a b x/y/z y/y/[z]")
        await self.settle(other)
        self.assertEqual(listener.heard, positions)
        self.assertEqual(await self.held(bus, "*"), positions[:2])
        await bus.resolve({"a": Last(1), "*": Last(1), "b": Now()})
        self.assertEqual(
            positionsOf((await bus.history("a", None, 1, 100)).messages), positions[:1]
        )
        await bus.forget("a")
        self.assertEqual(dict((await self.read(bus, "a")).gaps), {"a": positions[0]})
        self.url = url
        await self.advance(100)
        await until(lambda: self.server.ask("ZCARD", f"{url.prefix}oldest") == ":0\r\n")
        self.assertEqual(lines, [])
        self.server.ask("FLUSHALL")
        await until(lambda: bus.end.position == 0 and bus.isAvailable)
        await self.put(bus, "a")
        self.assertIn("a new epoch begins", lines[0])
        self.assertIn("there is no log in it", lines[0])

    async def test_documentedUserIsHarmless(self) -> None:
        """
        The user of the book can reach no keys but comet's, and cannot empty
        Redis.
        """
        url = self.userURL(documentedUser())
        client = DirectConnection(self.server.port)
        self.addCleanup(client.close)
        await client.command("AUTH", url.username, url.password)
        for command in ("GET other", "SET other 1", "FLUSHALL", "KEYS *", "CONFIG SET save x"):
            denied: Any = self.assertFailure(client.command(*command.split()), RedisRefused)
            self.assertEqual((await denied).code, "NOPERM", command)

    async def test_patternsOfUser(self) -> None:
        """
        A user who may not read all topics may be given single patterns, as the
        book writes them.  The reader of another pattern is told that this is
        forbidden, and no other reader is harmed, not even when the connection
        is made again meanwhile.  The log has the reason once a minute.
        """
        narrow = "&{comet}:* &{comet}:0:m:chat/* &{comet}:0:m:x/\\[1\\]/*"
        bus = await self.startedBus(url=self.userURL(documentedUser().replace("&*", narrow)))
        lines = self.logged()
        listener = Listener()
        await bus.listen(listener, ["a", "chat/*", "x/[1]/**"])
        names = ["b/*", "chat/a", "c/*", "d/**", "chat/**"]
        denied: Any = self.assertFailure(bus.listen(listener, names), Forbidden)
        self.assertIn("pattern 'b/*'", (await denied).detail)
        self.assertEqual(self.server.ask("CLIENT", "KILL", "TYPE", "pubsub"), ":1\r\n")
        denied = bus.listen(listener, ["e/*"])
        await self.assertFailure(denied, Forbidden)
        positions = await self.put(bus, "a chat/b x/[1]/y z")
        await self.settle(bus)
        self.assertEqual(listener.heard, positions[:3])
        self.assertEqual([line for line in lines if "allow" in line], lines[:1])
        self.assertIn("pattern 'b/*'", lines[0])

    async def test_permissionTaken(self) -> None:
        """
        When the user of a running bus loses permissions, publishers and readers
        are told that the server has failed, not to come again.
        """
        bus = await self.startedBus(url=self.userURL(documentedUser()))
        lines = self.logged()
        self.server.ask("ACL", "SETUSER", "comet", "-evalsha")
        for failed in (bus.publish([Publication(("a",), b"1")]), bus.resolve({"a": Last(1)})):
            denied: Any = self.assertFailure(failed, Internal)
            self.assertIsNone((await denied).retryAfter)
        await pause(1.2)
        self.assertEqual(len(lines), 1)
        self.assertIn("NOPERM", lines[0])
        self.server.ask("ACL", "SETUSER", "comet", "+evalsha")
        await self.put(bus, "a")

    def userURL(self, command: str) -> RedisURL:
        """
        Make a user on a Redis of this test.

        @param command: The command that makes the user.

        @return: The URL with which the bus logs in as this user.
        """
        server = self.ownServer()
        self.assertEqual(server.ask(*command.split()), "+OK\r\n")
        return parseURL(f"redis://comet:password@127.0.0.1:{server.port}")

    async def test_databaseMissing(self) -> None:
        """
        A database that does not exist is named in the error.
        """
        self.ownServer()
        self.assertIn(
            "no database 99", await self.notStarted(self.newBus(url=evolve(self.url, db=99)))
        )

    async def test_refusesCluster(self) -> None:
        """
        A Redis Cluster is refused: it has no order of all messages.
        """
        # By default it is too high for the ports of other tests.
        self.ownServer("--cluster-enabled yes", f"--cluster-port {freePort()}")
        self.assertIn("Redis Cluster", await self.notStarted(self.newBus()))

    async def test_refusesOtherVersion(self) -> None:
        """
        A log of another version of comet is not changed.
        """
        server = self.ownServer()
        for form in ("1", "3", "99"):
            server.ask("HSET", f"{self.url.prefix}state", "form", form, "epoch", "abc")
            self.assertIn("another version of comet", await self.notStarted(self.newBus()))
            self.assertIn("abc", server.ask("HGET", f"{self.url.prefix}state", "epoch"))

    async def test_notRedis(self) -> None:
        """
        A server that is not Redis is not used, and is tried again.
        """
        from twisted.internet.protocol import Factory, Protocol

        from tests.bus.redis.case import theReactor

        class Chatter(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        port = theReactor().listenTCP(0, Factory.forProtocol(Chatter), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        lines = self.logged()
        bus = self.newBus(url=parseURL(f"redis://127.0.0.1:{port.getHost().port}"))
        self.addCleanup(bus.stop)
        bus.start().addErrback(lambda failure: None)
        await until(lambda: lines)
        self.assertIn("this is not Redis", lines[0])

    async def test_certificateMissing(self) -> None:
        """
        A certificate file that cannot be read is named in the error.
        """
        url = parseURL("rediss://127.0.0.1:1?ssl_ca_certs=/nowhere/ca.pem")
        self.assertIn(
            "'/nowhere/ca.pem' cannot be read", await self.notStarted(self.newBus(url=url))
        )
