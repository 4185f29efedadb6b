"""
The tests that each proxy which sends requests to the nodes in turn must pass.
"""

from __future__ import annotations

import json

from tests.cluster.case import ClusterTestCase
from tests.cluster.nodes import NODE, NODES
from tests.edge.clients import pathOf
from tests.edge.connections import HttpConnection, TcpConnection, ask
from tests.edge.envelopes import BareCursor
from tests.edge.publisher import Published, headersOf, publish, publishBatch
from tests.edge.speakers import SPEAKERS, TcpClient, WebSocketClient


class RobinTestCase(ClusterTestCase):
    """
    The tests; each subclass is one proxy.
    """

    def test_inTurn(self) -> None:
        """
        The requests of one connection go to all nodes.  A poll resumes at
        another node with its cursor, and gets the messages published meanwhile
        on any node.
        """
        connection = HttpConnection(TcpConnection(self.site.port), self.site.host)
        self.addCleanup(connection.tcp.close)
        published = publish(self.site, "turn", 0)
        nodes, tag = set(), str(published.cursor)
        for number in range(1, 3 * NODES):
            published = publish(self.site, "turn", number)
            target = pathOf(["turn"]) + f"?transport=poll&since={tag}"
            connection.send("GET", target)
            answer = connection.answer()
            messages = json.loads(answer.body)["messages"]
            self.assertEqual([message["data"] for message in messages], [number])
            tag = answer.headers["etag"].strip('"')
            self.assertEqual(tag, str(published.cursor))
            nodes.add(answer.headers[NODE])
        self.assertEqual(len(nodes), NODES)

    def test_transports(self) -> None:
        """
        On every transport the held messages come first, and then each message at
        once, on whatever node it was published.
        """
        for kind in self.kinds():
            channel = f"robin/{kind.name}"
            held = [publish(self.site, channel, {"held": number}) for number in range(4)]
            client = self.makeClient(kind)
            client.open([channel], "earliest")
            heard = client.messages(4)
            live = [publish(self.site, channel, {"live": number}) for number in range(6)]
            heard += client.messages(6)
            expected: list[Published] = [*held, *live]
            self.assertEqual(
                [(one.cursor, one.data) for one in heard],
                [(one.cursor, one.data) for one in expected],
                kind.name,
            )

    def test_everyNode(self) -> None:
        """
        A message that is published on one node reaches readers on all nodes.
        """
        sites = [node.site for node in self.cluster.nodes]
        for kind in self.kinds():
            channel = f"every/{kind.name}"
            clients = [self.makeClient(kind, site) for site in sites]
            start = publish(self.site, channel, "start").cursor
            for client in clients:
                client.open([channel], str(start))
                if client.endless:
                    self.assertIsInstance(client.next(), BareCursor)
            for site in sites:
                published = publish(site, channel, {"by": site.port})
                for client in clients:
                    (message,) = client.messages(1)
                    self.assertEqual(message.cursor, published.cursor, kind.name)

    def test_keys(self) -> None:
        """
        A publication that is repeated with its key on another node publishes no
        second message; with another body it is refused there.
        """
        again = {"Idempotency-Key": "k1"}
        answers = {publish(self.site, "keys", 1, again).cursor for _ in range(2 * NODES)}
        self.assertEqual(len(answers), 1)
        for node in self.cluster.nodes:
            answer = ask(node.site, "POST", "/channels/keys", headersOf(node.site, again), b"2")
            self.assertEqual(answer.status, 422)

    def test_batch(self) -> None:
        """
        The messages of a batch arrive completely and in order.
        """
        client = self.makeClient(SPEAKERS["websocket"])
        client.open(["batch/*"])
        client.next()
        connection = HttpConnection(TcpConnection(self.site.port), self.site.host)
        self.addCleanup(connection.tcp.close)
        lines = [(f"batch/{number % 7}", number) for number in range(300)]
        published = publishBatch(connection, self.site, lines)
        heard = client.messages(300)
        self.assertEqual([(one.channel, one.cursor, one.data) for one in heard], published)

    def test_commands(self) -> None:
        """
        A message that is published by command reaches a reader that has
        subscribed by command on another connection, perhaps at another node.
        """
        for name, kind in SPEAKERS.items():
            if name == "tcp" and not self.frontType.withTcp:
                continue
            clients = [self.makeClient(kind) for _ in range(NODES + 1)]
            for client in clients:
                client.open([])
                assert isinstance(client, WebSocketClient | TcpClient)
                client.command(subscribe=[f"open/{name}"])
            for speaker in clients:
                assert isinstance(speaker, WebSocketClient | TcpClient)
                answer = speaker.command(publish=f"open/{name}", data=["x"])
                for client in clients:
                    (message,) = client.messages(1)
                    self.assertEqual(str(message.cursor), answer["cursor"])
