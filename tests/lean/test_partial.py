"""
Tests of L{comet.transports.partial} on the lean edge: commands that half come.
"""

from __future__ import annotations

from comet.http.pace import BODY_TIME
from comet.limits.capacity import SMALL_PART
from tests.lean.case import LeanTestCase, Peer
from tests.transports.frames import TEXT, frame

# How much of a command comes.
PART = 2 * SMALL_PART


class PartialTests(LeanTestCase):
    """
    Clients that send a part of a command, and read.
    """

    def half(self, transport: str) -> Peer:
        """
        Connect a client that sends a part of a command.
        """
        peer = self.reader(transport)
        before = self.hub.partialCommands.kept
        begins = frame(TEXT, b"x" * PART, fin=False) if transport == "websocket" else b"x" * PART
        peer.send(begins)
        self.reactor.until(lambda: self.hub.partialCommands.kept == before + PART)
        return peer

    def test_closesClientThatDoesNotGoOn(self) -> None:
        """
        A client whose command does not go on is sent away, and not before its time
        is over; a client that only reads is not.
        """
        reads = self.reader("websocket")
        peers = [self.half("websocket"), self.half("tcp")]
        self.reactor.advance(BODY_TIME - 1)
        self.reactor.settle()
        self.assertEqual(self.hub.partialCommands.kept, 2 * PART)
        self.assertFalse(any(b"close" in peer.take() for peer in peers))
        self.reactor.advance(PART / 1000 + 1.2)
        for peer in peers:
            self.assertIn(b'"unavailable"', peer.hears(b'"close"'))
        self.assertEqual(self.hub.partialCommands.kept, 0)
        self.publish(1)
        self.assertEqual(reads.upTo(1), [1])

    def test_oldestGoesWhenThereAreTooMany(self) -> None:
        """
        Beyond the limit, which is one for all transports, the oldest command is given
        up.
        """
        self.hub.partialCommands.most = 2 * PART
        first, second = self.half("tcp"), self.half("websocket")
        third = self.reader("tcp")
        third.send(b"x" * PART)
        self.assertIn(b'"unavailable"', first.ends())
        self.assertEqual(self.hub.partialCommands.kept, 2 * PART)
        self.publish(1)
        self.assertEqual((second.upTo(1), third.upTo(1)), ([1], [1]))
        for peer in (second, third):
            peer.cut()
        self.untilReaders(0)
        self.assertEqual(self.hub.partialCommands.kept, 0)
