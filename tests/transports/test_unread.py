"""
Tests of L{comet.transports.unread}.
"""

from __future__ import annotations

import socket

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from comet.transports.unread import unreadBelow, unreadIn
from tests.lean.handreactor import HandReactor

SIZE = 1 << 20


class UnreadTests(SynchronousTestCase):
    """
    Connections whose clients take what they want.
    """

    def setUp(self) -> None:
        """
        Connect a client that reads nothing.
        """
        self.client = socket.socket()
        self.addCleanup(self.client.close)
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            self.client.connect(listening.getsockname())
            self.server, _ = listening.accept()
        self.addCleanup(self.server.close)
        self.server.setblocking(False)

    def test_system(self) -> None:
        """
        What the system keeps is told: it grows no more than by what is sent, and
        what the client reads is not kept.
        """
        self.assertEqual(unreadIn(self.server), 0)
        sent = 0
        try:
            while True:
                sent += self.server.send(bytes(SIZE))
        except BlockingIOError:
            pass
        kept = unreadIn(self.server)
        self.assertGreater(kept, 0)
        self.assertLess(kept, sent)
        while sent:
            sent -= len(self.client.recv(sent))
        self.assertEqual(unreadIn(self.server), 0)

    def test_closed(self) -> None:
        """
        For a connection that is closed nothing is kept.
        """
        self.server.close()
        self.assertEqual(unreadIn(self.server), 0)

    def test_transport(self) -> None:
        """
        What a transport keeps is counted, and what the system below it keeps: no
        byte twice, and none left out.  A wrapper has those of its transport.
        """
        reactor = HandReactor()
        factory = WrappingFactory(Factory.forProtocol(Protocol))
        transport = reactor.adoptStreamConnection(self.server.fileno(), socket.AF_INET, factory)
        self.addCleanup(transport.connectionLost, Failure(ConnectionDone()))
        (wrapper,) = factory.protocols
        self.assertIsInstance(wrapper, ProtocolWrapper)
        left = 0
        for _ in range(6):
            transport.write(bytes(SIZE))
            left += SIZE
            reactor.settle()
        before = unreadBelow(wrapper)
        self.assertGreater(before, unreadIn(transport.socket))
        while left:
            kept = unreadBelow(wrapper)
            self.assertEqual(kept, unreadBelow(transport))
            # The client's system has acknowledged what it has, and perhaps not read it.
            self.assertLessEqual(kept, left)
            self.assertLessEqual(kept, before)
            before = kept
            left -= reactor.until(self.read)
        self.assertEqual(unreadBelow(transport), 0)

    def read(self) -> int:
        """
        Read a little.

        @return: How many bytes, or 0 if there are none now.
        """
        try:
            return len(self.client.recv(SIZE // 8, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return 0

    def test_otherTransport(self) -> None:
        """
        A transport that does not tell keeps nothing.
        """
        self.assertEqual(unreadBelow(StringTransport()), 0)
