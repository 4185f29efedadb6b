"""
Sends bytes to a server on many connections at once, and reads what comes back.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from collections.abc import Sequence
from struct import pack
from typing import Any, Final

from attrs import define, frozen

# How many bytes of an answer are read.
MOST: Final = 1 << 20

# For how long a connection may take to begin, in seconds.
CONNECTING: Final = 5.0


@frozen
class Case:
    """
    What one client does.

    @ivar pieces: What it sends, one after the other.

    @ivar ending: How it ends: C{half} closes its writing side and reads on, C{cut}
        resets the connection at once, C{leave} closes it when nothing comes any
        more.
    """

    pieces: tuple[bytes, ...]
    ending: str = "leave"

    @property
    def data(self) -> bytes:
        """
        All that it sends.
        """
        return b"".join(self.pieces)


@define
class Answer:
    """
    What came back.

    @ivar data: The bytes.

    @ivar isOver: Whether the server has closed the connection.
    """

    data: bytes = b""
    isOver: bool = False


class _Client:
    """
    The connection of one client.
    """

    def __init__(self, case: Case, port: int, tls: ssl.SSLContext | None) -> None:
        self.case = case
        self.answer = Answer()
        # Any: a socket, or one of TLS.
        plain: Any = socket.create_connection(("127.0.0.1", port), CONNECTING)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            plain = tls.wrap_socket(plain, server_hostname="localhost")
        self.socket = plain
        self.socket.setblocking(False)
        self._unsent = b""

    def say(self, piece: bytes) -> None:
        """
        Send some bytes, or what the socket takes of them.
        """
        self._unsent += piece
        self.push()

    def push(self) -> None:
        """
        Send what is left.
        """
        while self._unsent:
            try:
                sent = self.socket.send(self._unsent)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            except OSError:
                self._unsent = b""
                return
            self._unsent = self._unsent[sent:]

    def take(self) -> bool:
        """
        Read what has come.

        @return: Whether anything has.
        """
        answer, before = self.answer, len(self.answer.data)
        while not answer.isOver and len(answer.data) < MOST:
            try:
                piece = self.socket.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError:
                piece = b""
            answer.data += piece
            answer.isOver = not piece
        self.push()
        return answer.isOver or len(answer.data) > before

    def end(self) -> None:
        """
        Do the last thing, after all pieces were sent.
        """
        try:
            if self.case.ending == "cut":
                linger = pack("ii", 1, 0)
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.socket.close()
                self.answer.isOver = True
            elif self.case.ending == "half":
                self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            # The server has closed.
            pass


def ask(
    cases: Sequence[Case], port: int, silence: float, tls: ssl.SSLContext | None = None
) -> list[Answer]:
    """
    Let clients do what they do, all at once.

    @param silence: After how many seconds in which nothing comes to any client it
        is over.

    @return: What came back to each.
    """
    clients: list[_Client | None] = []
    for case in cases:
        try:
            clients.append(_Client(case, port, tls))
        except OSError:
            # The server refuses connections, or breaks off TLS.
            clients.append(None)
    there = [client for client in clients if client is not None]
    with selectors.DefaultSelector() as selector:
        for client in there:
            selector.register(client.socket, selectors.EVENT_READ, client)
        for number in range(max((len(case.pieces) for case in cases), default=0)):
            for client in there:
                if number < len(client.case.pieces):
                    client.say(client.case.pieces[number])
            _listen(selector, 0.005, 0.005)
        for client in there:
            if client.case.ending == "cut" and client.socket in selector.get_map():
                selector.unregister(client.socket)
            client.end()
        _listen(selector, silence, silence * 20)
        for client in there:
            client.socket.close()
    return [Answer() if client is None else client.answer for client in clients]


def _listen(selector: selectors.BaseSelector, silence: float, most: float) -> None:
    """
    Read until nothing comes for some seconds.

    @param most: For how many seconds at most.
    """
    begun = heard = time.monotonic()
    while selector.get_map() and heard - begun < most:
        left = heard + silence - time.monotonic()
        if left <= 0:
            return
        for key, _ in selector.select(left):
            if key.data.take():
                heard = time.monotonic()
            if key.data.answer.isOver or len(key.data.answer.data) >= MOST:
                selector.unregister(key.fileobj)
