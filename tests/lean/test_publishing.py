"""
Tests of L{comet.lean.publishing}: bodies that come behind their heads, and what
is refused before they are whole.
"""

from __future__ import annotations

import json

from comet.access.rights import Access
from comet.bus.idempotency import KeyBudget, KeyMemory
from comet.framing.publications import Limits
from comet.hub.hubsettings import Settings
from comet.lean.edge import EdgeConnection
from comet.web.heads import LINGER_TIME
from tests.batches import LINE, refusedLines
from tests.lean.case import LeanTestCase, Peer, read, request

NDJSON = "Content-Type: application/x-ndjson\r\n"
POLL = read("poll")


# The header of the holder of the publish key.
HOLDER = f"Authorization: Bearer {'k' * 16}\r\n"


def head(path: str, length: int, headers: str = "", method: str = "POST") -> bytes:
    """
    Make the head of a request with a body.
    """
    return request(path, f"{headers}Content-Length: {length}\r\n", method)


class UploadCase(LeanTestCase):
    """
    The base class of these tests.

    @cvar opens: The channels that any client may publish to.
    """

    settings = Settings(limits=Limits(maxMessage=4096))
    opens: tuple[str, ...] = ()

    def setUp(self) -> None:
        """
        Start a server with such rights, on which nothing may be handed over.
        """
        super().setUp()
        self.hub.access = Access("k" * 16, self.opens)
        self.handedOver: list[object] = []
        edge = self.port._edge
        handOver = edge.handOver

        def note(connection: EdgeConnection, data: bytes) -> None:
            self.handedOver.append(data)
            handOver(connection, data)

        self.patch(edge, "handOver", note)

    def begin(self, *said: bytes) -> Peer:
        """
        Connect a client that sends some bytes, in pieces.
        """
        peer = self.peer()
        for piece in said:
            peer.send(piece)
            self.reactor.settle()
        return peer

    def problem(self, peer: Peer) -> tuple[int, str]:
        """
        Wait for an error.

        @return: Its status and code.
        """
        said = peer.hears(b"}")
        self.assertIn(b"application/problem+json", said)
        return int(said[9:12]), json.loads(said[said.index(b"\r\n\r\n") + 4 :])["code"]

    def assertRefused(self, peer: Peer, status: int, code: str) -> None:
        """
        Assert that a client was told an error as its last response, and is given
        up soon, however much it sends.
        """
        self.assertEqual(self.problem(peer), (status, code))
        self.assertIn(b"\r\nConnection: close\r\n", peer.said)
        self.assertEqual(self.connections, 1)
        said = peer.ends()
        for _ in range(3):
            peer.send(b"x" * 5000)
            self.reactor.settle()
            self.reactor.advance(LINGER_TIME / 3 - 0.1)
        self.assertEqual(self.connections, 1)
        self.reactor.advance(1)
        self.assertEqual((self.connections, peer.said, self.handedOver), (0, said, []))


class HeadTests(UploadCase):
    """
    What is refused at the head.
    """

    def test_refusesWithoutRight(self) -> None:
        """
        A client that may publish nowhere, or not to the channel in the path, is
        refused before its body comes, without the help of Twisted's edge.
        """
        bad = "Authorization: Bearer wrong\r\n"
        for said in (
            head("/publish", 60000, NDJSON),
            head("/publish", 60000, NDJSON) + LINE,
            head("/publish", 60000, NDJSON + bad),
            head("/channels/a", 4000),
            head("/channels/a", 4000, method="PUT"),
        ):
            self.assertRefused(self.begin(said), 401, "unauthorized")

    def test_servesOnAfterWholeBody(self) -> None:
        """
        Where the body came together with its head, the connection goes on; the
        error is the one of Twisted's edge.
        """
        said = request("/publish", NDJSON, "POST", LINE)
        shut = request("/channels/a", "", "POST", b"x")
        peer = self.begin(said + shut + POLL)
        said = peer.hears(b"HTTP/1.1 200 OK")
        self.assertEqual(said.count(b"HTTP/1.1 401 Unauthorized\r\n"), 2)
        self.assertEqual(said.count(b"\r\nWWW-Authenticate: Bearer\r\n"), 2)
        self.assertEqual((self.handedOver, self.connections), ([], 1))
        traffic = self.hub.metrics.of("publish", None)
        self.assertEqual((traffic.requests, traffic.dataIn), (2, len(LINE) + 1))

    def test_readsOnForClientThatLeaves(self) -> None:
        """
        A refused client that closes is forgotten at once.
        """
        peer = self.begin(head("/publish", 60000, NDJSON))
        self.problem(peer)
        peer.socket.close()
        self.reactor.until(lambda: not self.connections)

    def test_leavesSizeToTwisted(self) -> None:
        """
        A body that is too large is for Twisted's edge, which refuses in the same
        order.
        """
        peer = self.begin(head("/publish", 10**8, NDJSON))
        self.assertEqual(self.problem(peer), (401, "unauthorized"))
        self.assertEqual(len(self.handedOver), 1)


class PiecesTests(UploadCase):
    """
    Bodies that come in pieces.
    """

    opens = ("open/**",)

    def test_refusesEachLine(self) -> None:
        """
        A line for a channel that is not the client's, one that is not valid, and
        one that is too long, end the request as soon as they have arrived.
        """
        for line, status, code in refusedLines(self.settings.limits):
            peer = self.begin(head("/publish", 60000, NDJSON), LINE, line)
            self.assertRefused(peer, status, code)
        self.assertRefused(self.begin(head("/publish", 60000)), 400, "badRequest")
        self.assertEqual((self.hub.end.position, self.hub.uploads.kept), (0, 0))

    def test_publishesWhole(self) -> None:
        """
        Nothing is published before the last byte has come; then all lines are, and
        the connection goes on with what came behind them.
        """
        body = LINE * 300
        peer = self.begin(head("/publish", len(body), NDJSON), body[:5000], body[5000:-1])
        self.assertEqual((peer.take(), self.hub.end.position), (b"", 0))
        self.assertEqual(self.hub.uploads.kept, len(body) - 1)
        peer.send(body[-1:] + POLL)
        said = peer.hears(b"HTTP/1.1 200 OK")
        self.assertTrue(said.startswith(b"HTTP/1.1 201 Created\r\n"), said)
        self.assertEqual((self.hub.end.position, self.hub.uploads.kept), (300, 0))
        traffic = self.hub.metrics.of("publish", None)
        self.assertEqual((traffic.requests, traffic.dataIn), (1, len(body)))

    def test_tellsErrorOfWholeBody(self) -> None:
        """
        An error that the last byte shows is told, and the connection goes on.
        """
        json = "Content-Type: application/json\r\n"
        for said, rest in (
            (head("/channels/open/a", 4, json), b"tru?"),
            (head("/publish", len(LINE) + 2, NDJSON), LINE + b"{\n"),
            (head("/publish", len(LINE) + 1, NDJSON), LINE + b"{"),
        ):
            peer = self.begin(said, rest[:-1], rest[-1:] + POLL)
            said = peer.hears(b"HTTP/1.1 200 OK")
            self.assertTrue(said.startswith(b"HTTP/1.1 400 "), said)
        self.assertEqual((self.handedOver, self.hub.end.position), ([], 0))

    def test_asksAgainWhenWhole(self) -> None:
        """
        A right that was lost while the body came counts.
        """
        peer = self.begin(head("/publish", 2 * len(LINE), NDJSON), LINE)
        self.hub.access = Access("k" * 16)
        peer.send(LINE.strip() + b" ")
        self.assertEqual(self.problem(peer), (401, "unauthorized"))

    def test_refusesBeyondRoom(self) -> None:
        """
        A body for which there is no room is refused, with the time to come again,
        at its head or when it is too much; and taken once there is room.
        """
        uploads = self.hub.uploads
        uploads.most = 5000
        first = self.begin(head("/channels/open/a", 4000), b"x" * 3000)
        second = self.begin(head("/channels/open/a", 4000))
        self.assertEqual(self.problem(second), (503, "unavailable"))
        self.assertIn(b"\r\nRetry-After: 1\r\n", second.said)
        second.socket.close()
        third = self.begin(head("/channels/open/a", 1900, HOLDER), b"x" * 1000)
        first.send(b"x" * 999)
        self.reactor.settle()
        third.send(b"x" * 899)
        self.assertEqual(self.problem(third), (503, "unavailable"))
        self.assertEqual(uploads.kept, 3999)
        # What comes together with its head is taken all the same.
        small = self.begin(request("/publish", NDJSON, "POST", LINE * 50))
        small.hears(b"HTTP/1.1 201 ")
        first.socket.close()
        self.reactor.until(lambda: not uploads.kept)
        fourth = self.begin(head("/channels/open/a", 4000), b"x" * 4000)
        fourth.hears(b"HTTP/1.1 201 ")
        self.assertEqual(uploads.kept, 0)

    def test_strangersLeaveRoom(self) -> None:
        """
        Clients without the publish key may fill their part of the room with bodies
        that do not end; its holder's bodies are taken.
        """
        uploads = self.hub.uploads
        uploads.most = 16000
        for size in (4000, 4000, 1000, 100, 10):
            for _ in range(3):
                self.begin(head("/channels/open/a", size), b"x" * (size - 1))
        self.assertGreater(uploads.kept, 7900)
        late = self.begin(head("/channels/open/a", 4000))
        self.assertEqual(self.problem(late), (503, "unavailable"))
        for path in ("/channels/news", "/channels/open/a"):
            holder = self.begin(head(path, 4000, HOLDER), b"x" * 2000, b"x" * 2000)
            holder.hears(b"HTTP/1.1 201 ")
        body = LINE * 100
        holder = self.begin(head("/publish", len(body), HOLDER + NDJSON), body[:-1], body[-1:])
        holder.hears(b"HTTP/1.1 201 ")


class KeyTests(UploadCase):
    """
    Idempotency keys.
    """

    opens = ("**",)

    def test_strangersPushNoKeyOut(self) -> None:
        """
        Clients without the publish key make the server forget keys of their
        own, and none of its holder's.
        """
        self.patch(self.bus, "_keys", KeyMemory(self.reactor.seconds, budget=KeyBudget(4500)))
        peer = self.peer()
        count = 0

        def cursor(number: int, more: str = "") -> str:
            nonlocal count
            count += 1
            peer.send(head("/channels/a", 1, f"{more}Idempotency-Key: {number}\r\n") + b"x")
            return peer.hears(b'"cursor":', count).rpartition(b'"cursor":')[2].decode("ascii")

        own = cursor(0, HOLDER)
        first = cursor(0)
        self.assertEqual(cursor(0), first)
        for number in range(1, 12):
            cursor(number)
        self.assertEqual(cursor(0, HOLDER), own)
        self.assertNotEqual(cursor(0), first)
        self.assertEqual(self.handedOver, [])
