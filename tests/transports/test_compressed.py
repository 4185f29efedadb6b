"""
Compression on Twisted's edge.
"""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st

from comet.framing.deflate import INFLATER_BYTES
from comet.transports.throttle import PIECE
from tests.rfc6455.echo import Connection, MemoryConnection
from tests.rfc6455.wire import CONTINUATION, PING, TEXT, frame
from tests.transports.case import HubTestCase, request
from tests.transports.compressed import DEFLATE, ON, RSV1, CompressedContract, compressed
from tests.transports.frames import UPGRADE
from tests.transports.wire import FULL


class CompressedTests(CompressedContract, HubTestCase):  # type: ignore[misc]
    """
    L{CompressedContract}.
    """

    settings = ON

    def open(self, said: bytes) -> Connection:
        """
        See L{CompressedContract.open}.
        """
        wire = self.connect()
        wire.send(said)
        self.turn()
        return MemoryConnection(self, wire)

    def test_countsWhileServerDoesNotRead(self) -> None:
        """
        What a message takes that has half come is counted also where its next fragment
        waits, since the client does not take the answers to its pings.
        """
        wire = self.connect()
        wire.send(request("GET", "/socket", *UPGRADE, DEFLATE))
        self.turn()
        wire.transport.isStuck = True
        ping, said = frame(PING, b"x" * 100), compressed(b'{"ping":"' + b"x" * 500 + b'"}')
        while len(wire.transport.unsent) + PIECE // 2 < FULL:
            wire.send(ping)
            self.turn()
        begun = frame(TEXT, said[:9], fin=False, rsv=RSV1)
        wire.send(begun + ping * 15 + frame(CONTINUATION, said[9:]))
        self.turn()
        self.assertFalse(wire.transport.isReading)
        self.assertGreaterEqual(self.hub.partialCommands.kept, INFLATER_BYTES)
        wire.transport.isStuck = False
        self.turn()
        self.assertEqual(self.hub.partialCommands.kept, 0)
        self.assertIn(b'"pong":"xxx', wire.take())
        wire.leave()

    @hypothesis.settings(deadline=None, max_examples=30)
    @hypothesis.given(st.binary(max_size=200), st.integers(1, 9))
    def test_anything(self, payload: bytes, size: int) -> None:
        """
        Any bytes as a compressed message are answered, or close the connection.
        """
        self.takesAnything(payload, size)
