"""
The handshake of a WebSocket, on the server's side (RFC 6455 4.2).

The handshake is checked and answered from the parsed L{RequestHead}.  A library
that parsed the bytes a second time could see other headers than those that were
checked.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from hashlib import sha1
from typing import Final

from comet.errors import BadRequest
from comet.http.negotiation import isWebSocketUpgrade
from comet.http.parameters import WARNING
from comet.http.request import RequestHead
from comet.http.responses import Response, problem

SUBPROTOCOL: Final = "comet.v1"

# RFC 6455 1.3
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# RFC 6455 4.2.1: 16 bytes in base64.  The unused bits at the end may be any.
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")

_RESPONSE: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n"
)

# The size of the part of the response that depends on the key, with 20 bytes in
# base64.
ACCEPT_SIZE: Final = len(_RESPONSE % bytes(28))


def otherVersion() -> Response:
    """
    Make the response to a handshake of another version of the protocol.
    """
    refused = problem(BadRequest("the version of the WebSocket protocol must be 13"))
    # RFC 6455 4.2.2: the response names the version of the server.
    own = (b"Sec-WebSocket-Version", b"13")
    return Response(refused.status, (own, *refused.headers), refused.body)


def answerHandshake(head: RequestHead, warning: str = "", extension: str = "") -> bytes | None:
    """
    Answer a handshake.

    @param warning: As L{warningOf} makes it.

    @param extension: The extension that was agreed on, with its parameters; empty if
        there is none.

    @return: All bytes of the response, or L{None} if the request is of another
        version of the protocol.

    @raise BadRequest: If the request is not a handshake.
    """
    if not isWebSocketUpgrade(head):
        raise notUpgrade()
    if (head.header("Sec-WebSocket-Version") or "").strip() != "13":
        return None
    answer = acceptKey(head.header("Sec-WebSocket-Key") or "")
    offered = (head.header("Sec-WebSocket-Protocol") or "").split(",")
    if SUBPROTOCOL in (each.strip() for each in offered):
        answer += b"Sec-WebSocket-Protocol: %b\r\n" % SUBPROTOCOL.encode("ascii")
    if extension:
        answer += b"Sec-WebSocket-Extensions: %b\r\n" % extension.encode("ascii")
    if warning:
        answer += b"%b: %b\r\n" % (WARNING, warning.encode("ascii"))
    return answer + b"\r\n"


def acceptKey(key: str) -> bytes:
    """
    Make the start of the response to a handshake: L{ACCEPT_SIZE} bytes, of
    which the last depend on the key.

    @raise BadRequest: If the key is not valid.
    """
    if _KEY.fullmatch(key) is None:
        raise BadRequest(f"Sec-WebSocket-Key {key[:64]!r} is not 16 bytes in base64")
    # RFC 6455 4.2.2
    digest = sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()
    return _RESPONSE % b2a_base64(digest, newline=False)


def notUpgrade() -> BadRequest:
    """
    Make the error for a request that is not a handshake.
    """
    return BadRequest(
        "a WebSocket starts with a GET of HTTP/1.1 that has 'Upgrade: websocket' and "
        "'Connection: Upgrade'"
    )
