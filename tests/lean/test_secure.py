"""
The lean edge over TLS: what clients find on plain TCP they find here.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from twisted.logger import capturedLogs

from comet.access.rights import Access
from comet.http.pace import HEAD_TIME
from comet.lean.edge import GRACE_TIME
from comet.lean.handshakes import Handshake
from comet.lean.port import LeanPort
from comet.server.certificates import RenewedContext
from comet.transports.sharedtls import encrypted
from tests.lean.case import LeanTestCase, Peer, read
from tests.lean.securecase import SecureCase, SecurePeer, certified
from tests.transports.test_sharedtls import TLSClient

OK = b"HTTP/1.1 200 OK\r\n"


def record(data: bytes) -> bytes:
    """
    Make a record with a part of a handshake.
    """
    return b"\x16\3\1" + len(data).to_bytes(2, "big") + data


def helloWithoutShare() -> bytes:
    """
    Make a hello of TLS 1.3 that has no share of a key, so that the server asks for another.
    """

    def sized(count: int, data: bytes) -> bytes:
        return len(data).to_bytes(count, "big") + data

    extensions = b""
    for kind, data in (
        (10, sized(2, b"\0\x17")),
        (13, sized(2, b"\4\3\x08\4")),
        (43, sized(1, b"\3\4")),
        (51, sized(2, b"")),
    ):
        extensions += kind.to_bytes(2, "big") + sized(2, data)
    body = b"\3\3" + bytes(32) + sized(1, bytes(32)) + sized(2, b"\x13\1") + sized(1, b"\0")
    return record(b"\1" + sized(3, body + sized(2, extensions)))


class HandshakeTests(SecureCase):
    """
    Clients that have not shaken hands, and what follows.
    """

    def raw(self, said: bytes = b"") -> Peer:
        """
        Connect a client that says something other than TLS.
        """
        peer = Peer(self.reactor, self.port.getHost().port)
        self.addCleanup(peer.socket.close)
        peer.send(said)
        return peer

    def test_silent(self) -> None:
        """
        A client that says nothing, or not enough, is closed in time, and may be before
        where there is no room.
        """
        for said in (b"", b"\x16\x03\x01\x02\x00\x01", b"\x16\x03\x01\x02\x00\x01\0\x01\xfc\3"):
            peer = self.raw(said)
            self.reactor.until(lambda: self.connections == 1)
            (connection,) = self.port._edge.connections.values()
            self.assertIsInstance(connection, Handshake)
            self.assertFalse(connection.isIdle or connection.isBusy)
            self.reactor.advance(GRACE_TIME + 0.2)
            self.assertTrue(connection.isIdle)
            self.reactor.advance(HEAD_TIME - 1)
            self.reactor.settle()
            self.assertFalse((peer.take(), peer.isOver)[1])
            self.reactor.advance(2)
            self.assertEqual(peer.ends(), b"")
            self.assertEqual(self.connections, 0)

    def test_noTLS(self) -> None:
        """
        A client that speaks no TLS is closed, and so is one that leaves.
        """
        self.raw(read("poll")).ends()
        self.raw(b"\x16\x03\x01").cut()
        self.raw(b"\x16\x03\x01").halfClose()
        self.reactor.settle()
        self.assertEqual(self.connections, 0)

    def test_tooMuch(self) -> None:
        """
        A handshake may not have any number of bytes.
        """
        # Records of a hello that says to have 100,000 bytes.
        hello = b"\x01\x01\x86\xa0" + bytes(100_000)
        peer = self.raw()
        for start in range(0, len(hello), 16000):
            part = hello[start : start + 16000]
            try:
                peer.send(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part)
            except ConnectionError:
                break
            self.reactor.settle()
        peer.ends()
        self.assertEqual(self.connections, 0)

    def test_saysMuch(self) -> None:
        """
        A client that says its part of the handshake is large is closed before memory is
        taken for that, however the head comes.
        """
        hello = b"\1\1\xff\xff"
        for pieces in (
            [record(hello[:1]) + record(hello[1:])],
            [record(hello[:3])[:-1], hello[2:3] + record(hello[3:])[:-1], hello[3:]],
            [b"\x16\x03\x01\0\6\1\0\x40\1\3\3"],
            [b"\x16\x03\x01\0\6\1\1", b"\xff\xff\3"],
        ):
            peer = self.raw()
            for piece in pieces:
                peer.send(piece)
                self.reactor.settle()
            self.assertEqual(peer.ends(), b"")
            self.assertEqual(self.connections, 0)

    def test_asksAgain(self) -> None:
        """
        A client that is asked for another hello finishes its handshake, but may not say
        that this one is large; neither may it be where the client does not wait to be asked.
        """
        hello = helloWithoutShare()
        for isEarly in (False, True):
            peer = self.raw(hello)
            if not isEarly:
                # It is asked again by this number.
                peer.hears(bytes.fromhex("cf21ad74e59a6111"))
            peer.send(b"\x14\3\3\0\1\1" + record(b"\1\1\xff\xff"))
            peer.ends()
            self.assertEqual(self.connections, 0)
        key, certificate, _ = certified()
        context = ssl.create_default_context(cafile=str(certificate))
        made = RenewedContext(f"ssl:443:privateKey={key}:certKey={certificate}")
        made.getServerContext(["http/1.1"]).set_ecdh_curve("secp384r1")
        factory = encrypted(made, self.port._edge.factory)
        port = LeanTestCase.listen(self, factory)
        peer = SecurePeer(self.reactor, port.getHost().port, context=context)
        self.addCleanup(peer.socket.close)
        peer.send(read("poll"))
        peer.hears(OK)

    def test_endsAtOnce(self) -> None:
        """
        A client may say all that it has to say with the end of its handshake, and is
        answered.
        """
        client = TLSClient(certified()[1])
        peer = self.raw(client.say())
        peer.hears(b"\x17\3\3")
        client.hear(peer.take())
        said = client.say() + client.say(read("poll")) + client.end()
        before = len(peer.said)
        peer.send(said)
        peer.ends()
        client.hear(peer.said[before:])
        self.assertIn(OK, client.read())

    def test_inSingleBytes(self) -> None:
        """
        A handshake may come in single bytes.
        """
        client = TLSClient(certified()[1])
        peer = self.raw()
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in client.say():
            peer.send(bytes([byte]))
            self.reactor.turn()
        peer.hears(b"\x16\x03\x03")

    def test_tcp(self) -> None:
        """
        Access is told that a client of raw TCP came through TLS; one that offers protocols
        by ALPN is served.
        """
        shown: list[bool] = []

        class Asking(Access):
            """
            Notes what is shown.
            """

            def identify(self, credentials: Any) -> Any:
                """
                Note it.
                """
                shown.append(credentials.isSecure)
                return super().identify(credentials)

        self.hub.access = Asking("k" * 16, ["open/**"])
        context = ssl.create_default_context(cafile=str(certified()[1]))
        context.set_alpn_protocols(["http/1.1"])
        peer = SecurePeer(self.reactor, self.tcpPort.getHost().port, context=context)
        self.addCleanup(peer.socket.close)
        peer.send(b'{"id":1,"subscribe":["open/c"]}\n')
        peer.hears(b'"cursor"')
        self.assertEqual(shown, [True])

    def test_waitsBehindOthers(self) -> None:
        """
        Those that have not shaken hands count as new, so that others are served first.
        """
        peer = self.raw()
        self.reactor.until(lambda: self.connections == 1)
        (connection,) = self.port._edge.connections.values()
        self.assertTrue(connection.isNew)
        peer.cut()
        self.reactor.settle()
        self.assertEqual(self.connections, 0)

    def test_http2(self) -> None:
        """
        A client that speaks HTTP/2 finds it: its connection is handed over as soon as it
        has shaken hands.
        """
        context = ssl.create_default_context(cafile=str(certified()[1]))
        context.set_alpn_protocols(["h2", "http/1.1"])
        peer = SecurePeer(self.reactor, self.port.getHost().port, context=context)
        self.addCleanup(peer.socket.close)
        self.assertEqual(peer.tls.selected_alpn_protocol(), "h2")
        peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        # The acknowledgement of the settings.
        peer.hears(b"\0\0\0\4\1\0\0\0\0")
        self.assertEqual(self.connections, 0)

    def test_handsOver(self) -> None:
        """
        A request that the lean edge does not answer is answered by Twisted's, with what came
        behind it; and a client that leaves then is noticed.
        """
        other = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
        peer = self.peer(read("poll") + other + read("poll"))
        peer.hears(OK, 2)
        self.assertEqual(peer.said.count(b"HTTP/1.1 404 "), 1)
        peer.send(read("poll"))
        peer.hears(OK, 3)
        peer.cut()
        self.reactor.settle()
        self.assertEqual((self.connections, len(self.reactor.readers)), (0, 2))

    def test_endIsSaid(self) -> None:
        """
        A client learns that the server ends, from either edge.
        """
        for said in (read("poll"), b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"):
            peer = self.peer(said)
            peer.hears(b"HTTP/1.1 ")
            self.port._edge.factory.cutConnections()
            self.port._edge.closeAll()
            peer.ends()

    def test_tellsScheme(self) -> None:
        """
        Pages of the server's own origin may read.
        """
        for scheme, status in (("https", 101), ("http", 403)):
            said = read("websocket").replace(
                b"Host: localhost\r\n",
                b"Host: localhost\r\nOrigin: %b://localhost\r\n" % scheme.encode(),
            )
            self.peer(said).hears(b"HTTP/1.1 %d " % status)


class ListeningTests(LeanTestCase):
    """
    Endpoints that the lean edge cannot serve.
    """

    def listening(self, contextFactory: Any) -> Any:
        """
        Listen with such an endpoint.
        """
        from comet.lean.reactor import LeanReactor

        factory = encrypted(contextFactory, self.port._edge.factory)
        port = LeanReactor(self.reactor).listenTCP(0, factory, 50, "127.0.0.1")
        self.addCleanup(port.stopListening)
        return port

    def test_otherMethod(self) -> None:
        """
        With a method of Twisted's the port is Twisted's.
        """
        key, certificate, _ = certified()
        made = RenewedContext(
            f"ssl:443:privateKey={key}:certKey={certificate}:sslmethod=TLS_METHOD"
        )
        self.assertNotIsInstance(self.listening(made), LeanPort)

    def test_cannotBeUsed(self) -> None:
        """
        Where the context cannot be made the port is Twisted's, and the log says why.
        """
        key, certificate, _ = certified()
        made = RenewedContext(f"ssl:443:privateKey={key}:certKey={certificate}")

        def broken(protocols: object) -> Any:
            raise ssl.SSLError("no such thing")

        self.patch(made, "getServerContext", broken)
        with capturedLogs() as logs:
            self.assertNotIsInstance(self.listening(made), LeanPort)
        self.assertIn("TLS is left to Twisted", logs[-1]["log_format"])
