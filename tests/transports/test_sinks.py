"""
Tests of L{comet.transports.sinks}: sending straight to the socket, and what the
socket does not take.
"""

from __future__ import annotations

import errno
import socket

from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from comet.interfaces.sinks import ISink
from comet.transports.sinks import PIECE, DirectSink
from tests.transports.sockets import Descriptors, Owner, SinkTestCase, makeServer


class DirectTests(SinkTestCase):
    """
    A sink that sends straight to the socket.
    """

    def test_providesInterfaces(self) -> None:
        """
        It is a sink, and a producer.
        """
        sink = self.makeSink()
        verifyObject(ISink, sink)
        verifyObject(IPullProducer, sink)

    def test_sendsAtOnce(self) -> None:
        """
        What the socket takes is sent within the call, without the reactor.
        """
        sink = self.makeSink()
        self.assertTrue(sink.write(b"hello"))
        self.assertTrue(sink.write(b" world"))
        self.assertEqual((bytes(self.socket.taken), self.socket.sends), (b"hello world", 2))
        self.assertEqual(self.reactor.writers, set())
        self.assertEqual(self.owner.told, [])

    def test_sendsInParts(self) -> None:
        """
        However little the socket takes, all data arrives once, in order;
        meanwhile the sink is behind, and says once that it is ready.
        """
        data = bytes(range(100))
        for room in range(100):
            self.setUp()
            sink = self.makeSink()
            self.socket.room = room
            self.assertFalse(sink.write(data))
            self.assertEqual(bytes(self.socket.taken), data[:room])
            self.assertFalse(sink.write(b"second"))
            self.assertEqual(bytes(self.socket.taken), data[:room])
            self.assertEqual(self.owner.told, [])
            self.socket.room = 1 << 30
            self.turn()
            self.assertEqual(bytes(self.socket.taken), data + b"second")
            self.assertEqual(self.owner.told, ["ready"])
            self.assertTrue(sink.write(b"third"))
            self.assertEqual(bytes(self.socket.taken), data + b"secondthird")
            self.assertIsNone(self.transport.producer)

    def test_givesTransportPieces(self) -> None:
        """
        Of bytes that the socket does not take, the transport, which copies them,
        is given a piece at a time; those that the sink writes last are sent
        whole, too.
        """
        data = bytes(range(256)) * (5 * PIECE // 256)
        for end in (lambda sink: None, DirectSink.finish):
            self.setUp()
            sink = self.makeSink()
            self.socket.room = 10
            self.assertFalse(sink.write(data))
            given = self.transport.dataBuffer, *self.transport._tempDataBuffer
            self.assertEqual(sum(map(len, given)), PIECE)
            self.assertFalse(sink.write(b"more"))
            end(sink)
            while len(self.socket.taken) < len(data) + 4:
                self.socket.room = 1 << 30
                self.turn()
            self.assertEqual(bytes(self.socket.taken), data + b"more")
            self.assertIsNone(self.transport.producer)

    def test_isReadyAfterLastByte(self) -> None:
        """
        The sink is not ready before the last byte is sent.
        """
        sink = self.makeSink()
        self.socket.room = 0
        sink.write(b"x" * 20)
        for _ in range(19):
            self.socket.room = 1
            self.turn()
            self.assertEqual(self.owner.told, [])
            self.assertFalse(sink.write(b""))
        self.socket.room = 1
        self.turn()
        self.assertEqual(self.owner.told, ["ready"])

    def test_isBehindAgain(self) -> None:
        """
        The sink can be behind again, also within the call that says that it is
        ready.
        """
        sink = self.makeSink()
        room = [3, 5, 1 << 30]

        def sinkReady() -> None:
            self.owner.told.append("ready")
            if room:
                self.socket.room = room.pop(0)
                sink.write(b"0123456789")

        self.patch(self.owner, "sinkReady", sinkReady)
        self.socket.room = 0
        sink.write(b"ab")
        for _ in range(4):
            self.socket.room = 1 << 30
            self.turn()
        self.assertEqual(bytes(self.socket.taken), b"ab" + b"0123456789" * 3)
        self.assertEqual(self.owner.told, ["ready"] * 3)

    def test_keepsOrderWithOthers(self) -> None:
        """
        The sink does not overtake what other code has written to the transport.
        """
        sink = self.makeSink()
        self.transport.write(b"first")
        self.assertFalse(sink.write(b"second"))
        self.assertEqual(bytes(self.socket.taken), b"")
        self.turn()
        self.assertEqual(bytes(self.socket.taken), b"firstsecond")
        self.assertEqual(self.owner.told, ["ready"])

    def test_keepsOrderWithRest(self) -> None:
        """
        The sink does not overtake what the transport has sent in part.
        """
        sink = self.makeSink()
        self.transport.write(b"first")
        self.socket.room = 2
        self.turn()
        self.socket.room = 1 << 30
        sink.write(b"second")
        self.assertEqual(bytes(self.socket.taken), b"fi")
        self.turn()
        self.turn()
        self.assertEqual(bytes(self.socket.taken), b"firstsecond")

    def test_losesConnectionOnce(self) -> None:
        """
        A connection that breaks during a send is lost once, when the reactor
        says so, and not within the call.
        """
        for number in (errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT):
            self.setUp()
            sink = self.makeSink()
            self.socket.error = OSError(number, "broken")
            self.assertFalse(sink.write(b"hello"))
            self.assertFalse(sink.write(b"more"))
            self.assertEqual(self.owner.told, [])
            self.turn()
            self.assertEqual(self.owner.told, ["lost"])
            self.assertFalse(sink.write(b"after"))
            sink.finish()
            sink.abort()
            self.turn()
            sink.connectionLost()
            self.assertEqual(self.owner.told, ["lost"])

    def test_survivesFullSocket(self) -> None:
        """
        A full socket raises an error, which does not break the connection.
        """
        sink = self.makeSink()
        self.socket.error = BlockingIOError(errno.EAGAIN, "full")
        self.assertFalse(sink.write(b"hello"))
        self.socket.error = None
        self.turn()
        self.assertEqual((bytes(self.socket.taken), self.owner.told), (b"hello", ["ready"]))

    def test_finishSendsRest(self) -> None:
        """
        The connection is closed once all data is sent.
        """
        for room in (0, 3, 100):
            self.setUp()
            sink = self.makeSink()
            self.socket.room = room
            sink.write(b"hello")
            sink.finish()
            self.assertEqual(self.owner.told, [])
            self.socket.room = 100
            for _ in range(3):
                self.turn()
            self.assertEqual((bytes(self.socket.taken), self.owner.told), (b"hello", ["lost"]))
            self.assertFalse(self.transport.connected)

    def test_abortDropsRest(self) -> None:
        """
        The connection is closed at once, with data unsent.
        """
        sink = self.makeSink()
        self.socket.room = 3
        sink.write(b"hello")
        sink.abort()
        self.socket.room = 100
        self.turn()
        self.assertEqual((bytes(self.socket.taken), self.owner.told), (b"hel", ["lost"]))


class SocketPairTests(SynchronousTestCase):
    """
    A sink over a real pair of sockets.
    """

    def test_sendsMegabytesInOrder(self) -> None:
        """
        Megabytes arrive whole and in order through a socket that takes them in
        parts.
        """
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        for each in (ours, theirs):
            each.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        reactor = Descriptors()
        transport = makeServer(Server, ours, Protocol(), reactor)
        owner = Owner()
        sink = DirectSink(transport)
        sink.attach(owner)
        expected, got = bytearray(), bytearray()
        isReady = True
        for n in range(600):
            told = len(owner.told)
            if isReady:
                data = bytes([n % 251]) * (7919 + 13 * n)
                expected += data
                isReady = sink.write(data)
            if n % 3 == 0:
                got += theirs.recv(9000)
                for writer in list(reactor.writers):
                    self.assertIsNone(writer.doWrite())
            isReady = isReady or len(owner.told) > told
        while len(got) < len(expected):
            got += theirs.recv(1 << 20)
            for writer in list(reactor.writers):
                writer.doWrite()
        self.assertEqual(got, expected)
        self.assertGreater(owner.told.count("ready"), 3)
        self.assertGreater(len(expected), 1 << 20)
