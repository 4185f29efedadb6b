"""
How a WebSocket begins, as RFC 6455 4.2 has it.

The handshake is judged and answered here, on what was parsed already: whoever
splits a head a second time may see other headers in it than those that were
checked.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from hashlib import sha1
from typing import Final

from comet.errors import BadRequest
from comet.http.negotiation import isWebSocketUpgrade
from comet.http.request import RequestHead
from comet.http.responses import Response, problem

SUBPROTOCOL: Final = "comet.v1"

# RFC 6455 1.3
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# RFC 6455 4.2.1: 16 bytes in base64, whatever the bits beyond them are.
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")

_ANSWER: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n"
)

# Up to where the answer depends on the key: 20 bytes in base64.
ANSWER_SIZE: Final = len(_ANSWER % bytes(28))


def otherVersion() -> Response:
    """
    The answer to a handshake of a version that is not spoken.
    """
    refused = problem(BadRequest("the version of the WebSocket protocol is 13"))
    # RFC 6455 4.2.2: the version that is spoken is told.
    spoken = (b"Sec-WebSocket-Version", b"13")
    return Response(refused.status, (spoken, *refused.headers), refused.body)


def answerHandshake(head: RequestHead) -> bytes | None:
    """
    Answer the handshake that a request is.

    @return: All that is to be sent; L{None} if the request is of another
        version of the protocol.

    @raise BadRequest: If it is no handshake.
    """
    if not isWebSocketUpgrade(head):
        raise notUpgrade()
    if (head.header("Sec-WebSocket-Version") or "").strip() != "13":
        return None
    answer = acceptKey(head.header("Sec-WebSocket-Key") or "")
    offered = (head.header("Sec-WebSocket-Protocol") or "").split(",")
    if SUBPROTOCOL in (each.strip() for each in offered):
        answer += b"Sec-WebSocket-Protocol: %b\r\n" % SUBPROTOCOL.encode("ascii")
    return answer + b"\r\n"


def acceptKey(key: str) -> bytes:
    """
    The beginning of the answer to a handshake, of L{ANSWER_SIZE}, which is all
    of it that depends on the key.

    @raise BadRequest: If it is not a key.
    """
    if _KEY.fullmatch(key) is None:
        raise BadRequest(f"Sec-WebSocket-Key {key[:64]!r} is not 16 bytes in base64")
    # RFC 6455 4.2.2
    digest = sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()
    return _ANSWER % b2a_base64(digest, newline=False)


def notUpgrade() -> BadRequest:
    """
    The error of a request that is no handshake.
    """
    return BadRequest(
        "a WebSocket begins with a GET of HTTP/1.1 with 'Upgrade: websocket' and "
        "'Connection: Upgrade'"
    )
