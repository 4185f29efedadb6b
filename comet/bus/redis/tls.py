"""
TLS to Redis.  It needs the extra C{tls}.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint

from comet.bus.redis.capabilities import CannotUse
from comet.bus.redis.urls import RedisURL


def securely(
    url: RedisURL, plain: Callable[[str, int], IStreamClientEndpoint]
) -> Callable[[str, int], IStreamClientEndpoint]:
    """
    Wrap endpoints so that they encrypt, and verify the certificate of the other
    side.

    @param plain: Makes an endpoint for a host and port.

    @return: Makes an encrypting endpoint for a host and port.

    @raise CannotUse: If a certificate cannot be read, or TLS is not installed.
    """
    try:
        from OpenSSL.SSL import Error
        from twisted.internet import ssl
    except ImportError:
        raise CannotUse(f"{url.scheme}: needs TLS: pip install 'comet-push[tls]'") from None
    try:
        trusted = None
        if url.authorities:
            trusted = ssl.trustRootFromCertificates(
                [ssl.Certificate.loadPEM(each) for each in _certificates(url.authorities)]
            )
        own = None
        if url.certificate:
            pem = Path(url.certificate).read_bytes()
            if url.privateKey:
                pem += b"\n" + Path(url.privateKey).read_bytes()
            own = ssl.PrivateCertificate.loadPEM(pem)
    except OSError as error:
        raise CannotUse(f"{error.filename!r} cannot be read: {error.strerror}") from None
    except (ValueError, Error) as error:
        raise CannotUse(f"a certificate of the URL of the bus cannot be used: {error!r}") from None

    def secure(host: str, port: int) -> IStreamClientEndpoint:
        options = ssl.optionsForClientTLS(host, trusted, own)
        return wrapClientTLS(options, plain(host, port))

    return secure


def _certificates(path: str) -> list[bytes]:
    """
    Return the certificates of a PEM file.

    @raise ValueError: If there is none.
    """
    end = b"-----END CERTIFICATE-----"
    found = [part + end for part in Path(path).read_bytes().split(end)[:-1]]
    if not found:
        raise ValueError(f"there is no certificate in {path!r}")
    return found
