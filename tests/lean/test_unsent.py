"""
Tests of what clients of the lean edge have not taken: it is counted, and bytes
that many clients get are kept once.
"""

from __future__ import annotations

import json
import tracemalloc

from comet.fanout.unsent import POLL_BYTES
from comet.http.pace import LEAST_RATE, UNSENT_TIMEOUT
from comet.lean.http import HTTPConnection
from tests.lean.case import LeanTestCase, Peer, read

BIG = 900_000
WANTED = read("poll", more="&since=earliest")


class UnsentTests(LeanTestCase):
    """
    Clients that do not read.
    """

    def setUp(self) -> None:
        """
        Let the system buffer little.
        """
        super().setUp()
        self.keepLittle()

    def deaf(self, said: bytes) -> Peer:
        """
        Connect a client that asks, and does not read.
        """
        peer = self.peer(said, receiveBuffer=4096)
        self.reactor.settle()
        return peer

    def test_countsAndCuts(self) -> None:
        """
        What waits is counted until it is taken or the client is gone.  While it is
        too much, answers are cut, and say that there is more.
        """
        unsent = self.hub.fanout.unsent
        unsent.most = POLL_BYTES + 100_000
        self.publish(*range(90), filler="x" * 10_000)
        first = self.deaf(WANTED * 8)
        (connection,) = self.port._edge.connections.values()
        assert isinstance(connection, HTTPConnection)
        self.assertEqual(unsent.kept, len(connection.unsent))
        self.assertGreater(unsent.kept, 700_000)
        second = self.peer(WANTED)
        body = second.hears(b"]").partition(b"\r\n\r\n")[2]
        self.reactor.until(lambda: second.take().endswith(b"}\n"))
        body = json.loads(second.said.partition(b"\r\n\r\n")[2])
        self.assertEqual((len(body["messages"]), body["more"]), (1, True))
        self.reactor.until(lambda: (first.take(), unsent.kept)[1] < 600_000)
        first.socket.close()
        self.reactor.until(lambda: not unsent.kept)
        self.deaf(WANTED)
        self.assertGreater(unsent.kept, 700_000)
        self.reactor.advance(UNSENT_TIMEOUT + 0.2)
        self.assertEqual(unsent.kept, 0)

    def test_keepsClientThatReadsSlowly(self) -> None:
        """
        A client gets all of a response that it goes on to read, however long that
        takes; one that reads a little now and then is cut off soon, whether it has
        read fast before or not.
        """
        self.publish(*range(90), filler="x" * 10_000)
        slow = self.deaf(WANTED)
        seconds, heard = 0, 0
        while heard < BIG:
            heard += self.hearsSome(slow, int(LEAST_RATE) * 11)
            self.reactor.advance(10)
            seconds += 10
        self.assertGreater(seconds, 10 * UNSENT_TIMEOUT)
        self.assertEqual(self.connections, 1)
        slow.cut()
        self.reactor.until(lambda: not self.connections)
        for first in (0, 200_000):
            tooSlow = self.deaf(WANTED)
            self.hearsSome(tooSlow, first)
            for _ in range(20):
                self.reactor.advance(10)
                self.reactor.settle()
                if not self.connections:
                    break
                self.hearsSome(tooSlow, int(LEAST_RATE))
            self.assertEqual(self.connections, 0)
            self.assertEqual(self.hub.fanout.unsent.kept, 0)

    def hearsSome(self, peer: Peer, size: int) -> int:
        """
        Receive some bytes of a response, and no more.
        """
        taken = 0

        def take() -> bool:
            nonlocal taken
            try:
                taken += len(peer.socket.recv(size - taken))
            except BlockingIOError:
                pass
            return taken >= size

        if size:
            self.reactor.until(take)
        return taken

    def test_sharesWhatManyGet(self) -> None:
        """
        A message of which many clients have not taken the rest is kept once: for
        held polls, and for each kind of stream.
        """
        for transport in ("longpoll", "stream", "sse", "websocket", "tcp"):
            peers = [self.reader(transport, receiveBuffer=4096) for _ in range(10)]
            self.reactor.settle()
            tracemalloc.start()
            try:
                self.hub.publish("c", transport + "x" * BIG)
                self.reactor.settle()
                kept, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            self.assertLess(kept, 5 * BIG, transport)
            for peer in peers:
                peer.hears(transport.encode() + b"x" * BIG)
                peer.cut()
            self.untilReaders(0)
