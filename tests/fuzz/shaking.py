"""
Handshakes of TLS in memory, as what is fuzzed.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import Any

from comet.lean import tlssocket
from comet.lean.tlssocket import TLSSocket
from tests.lean.securecase import certified
from tests.transports.sockets import ScriptedSocket
from tests.transports.test_sharedtls import TLSClient


def hellos() -> Sequence[bytes]:
    """
    Return how clients begin a handshake, and how some end it.
    """
    hello = TLSClient(certified()[1]).say()
    return hello, hello[5:], hello + hello, hello + b"\x14\x03\x03\x00\x01\x01"


def makeShaking(halves: Callable[[bytes], Sequence[bytes]]) -> Callable[[bytes], None]:
    """
    Make what gives a new socket some bytes.  It raises L{OSError} where TLS fails, and
    L{RuntimeError} if bytes are left in what all sockets share.

    @param halves: Cuts bytes in two.
    """
    key, certificate, _ = certified()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def shake(data: bytes) -> None:
        raw: Any = ScriptedSocket()
        socket = TLSSocket(raw, context)
        try:
            for piece in halves(data):
                if socket.shake(piece) is not None:
                    break
            socket.close()
        finally:
            if tlssocket._come.pending or tlssocket._going.pending:
                raise RuntimeError("bytes of one client are left for another")

    return shake
