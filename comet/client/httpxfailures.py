"""
What the failures of C{httpx}, and of C{httpcore} below it, mean for a client.
"""

from __future__ import annotations

import ssl
from typing import Final

import httpcore
import httpx

from comet.client.failures import BadAnswer, ClientError, Lost, Silent, Untrusted

# How httpx refuses the URL of a request, and that of a redirect, which it reads though it does not
# follow it: a UnicodeError is that of a host "xn--" that is no IDN.
_NO_URL: Final = (httpx.InvalidURL, UnicodeError)

#: What a request or a read can fail with.
NETWORK_ERRORS: Final = (
    *_NO_URL,
    httpx.TransportError,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    OSError,
)

_CONNECT: Final = (httpx.ConnectError, httpcore.ConnectError)
_TIMEOUTS: Final = (httpx.TimeoutException, httpcore.TimeoutException, TimeoutError)
_PROTOCOL: Final = (httpx.ProtocolError, httpcore.ProtocolError)

# How the libraries call the end of a connection within a response, which has no class of its own.
_CUT: Final = ("Server disconnected", "peer closed connection", "peer unexpectedly closed")


def asFailure(error: BaseException, host: str, wasSent: bool) -> ClientError:
    """
    Make of an error one that the core knows.

    @param host: Where the request went: the host, and its port.

    @param wasSent: Whether it, or a part of it, was sent.
    """
    certificate = _certificateError(error)
    if certificate is not None:
        return Untrusted(f"the certificate of {host}: {certificate.verify_message}")
    text = str(error) or type(error).__name__
    if isinstance(error, _TIMEOUTS):
        if wasSent:
            return Silent("the server has sent nothing for too long", wasSent=True)
        return Silent(f"{host} does not answer", wasConnected=False)
    if isinstance(error, _CONNECT) or not wasSent:
        return Lost(f"no connection to {host}: {text}", wasConnected=False)
    if isinstance(error, _NO_URL):
        return BadAnswer(f"the server redirects to what is no URL of comet: {text}")
    if isinstance(error, _PROTOCOL) and not text.startswith(_CUT):
        return BadAnswer(f"the server does not speak HTTP: {text}")
    return Lost(f"the connection broke: {text}", wasSent=True)


def _certificateError(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """
    Find the error of TLS from which another one was made.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None
