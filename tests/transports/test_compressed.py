"""
Compression on Twisted's edge.
"""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st

from tests.rfc6455.echo import Connection, MemoryConnection
from tests.transports.case import HubTestCase
from tests.transports.compressed import ON, CompressedContract


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

    @hypothesis.settings(deadline=None, max_examples=30)
    @hypothesis.given(st.binary(max_size=200), st.integers(1, 9))
    def test_anything(self, payload: bytes, size: int) -> None:
        """
        Any bytes as a compressed message are answered, or close the connection.
        """
        self.takesAnything(payload, size)
