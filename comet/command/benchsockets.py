"""
The connections of C{comet bench}: readers that look for marks in the bytes that they get, and
a publisher.

They do as little as they can: a client that understood each message would measure itself.
"""

from __future__ import annotations

import re
import secrets
import socket
import ssl
import time
from base64 import b64encode
from collections import deque
from collections.abc import Mapping
from typing import Final

from attrs import frozen

from comet.client.failures import BadAnswer, Lost, Untrusted, readProblem
from comet.client.serverurl import ServerURL, namesPath
from comet.command.latencies import Latencies
from comet.command.marks import Marks, Sequence

# The transports whose messages come as their publisher wrote them, in an endless response.
TRANSPORTS: Final = ("websocket", "sse", "stream")

_READ_SIZE: Final = 65536

# A whole head, and where a reader stands, which is told once it is one.
_HEAD: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n")
_GREETING: Final = re.compile(rb'"cursor":"|\nid: |^id: ')

# How many bytes come before a reader is one, at most.
_MOST_GREETING: Final = 262144

_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@frozen
class Target:
    """
    What is measured.

    @ivar url: The URL of the server.

    @ivar headers: The headers of every request.

    @ivar tls: For C{https}.

    @ivar timeout: In how many seconds a connection has to be open.
    """

    url: ServerURL
    headers: Mapping[str, str]
    tls: ssl.SSLContext | None
    timeout: float

    def connect(self) -> socket.socket:
        """
        Open a connection.

        @raise Lost: If there is none.

        @raise Untrusted: If the server's certificate is not valid.
        """
        url = self.url
        try:
            opened = socket.create_connection((url.host, url.port), self.timeout)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if url.isSecure:
                context = self.tls or ssl.create_default_context()
                opened = context.wrap_socket(opened, server_hostname=url.host)
        except ssl.SSLCertVerificationError as error:
            raise Untrusted(f"the certificate of {url.authority}: {error.verify_message}") from None
        except OSError as error:
            raise Lost(f"no connection to {url.authority}: {error}") from None
        return opened

    def request(self, method: str, url: ServerURL, headers: Mapping[str, str]) -> bytes:
        """
        Write the head of a request.
        """
        fields = {"Host": url.authority, **self.headers, **headers}
        lines = [f"{method} {url.target} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


class _Connection:
    """
    A connection that does not block once it is open.

    @ivar took: How long things took.
    """

    def __init__(self, opened: socket.socket, took: Latencies) -> None:
        self.socket = opened
        self.took = took
        self._secure = opened if isinstance(opened, ssl.SSLSocket) else None

    def _receive(self) -> bytes:
        """
        Return what has arrived; nothing if that is not all of a record of TLS.

        @raise Lost: If the connection has ended.
        """
        try:
            data = self.socket.recv(_READ_SIZE)
            # What TLS has decoded is in no buffer that a selector knows.
            while self._secure is not None and self._secure.pending():
                data += self._secure.recv(_READ_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return b""
        except OSError as error:
            raise Lost(f"a connection broke: {error}") from None
        if not data:
            raise Lost("the server has closed a connection")
        return data


class BenchReader(_Connection):
    """
    A reader.

    @ivar sequence: What it has got.
    """

    def __init__(
        self, target: Target, channel: str, transport: str, marks: Marks, took: Latencies
    ) -> None:
        """
        Ask for the channel.

        @param took: Is told how long each message took.

        @raise Lost: If there is no connection.
        """
        super().__init__(target.connect(), took)
        self.sequence = Sequence()
        self._marks = marks
        self._timeout = target.timeout
        self._rest = b""
        parameters = {"transport": transport, "since": "now"}
        url = target.url.resource(f"channels/{namesPath([channel])}", parameters)
        headers: dict[str, str] = {}
        if transport == "websocket":
            headers = {
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": b64encode(secrets.token_bytes(16)).decode("ascii"),
            }
        self.socket.sendall(target.request("GET", url, headers))

    def awaitGreeting(self) -> None:
        """
        Wait until it is one of the server's readers.

        @raise CometError: If the server refuses it, or is none of comet's.

        @raise Lost: If the connection ends, or the time for it is over.
        """
        data = b""
        over = time.monotonic() + self._timeout
        while True:
            head = _HEAD.match(data)
            status, body = (200, b"") if head is None else (int(head[1]), data[head.end() :])
            isRefused = status not in (101, 200)
            if isRefused and body.rstrip().endswith(b"}"):
                raise readProblem(status, body[body.find(b"{") :], None)
            if not isRefused and _GREETING.search(body):
                break
            if len(data) > _MOST_GREETING:
                raise BadAnswer("the server sends much, and not what comet sends")
            try:
                # Also where a byte comes now and then.
                self.socket.settimeout(max(over - time.monotonic(), 0.001))
                data += self._receive()
            except Lost:
                if isRefused:
                    # The page of a proxy, of which the status says enough.
                    raise readProblem(status, b"", None) from None
                raise
        self.socket.setblocking(False)

    def take(self, now: int) -> None:
        """
        Take what has arrived.

        @param now: The time, in nanoseconds.

        @raise Lost: If the connection has ended.
        """
        found, self._rest = self._marks.find(self._rest + self._receive())
        if found:
            self.took.add(self.sequence.take(found, now))


class BenchPublisher(_Connection):
    """
    What publishes.
    """

    def __init__(self, target: Target, channel: str, took: Latencies) -> None:
        """
        Connect.

        @param took: Is told how long each answer took.

        @raise Lost: If there is no connection.
        """
        super().__init__(target.connect(), took)
        self._target = target
        self._url = target.url.resource(f"channels/{namesPath([channel])}")
        # When each was sent that is not answered.
        self._sent: deque[int] = deque()
        self._rest = b""

    @property
    def waiting(self) -> int:
        """
        How many messages are not answered.
        """
        return len(self._sent)

    def publish(self, text: str, now: int) -> None:
        """
        Send a message.

        @raise Lost: If the connection has ended, or takes nothing for too long.
        """
        body = text.encode("ascii")
        headers = {"Content-Type": "text/plain", "Content-Length": str(len(body))}
        try:
            self.socket.settimeout(self._target.timeout)
            self.socket.sendall(self._target.request("POST", self._url, headers) + body)
            self.socket.setblocking(False)
        except OSError as error:
            raise Lost(f"the publisher's connection broke: {error}") from None
        self._sent.append(now)

    def take(self, now: int) -> None:
        """
        Take what has arrived.

        @param now: The time, in nanoseconds.

        @raise CometError: If the server has refused a message, or is none of comet's.
        """
        data = self._rest + self._receive()
        end = 0
        for found in _STATUS.finditer(data):
            end, status = found.end(), int(found[1])
            if status != 201:
                raise readProblem(status, data[data.find(b"{", end) :], None)
            if not self._sent:
                raise BadAnswer("the server answers more than it was asked")
            self.took.add([now - self._sent.popleft()])
        self._rest = data[max(end, len(data) - len(b"HTTP/1.1 201")) :]
