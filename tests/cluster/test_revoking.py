"""
Tests of what is revoked on one node: all nodes that share its Redis obey, on every
transport, and so does one that starts later.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from tests.cluster.nodes import KEY
from tests.edge.connections import HttpConnection, TcpConnection, ask
from tests.edge.server import CometProcess
from tests.edge.test_tokens import UPGRADE, token
from tests.redisserver import RedisServer

# Each transport, and how what it writes ends when its reader has begun.  A held request
# writes nothing.
WAYS = ("longpoll", "jsonp", "stream", "sse", "multipart", "iframe", "websocket")

# How long a client waits for what all nodes do within a second, in seconds: many times
# as long, on a machine that has other things to do.
PATIENCE = 10.0


class RevokingTests(TestCase):
    """
    Three nodes: the lean edge twice, and Twisted's.
    """

    timeout = 120

    def setUp(self) -> None:
        """
        Start them.
        """
        self.directory = Path(tempfile.mkdtemp(prefix="comet-revoking-"))
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.redis = RedisServer()
        self.addCleanup(self.redis.destroy)
        self.redis.start()
        (self.directory / "token.secret").write_text(
            "a secret that these tests share with nobody\n"
        )
        self.nodes = [self.node(), self.node(), self.node("--edge", "twisted")]

    def node(self, *options: str) -> CometProcess:
        """
        Start a node.
        """
        place = Path(tempfile.mkdtemp(dir=self.directory))
        key = place / "comet.key"
        key.write_text(KEY + "\n")
        key.chmod(0o600)
        node = CometProcess(
            *("--token-key", str(self.directory / "token.secret"), "--open-read", "news"),
            *("--bus", f"redis://127.0.0.1:{self.redis.port}/0"),
            *options,
            directory=place,
        )
        self.addCleanup(node.kill)
        return node

    def order(self, node: CometProcess, what: str, order: Any) -> Any:
        """
        Give an order to one node.

        @return: The answer.
        """
        answer = ask(
            node.site,
            "POST",
            f"/admin/{what}",
            {"Authorization": f"Bearer {KEY}"},
            json.dumps(order).encode(),
        )
        self.assertIn(answer.status, (200, 201), answer.body)
        return json.loads(answer.body)

    def watch(self, node: CometProcess, readers: int) -> None:
        """
        See on one node what all nodes have, until all have answered in time.
        """
        deadline = time.monotonic() + PATIENCE
        found: dict[str, Any] = {}
        for path in ("/admin/nodes", "/admin/clients?client=ada&limit=7", "/admin/channels/chat/a"):
            while path not in found:
                self.assertLess(time.monotonic(), deadline)
                answer = ask(node.site, "GET", path, {"Authorization": f"Bearer {KEY}"})
                self.assertEqual(answer.status, 200, answer.body)
                value = json.loads(answer.body)
                if value["complete"]:
                    found[path] = value
        nodes, clients, channel = found.values()
        self.assertEqual(len({each["node"] for each in nodes["nodes"]}), len(self.nodes))
        self.assertEqual((clients["count"], len(clients["readers"])), (readers, 7))
        self.assertEqual(channel["count"], 2 * readers)
        self.assertEqual({each["client"] for each in channel["readers"]}, {"ada", "bob"})

    def status(self, node: CometProcess, shown: str) -> int:
        """
        Ask a node for a channel, and return the status of its answer.
        """
        headers = {"Authorization": f"Bearer {shown}"}
        return ask(node.site, "GET", "/channels/chat/a?transport=poll", headers).status

    def readers(self, sub: str) -> list[TcpConnection]:
        """
        Read a channel by every transport from each node.
        """
        shown = token(sub=sub, iat=time.time() - 60)
        found = []
        for node in self.nodes:
            found += [self.reader(node, way, shown) for way in WAYS]
            found += [self.speaker(node, shown), self.socket(node, shown)]
        return found

    def reader(self, node: CometProcess, way: str, shown: str) -> TcpConnection:
        """
        Read by one transport.
        """
        tcp = self.connect(node.port)
        headers = {"Authorization": f"Bearer {shown}", "Sec-Fetch-Site": "same-origin"}
        if way == "websocket":
            headers.update(UPGRADE)
        target = f"/channels/chat/a?transport={way}&wait=60&since=earliest"
        connection = HttpConnection(tcp)
        connection.send("GET", target + ("&callback=cb" if way == "jsonp" else ""), headers)
        if way not in ("longpoll", "jsonp"):
            status = connection.head().status
            self.assertEqual(status, 101 if way == "websocket" else 200, way)
        return tcp

    def connect(self, port: int) -> TcpConnection:
        """
        Connect to a port.
        """
        tcp = TcpConnection(port)
        self.addCleanup(tcp.close)
        return tcp

    def speaker(self, node: CometProcess, shown: str) -> TcpConnection:
        """
        Read over raw TCP.
        """
        tcp = self.connect(node.tcpPort)
        for command in ({"id": 1, "token": shown}, {"id": 2, "subscribe": ["chat/a"]}):
            tcp.send(json.dumps(command).encode() + b"\n")
            tcp.receiveUntil(b'"ok"')
        return tcp

    def socket(self, node: CometProcess, shown: str) -> TcpConnection:
        """
        Open a WebSocket without names or a credential, and give it a token by command.
        """
        tcp = self.connect(node.port)
        connection = HttpConnection(tcp)
        connection.send("GET", "/socket", UPGRADE)
        self.assertEqual(connection.head().status, 101)
        for command in ({"id": 1, "token": shown}, {"id": 2, "subscribe": ["chat/a"]}):
            # RFC 6455 5.2: a whole text message, masked by nothing; its length takes two
            # bytes from 126 on.
            text = json.dumps(command).encode().ljust(126)
            tcp.send(b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text)
            tcp.receiveUntil(b'"ok"')
        return tcp

    def test_everywhere(self) -> None:
        """
        All that a client reads ends, on all nodes and transports, and no node takes its
        tokens again; others notice nothing, and a token that is made later counts.
        """
        ended, spared = self.readers("ada"), self.readers("bob")
        old = token(sub="ada", iat=time.time() - 60)
        # Those that are held have begun when a node answers a later request.
        for node in self.nodes:
            self.assertEqual(self.status(node, old), 200)
        made = self.order(self.nodes[0], "revoke", {"client": "ada"})
        for tcp in ended:
            tcp.receiveUntil(b"revoked", timeout=PATIENCE)
        self.nodes.append(self.node())
        for node in self.nodes:
            self.assertEqual(self.status(node, old), 401)
            self.assertEqual(self.status(node, token(sub="ada", iat=time.time() + 2)), 200)
            self.assertEqual(self.status(node, token(sub="bob")), 200)
        published = ask(
            self.nodes[3].site,
            "POST",
            "/channels/chat/a",
            {"Authorization": f"Bearer {KEY}"},
            b'"to those who are left"',
        )
        self.assertEqual(published.status, 201)
        for tcp in spared:
            told = tcp.receiveUntil(b"to those who are left", timeout=PATIENCE)
            self.assertNotIn(b"revoked", told)
        self.restoredByRestart(made["id"], old)

    def restoredByRestart(self, id: str, old: str) -> None:
        """
        What is revoked survives a restart of all nodes, until it is deleted.
        """
        for node in self.nodes:
            node.kill()
        self.nodes = [self.node(), self.node()]
        for node in self.nodes:
            self.assertEqual(self.status(node, old), 401)
        key = {"Authorization": f"Bearer {KEY}"}
        deleted = ask(self.nodes[1].site, "DELETE", f"/admin/revocations/{id}", key)
        self.assertEqual(deleted.status, 204)
        deadline = time.monotonic() + PATIENCE
        while self.status(self.nodes[0], old) != 200:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def test_disconnected(self) -> None:
        """
        All that a client reads ends on all nodes, and it may come back.
        """
        ended, spared = self.readers("ada"), self.readers("bob")
        old = token(sub="ada")
        for node in self.nodes:
            self.assertEqual(self.status(node, old), 200)
        for node in self.nodes:
            self.watch(node, len(ended))
        told = self.order(self.nodes[2], "disconnect", {"client": "ada"})
        # Nodes that take longer than a second to tell, on a machine with much to do, are
        # left out: as a whole.
        each = len(ended) // len(self.nodes)
        self.assertIn(told["disconnected"], (each, 2 * each, 3 * each))
        for tcp in ended:
            tcp.receiveUntil(b"disconnected", timeout=PATIENCE)
        for node in self.nodes:
            self.assertEqual(self.status(node, old), 200)
        self.order(self.nodes[0], "disconnect", {"client": "bob"})
        for tcp in spared:
            tcp.receiveUntil(b"disconnected", timeout=PATIENCE)
