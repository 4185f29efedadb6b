"""
TCP connections and HTTP/1.1 for strict clients: they raise L{Violation} on all
that a server may not send.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Mapping
from typing import ClassVar, Final

from attrs import evolve, frozen

# How long a test waits for the server by default, in seconds.
PATIENCE: Final = 30.0

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9]) [\t -~]*")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\x80-\xff]*)")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


class Violation(AssertionError):
    """
    The server sent what it may not send.
    """


class Silence(Exception):
    """
    The server sent nothing in the given time.
    """


class Ended(Exception):
    """
    The server has closed the connection, and the client has read all of it.
    """


@frozen
class Site:
    """
    The address of a server.

    @ivar port: The port of HTTP, on 127.0.0.1.

    @ivar tcpPort: The port of raw TCP.

    @ivar key: The publish key.

    @ivar tls: The client's TLS context, or L{None} if both ports are plain.

    @ivar host: The host of requests, if a proxy is in front of the server; by
        default requests name the address.

    @ivar securePort: The additional port of HTTP over TLS; 0 if there is none.

    @ivar authority: The client's TLS context for that port.
    """

    port: int
    tcpPort: int
    key: str = ""
    tls: ssl.SSLContext | None = None
    host: str = ""
    securePort: int = 0
    authority: ssl.SSLContext | None = None

    @property
    def secured(self) -> Site:
        """
        The address of the port of HTTP over TLS.
        """
        if self.tls is not None:
            return self
        assert self.authority is not None
        return evolve(self, port=self.securePort, tls=self.authority)


class TcpConnection:
    """
    A TCP connection, perhaps with TLS.

    @ivar appetite: The most bytes that are received at once; a small number
        cuts chunks and frames in two.
    """

    def __init__(
        self,
        port: int,
        tls: ssl.SSLContext | None = None,
        receiveBuffer: int = 0,
        appetite: int = 262144,
    ) -> None:
        self.appetite = appetite
        plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if receiveBuffer:
                # Before connecting: afterwards the TCP window does not change.
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receiveBuffer)
            plain.settimeout(PATIENCE)
            plain.connect(("127.0.0.1", port))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket: socket.socket = plain
            if tls is not None:
                self.socket = tls.wrap_socket(plain, server_hostname="localhost")
        except BaseException:
            plain.close()
            raise

    def send(self, data: bytes) -> None:
        """
        Send all of it.

        @raise Ended: If the server is gone.
        """
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.sendall(data)
        except ConnectionError as error:
            raise Ended(str(error)) from error

    def receive(self, timeout: float) -> bytes:
        """
        Receive at least one byte; return none if the server has closed.

        @raise Silence: If nothing comes in C{timeout} seconds.
        """
        self.socket.settimeout(max(timeout, 0.001))
        try:
            return self.socket.recv(self.appetite)
        except TimeoutError as error:
            raise Silence(f"nothing came in {timeout:.2f} seconds") from error
        except (ConnectionError, ssl.SSLEOFError):
            return b""

    def receiveUntil(self, mark: bytes, count: int = 1, timeout: float = PATIENCE) -> bytes:
        """
        Receive until the bytes contain a mark so many times.

        @raise Ended: If the server closes before.

        @raise Silence: If that takes more than C{timeout} seconds.
        """
        deadline = time.monotonic() + timeout
        data = b""
        while data.count(mark) < count:
            piece = self.receive(deadline - time.monotonic())
            if not piece:
                raise Ended(f"closed after {data[-200:]!r}")
            data += piece
        return data

    def cut(self) -> None:
        """
        Cut the connection with a reset.
        """
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """
        Close in the ordinary way.
        """
        self.socket.close()

    def halfClose(self) -> None:
        """
        Close the sending half of the connection.
        """
        self.socket.shutdown(socket.SHUT_WR)


@frozen
class ResponseHead:
    """
    The head of a response.

    @ivar headers: The headers by their names in lower case; the values of a
        header that came several times are joined with C{", "}.
    """

    status: int
    headers: Mapping[str, str]


@frozen
class Response:
    """
    A whole response.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


def readHead(raw: bytes) -> ResponseHead:
    """
    Read the head of a response, without the empty line at its end.
    """
    first, *lines = raw.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise Violation(f"not a status line: {first[:100]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            raise Violation(f"not a header: {line[:100]!r}")
        name, value = found[1].decode().lower(), found[2].decode("latin-1").strip()
        if name in headers and name in ("content-length", "transfer-encoding", "etag"):
            raise Violation(f"{name} came twice")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if "content-length" in headers and "transfer-encoding" in headers:
        raise Violation("both Content-Length and Transfer-Encoding")
    return ResponseHead(int(status[1]), headers)


class Body:
    """
    The body of a response, decoded as it arrives.

    @ivar done: Whether the body is complete.
    """

    def __init__(self, length: int | None, chunked: bool) -> None:
        """
        @param length: The length in bytes; L{None} if the body is chunked, or
            ends with the connection.
        """
        self._chunked = chunked
        # The bytes left of the body or of the chunk; None before a size line.
        self._left = None if chunked else length
        self._endless = length is None and not chunked
        self._last = False
        self.done = length == 0

    def take(self, buffer: bytearray) -> bytes:
        """
        Take the bytes of the body from the front of C{buffer}, and decode them.
        """
        if self._endless:
            piece = bytes(buffer)
            buffer.clear()
            return piece
        pieces: list[bytes] = []
        while buffer and not self.done:
            if self._left is not None:
                if not self._takeBytes(buffer, pieces):
                    break
            elif not self._takeSize(buffer):
                break
        return b"".join(pieces)

    def _takeBytes(self, buffer: bytearray, pieces: list[bytes]) -> bool:
        assert self._left is not None
        piece = bytes(buffer[: self._left])
        del buffer[: len(piece)]
        pieces.append(piece)
        self._left -= len(piece)
        if self._left:
            return False
        if not self._chunked:
            self.done = True
            return True
        return self._takeBreak(buffer)

    def _takeBreak(self, buffer: bytearray) -> bool:
        """
        Take the CR LF behind the bytes of a chunk, or behind the last size.
        """
        if not b"\r\n".startswith(buffer[:2]):
            raise Violation(f"a chunk is not followed by CR LF: {bytes(buffer[:20])!r}")
        if len(buffer) < 2:
            return False
        del buffer[:2]
        self._left = None
        self.done = self._last
        return True

    def _takeSize(self, buffer: bytearray) -> bool:
        end = buffer.find(b"\r\n")
        if end < 0:
            if len(buffer) > 10:
                raise Violation(f"not the size of a chunk: {bytes(buffer[:20])!r}")
            return False
        line = bytes(buffer[:end])
        if _SIZE.fullmatch(line) is None:
            raise Violation(f"not the size of a chunk: {line[:20]!r}")
        del buffer[: end + 2]
        self._left = int(line, 16)
        if self._left == 0:
            self._last = True
            return self._takeBreak(buffer)
        return True

    def ended(self) -> None:
        """
        Note that the connection has ended.
        """
        if self._endless:
            self.done = True
        elif not self.done:
            raise Ended("the connection ended in the middle of a body")


class HttpConnection:
    """
    One connection that speaks HTTP/1.1, request after request.

    @cvar version: The version of HTTP in the requests.
    """

    version: ClassVar[str] = "1.1"

    def __init__(self, tcp: TcpConnection, host: str = "") -> None:
        self.tcp = tcp
        self._host = host or f"127.0.0.1:{tcp.socket.getpeername()[1]}"
        self._buffer = bytearray()
        self._methods: deque[str] = deque()
        self._body: Body | None = None
        # The head of a response whose body was not complete within the timeout.
        self._head: ResponseHead | None = None
        self._pieces: list[bytes] = []

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:
        """
        Send a request; the responses come in the order of the requests.
        """
        lines = [f"{method} {target} HTTP/{self.version}"]
        given = {"Host": self._host, **(headers or {})}
        if body is not None:
            given["Content-Length"] = str(len(body))
        lines += [f"{name}: {value}" for name, value in given.items()]
        self.expect(method)
        self.tcp.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))

    def expect(self, method: str) -> None:
        """
        Note that a request of this method was sent on the socket itself.
        """
        self._methods.append(method)

    def head(self, timeout: float = PATIENCE) -> ResponseHead:
        """
        Wait for the head of the next response.

        @raise Ended: If the server closed before it.
        """
        if not self._methods:
            raise AssertionError("nothing was asked")
        deadline = time.monotonic() + timeout
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > 65536:
                raise Violation("a head of more than 64 KiB")
            data = self.tcp.receive(deadline - time.monotonic())
            if not data:
                if self._buffer:
                    raise Violation(f"the connection ended in a head: {bytes(self._buffer)!r}")
                raise Ended("closed before an answer")
            self._buffer += data
        if self.version == "1.1" and not self._buffer.startswith(b"HTTP/1.1 "):
            raise Violation(f"an older version: {bytes(self._buffer[:20])!r}")
        head = readHead(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        self._body = self._bodyOf(self._methods.popleft(), head)
        return head

    def _bodyOf(self, method: str, head: ResponseHead) -> Body:
        if method == "HEAD" or head.status in (204, 304) or head.status < 200:
            return Body(0, False)
        coding = head.headers.get("transfer-encoding")
        if coding is not None:
            if self.version == "1.0":
                # RFC 9112 6.1
                raise Violation(f"a coding that HTTP/1.0 does not know: {coding!r}")
            if coding.lower() != "chunked":
                raise Violation(f"an unknown Transfer-Encoding: {coding!r}")
            return Body(None, True)
        length = head.headers.get("content-length")
        return Body(None if length is None else int(length), False)

    def piece(self, timeout: float = PATIENCE) -> bytes:
        """
        Wait for more of the body; return no bytes at its end.
        """
        assert self._body is not None
        deadline = time.monotonic() + timeout
        while True:
            found = self._body.take(self._buffer)
            if self._body.done and self._buffer and not self._methods:
                raise Violation(f"bytes after the end: {bytes(self._buffer[:60])!r}")
            if found or self._body.done:
                return found
            data = self.tcp.receive(deadline - time.monotonic())
            if not data:
                self._body.ended()
                return b""
            self._buffer += data

    def upgraded(self) -> bytes:
        """
        Take the bytes that came behind a response of status 101.
        """
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def answer(self, timeout: float = PATIENCE) -> Response:
        """
        Wait for the whole next response.
        """
        deadline = time.monotonic() + timeout
        if self._head is None:
            self._head = self.head(timeout)
        while piece := self.piece(deadline - time.monotonic()):
            self._pieces.append(piece)
        answer = Response(self._head.status, self._head.headers, b"".join(self._pieces))
        self._head = None
        self._pieces.clear()
        return answer


def ask(
    site: Site,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = PATIENCE,
) -> Response:
    """
    Send one request over a connection of its own, and wait for the response.
    """
    tcp = TcpConnection(site.port, site.tls)
    try:
        connection = HttpConnection(tcp, site.host)
        connection.send(method, target, headers, body)
        return connection.answer(timeout)
    finally:
        tcp.close()
