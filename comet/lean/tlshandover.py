"""
Connections over TLS that are given to Twisted's edge: its TLS goes on where that of the
lean edge has stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from ssl import SSLError
from typing import Any, Final

from OpenSSL.SSL import Error, SysCallError, WantReadError, ZeroReturnError
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from comet.lean.tlssocket import RECORD, TLSSocket
from comet.reactor.turns import Turns
from comet.transports.sharedtls import SharedTLSFactory

# As pyOpenSSL says that the connection below has ended.
_cutOff: Final = partial(SysCallError, -1, "Unexpected EOF")


class ContinuedTLS:
    """
    Does for Twisted what a connection of pyOpenSSL's does, with the TLS of a socket that
    is shaken hands on.
    """

    def __init__(self, tls: TLSSocket) -> None:
        self._tls = tls
        # What came decrypted; and what makes the error of how it ended.  An error that is
        # kept would keep what raises it, and so itself, in its traceback.
        self._heard: deque[bytes] = deque()
        self._ended: Callable[[], Error] | None = None
        # What is to be sent.
        self._said: list[bytes] = []

    def set_accept_state(self) -> None:
        """
        Do nothing: it is the server's.
        """

    def set_app_data(self, protocol: object) -> None:
        """
        Do nothing: none of TLS's calls needs it.
        """

    def do_handshake(self) -> None:
        """
        Do nothing: the handshake is done.
        """

    def get_alpn_proto_negotiated(self) -> bytes:
        """
        Return the protocol that was agreed on; empty if none was.
        """
        return (self._tls.protocol or "").encode("ascii")

    def get_peer_certificate(self) -> None:
        """
        Return the client's certificate: an endpoint of the server's asks for none.
        """

    def bio_write(self, data: bytes) -> int:
        """
        Take what has come.
        """
        if self._ended is None:
            try:
                heard = self._tls.decrypt(data)
            except SSLError as error:
                self._ended = partial(Error, [("SSL routines", "", str(error.reason))])
            except OSError:
                self._ended = _cutOff
            else:
                self._heard.append(heard)
                if self._tls.isOver:
                    self._ended = ZeroReturnError
        return len(data)

    def bio_shutdown(self) -> None:
        """
        Nothing more comes.
        """
        if self._ended is None:
            self._ended = _cutOff

    def recv(self, size: int) -> bytes:
        """
        Return what has come.

        @raise Error: If there is nothing; a C{WantReadError} if that may change.
        """
        while self._heard:
            heard = self._heard.popleft()
            if heard:
                return heard
        raise (self._ended or WantReadError)()

    def send(self, data: bytes) -> int:
        """
        Encrypt data.

        @raise Error: If the connection is over.
        """
        try:
            self._said.append(self._tls.encrypt(data[:RECORD]))
        except SSLError as error:
            raise Error([("SSL routines", "", str(error.reason))]) from error
        return min(len(data), RECORD)

    def bio_read(self, size: int) -> bytes:
        """
        Return what is to be sent.

        @raise WantReadError: If that is nothing.
        """
        if not self._said:
            raise WantReadError
        said, self._said = b"".join(self._said), []
        return said

    def shutdown(self) -> bool:
        """
        End the server's side.

        @return: Whether the client has ended, too.
        """
        said, isBoth = self._tls.end()
        if said:
            self._said.append(said)
        return isBoth


@implementer(IOpenSSLServerConnectionCreator)
class _Continuing:
    """
    Gives each protocol the TLS that is handed over with its connection.
    """

    socket: TLSSocket | None = None

    def serverConnectionForTLS(self, protocol: object) -> Any:
        """
        See L{IOpenSSLServerConnectionCreator}.
        """
        socket, self.socket = self.socket, None
        assert socket is not None, "no connection is handed over"
        return ContinuedTLS(socket)


class ContinuedTLSFactory(SharedTLSFactory):
    """
    Makes the protocols of connections that are handed over.
    """

    # The socket does it.
    isCounting = False

    def __init__(self, wrappedFactory: Any, turns: Turns, reactor: Any) -> None:
        self._continuing = _Continuing()
        super().__init__(self._continuing, wrappedFactory, turns, reactor)

    def continueWith(self, socket: TLSSocket) -> None:
        """
        Let the next protocol go on with the TLS of a socket.
        """
        self._continuing.socket = socket
