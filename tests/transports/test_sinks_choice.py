"""
Tests of L{comet.transports.sinks}: which transports may be sent to directly,
and the sink for all others.
"""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from comet.interfaces.sinks import ISink
from comet.transports.sinks import PIECE, BufferedSink, makeSink, sendNow
from tests.transports.sockets import Lost, Owner, SinkTestCase
from tests.transports.wire import FULL, MemoryTransport


class ChoiceTests(SinkTestCase):
    """
    The choice between a direct and a buffered sink.
    """

    def assertBuffered(self, transport: Any) -> None:
        """
        Assert that nothing is sent to the socket past the transport.
        """
        transport.write = lambda data: None
        sink = makeSink(transport)
        self.assertIsInstance(sink, BufferedSink)
        sink.write(b"secret")
        self.assertEqual(sendNow(transport, b"secret"), b"secret")
        self.assertEqual(bytes(self.socket.taken), b"")

    def test_buffersForSubclass(self) -> None:
        """
        A subclass may do more with what is written, and gets a buffered sink.
        """

        class Other(Server):
            pass

        self.assertBuffered(self.makeServer(Other))

    def test_buffersAfterStartTLS(self) -> None:
        """
        A plain transport that has started TLS gets a buffered sink.
        """

        class Encrypting(Lost):
            def registerProducer(self, producer: object, streaming: bool) -> None:
                """
                Ignore the producer.
                """

        self.transport.protocol = Encrypting()
        self.transport.TLS = True
        self.assertBuffered(self.transport)

    def test_buffersForWrapper(self) -> None:
        """
        A wrapper with the attributes of a plain transport, as TLS makes it,
        gets a buffered sink.
        """
        wrapper = ProtocolWrapper(WrappingFactory(None), Protocol())
        wrapper.makeConnection(self.transport)
        self.assertIs(wrapper.socket, self.socket)
        self.transport.unregisterProducer()
        self.assertBuffered(wrapper)

    def test_buffersForLookalike(self) -> None:
        """
        Another class with all the needed attributes gets a buffered sink.
        """

        class Alike(MemoryTransport):
            TLS = False
            dataBuffer = b""
            _tempDataBuffer: ClassVar[list[bytes]] = []

        alike: Any = Alike()
        alike.socket = self.socket
        self.assertBuffered(alike)


class SendNowTests(SinkTestCase):
    """
    Sending on a transport that has a producer.
    """

    def test_sendsAtOnce(self) -> None:
        """
        Data is sent at once if nothing waits.
        """
        self.assertEqual(sendNow(self.transport, b"hello"), b"")
        self.assertEqual(bytes(self.socket.taken), b"hello")
        self.assertEqual(self.reactor.writers, set())

    def test_returnsRest(self) -> None:
        """
        What the socket does not take is returned.
        """
        for room in range(6):
            self.setUp()
            self.socket.room = room
            self.assertEqual(sendNow(self.transport, b"hello"), b"hello"[room:])
            self.assertEqual(bytes(self.socket.taken), b"hello"[:room])

    def test_keepsOrder(self) -> None:
        """
        Data does not overtake what waits already.
        """
        self.transport.write(b"first")
        self.assertEqual(sendNow(self.transport, b"second"), b"second")
        self.assertEqual(bytes(self.socket.taken), b"")

    def test_sendsNothingWhileClosing(self) -> None:
        """
        Nothing is sent directly on a connection that is being closed.
        """
        self.transport.loseConnection()
        self.assertEqual(sendNow(self.transport, b"late"), b"late")
        self.assertEqual(bytes(self.socket.taken), b"")


class BufferedTests(SynchronousTestCase):
    """
    A sink for any transport.
    """

    def setUp(self) -> None:
        """
        Make a transport in memory.
        """
        self.transport = MemoryTransport()
        self.owner = Owner()
        sink = makeSink(self.transport)
        assert isinstance(sink, BufferedSink)
        self.sink = sink
        self.sink.attach(self.owner)
        self.transport.protocol = Lost()
        self.transport.protocol.sink = self.sink

    def test_providesInterfaces(self) -> None:
        """
        It is a sink, and a producer.
        """
        verifyObject(ISink, self.sink)
        verifyObject(IPushProducer, self.sink)

    def test_givesTransportPieces(self) -> None:
        """
        Of many bytes the transport, which copies or encrypts them, is given a
        piece at a time; those that the sink writes last are sent whole, too.
        """
        data = bytes(range(256)) * (5 * PIECE // 256)
        for isLast in (False, True):
            self.setUp()
            self.transport.isStuck = True
            self.assertFalse(self.sink.write(data))
            self.assertFalse(self.sink.write(b"more"))
            self.assertEqual(len(self.transport.unsent), PIECE)
            if isLast:
                self.sink.finish()
            self.transport.isStuck = False
            self.transport.settle()
            self.assertEqual(bytes(self.transport.sent), data + b"more")
            self.assertEqual(self.owner.told, ["lost"] if isLast else ["ready"])

    def test_reportsBackpressure(self) -> None:
        """
        The sink is behind when the transport's buffer is full, and ready once
        when it is empty.
        """
        self.transport.isStuck = True
        self.assertTrue(self.sink.write(b"x" * FULL))
        self.assertFalse(self.sink.write(b"y"))
        self.assertFalse(self.sink.write(b"z"))
        self.assertEqual(self.owner.told, [])
        self.transport.isStuck = False
        self.transport.settle()
        self.assertEqual(self.owner.told, ["ready"])
        self.assertEqual(bytes(self.transport.sent), b"x" * FULL + b"yz")
        self.sink.resumeProducing()
        self.assertEqual(self.owner.told, ["ready"])
        self.assertTrue(self.sink.write(b"a"))

    def test_finishSendsRest(self) -> None:
        """
        The connection is closed once all data is sent.
        """
        self.transport.isStuck = True
        self.sink.write(b"x" * 2 * FULL)
        self.sink.finish()
        self.sink.finish()
        self.transport.settle()
        self.assertTrue(self.transport.connected)
        self.transport.isStuck = False
        self.transport.settle()
        self.assertEqual(len(self.transport.sent), 2 * FULL)
        self.assertEqual(self.owner.told, ["lost"])

    def test_abortClosesAtOnce(self) -> None:
        """
        The connection is closed at once.
        """
        self.transport.isStuck = True
        self.sink.write(b"x")
        self.sink.abort()
        self.transport.settle()
        self.assertEqual((bytes(self.transport.sent), self.owner.told), (b"", ["lost"]))
