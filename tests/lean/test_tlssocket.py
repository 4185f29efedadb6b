"""
Tests of L{comet.lean.tlssocket}: TLS over a socket whose part the test plays.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing.tlsrecords import MOST_SILENT
from comet.lean.tlssocket import RECORD, TLSSocket, _come, _going
from tests.lean.keyupdates import keyUpdates
from tests.lean.securecase import certified
from tests.transports.sockets import ScriptedSocket
from tests.transports.test_sharedtls import TLSClient


class PlayedSocket(ScriptedSocket):
    """
    A socket that receives what the test gives.

    @ivar come: What has come, in the parts in which it is received.

    @ivar isOpen: Whether it was not closed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.come: list[bytes] = []
        self.isOpen = True

    def recv(self, size: int) -> bytes:
        """
        Return a part of what has come.
        """
        if not self.come:
            raise BlockingIOError
        data = self.come.pop(0)
        if data[size:]:
            self.come.insert(0, data[size:])
        return data[:size]

    def close(self) -> None:
        """
        Note it.
        """
        self.isOpen = False


class SocketCase(SynchronousTestCase):
    """
    Sockets that shake hands with clients.
    """

    def setUp(self) -> None:
        """
        Make a server's context.
        """
        self.key, self.certificate, _ = certified()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, self.key)
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        self.connect()

    def connect(self) -> None:
        """
        Begin a connection.
        """
        self.raw = PlayedSocket()
        raw: Any = self.raw
        self.tls = TLSSocket(raw, self.context)
        self.client = TLSClient(Path(self.certificate))

    def shake(self, size: int = 1 << 20) -> bytes | None:
        """
        Shake hands.

        @param size: How many bytes of it come at once.

        @return: What the server heard behind it.
        """
        early = None
        while early is None:
            said = self.client.say()
            self.assertTrue(said)
            for start in range(0, len(said), size):
                self.assertIsNone(early)
                early = self.tls.shake(said[start : start + size])
                self.flow()
        # The tickets.
        self.assertEqual(self.client.read(), b"")
        return early

    def flow(self) -> None:
        """
        Give the client what the socket has taken.
        """
        self.client.hear(bytes(self.raw.taken))
        self.raw.taken.clear()

    def heard(self) -> bytes:
        """
        Return what the client reads of what the socket has taken.
        """
        self.flow()
        return self.client.read()

    def assertNothingKept(self) -> None:
        """
        Check that what all connections share is empty.
        """
        self.assertEqual((_come.pending, _going.pending), (0, 0))


class HandshakeTests(SocketCase):
    """
    Shaking hands.
    """

    def test_anySplit(self) -> None:
        """
        A handshake may come in any parts.
        """
        for size in (1, 7, 100, 1 << 20):
            self.connect()
            self.assertEqual(self.shake(size), b"")
            self.assertNothingKept()
            self.assertEqual(self.tls.send(b"hello"), 5)
            self.assertEqual(self.heard(), b"hello")

    def test_early(self) -> None:
        """
        What comes with the last part of a handshake is returned; of a record that has not
        come whole, nothing yet.
        """
        for cut in (0, 1, 20):
            self.connect()
            self.assertIsNone(self.tls.shake(self.client.say()))
            self.flow()
            said = self.client.say() + self.client.say(b"request")
            early = self.tls.shake(said[: len(said) - cut])
            self.assertEqual(early, b"" if cut else b"request")
            if cut:
                self.raw.come.append(said[-cut:])
                self.assertEqual(self.tls.recv(8192), b"request")
            self.assertNothingKept()

    def test_noTLS(self) -> None:
        """
        What is no TLS fails, and the client is told.
        """
        for said in (b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\x16\x03\x01\0\4\xff\xff\xff\xff"):
            self.connect()
            with self.assertRaises(OSError):
                self.tls.shake(said)
            self.assertNothingKept()
        self.assertTrue(self.raw.taken)

    def test_clientDoesNotRead(self) -> None:
        """
        A client that reads nothing of the server's part is kept waiting; what it is to be
        told is kept, and comes before anything else.
        """
        self.raw.room = 100
        self.assertIsNone(self.tls.shake(self.client.say()))
        self.assertEqual(len(self.raw.taken), 100)
        self.raw.room = 1 << 30
        self.assertEqual(self.tls._sendOn(b""), 0)
        self.flow()
        self.assertTrue(self.client.say())

    def test_leaves(self) -> None:
        """
        What a client has said counts though it has left when the server answers.
        """
        self.assertIsNone(self.tls.shake(self.client.say()))
        self.flow()
        self.raw.error = BrokenPipeError()
        said = self.client.say() + self.client.say(b"request")
        self.assertEqual(self.tls.shake(said), b"request")
        self.assertNothingKept()

    def test_otherKeysEarly(self) -> None:
        """
        What comes behind a handshake counts, if it has no text.
        """
        log = Path(self.mktemp())
        self.client = TLSClient(Path(self.certificate), log)
        self.assertIsNone(self.tls.shake(self.client.say()))
        self.flow()
        said = self.client.say() + keyUpdates(log, 200)
        self.assertRaises(ConnectionAbortedError, self.tls.shake, said)
        self.assertNothingKept()

    def test_protocol(self) -> None:
        """
        The protocol that was negotiated is known.
        """
        self.shake()
        self.assertIsNone(self.tls.protocol)


class InputTests(SocketCase):
    """
    What clients say.
    """

    def setUp(self) -> None:
        """
        Shake hands.
        """
        super().setUp()
        self.shake()

    def test_anyParts(self) -> None:
        """
        All that has come is returned at once, and nothing of a part of a record.
        """
        said = self.client.say(b"a" * 100) + self.client.say(b"b" * 40000)
        for size in (1, 1000, 8192):
            heard = b""
            self.raw.come = [said[at : at + size] for at in range(0, len(said), size)]
            while self.raw.come:
                try:
                    heard += self.tls.recv(8192)
                except BlockingIOError:
                    pass
                self.assertNothingKept()
            self.assertEqual(heard, b"a" * 100 + b"b" * 40000)
            said = self.client.say(b"a" * 100) + self.client.say(b"b" * 40000)

    def test_readsBounded(self) -> None:
        """
        No more is read than was asked for, and so little more is decrypted.
        """
        self.raw.come = [self.client.say(bytes(1 << 20))]
        for _ in range(2):
            with self.assertRaises(BlockingIOError):
                self.tls.recv(8192)
        self.assertEqual(len(self.tls.recv(8192)), RECORD)

    def test_ends(self) -> None:
        """
        The end comes behind what was said, again and again, with a word of the client's or
        without.
        """
        for isSaid in (True, False):
            self.raw.come = [self.client.say(b"last") + (self.client.end() if isSaid else b"")]
            self.raw.come.append(b"")
            self.assertEqual(self.tls.recv(8192), b"last")
            self.assertEqual(self.tls.isOver, isSaid)
            for _ in range(2):
                self.assertEqual(self.tls.recv(8192), b"")
            self.connect()
            self.shake()
        self.assertNothingKept()

    def test_behindEnd(self) -> None:
        """
        What comes behind an end is dropped, and the client may still be written to.
        """
        self.raw.come = [self.client.end() + b"more", b"and more"]
        self.assertEqual(self.tls.recv(8192), b"")
        self.assertEqual(self.tls.recv(8192), b"")
        self.assertNothingKept()
        self.assertEqual(self.tls.send(b"x"), 1)

    def test_otherKeys(self) -> None:
        """
        A client may take other keys now and then, but not again and again: it is cut
        before that has taken long.
        """
        for count, size in ((MOST_SILENT, 27), (MOST_SILENT, 8192), (300, 27), (300, 8192)):
            self.connect()
            log = Path(self.mktemp())
            self.client = TLSClient(Path(self.certificate), log)
            self.shake()
            said = self.client.say(b"hello") + keyUpdates(log, count, 1)
            self.raw.come = [said[at : at + size] for at in range(0, len(said), size)]
            heard, calls = b"", 0
            try:
                while self.raw.come:
                    calls += 1
                    try:
                        heard += self.tls.recv(8192)
                    except BlockingIOError:
                        pass
            except ConnectionAbortedError:
                self.assertGreater(count, MOST_SILENT)
                self.assertLessEqual(calls, MOST_SILENT + 2)
            else:
                self.assertEqual((count, heard), (MOST_SILENT, b"hello"))
            self.assertNothingKept()

    def test_countsNoText(self) -> None:
        """
        Records with text do not count, however they come.
        """
        said = b"".join(self.client.say(b"x") for _ in range(3 * MOST_SILENT))
        said += self.client.say(bytes(50000))
        for size in (1, 3, 5, 1000, 8192):
            heard = 0
            for at in range(0, len(said), size):
                heard += len(self.tls.decrypt(said[at : at + size]))
            self.assertEqual(heard, 3 * MOST_SILENT + 50000)
            self.assertEqual(self.tls._records.silent, 0)
            said = b"".join(self.client.say(b"x") for _ in range(3 * MOST_SILENT))
            said += self.client.say(bytes(50000))

    def test_broken(self) -> None:
        """
        A record that was tampered with ends the connection.
        """
        said = bytearray(self.client.say(b"hello"))
        said[-1] ^= 1
        self.raw.come = [bytes(said)]
        with self.assertRaises(OSError) as caught:
            self.tls.recv(8192)
        self.assertNotIsInstance(caught.exception, BlockingIOError)
        self.assertNothingKept()
        self.assertTrue(self.raw.taken)


class OutputTests(SocketCase):
    """
    What clients are sent.
    """

    def setUp(self) -> None:
        """
        Shake hands.
        """
        super().setUp()
        self.shake()

    def test_oneCall(self) -> None:
        """
        What fits into a record is one, and one call of the system.
        """
        before = self.raw.sends
        self.assertEqual(self.tls.send(b"x" * RECORD), RECORD)
        self.assertEqual(self.raw.sends, before + 1)
        self.assertLess(len(self.raw.taken), RECORD + 64)
        self.assertNotIn(b"xxxx", bytes(self.raw.taken))
        self.assertEqual(self.heard(), b"x" * RECORD)

    def test_large(self) -> None:
        """
        Only so much is encrypted in one call.
        """
        sent = self.tls.send(memoryview(bytes(1 << 22)))
        self.assertTrue(RECORD < sent < 1 << 19, sent)
        self.assertEqual(self.heard(), bytes(sent))

    def test_partOfRecord(self) -> None:
        """
        Of a record of which the system takes a part the rest is sent first, whatever
        stands behind its text by then.
        """
        self.raw.room = 30
        self.assertEqual(self.tls.send(b"a" * 100), 0)
        with self.assertRaises(BlockingIOError):
            self.tls.send(b"a" * 100)
        self.raw.room = 1 << 30
        self.assertEqual(self.tls.send(b"a" * 100 + b"b" * 50), 150)
        self.assertEqual(self.heard(), b"a" * 100 + b"b" * 50)

    def test_nothing(self) -> None:
        """
        Nothing is sent for no data.
        """
        self.assertEqual((self.tls.send(b""), bytes(self.raw.taken)), (0, b""))

    def test_between(self) -> None:
        """
        Two connections do not mix, though one of them stops within a record.
        """
        first = self.tls, self.raw, self.client
        self.raw.room = 40
        self.assertEqual(self.tls.send(b"first" * 100), 0)
        self.connect()
        self.shake()
        self.assertEqual(self.tls.send(b"second"), 6)
        self.assertEqual(self.heard(), b"second")
        self.tls, self.raw, self.client = first
        self.raw.room = 1 << 30
        self.assertEqual(self.tls.send(b"first" * 100), 500)
        self.assertEqual(self.heard(), b"first" * 100)

    @given(st.lists(st.tuples(st.integers(0, 40000), st.integers(0, 60000)), max_size=20))
    def test_anyRoom(self, steps: list[tuple[int, int]]) -> None:
        """
        Whatever is written and whatever room the system has, a caller that offers again
        what was not taken has all of it arrive, in order.
        """
        self.connect()
        self.shake()
        written, unsent, heard = b"", b"", b""
        for number, (size, room) in enumerate(steps):
            data = bytes([number]) * size
            written += data
            unsent += data
            self.raw.room = room
            try:
                sent = self.tls.send(unsent)
            except BlockingIOError:
                sent = 0
            self.assertLessEqual(sent, len(unsent))
            unsent = unsent[sent:]
            heard += self.heard()
        self.raw.room = 1 << 30
        while unsent:
            unsent = unsent[self.tls.send(unsent) :]
        self.assertEqual(heard + self.heard(), written)
        self.assertNothingKept()


class EndTests(SocketCase):
    """
    The end, by the server.
    """

    def test_says(self) -> None:
        """
        The client is told, once.
        """
        self.shake()
        self.tls.shutdown(2)
        self.flow()
        self.assertTrue(self.client.hasEnded())
        self.tls.close()
        self.assertEqual(bytes(self.raw.taken), b"")
        self.assertFalse(self.raw.isOpen)

    def test_quietly(self) -> None:
        """
        A client that has not shaken hands, has not taken what it was sent, or has left,
        keeps nobody from closing.
        """
        self.tls.close()
        self.assertFalse(self.raw.isOpen)
        self.assertNothingKept()
        for room, error in ((10, None), (1 << 30, BrokenPipeError())):
            self.connect()
            self.shake()
            self.raw.room, self.raw.error = room, error
            self.tls.send(b"x" * 100)
            self.tls.close()
            self.assertFalse(self.raw.isOpen)
            self.assertNothingKept()
