"""
A socket that encrypts: TLS between a connection of the lean edge and the system's
socket.

Theory of operation
===================

TLS works on memory here, and not on the socket: so what it does in a turn is bounded by
what was read in that turn, whatever a client sends.  On the socket it would read on for
as long as messages come that it handles by itself, of which a client can send more than
it handles in the same time.

All connections share two pieces of that memory.  One holds what came from a client
until it is decrypted, which is at once; the other holds what is encrypted until it is
sent.  Each method leaves both empty, so they never hold bytes of two clients, and an idle
connection keeps no buffer at all.

What is written is encrypted a record at a time, and only while the system takes it.  The
rest stays with the caller, as it is: of what many clients are sent it is one object for
all of them.  A record of which the system has taken a part only is kept here.  Its text
counts as not taken until the system has all of it.  The caller offers it again, before
anything else, as it does with any socket; the record stands for it then.
"""

from __future__ import annotations

from contextlib import suppress
from socket import socket
from ssl import MemoryBIO, SSLContext, SSLError, SSLWantReadError
from typing import Any, Final

from comet.framing.tlsrecords import MOST_SILENT, RecordCounter

# How many bytes of text a record holds.
RECORD: Final = 16384

# How many bytes are encrypted in one call: it takes a fraction of a millisecond.
_MOST_ENCRYPTED: Final = 16 * RECORD

# How much of what TLS has to say by itself may wait for a client.
_MOST_UNSAID: Final = 65536

# After how many bytes these are counted.
_COUNTED: Final = 1024

# What the server says in the place of a random number when it asks for another hello (RFC
# 8446 4.1.3).
_RETRY: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

# What came and is not decrypted, and what is encrypted and not sent.
_come: Final = MemoryBIO()
_going: Final = MemoryBIO()


class TLSSocket:
    """
    A client's socket over which TLS is spoken: see L{ClientSocket
    <comet.interfaces.sockets.ClientSocket>}.

    @ivar raw: The socket of the system.

    @ivar expectsHello: Whether the client has to say its hello, or another one.
    """

    __slots__ = (
        *("_hasEnded", "_isOver", "_record", "_records", "_text", "_tls"),
        *("expectsHello", "raw"),
    )

    def __init__(self, raw: socket, context: SSLContext) -> None:
        """
        Wait for a client's handshake.
        """
        self.raw = raw
        self._tls = context.wrap_bio(_come, _going, server_side=True)
        # A part of a record, or more, that the system has not taken; and how many bytes
        # of text count as taken once it has.
        self._record = b""
        self._text = 0
        # Which records had no text.
        self._records = RecordCounter()
        self.expectsHello = True
        # Whether the client has ended, and whether it was told that the server does.
        self._isOver = self._hasEnded = False

    # -- The handshake

    def shake(self, data: bytes) -> bytes | None:
        """
        Go on with the handshake.

        @param data: What has come.

        @return: L{None} while more has to come.  Then what the client has said behind its
            handshake; empty if that is nothing.

        @raise OSError: If it fails.  The client was told why.
        """
        for start in range(0, len(data), _COUNTED):
            early = self._shake(data[start : start + _COUNTED])
            if early is not None:
                return early if self._isOver else early + self.decrypt(data[start + _COUNTED :])
        return None

    def _shake(self, data: bytes) -> bytes | None:
        self._records.take(data)
        try:
            _come.write(data)
            isDone = True
            try:
                self._tls.do_handshake()
            except SSLWantReadError:
                isDone = False
            finally:
                said = _going.read()
                if said:
                    self.expectsHello = _RETRY in said
                    self._say(said)
            if not isDone:
                return None
            # Those of the handshake are over.
            self._records.silent = 0
            return self._decrypt(b"")
        finally:
            _forget()

    @property
    def protocol(self) -> str | None:
        """
        The protocol that the client and the server have agreed on by ALPN.
        """
        return self._tls.selected_alpn_protocol()

    # -- Input

    def recv(self, size: int) -> bytes:
        """
        Receive data.

        @param size: How many bytes are read from the system.

        @return: Empty once the client has ended.

        @raise OSError: If nothing is there for now, or the connection is broken.
        """
        if self._isOver:
            return b""
        data = self.raw.recv(size)
        if not data:
            self._isOver = True
            return b""
        heard = self.decrypt(data)
        if not heard and not self._isOver:
            raise BlockingIOError
        return heard

    def decrypt(self, data: bytes) -> bytes:
        """
        Decrypt what has come.  What TLS answers to it by itself is sent, or waits for what
        is sent next.

        @return: Empty if that is not a whole record, or if L{isOver}.

        @raise OSError: If it is no TLS, of which the client was told; or if too much of it
            has no text.
        """
        if len(data) <= _COUNTED:
            return self._decrypt(data)
        parts = []
        for start in range(0, len(data), _COUNTED):
            parts.append(self._decrypt(data[start : start + _COUNTED]))
            if self._isOver:
                break
        return b"".join(parts)

    def _decrypt(self, data: bytes) -> bytes:
        self._records.take(data)
        try:
            if data:
                _come.write(data)
            return self._read()
        except SSLWantReadError:
            return b""
        finally:
            _forget()
            if _going.pending:
                self._say(_going.read())
            if self._records.silent > MOST_SILENT:
                raise ConnectionAbortedError

    @property
    def isOver(self) -> bool:
        """
        Whether the client has said that it ends.
        """
        return self._isOver

    def _read(self) -> bytes:
        """
        Return the text of all that has come.
        """
        tls = self._tls
        more = heard = tls.read(RECORD)
        while more:
            # Each call returns the text of one record.
            self._records.silent -= 1
            if not _come.pending and not tls.pending():
                return heard
            try:
                more = tls.read(RECORD)
            except SSLWantReadError:
                return heard
            heard += more
        self._isOver = True
        return heard

    # -- Output

    def send(self, data: bytes | memoryview) -> int:
        """
        Encrypt and send data.

        @return: How many bytes of it the system has taken, encrypted.

        @raise OSError: If the connection is broken.
        """
        size = len(data)
        if self._record or not 0 < size <= RECORD:
            return self._sendOn(data)
        self._tls.write(data)
        record = _going.read()
        try:
            sent = self.raw.send(record)
        except OSError:
            # The buffer is full or the connection broken: an event will tell.
            sent = 0
        if sent == len(record):
            return size
        self._record, self._text = record[sent:], size
        return 0

    def _sendOn(self, data: bytes | memoryview) -> int:
        """
        Send the rest of a record first, and then what takes more than one.
        """
        done = 0
        if self._record:
            sent = self.raw.send(self._record)
            self._record = self._record[sent:]
            if self._record:
                return 0
            done, self._text = self._text, 0
        view, size = memoryview(data), len(data)
        while done < min(size, _MOST_ENCRYPTED):
            taken = self.send(view[done : done + RECORD])
            if not taken:
                break
            done += taken
        return done

    def encrypt(self, data: bytes) -> bytes:
        """
        Encrypt data that another one sends.

        @param data: At most L{RECORD} bytes.

        @raise OSError: If the connection is over.
        """
        self._tls.write(data)
        return _going.read()

    def _say(self, said: bytes) -> None:
        """
        Send what TLS has to say by itself: its part of a handshake, or why it fails.

        @raise OSError: If the client takes none of it.
        """
        if not self._record:
            # If it is broken an event will tell, and what has come counts.
            with suppress(OSError):
                said = said[self.raw.send(said) :]
        self._record += said
        if len(self._record) > _MOST_UNSAID:
            raise ConnectionAbortedError

    # -- The end

    def end(self) -> tuple[bytes, bool]:
        """
        End the server's side of TLS.

        @return: What the client has to be told of it, and whether the client has ended, too.
        """
        self._hasEnded = True
        try:
            self._tls.unwrap()
            return _going.read(), True
        except SSLError:
            # The client has not ended; or the handshake was not done.
            return _going.read(), False

    def shutdown(self, how: int) -> None:
        """
        Tell the client that the server ends, and shut the system's socket down.

        @raise OSError: If the client has left.
        """
        self._sayEnd()
        self.raw.shutdown(how)

    def close(self) -> None:
        """
        Close the descriptor.  The client is told, unless it does not take what it was
        sent before.
        """
        self._sayEnd()
        self.raw.close()

    def _sayEnd(self) -> None:
        if not self._hasEnded and not self._record:
            said, _ = self.end()
            if said:
                # It may have left, and need not know.
                with suppress(OSError):
                    self.raw.send(said)

    # -- What the system's socket answers

    @property
    def family(self) -> int:
        """
        The family of the addresses.
        """
        return self.raw.family

    def fileno(self) -> int:
        """
        Return the descriptor.
        """
        return self.raw.fileno()

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """
        Set an option.
        """
        self.raw.setsockopt(level, option, value)

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        """
        Return a structure that the system tells.
        """
        return self.raw.getsockopt(level, option, size)

    def getpeername(self) -> Any:
        """
        Return the client's address.
        """
        return self.raw.getpeername()

    def getsockname(self) -> Any:
        """
        Return the server's address.
        """
        return self.raw.getsockname()


def _forget() -> None:
    """
    Forget what came behind an end or an error.
    """
    if _come.pending:
        _come.read()
