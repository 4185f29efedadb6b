"""
Tests of L{comet.server.certificates}, with handshakes in memory.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificate
from OpenSSL import SSL
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from comet.server.certificates import RenewedContext
from comet.server.describedendpoints import makeEndpoint
from comet.transports import sharedtls
from tests.edge.tls import makeCertificate


def presentedBy(context: ssl.SSLContext) -> list[int]:
    """
    Make a handshake with a context of the standard library's.

    @return: The serial numbers of the certificates that the server sends.
    """
    come, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(come, going, server_side=True)
    client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    client.set_connect_state()
    for _ in range(4):
        with contextlib.suppress(SSL.WantReadError):
            client.do_handshake()
        with contextlib.suppress(SSL.WantReadError):
            come.write(client.bio_read(1 << 20))
        with contextlib.suppress(ssl.SSLWantReadError):
            server.do_handshake()
        if going.pending:
            client.bio_write(going.read())
    chain = client.get_peer_cert_chain(as_cryptography=True)
    return [each.serial_number for each in chain or ()]


def presented(contextFactory: Any) -> list[int]:
    """
    Make a handshake.

    @return: The serial numbers of the certificates that the server sends.
    """
    server = SSL.Connection(contextFactory.getContext(), None)
    client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    server.set_accept_state()
    client.set_connect_state()
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                other.bio_write(one.bio_read(1 << 20))
            except SSL.WantReadError:
                pass
    chain = client.get_peer_cert_chain(as_cryptography=True)
    return [each.serial_number for each in chain or ()]


class CertificateCase(SynchronousTestCase):
    """
    Tests with several certificates.
    """

    def setUp(self) -> None:
        """
        Make certificates.
        """
        self.keys: list[bytes] = []
        self.certificates: list[bytes] = []
        self.serials: list[int] = []
        for _ in range(3):
            folder = Path(self.mktemp())
            folder.mkdir()
            key, certificate = makeCertificate(folder)
            self.keys.append(key.read_bytes())
            self.certificates.append(certificate.read_bytes())
            self.serials.append(load_pem_x509_certificate(self.certificates[-1]).serial_number)
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.key, self.chain = self.folder / "key.pem", self.folder / "chain.pem"
        self.put(self.key, self.keys[0])
        self.put(self.chain, self.certificates[0])

    def put(self, path: Path, content: bytes) -> None:
        """
        Replace a file, as programs do that renew certificates.
        """
        new = path.with_suffix(".new")
        new.write_bytes(content)
        os.replace(new, path)


class ChainTests(CertificateCase):
    """
    The chain.
    """

    def test_sendsWholeFile(self) -> None:
        """
        All certificates of the file are sent, however the endpoint names it.
        """
        self.put(self.chain, b"".join(self.certificates))
        for description in (
            f"ssl:443:privateKey={self.key}:certKey={self.chain}",
            f"ssl:443:{self.key}:{self.chain}",
            f"ssl:port=443:interface=127.0.0.1:certKey={self.chain}:privateKey={self.key}",
        ):
            self.assertEqual(presented(RenewedContext(description)), self.serials)

    def test_sendsExtraChain(self) -> None:
        """
        A chain in a file of its own is sent, too.
        """
        extra = self.folder / "a:b.pem"
        extra.write_bytes(self.certificates[1])
        quoted = str(extra).replace(":", "\\:")
        description = f"ssl:443:privateKey={self.key}:certKey={self.chain}:extraCertChain={quoted}"
        self.assertEqual(presented(RenewedContext(description)), self.serials[:2])

    def test_bothContexts(self) -> None:
        """
        A context of the standard library's sends the same, however the endpoint names it.
        """
        extra = self.folder / "extra.pem"
        extra.write_bytes(self.certificates[1])
        both = self.folder / "both.pem"
        both.write_bytes(self.keys[0] + self.certificates[0])
        for description, count in (
            (f"ssl:443:{self.key}:{self.chain}", 1),
            (f"ssl:443:privateKey={self.key}:certKey={self.chain}:extraCertChain={extra}", 2),
            (f"ssl:443:privateKey={both}", 1),
        ):
            made = RenewedContext(description)
            self.assertTrue(made.hasServerContext)
            self.assertEqual(presentedBy(made.getServerContext(["h2"])), self.serials[:count])
            self.assertEqual(presented(made), self.serials[:count])

    def test_endpointServesIt(self) -> None:
        """
        An C{ssl:} endpoint serves with such a context.
        """
        self.put(self.chain, b"".join(self.certificates))
        reactor, given = MemoryReactor(), []

        def listening(contextFactory: Any, factory: Any) -> Any:
            given.append(contextFactory)
            return factory

        self.patch(sharedtls, "encrypted", listening)
        description = f"ssl:443:privateKey={self.key}:certKey={self.chain}"
        self.successResultOf(makeEndpoint(reactor, description).listen(Factory()))
        self.assertEqual(presented(given[0]), self.serials)


class RenewalTests(CertificateCase):
    """
    Certificates that change.
    """

    def setUp(self) -> None:
        """
        Make a context.
        """
        super().setUp()
        path = os.path.relpath(self.folder)
        self.context = RenewedContext(f"ssl:443:privateKey={path}/key.pem:certKey={path}/chain.pem")

    def test_readsChangedFilesAgain(self) -> None:
        """
        The next connection gets the new certificate; while no file changes, all
        share one context.
        """
        before = self.context.getContext()
        self.assertIs(self.context.getContext(), before)
        self.put(self.key, self.keys[1])
        self.put(self.chain, self.certificates[1] + self.certificates[2])
        self.assertEqual(presented(self.context), self.serials[1:])
        self.assertIs(self.context.getContext(), self.context.getContext())

    def test_keepsOldOneWhileNewOneCannotBeUsed(self) -> None:
        """
        A key of another certificate, a broken file and a missing one leave the old
        certificate in service, and are logged once each.
        """
        with capturedLogs() as logs:
            self.put(self.key, self.keys[1])
            self.assertEqual(presented(self.context), self.serials[:1])
            self.put(self.chain, b"nothing")
            self.assertEqual(presented(self.context), self.serials[:1])
            self.chain.unlink()
            for _ in range(3):
                self.assertEqual(presented(self.context), self.serials[:1])
            self.assertEqual(len(logs), 3)
            self.put(self.chain, self.certificates[1])
            self.assertEqual(presented(self.context), self.serials[1:2])
        self.assertIn("was read again", logs[-1]["log_format"])

    def test_serverContext(self) -> None:
        """
        A context of the standard library's is made again, too; one that cannot be used
        leaves the old one in service.
        """
        before = self.context.getServerContext(())
        self.assertIs(self.context.getServerContext(()), before)
        with capturedLogs() as logs:
            self.put(self.key, self.keys[1])
            self.assertIs(self.context.getServerContext(()), before)
            self.assertEqual(len(logs), 1)
            self.put(self.chain, self.certificates[1])
            self.assertEqual(presentedBy(self.context.getServerContext(())), self.serials[1:2])

            def broken(protocols: object) -> Any:
                raise ssl.SSLError("no such thing")

            self.patch(self.context, "_makeServer", broken)
            now = self.context.getServerContext(())
            self.put(self.key, self.keys[2])
            self.put(self.chain, self.certificates[2])
            for _ in range(2):
                self.assertIs(self.context.getServerContext(()), now)
        self.assertIn("cannot be used", logs[-1]["log_format"])

    def test_encryptedKey(self) -> None:
        """
        A key with a password is refused, and nobody is asked for it.
        """
        key = load_pem_private_key(self.keys[0], None)
        secret = BestAvailableEncryption(b"secret")
        self.put(self.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
        with self.assertRaises(ssl.SSLError):
            self.context._makeServer(())

    def test_workingDirectoryMayChange(self) -> None:
        """
        The files are found again from another directory.
        """
        self.addCleanup(os.chdir, os.getcwd())
        key, chain = self.key.resolve(), self.chain.resolve()
        os.chdir("/")
        self.put(key, self.keys[1])
        self.put(chain, self.certificates[1])
        self.assertEqual(presented(self.context), self.serials[1:2])
