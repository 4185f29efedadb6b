"""
Tests of L{comet.reactor.returning}.
"""

from __future__ import annotations

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase

from comet.reactor.returning import BEGINNING, RETURNING


class ReturningTests(SynchronousTestCase):
    """
    What is said of a transport.
    """

    def test_saidLast(self) -> None:
        """
        A transport returns, or begins, from when that is said until the opposite is said.
        """
        for note, other in ((RETURNING, BEGINNING), (BEGINNING, RETURNING)):
            transport = StringTransport()
            self.assertFalse(note.isSet(transport))
            for answer in (True, False):
                note.set(transport, answer)
                self.assertIs(note.isSet(transport), answer)
                self.assertFalse(other.isSet(transport))

    def test_wrapped(self) -> None:
        """
        What is said of a wrapper, such as that of TLS, is said of the transport below,
        which is what a reactor serves.
        """
        transport = StringTransport()
        factory = WrappingFactory(Factory.forProtocol(Protocol))
        outer = ProtocolWrapper(factory, Protocol())
        inner = ProtocolWrapper(factory, outer)
        inner.makeConnection(transport)
        RETURNING.set(outer, True)
        BEGINNING.set(outer, True)
        self.assertTrue(RETURNING.isSet(transport) and BEGINNING.isSet(transport))

    def test_lost(self) -> None:
        """
        Nothing is said of a connection that is lost.
        """
        RETURNING.set(None, True)
        BEGINNING.set(None, True)
