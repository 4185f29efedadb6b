"""
The base of the test cases of the lean edge over TLS.
"""

from __future__ import annotations

import atexit
import shutil
import socket
import ssl
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from comet.lean.port import LeanPort
from comet.lean.secureedges import SecureHTTPEdge, SecureTCPEdge
from comet.server.certificates import RenewedContext
from comet.transports.sharedtls import encrypted
from tests.edge.tls import makeCertificate
from tests.lean.case import LeanTestCase, Peer
from tests.lean.handreactor import HandReactor


@cache
def certified() -> tuple[Path, Path, ssl.SSLContext]:
    """
    Make a key and a certificate for all tests, and the context of a client that trusts it.

    @return: The paths of both, and the context.
    """
    folder = tempfile.mkdtemp(prefix="comet-lean-tls-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    key, certificate = makeCertificate(Path(folder))
    return key, certificate, ssl.create_default_context(cafile=str(certificate))


class SecurePeer(Peer):
    """
    A client that speaks TLS.
    """

    def __init__(
        self,
        reactor: HandReactor,
        port: int,
        receiveBuffer: int = 0,
        context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(reactor, port, receiveBuffer)
        # The system would hold back a part of what is sent behind its handshake.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        used = certified()[2] if context is None else context
        self.tls = used.wrap_bio(self._in, self._out, server_hostname="localhost")
        reactor.until(self._isShaken)

    def _isShaken(self) -> bool:
        return self._step(self.tls.do_handshake) is not None

    def _step(self, call: Callable[[], Any]) -> Any:
        """
        Do a step of TLS, with what has come.

        @return: L{None} if more has to come first; else what it returns, or True.
        """
        try:
            return call() or True
        except ssl.SSLWantReadError:
            return None
        finally:
            self._flush()
            self._receive()

    def _flush(self) -> None:
        if self._out.pending:
            self.socket.setblocking(True)
            try:
                self.socket.sendall(self._out.read())
            except OSError:
                # It is told of when it receives.
                pass
            self.socket.setblocking(False)

    def _receive(self) -> None:
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    def send(self, data: bytes) -> None:
        """
        Send all of some data.
        """
        if data:
            self.tls.write(data)
            self._flush()

    def take(self) -> bytes:
        """
        Receive what has come.

        @return: All that has come so far.
        """
        while not self.isOver:
            self._receive()
            try:
                piece = self.tls.read(1 << 20)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError:
                # The connection has ended without a word.
                piece = b""
            self.said += piece
            self.isOver = not piece
        return self.said


class SecureCase(LeanTestCase):
    """
    A server with a port for HTTP and one for raw TCP, over TLS.
    """

    def listen(self, factory: Any) -> LeanPort:
        """
        Listen with the lean edge, over TLS.
        """
        key, certificate, _ = certified()
        made = RenewedContext(f"ssl:443:privateKey={key}:certKey={certificate}")
        port = super().listen(encrypted(made, factory))
        self.assertIsInstance(port._edge, (SecureHTTPEdge, SecureTCPEdge))
        return port

    def peer(self, said: bytes = b"", receiveBuffer: int = 0, isTCP: bool = False) -> Peer:
        """
        Connect a client that sends some bytes, once it has shaken hands.
        """
        port = self.tcpPort if isTCP else self.port
        peer = SecurePeer(self.reactor, port.getHost().port, receiveBuffer)
        self.addCleanup(peer.socket.close)
        peer.send(said)
        return peer
