"""
A server that says what a test has written down, byte for byte, in threads of its own.
"""

from __future__ import annotations

import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable
from hashlib import sha1
from typing import TypeAlias

# Seconds that a thread waits for its client.
_PATIENCE = 20.0

# RFC 6455 1.3
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Visit:
    """
    One connection of a client.

    @ivar sent: How many bytes the client, or the system for it, has taken.

    @ivar requests: The head and body of each request.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._rest = b""
        self.sent = 0
        self.requests: list[bytes] = []

    def take(self) -> bytes:
        """
        Wait for a request.

        @return: Its head and its body; nothing if the client is gone.
        """
        while b"\r\n\r\n" not in self._rest:
            data = self._receive()
            if not data:
                return b""
            self._rest += data
        head, _, rest = self._rest.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(rest) < length:
            rest += self._receive()
        request = head + b"\r\n\r\n" + rest[:length]
        self._rest = rest[length:]
        self.requests.append(request)
        return request

    def takeRaw(self) -> bytes:
        """
        Wait for the command that subscribes over raw TCP, and for what comes before it.
        """
        taken = b""
        while not (b'"subscribe"' in taken and taken.endswith(b"\n")):
            data = self._receive()
            if not data:
                break
            taken += data
        self.requests.append(taken)
        return taken

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(65536)
        except OSError:
            return b""

    def send(self, data: bytes) -> bool:
        """
        Send bytes.

        @return: Whether the client has not closed the connection.
        """
        try:
            self._socket.sendall(data)
        except OSError:
            return False
        self.sent += len(data)
        return True

    def sendEach(self, pieces: Iterable[bytes], pause: float = 0.0) -> None:
        """
        Send pieces, with a pause after each, until the client closes the connection.
        """
        waiting = threading.Event()
        for piece in pieces:
            if not self.send(piece):
                return
            if pause:
                waiting.wait(pause)

    def shake(self) -> None:
        """
        Take the handshake of a WebSocket.
        """
        request = self.take()
        key = request.lower().index(b"sec-websocket-key:") + len(b"sec-websocket-key:")
        word = request[key:].partition(b"\r\n")[0].strip()
        accept = b64encode(sha1(word + _GUID).digest())
        self.send(
            b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def awaitEnd(self) -> bool:
        """
        Wait until the client closes the connection.

        @return: Whether it does.
        """
        try:
            while self._socket.recv(65536):
                pass
        except ConnectionError:
            return True
        except OSError:
            return False
        return True

    def close(self) -> None:
        """
        Close the connection.
        """
        self._socket.close()


Play: TypeAlias = Callable[[Visit], object]


class AwkwardServer:
    """
    The server.

    @ivar port: Where it listens, on 127.0.0.1.

    @ivar visits: The connections, in the order in which they came.
    """

    def __init__(self, *plays: Play) -> None:
        """
        @param plays: What is done with each connection; with those behind the last, as with it.
        """
        self._plays = list(plays)
        self.visits: list[Visit] = []
        self._threads: list[threading.Thread] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._isClosed = False
        self._start(self._listen)

    def _start(self, function: Callable[[], object]) -> None:
        thread = threading.Thread(target=function, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            if self._isClosed:
                sock.close()
                return
            sock.settimeout(_PATIENCE)
            visit = Visit(sock)
            play = self._plays[min(len(self.visits), len(self._plays) - 1)]
            self.visits.append(visit)
            self._start(lambda visit=visit, play=play: self._play(visit, play))  # type: ignore[misc]

    def _play(self, visit: Visit, play: Play) -> None:
        try:
            play(visit)
        finally:
            visit.close()

    def close(self) -> None:
        """
        End all.
        """
        if self._isClosed:
            return
        self._isClosed = True
        # Only a connection wakes the thread that waits for one.
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._socket.close()
        for thread in self._threads:
            thread.join(_PATIENCE)


def frame(opcode: int, data: bytes, isLast: bool = True) -> bytes:
    """
    Make a WebSocket frame of a server.
    """
    head = bytes([opcode | (0x80 if isLast else 0)])
    if len(data) < 126:
        return head + bytes([len(data)]) + data
    if len(data) < 65536:
        return head + b"\x7e" + len(data).to_bytes(2, "big") + data
    return head + b"\x7f" + len(data).to_bytes(8, "big") + data


def response(status: int, body: bytes, *headers: str) -> bytes:
    """
    Make a whole response.
    """
    lines = [f"HTTP/1.1 {status} Text", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def chunk(data: bytes) -> bytes:
    """
    Make a chunk of a body.
    """
    return b"%x\r\n%b\r\n" % (len(data), data)
