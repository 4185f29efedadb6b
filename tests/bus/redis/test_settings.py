"""
Tests for L{comet.bus.redis.settings}: nodes compare what they are configured
with; and for the warning of a new epoch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from comet.bus.redis.bus import RedisBus
from comet.bus.redis.settings import NodeSettings, OtherSettings
from comet.bus.registry import findMaker
from comet.settings.configuration import Configuration
from tests.bus.redis.case import theReactor, until
from tests.bus.redis.test_refusals import RefusalCase


class ComparisonTests(RefusalCase):
    """
    Nodes that share one Redis.
    """

    def node(
        self, given: Mapping[str, object], file: Mapping[str, object] | None = None
    ) -> RedisBus:
        """
        Make the bus of a node, as the server makes it.
        """
        url = f"redis://127.0.0.1:{self.server.port}?prefix={self.url.prefix}"
        bus = findMaker(url).makeBus(url, theReactor(), Configuration(given, file))
        assert isinstance(bus, RedisBus)
        self.addCleanup(bus.stop)
        return bus

    async def check(self, bus: RedisBus) -> None:
        """
        Let a node check the log now, as it does every few seconds.
        """
        connection = bus._usable.connection
        assert connection is not None
        await bus._upkeep.check(connection)

    async def test_differentNodesWarn(self) -> None:
        """
        Two nodes with different options both log a warning, which names the
        options and both values, once.  Nodes that are alike log none.
        """
        lines = self.logged()
        table = {"channels": {"chat/**": {"history-messages": 5}}}
        first, second = self.node({}, table), self.node({}, table)
        await first.start()
        await second.start()
        await self.check(first)
        self.assertEqual(lines, [])
        other = self.node({"history-messages": 10, "open": ["a", "b"]})
        await other.start()
        [line] = lines
        for part in (
            "history-messages is 1000 there and 10 here",
            'open is [] there and ["a", "b"] here',
            'channels is [["chat/**", {"history-messages": 5}]] there and [] here',
            "process",
        ):
            self.assertIn(part, line)
        # Each of the other two nodes warns when it checks the log the next time.
        await until(lambda: len(lines) > 2)
        for bus in (first, second, other):
            await self.check(bus)
        self.assertEqual(len(lines), 3)
        for line in lines[1:]:
            self.assertIn("history-messages is 10 there and 1000 here", line)

    async def test_nodesThatStoppedAreForgotten(self) -> None:
        """
        What a node was configured with before it stopped is no difference some
        seconds later, and is removed from Redis.
        """
        first = self.node({"history-messages": 10})
        await first.start()
        await first.stop()
        await self.advance(20)
        lines = self.logged()
        second = self.node({})
        await second.start()
        self.assertEqual(lines, [])
        self.assertEqual(self.server.ask("HLEN", f"{self.url.prefix}settings"), ":1\r\n")

    async def test_settingsInRedisAreBounded(self) -> None:
        """
        Redis has the settings of a bounded number of nodes.
        """
        for number in range(12):
            bus = self.node({"history-messages": number})
            await bus.start()
        self.assertEqual(self.server.ask("HLEN", f"{self.url.prefix}settings"), ":8\r\n")

    async def test_foreignSettings(self) -> None:
        """
        What another program has written in the place of settings does no harm.
        """
        lines = self.logged()
        for text in ("x", "\n\n", "9e9\nnode\n[1]", "9e9\nnode\n" + "[" * 50000, "9e9\na\x07\n{}"):
            self.server.ask("HSET", f"{self.url.prefix}settings", text[:9], text)
        now = str(int(time.time())).encode()
        for key, data in ((b"\xff", b"\nn\xff\n\xff"), (b"y", b"\nn\n[")):
            self.server.ask("HSET", f"{self.url.prefix}settings", key, now + data)
        await self.startedBus()
        self.assertEqual(lines, [])

    async def test_warnsOfNewEpoch(self) -> None:
        """
        A node that begins a new epoch warns of it, with the reason; so does a
        node that finds another epoch when it comes back.  The first start on an
        empty Redis is no warning.
        """
        server = self.ownServer()
        lines = self.logged()
        bus = await self.startedBus()
        await self.put(bus, "a")
        self.assertEqual(lines, [])
        before = bus.end.epoch
        server.restart()
        await until(lambda: bus.end.epoch != before and bus.isAvailable)
        [line] = [each for each in lines if "epoch" in each]
        self.assertIn("there is no log in it", line)
        lines.clear()
        await bus.stop()
        server.ask("HSET", f"{self.url.prefix}state", "run", "another")
        await self.startedBus()
        self.assertIn("does not prove that it has everything", lines[0])


class NodeSettingsTests(RefusalCase):
    """
    L{NodeSettings}, without Redis.
    """

    def compared(self, own: Mapping[str, str], *others: Mapping[str, object]) -> list[str]:
        """
        Return what a node logs that finds others.
        """
        lines = self.logged()
        settings = NodeSettings(own, "redis://x")
        found = [OtherSettings(str(i), f"n{i}", json.dumps(each)) for i, each in enumerate(others)]
        for _ in range(2):
            settings.compare(found)
        return lines

    def test_unknownOptionsAreNotCompared(self) -> None:
        """
        An option that one of the nodes does not know is no difference: it may be
        of another version.
        """
        self.assertEqual(self.compared({"a": "1", "b": "2"}, {"a": "1", "c": "3"}), [])

    def test_warnsOfEachConfigurationOnce(self) -> None:
        """
        Each configuration that differs is one warning.
        """
        lines = self.compared({"a": "1"}, {"a": "2"}, {"a": "3"}, {"a": "1"})
        self.assertEqual(len(lines), 2)
        self.assertIn("a is 2 there and 1 here", lines[0])
        self.assertIn("the node is n1", lines[1])

    def test_warnsAgainWhenBack(self) -> None:
        """
        A configuration that was gone and comes back is another warning.
        """
        lines = self.logged()
        settings = NodeSettings({"a": "1"}, "redis://x")
        for present in (True, True, False, True):
            settings.compare([OtherSettings("d", "n", '{"a": 2}')] if present else [])
        self.assertEqual(len(lines), 2)

    def test_ownPastIsNoOther(self) -> None:
        """
        What a node has left before its own options changed is no other node's.
        """
        lines = self.logged()
        first = NodeSettings({"a": "1"}, "redis://x")
        last = first.changed({"a": "2"}).changed({"a": "3"})
        mine = [OtherSettings(each.digest, "n", each.text) for each in (first, last)]
        last.compare([*mine, OtherSettings("d", "n", '{"a": "4"}')])
        self.assertEqual(len(lines), 1)
        self.assertIn("a is 4 there and 3 here", lines[0])

    def test_longValues(self) -> None:
        """
        Long values are compared by a digest, so that the text has a bound, and
        are not logged whole.  What others have left is logged in one line.
        """
        long = "x" * 10000
        self.assertLess(len(NodeSettings({"a": long}, "").text), 200)
        same = json.loads(NodeSettings({"a": long}, "").text)
        self.assertEqual(self.compared({"a": long}, same), [])
        [line] = self.compared({"a": "1"}, {"a": "x\n" * 5000})
        self.assertLess(len(line), 1000)
        self.assertNotIn("\n", line)
