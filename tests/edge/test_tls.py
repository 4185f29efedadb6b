"""
All transports over TLS.
"""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.edge.case import EdgeTestCase
from tests.edge.publisher import Publisher, publish
from tests.edge.server import CometProcess
from tests.edge.speakers import CLIENTS, SPEAKERS


def makeCertificate(directory: Path) -> tuple[Path, Path]:
    """
    Make a key and a certificate of C{localhost} and C{push.example.com}, signed
    by itself.

    @return: The paths of both, in PEM.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.DNSName("push.example.com"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    keyPath, path = directory / "key.pem", directory / "certificate.pem"
    keyPath.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return keyPath, path


class TlsTests(EdgeTestCase):
    """
    A server on C{ssl:} endpoints.
    """

    def startTls(self) -> CometProcess:
        """
        Start a server that speaks TLS on both ports.
        """
        directory = Path(tempfile.mkdtemp(prefix="comet-edge-tls-"))
        self.addCleanup(shutil.rmtree, directory, True)
        key, certificate = makeCertificate(directory)
        context = ssl.create_default_context(cafile=str(certificate))
        listen = f"ssl:{{port}}:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
        return self.startServer("--open", "open/**", listen=listen, tls=context)

    def test_transports(self) -> None:
        """
        Each transport brings what is held, and what is live, small and large;
        a cursor goes from one to the next.
        """
        server = self.startTls()
        site = server.site
        held = [publish(site, "news", {"n": n, "filler": "x" * 60000}) for n in range(10)]
        for kind in CLIENTS:
            for variant in (0, 1):
                client = self.client(kind, site, variant=variant)
                client.open(["news"], str(held[0].cursor))
                self.assertHeard(client.messages(len(held) - 1), held[1:])
                held.append(publish(site, "news", {"n": len(held)}))
                self.assertHeard(client.messages(1), held[-1:])
                client.cut()

    def test_publishing(self) -> None:
        """
        So it is while messages are published in every way, over TLS too.
        """
        server = self.startTls()
        start = publish(server.site, "open/a", 0)
        clients = [self.client(kind, server.site) for kind in CLIENTS]
        for client in clients:
            client.open(["open/*"], str(start.cursor))
        publisher = Publisher(server.site, ["open/a", "open/b"])
        publisher.start()
        try:
            heard = {client.name: client.messages(60) for client in clients}
        finally:
            published = publisher.stop()
        for messages in heard.values():
            self.assertHeard(messages, published[:60])

    def test_commands(self) -> None:
        """
        Commands are answered.
        """
        server = self.startTls()
        for kind in SPEAKERS:
            speaker = SPEAKERS[kind](server.site)
            self.addCleanup(speaker.close)
            speaker.open([])
            self.assertTrue(speaker.isOpen())
