"""
Certificates for the tests.
"""

from __future__ import annotations

import atexit
import datetime
import functools
import ipaddress
import shutil
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def makeCertificate(directory: Path) -> tuple[Path, Path]:
    """
    Make a key and a self-signed certificate for C{localhost} and
    C{push.example.com}.

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


class Authority:
    """
    A certificate for this machine, and clients that trust it.

    @ivar context: The TLS context of such a client.

    @ivar certificate: The file with the certificate.
    """

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="comet-edge-tls-"))
        key, self.certificate = makeCertificate(self._directory)
        self._files = f"privateKey={key}:certKey={self.certificate}"
        self.context = ssl.create_default_context(cafile=str(self.certificate))

    @property
    def endpoint(self) -> str:
        """
        The string of an endpoint with this certificate, with C{{port}} in it.
        """
        return f"ssl:{{port}}:interface=127.0.0.1:{self._files}"

    def remove(self) -> None:
        """
        Remove the files.
        """
        shutil.rmtree(self._directory, ignore_errors=True)


@functools.cache
def authority() -> Authority:
    """
    Return the certificate that all tests share.
    """
    made = Authority()
    atexit.register(made.remove)
    return made
