"""
A strict client of HTTP/2 over TLS, with the frames of C{h2}: many streams on one
connection, each read at its own pace.
"""

from __future__ import annotations

import functools
import ssl
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Protocol

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from tests.edge.browsing import IframeClient, JsonpClient, MultipartClient
from tests.edge.clients import Client, HttpClient, SseClient, StreamClient
from tests.edge.connections import (
    PATIENCE,
    Ended,
    HttpConnection,
    Response,
    ResponseHead,
    Site,
    TcpConnection,
    Violation,
)
from tests.edge.polling import LongpollClient, PollClient

# The flow control window of the connection: so large that only the windows of
# the streams hold the server back.
WHOLE: Final = 2**30


@functools.cache
def negotiating(tls: ssl.SSLContext) -> ssl.SSLContext:
    """
    Make a context with the same trust as another one, which offers HTTP/2 only.
    """
    context = ssl.create_default_context(cadata=b"".join(tls.get_ca_certs(binary_form=True)))
    context.set_alpn_protocols(["h2"])
    return context


class Pipe(Protocol):
    """
    The byte stream below a connection.
    """

    def send(self, data: bytes) -> None:
        """
        Send all of it.
        """

    def receive(self, timeout: float) -> bytes:
        """
        Wait for bytes; return none if the server has closed.
        """

    def cut(self) -> None:
        """
        Cut the connection with a reset.
        """

    def close(self) -> None:
        """
        Close in the ordinary way.
        """


def chosen(tcp: TcpConnection, site: Site) -> str:
    """
    Check that TLS has chosen HTTP/2.

    @return: The host for requests.
    """
    plain: Any = tcp.socket
    if plain.selected_alpn_protocol() != "h2":
        raise Violation(f"TLS has chosen {plain.selected_alpn_protocol()!r}")
    return site.host or f"127.0.0.1:{site.port}"


class Http2Stream:
    """
    One stream: a request and its response.

    @ivar isOpenHanded: Whether received data opens the window again at once;
        otherwise only L{Http2Connection.allow} does.

    @ivar received: The bytes of the body received so far.

    @ivar isContinued: Whether the server asked for the body (100).

    @ivar code: The error code with which the server has reset the stream.
    """

    def __init__(self, connection: Http2Connection, ident: int) -> None:
        self.connection = connection
        self.ident = ident
        self.isOpenHanded = True
        self.received = 0
        self.isContinued = False
        self.isEnded = False
        self.code: int | None = None
        self._head: ResponseHead | None = None
        self._pieces: deque[bytes] = deque()

    def happened(self, event: Event) -> None:
        """
        Take an event of this stream.
        """
        if isinstance(event, InformationalResponseReceived):
            self.isContinued = True
        elif isinstance(event, ResponseReceived):
            self._head = headOf(event.headers or ())
        elif isinstance(event, DataReceived):
            if self._head is None:
                raise Violation("a body without a head")
            data = bytes(event.data or b"")
            self.received += len(data)
            if data:
                self._pieces.append(data)
            if self.isOpenHanded:
                self.connection.allow(self, event.flow_controlled_length or 0)
        elif isinstance(event, StreamEnded):
            self.isEnded = True
        elif isinstance(event, StreamReset):
            self.code = int(event.error_code or 0)

    def head(self, timeout: float = PATIENCE) -> ResponseHead:
        """
        Wait for the head of the response.
        """
        deadline = time.monotonic() + timeout
        while self._head is None:
            self._await(deadline)
        return self._head

    def piece(self, timeout: float = PATIENCE) -> bytes:
        """
        Wait for more of the body; return no bytes at its end.
        """
        deadline = time.monotonic() + timeout
        while not self._pieces:
            if self.isEnded:
                return b""
            self._await(deadline)
        return self._pieces.popleft()

    def answer(self, timeout: float = PATIENCE) -> Response:
        """
        Wait for the whole response.
        """
        deadline = time.monotonic() + timeout
        head = self.head(timeout)
        while not self.isEnded:
            self._await(deadline)
        body = b"".join(self._pieces)
        self._pieces.clear()
        length = head.headers.get("content-length")
        if body and length is not None and int(length) != len(body):
            raise Violation(f"{len(body)} bytes instead of {length}")
        return Response(head.status, head.headers, body)

    def _await(self, deadline: float) -> None:
        if self.code is not None:
            raise Ended(f"reset with {self.code}")
        self.connection.pump(deadline - time.monotonic())


def headOf(fields: Any) -> ResponseHead:
    """
    Read the head of a response; headers of HTTP/1 connections are a
    L{Violation}.
    """
    status, headers = 0, dict[str, str]()
    for rawName, rawValue in fields:
        name, value = bytes(rawName).decode(), bytes(rawValue).decode("latin-1")
        if name == ":status":
            status = int(value)
        elif name in ("connection", "transfer-encoding", "keep-alive", "upgrade"):
            raise Violation(f"{name} in HTTP/2")
        else:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return ResponseHead(status, headers)


class Http2Connection:
    """
    A connection.

    @ivar isEnded: Whether the server has closed it.

    @ivar goodbye: The error code of the server's GOAWAY, if there was one.

    @ivar frames: The stream of each DATA frame, in the order of arrival.
    """

    def __init__(self, pipe: Pipe, host: str, window: int = 0) -> None:
        """
        @param host: The host of requests that do not name another.

        @param window: The initial window of each stream, in bytes, which
            L{allow} opens further; 0 for the protocol's default.
        """
        self.pipe = pipe
        self._host = host
        self.streams: dict[int, Http2Stream] = {}
        self.isEnded = False
        self.goodbye: int | None = None
        self.frames: list[int] = []
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self.h2.initiate_connection()
        if window:
            self.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.h2.increment_flow_control_window(WHOLE)
        self.flush()

    @classmethod
    def to(cls, site: Site, window: int = 0, receiveBuffer: int = 0) -> Http2Connection:
        """
        Connect to a server.
        """
        assert site.tls is not None
        tcp = TcpConnection(site.port, negotiating(site.tls), receiveBuffer)
        return cls(tcp, chosen(tcp, site), window)

    def close(self) -> None:
        """
        Close in the ordinary way.
        """
        self.pipe.close()

    def flush(self) -> None:
        """
        Send the pending frames.
        """
        self.pipe.send(self.h2.data_to_send())

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        isWhole: bool = True,
    ) -> Http2Stream:
        """
        Send a request.

        @param isWhole: Whether this is the whole request.
        """
        given = {name.lower(): value for name, value in (headers or {}).items()}
        if body is not None and isWhole:
            given["content-length"] = str(len(body))
        fields = [
            (":method", method),
            (":scheme", "https"),
            (":authority", given.pop("host", self._host)),
            (":path", target),
            *given.items(),
        ]
        stream = Http2Stream(self, self.h2.get_next_available_stream_id())
        self.streams[stream.ident] = stream
        self.h2.send_headers(stream.ident, fields, end_stream=isWhole and not body)
        if body:
            self.sendBody(stream, body, isWhole)
        self.flush()
        return stream

    def sendBody(self, stream: Http2Stream, body: bytes, isWhole: bool = True) -> None:
        """
        Send a part of the body, as fast as the server takes it; stop if it
        answers.
        """
        while body and not stream.isEnded and stream.code is None:
            size = self.h2.local_flow_control_window(stream.ident)
            if size <= 0:
                self.flush()
                self.pump(PATIENCE)
                continue
            piece = body[: min(size, self.h2.max_outbound_frame_size)]
            body = body[len(piece) :]
            self.h2.send_data(stream.ident, piece, end_stream=isWhole and not body)
        self.flush()

    def allow(self, stream: Http2Stream, size: int) -> None:
        """
        Open the window of a stream further, if the stream is open.
        """
        try:
            if size:
                self.h2.increment_flow_control_window(size, stream.ident)
        except ProtocolError:
            # The stream or the connection has ended meanwhile.
            pass

    def reset(self, stream: Http2Stream) -> None:
        """
        Reset one stream.
        """
        self.h2.reset_stream(stream.ident, ErrorCodes.CANCEL)
        self.flush()

    def pump(self, timeout: float) -> None:
        """
        Receive once, and handle the events.

        @raise Silence: If nothing comes in C{timeout} seconds.

        @raise Ended: If the server has closed.
        """
        if self.isEnded:
            raise Ended(f"closed with {self.goodbye}")
        data = self.pipe.receive(timeout)
        if not data:
            self.isEnded = True
            return
        try:
            events = self.h2.receive_data(data)
        except ProtocolError as error:
            raise Violation(f"not HTTP/2: {error!r}") from error
        for event in events:
            self._happened(event)
        try:
            self.flush()
        except Ended:
            # The events were handled, so their data can still be read.
            pass

    def _happened(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.goodbye = int(event.error_code or 0)
            return
        ident = getattr(event, "stream_id", None)
        if isinstance(event, DataReceived):
            self.frames.append(ident or 0)
        if ident in self.streams:
            self.streams[ident].happened(event)

    def untilEnd(self, timeout: float = PATIENCE) -> None:
        """
        Wait until the server closes the connection.
        """
        deadline = time.monotonic() + timeout
        while not self.isEnded:
            self.pump(deadline - time.monotonic())


class Http2Requests(HttpConnection):
    """
    A connection of HTTP/2 for clients that send one request after the other.
    """

    def __init__(self, tcp: TcpConnection, host: str) -> None:
        super().__init__(tcp, host)
        self._http2 = Http2Connection(tcp, host)
        self._asked: deque[Http2Stream] = deque()
        self._current: Http2Stream | None = None

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:
        """
        See L{HttpConnection.send}.
        """
        self._asked.append(self._http2.send(method, target, headers, body))

    def head(self, timeout: float = PATIENCE) -> ResponseHead:
        """
        See L{HttpConnection.head}.
        """
        head = self._asked[0].head(timeout)
        self._current = self._asked.popleft()
        return head

    def piece(self, timeout: float = PATIENCE) -> bytes:
        """
        See L{HttpConnection.piece}.
        """
        assert self._current is not None
        return self._current.piece(timeout)


def overHttp2(kind: type[HttpClient]) -> type[HttpClient]:
    """
    Make the class of a transport's client over HTTP/2.
    """

    def speak(self: HttpClient) -> HttpConnection:
        assert self.site.tls is not None
        tcp = self._connect(self.site.port, negotiating(self.site.tls))
        return Http2Requests(tcp, chosen(tcp, self.site))

    return type(f"{kind.__name__}OverHttp2", (kind,), {"_speak": speak})


# The clients over HTTP/2, by their transports.
OVER_HTTP2: Final[dict[str, type[Client]]] = {
    kind.name: overHttp2(kind)
    for kind in (
        PollClient,
        LongpollClient,
        StreamClient,
        SseClient,
        MultipartClient,
        IframeClient,
        JsonpClient,
    )
}
