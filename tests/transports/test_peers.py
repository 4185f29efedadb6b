"""
Tests of L{comet.transports.peers}: certificates of clients, with handshakes in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.x509 import load_pem_x509_certificate
from h2.config import H2Configuration
from h2.connection import H2Connection
from OpenSSL import SSL
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.protocols.tls import TLSMemoryBIOFactory

from comet.access.rights import Access
from comet.http.credentials import Credentials
from comet.model.clients import ANONYMOUS, Client
from comet.transports.tcp import CometFactory
from comet.web.resources import CometResource
from comet.web.site import CometSite
from tests.edge.tls import makeCertificate
from tests.transports.case import HubTestCase
from tests.transports.wire import Wire

REQUEST = b"GET /channels/a?transport=poll HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Noting(Access):
    """
    An access object that keeps what requests show.

    @ivar looks: Whether it looks at the certificate at once.
    """

    shown: Credentials
    looks = True

    def identify(self, credentials: Credentials) -> Client:
        """
        Keep it.
        """
        self.shown = credentials
        if self.looks:
            self.certificate = credentials.certificate
        return ANONYMOUS


class CertificateTests(HubTestCase):
    """
    The certificate of a client reaches the access object.
    """

    def setUp(self) -> None:
        """
        Make a certificate, which is the server's and the client's.
        """
        super().setUp()
        self.hub.access = self.access = Noting()
        folder = Path(self.mktemp())
        folder.mkdir()
        key, certificate = makeCertificate(folder)
        self.pem = certificate.read_bytes()
        self.own = PrivateCertificate.loadPEM(self.pem + key.read_bytes())

    def say(
        self,
        factory: Any,
        said: bytes,
        *protocols: bytes,
        isAsked: bool = True,
    ) -> None:
        """
        Connect with the certificate, and send something.

        @param protocols: Those between which the TLS layer chooses.

        @param isAsked: Whether the server asks for a certificate.
        """
        options = CertificateOptions(
            self.own.privateKey.original,
            self.own.original,
            trustRoot=self.own if isAsked else None,
            acceptableProtocols=list(protocols) or None,
        )
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.use_certificate(self.own.original)
        context.use_privatekey(self.own.privateKey.original)
        if protocols:
            context.set_alpn_protos(list(protocols))
        client = SSL.Connection(context, None)
        client.set_connect_state()
        wire = self.connect(TLSMemoryBIOFactory(options, False, factory))
        for _ in range(3):
            try:
                client.do_handshake()
            except SSL.WantReadError:
                pass
            self.exchange(client, wire)
        client.send(said)
        self.exchange(client, wire)
        self.wire = wire

    def exchange(self, client: SSL.Connection, wire: Wire) -> None:
        """
        Carry bytes both ways.
        """
        try:
            wire.send(client.bio_read(1 << 20))
        except SSL.WantReadError:
            pass
        self.turn()
        received = wire.take()
        if received:
            client.bio_write(received)

    def assertShown(self, transport: str) -> None:
        """
        Assert that the access object was shown the client's certificate.
        """
        shown = self.access.shown
        self.assertEqual((shown.transport, shown.isSecure), (transport, True))
        self.assertEqual(shown.certificate, load_pem_x509_certificate(self.pem))

    def test_rawTCP(self) -> None:
        """
        On raw TCP.
        """
        self.say(CometFactory(self.hub), b'{"subscribe":["a"]}\n')
        self.assertShown("tcp")

    def test_HTTP(self) -> None:
        """
        Over HTTP/1.
        """
        self.say(CometSite(CometResource(self.hub), 65536, reactor=self.clock), REQUEST)
        self.assertShown("poll")

    def test_HTTP2(self) -> None:
        """
        Over HTTP/2.
        """
        client = H2Connection(H2Configuration(client_side=True))
        client.initiate_connection()
        fields = {"method": "GET", "path": "/channels/a?transport=poll", "scheme": "https"}
        head = [(f":{name}", value) for name, value in fields.items()]
        client.send_headers(1, [*head, (":authority", "localhost")], end_stream=True)
        site = CometSite(CometResource(self.hub), 65536, reactor=self.clock)
        self.say(site, client.data_to_send(), b"h2")
        self.assertShown("poll")

    def test_noneWhereThereIsNone(self) -> None:
        """
        A client without TLS has none, and one that has left none that can be told.
        """
        self.connect().send(REQUEST)
        self.turn()
        self.assertIsNone(self.access.certificate)
        self.access.looks = False
        self.say(CometFactory(self.hub), b'{"subscribe":["a"]}\n')
        self.wire.leave()
        self.assertIsNone(self.access.shown.certificate)

    def test_noneAfterRequest(self) -> None:
        """
        Once a request is answered, none can be told.
        """
        self.access.looks = False
        self.say(CometSite(CometResource(self.hub), 65536, reactor=self.clock), REQUEST)
        self.assertIsNone(self.access.shown.certificate)

    def test_noneWhereNotAsked(self) -> None:
        """
        A client of TLS that was not asked for one has none.
        """
        self.say(CometFactory(self.hub), b'{"subscribe":["a"]}\n', isAsked=False)
        self.assertIsNone(self.access.certificate)
        self.assertTrue(self.access.shown.isSecure)
