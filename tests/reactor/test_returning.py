"""
Tests of L{comet.reactor.returning}.
"""

from __future__ import annotations

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase

from comet.reactor.returning import isBeginning, isReturning, setBeginning, setReturning


class ReturningTests(SynchronousTestCase):
    """
    What is said of a transport.
    """

    def test_saidLast(self) -> None:
        """
        A transport returns, or begins, from when that is said until the opposite is said.
        """
        for say, tell in ((setReturning, isReturning), (setBeginning, isBeginning)):
            transport = StringTransport()
            self.assertFalse(tell(transport))
            for answer in (True, False):
                say(transport, answer)
                self.assertIs(tell(transport), answer)

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
        setReturning(outer, True)
        setBeginning(outer, True)
        self.assertTrue(isReturning(transport) and isBeginning(transport))

    def test_lost(self) -> None:
        """
        Nothing is said of a connection that is lost.
        """
        setReturning(None, True)
        setBeginning(None, True)
