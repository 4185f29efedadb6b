"""
Tests of L{comet.transports.sharedtls}: TLS waits for a turn once the time of one is spent.
"""

from __future__ import annotations

import contextlib
import gc
import ssl
from functools import partial
from pathlib import Path
from typing import Any
from weakref import ref

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from comet.framing.tlsrecords import MOST_SILENT
from comet.reactor.clientpace import QUICK
from comet.reactor.returning import BEGINNING, RETURNING
from comet.reactor.turns import SHARE, TURN, Turns
from comet.transports.sharedtls import SharedTLSFactory, encrypted
from comet.transports.sinks import PromptSink, makeSink
from tests.edge.tls import makeCertificate
from tests.fanout.doubles import TurnClock
from tests.lean.keyupdates import keyUpdates
from tests.transports.sockets import SinkTestCase


class Noting(Protocol):
    """
    Notes what it is given.
    """

    def __init__(self) -> None:
        self.data = b""

    def dataReceived(self, data: bytes) -> None:
        """
        Note it.
        """
        self.data += data


class NotingFactory(Factory):
    """
    Makes L{Noting} protocols.
    """

    noisy = False
    protocol = Noting

    def __init__(self, turns: object = None) -> None:
        self.turns = turns


class PausableTransport(StringTransport):
    """
    A transport that has not registered a producer, and can be aborted.
    """

    isReading = True

    def pauseProducing(self) -> None:
        """
        Note it.
        """
        self.isReading = False

    def resumeProducing(self) -> None:
        """
        Note it.
        """
        self.isReading = True


class TLSClient:
    """
    A client that speaks TLS to a transport in memory.
    """

    def __init__(self, trusted: Path, keyLog: Path | None = None) -> None:
        """
        @param keyLog: Where to write the secrets, if anywhere.
        """
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=str(trusted))
        if keyLog is not None:
            context.keylog_filename = str(keyLog)
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")

    def say(self, data: bytes = b"") -> bytes:
        """
        Go on with the handshake, or encrypt data once it is done; return what is to be
        sent.
        """
        try:
            self._tls.do_handshake()
            self._tls.write(data)
        except ssl.SSLWantReadError:
            pass
        return self._out.read()

    def read(self) -> bytes:
        """
        Return what was decrypted.
        """
        heard = b""
        try:
            while more := self._tls.read(1 << 20):
                heard += more
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        return heard

    def end(self) -> bytes:
        """
        End the client's side; return what is to be sent.
        """
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        return self._out.read()

    def hasEnded(self) -> bool:
        """
        Whether the server has said that it ends, behind all that was read.
        """
        try:
            return not self._tls.read(1)
        except ssl.SSLWantReadError:
            return False

    def hear(self, data: bytes) -> None:
        """
        Take what the server has sent.
        """
        self._in.write(data)


class SharedTLSTests(SynchronousTestCase):
    """
    One connection, and turns whose time is spent by others.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        key, certificate = makeCertificate(directory)
        self.context = DefaultOpenSSLContextFactory(str(key), str(certificate))
        self.clock = TurnClock()
        self.turns = Turns(self.clock)
        self.factory = encrypted(self.context, NotingFactory(self.turns))
        self.protocol: Any = self.factory.buildProtocol(None)
        self.transport = PausableTransport()
        self.protocol.makeConnection(self.transport)
        self.certificate = certificate
        self.client = TLSClient(certificate)

    def spend(self) -> None:
        """
        Spend the time of this turn.
        """
        begun = self.clock.seconds()
        self.clock.rightNow += 2 * TURN
        self.turns.spend(begun)

    def exchange(self) -> None:
        """
        Do the handshake.
        """
        for _ in range(3):
            said = self.client.say()
            if said:
                self.protocol.dataReceived(said)
            self.client.hear(self.transport.value())
            self.transport.clear()

    def test_handshakeAtOnce(self) -> None:
        """
        With time left, input is decrypted at once.
        """
        self.exchange()
        self.protocol.dataReceived(self.client.say(b"hello"))
        self.assertEqual(self.protocol.wrappedProtocol.data, b"hello")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_begins(self) -> None:
        """
        A client comes with the crowd until it has said something but TLS, since its
        handshake takes longer than what others ask for.
        """
        self.assertTrue(BEGINNING.isSet(self.transport))
        self.exchange()
        self.assertTrue(BEGINNING.isSet(self.transport))
        self.protocol.dataReceived(self.client.say(b"hello"))
        self.assertFalse(BEGINNING.isSet(self.transport))

    def test_handshakeWaits(self) -> None:
        """
        Once the time is spent, a handshake waits for another turn, and its connection
        is not read.
        """
        self.spend()
        hello = self.client.say()
        self.protocol.dataReceived(hello[:100])
        self.protocol.dataReceived(hello[100:])
        self.assertEqual((self.transport.value(), self.transport.isReading), (b"", False))
        self.clock.turn()
        self.assertNotEqual(self.transport.value(), b"")
        self.assertTrue(self.transport.isReading)
        self.clock.settle()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_littleFirst(self) -> None:
        """
        A client that was heard before, and sends little, waits before clients that have
        work left; one in the middle of a request waits behind them.
        """
        self.exchange()
        wrapped = self.protocol.wrappedProtocol
        self.protocol.dataReceived(self.client.say(b"begun"))

        def noting(heard: list[bytes]) -> None:
            heard.append(wrapped.data)

        for isBehind in (False, True):
            RETURNING.set(self.transport, isBehind)
            wrapped.data = b""
            self.spend()
            heard: list[bytes] = []
            self.turns.later(partial(noting, heard))
            self.protocol.dataReceived(self.client.say(b"little"))
            self.clock.settle()
            self.assertEqual((heard, wrapped.data), ([b"" if isBehind else b"little"], b"little"))

    def test_dearIsBehind(self) -> None:
        """
        A client whose last words took long waits behind those that have work left, also if it
        sends little; one that is quick again does not.
        """
        self.exchange()
        wrapped = self.protocol.wrappedProtocol
        received = wrapped.dataReceived

        def taking(seconds: float, data: bytes) -> None:
            self.clock.rightNow += seconds
            received(data)

        def noting(heard: list[bytes]) -> None:
            heard.append(wrapped.data)

        for seconds, found in ((QUICK * 0.9, b"little"), (QUICK * 1.1, b""), (0.0, b"little")):
            wrapped.dataReceived = partial(taking, seconds)
            self.protocol.dataReceived(self.client.say(b"before"))
            self.clock.settle()
            wrapped.dataReceived, wrapped.data = received, b""
            self.spend()
            heard: list[bytes] = []
            self.turns.later(partial(noting, heard))
            self.protocol.dataReceived(self.client.say(b"little"))
            self.clock.settle()
            self.assertEqual((heard, wrapped.data), ([found], b"little"))

    def test_workIsCounted(self) -> None:
        """
        What is decrypted counts: those that come behind it wait.
        """
        self.exchange()
        received = self.protocol.wrappedProtocol.dataReceived

        def slowly(data: bytes) -> None:
            self.clock.rightNow += 2 * TURN
            received(data)

        self.protocol.wrappedProtocol.dataReceived = slowly
        self.protocol.dataReceived(self.client.say(b"a"))
        self.protocol.dataReceived(self.client.say(b"b"))
        self.assertEqual(self.protocol.wrappedProtocol.data, b"a")
        self.clock.turn()
        self.assertEqual(self.protocol.wrappedProtocol.data, b"ab")

    def test_pausedMeanwhile(self) -> None:
        """
        A protocol that is paused while its input waits is not read behind its back, and
        one that is resumed is read only once that is delivered.
        """
        self.exchange()
        self.spend()
        self.protocol.dataReceived(self.client.say(b"a"))
        self.protocol.resumeProducing()
        self.assertFalse(self.transport.isReading)
        self.protocol.pauseProducing()
        self.clock.turn()
        self.assertFalse(self.transport.isReading)
        self.protocol.resumeProducing()
        self.assertTrue(self.transport.isReading)

    def test_lostMeanwhile(self) -> None:
        """
        Input of a connection that is lost by then is dropped.
        """
        self.exchange()
        self.spend()
        self.protocol.dataReceived(self.client.say(b"a"))
        wrapped = self.protocol.wrappedProtocol
        self.protocol.connectionLost()
        self.clock.settle()
        self.assertEqual(wrapped.data, b"")

    def test_lostLeavesNothing(self) -> None:
        """
        The TLS of a connection that ends without a word does not wait for the garbage
        collector, which runs very seldom over what is old.
        """
        self.exchange()
        tls = ref(self.protocol._tlsConnection)
        self.addCleanup(gc.enable)
        gc.disable()
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertIsNone(tls())

    def test_failureCutsConnection(self) -> None:
        """
        A protocol that raises is cut, and what it raises is logged.
        """
        self.exchange()
        self.spend()

        def broken(data: bytes) -> None:
            raise ZeroDivisionError(data)

        self.protocol.wrappedProtocol.dataReceived = broken
        self.protocol.dataReceived(self.client.say(b"a"))
        self.clock.settle()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(self.transport.disconnected)

    def connectLogged(self) -> Path:
        """
        Connect a client that writes its secrets to a file, and return the file.
        """
        log = Path(self.mktemp())
        self.protocol = self.factory.buildProtocol(None)
        self.transport = PausableTransport()
        self.protocol.makeConnection(self.transport)
        self.client = TLSClient(self.certificate, log)
        self.exchange()
        return log

    def test_otherKeys(self) -> None:
        """
        A client may take other keys now and then, but not again and again: it is cut
        before that has taken long.
        """
        for count in (MOST_SILENT, 3000):
            log = self.connectLogged()
            said = self.client.say(b"hello") + keyUpdates(log, count, 1)
            self.protocol.dataReceived(said)
            self.clock.settle()
            self.assertEqual(self.protocol.wrappedProtocol.data, b"hello")
            self.assertEqual(self.transport.disconnected, count > MOST_SILENT)
            self.assertLess(self.protocol._records.silent, 2 * MOST_SILENT + 1)

    def test_countsNoText(self) -> None:
        """
        Records with text do not count, however they come.
        """
        for size in (7, 4096, 1 << 20):
            self.connectLogged()
            said = b"".join(self.client.say(b"x") for _ in range(3 * MOST_SILENT))
            for at in range(0, len(said), size):
                self.protocol.dataReceived(said[at : at + size])
            self.clock.settle()
            self.assertEqual(self.protocol.wrappedProtocol.data, b"x" * 3 * MOST_SILENT)
            self.assertFalse(self.transport.disconnected)

    def test_inShares(self) -> None:
        """
        What one client has sent is decrypted for a share of time; the rest waits, and
        comes in its order.
        """
        self.exchange()
        received = self.protocol.wrappedProtocol.dataReceived

        def slowly(data: bytes) -> None:
            self.clock.rightNow += SHARE / 8
            received(data)

        self.protocol.wrappedProtocol.dataReceived = slowly
        text = bytes(range(256)) * 4
        said = b"".join(self.client.say(text[at : at + 1]) for at in range(len(text)))
        self.protocol.dataReceived(said)
        heard = self.protocol.wrappedProtocol.data
        self.assertLess(len(heard), 300)
        self.assertFalse(self.transport.isReading)
        self.clock.settle()
        self.assertEqual(self.protocol.wrappedProtocol.data, text)
        self.assertTrue(self.transport.isReading)

    def test_otherFactories(self) -> None:
        """
        The turns may be those of a factory that is wrapped; one without any has the TLS
        of Twisted.
        """
        outer: Any = NotingFactory()
        outer.wrappedFactory = NotingFactory(self.turns)
        self.assertIs(encrypted(self.context, outer).turns, self.turns)
        plain = encrypted(self.context, NotingFactory())
        self.assertIs(type(plain), TLSMemoryBIOFactory)
        self.assertIsInstance(self.factory, SharedTLSFactory)


class PromptTests(SinkTestCase):
    """
    What a sink writes through TLS to a plain connection.
    """

    def setUp(self) -> None:
        """
        Connect, and make a sink.
        """
        super().setUp()
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        key, certificate = makeCertificate(directory)
        context = DefaultOpenSSLContextFactory(str(key), str(certificate))
        self.clock = TurnClock()
        factory: Any = encrypted(context, NotingFactory(Turns(self.clock)))
        factory._clock = self.clock
        self.tls: Any = factory.buildProtocol(None)
        # The transport is made for a protocol, and is given the one of TLS.
        self.transport.protocol = self.tls
        self.tls.makeConnection(self.transport)
        self.client = TLSClient(certificate)
        while said := self.client.say():
            self.tls.dataReceived(said)
            self.flow()
        made = makeSink(self.tls)
        assert isinstance(made, PromptSink)
        self.prompt = made
        self.prompt.attach(self.owner)

    def flow(self) -> None:
        """
        Give the client what the socket has taken.
        """
        self.client.hear(bytes(self.socket.taken))
        self.socket.taken.clear()

    def test_atOnce(self) -> None:
        """
        What a sink writes is one record and one call of the system, with no timer.
        """
        before = self.socket.sends
        self.assertTrue(self.prompt.write(b"x" * 1000))
        self.assertEqual(self.socket.sends, before + 1)
        self.assertLess(len(self.socket.taken), 1000 + 64)
        self.flow()
        self.assertEqual(self.client.read(), b"x" * 1000)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_encrypted(self) -> None:
        """
        Nothing reaches the socket in plain text.
        """
        self.prompt.write(b"secret" * 10)
        self.assertNotIn(b"secret", bytes(self.socket.taken))

    def test_order(self) -> None:
        """
        What was written to the transport before, and waits for the turn's end, comes first.
        """
        self.tls.write(b"head ")
        self.prompt.write(b"body")
        self.flow()
        self.assertEqual(self.client.read(), b"head body")
        self.clock.settle()
        self.assertEqual(bytes(self.socket.taken), b"")

    def test_fullSocket(self) -> None:
        """
        What the socket does not take waits in the transport, and what is written behind it
        comes behind it.
        """
        self.socket.room = 30
        self.prompt.write(b"a" * 100)
        self.prompt.write(b"b" * 100)
        self.assertEqual(len(self.socket.taken), 30)
        self.socket.room = 1 << 30
        self.turn()
        self.prompt.write(b"c")
        self.flow()
        self.assertEqual(self.client.read(), b"a" * 100 + b"b" * 100 + b"c")

    def test_behind(self) -> None:
        """
        A client that does not read makes its sink fall behind, and is caught up with once
        it does.
        """
        self.socket.room = 0
        while self.prompt.write(b"x" * 10000):
            self.assertLess(len(self.transport._tempDataBuffer), 100)
        self.assertEqual(self.owner.told, [])
        self.socket.room = 1 << 30
        self.turn()
        self.turn()
        self.assertEqual(self.owner.told, ["ready"])

    def test_large(self) -> None:
        """
        More than a piece is written whole.
        """
        self.prompt.write(bytes(range(256)) * 2000)
        self.flow()
        heard = self.client.read()
        while len(heard) < 512000:
            more = self.client.read()
            self.assertTrue(more)
            heard += more
        self.assertEqual(heard, bytes(range(256)) * 2000)

    def test_lost(self) -> None:
        """
        What is written after the connection is lost goes nowhere.
        """
        self.tls.connectionLost(Failure(ConnectionDone()))
        taken = len(self.socket.taken)
        self.prompt.write(b"late")
        self.assertEqual(len(self.socket.taken), taken)
