"""
The steps of the core that use the network, done by a thread.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

try:
    import httpcore
    import httpx
except ImportError:
    raise ImportError(
        "the Python clients need packages that are not installed: pip install 'comet-push[client]'"
    ) from None

from comet.client.blockingnetwork import Call, Network, Stream
from comet.client.blockingtransport import Transport
from comet.client.clientsteps import Connect, Read, Request, Texts, Upgrade
from comet.client.failures import ClientError
from comet.client.httpxfailures import NETWORK_ERRORS, asFailure
from comet.client.httpxrequests import OPTIONS, Progress, makeRequest, noCookies
from comet.client.serverurl import ServerURL
from comet.client.websocketdialog import DialogSocket, WebSocketDialog

_READ_SIZE = 65536


class NotYet(BaseException):
    """
    The time that the caller gives is over, and the step is not done.  The core does not see it.
    """


class _Response:
    """
    A response of C{httpx}.
    """

    def __init__(self, response: httpx.Response, host: str) -> None:
        self.host = host
        self.status = response.status_code
        self.pieces: Iterator[bytes] = response.iter_raw()
        self._response = response

    def header(self, name: str) -> str | None:
        """
        See L{Response<comet.client.clientsteps.Response>}.
        """
        value = self._response.headers.get(name)
        return None if value is None else str(value)

    def close(self) -> None:
        """
        See L{Response<comet.client.clientsteps.Response>}.
        """
        self._response.close()


class _RawSocket:
    """
    A connection of raw TCP.
    """

    status = 0

    def __init__(self, stream: Stream, host: str) -> None:
        self.host = host
        self.pieces = self._read(stream)
        self._stream = stream

    def _read(self, stream: Stream) -> Iterator[bytes]:
        try:
            while data := stream.read(_READ_SIZE):
                yield data
        finally:
            stream.close()

    def header(self, name: str) -> None:
        """
        See L{Response<comet.client.clientsteps.Response>}.  There are none.
        """

    def close(self) -> None:
        """
        See L{Response<comet.client.clientsteps.Response>}.
        """
        self._stream.close()


class _Socket(DialogSocket):
    """
    A WebSocket.
    """

    def __init__(self, stream: Stream, dialog: WebSocketDialog, host: str) -> None:
        self.stream = stream
        self.dialog = dialog
        self.host = host

    def more(self) -> None:
        """
        Wait for bytes, and answer pings and the end.
        """
        self.dialog.received(self.stream.read(_READ_SIZE))
        self.send()

    def send(self) -> None:
        """
        Send what is to be sent.
        """
        unsent = self.dialog.unsent()
        if unsent:
            self.stream.write(unsent)

    def close(self) -> None:
        """
        See L{Socket<comet.client.clientsteps.Socket>}.
        """
        self.stream.close()


class Exchanges:
    """
    The connections of a client in one process.  Threads share them.
    """

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        """
        @param tls: By default one with the certificates of the system.
        """
        self._tls = tls or ssl.create_default_context()
        self._network = Network()
        self._http = httpx.Client(
            transport=Transport(self._network, self._tls), cookies=noCookies(), **OPTIONS
        )

    def request(self, step: Request, call: Call) -> _Response:
        """
        Send a request, and wait for the head of its response.
        """
        progress = Progress()
        try:
            with self._network.during(call):
                request = makeRequest(self._http, step, progress.trace)
                response = self._http.send(request, stream=True)
        except NETWORK_ERRORS as error:
            raise asFailure(error, step.url.authority, progress.wasSent) from error
        return _Response(response, step.url.authority)

    def read(self, step: Read, call: Call) -> bytes:
        """
        Wait for bytes of a body.
        """
        response = step.response
        assert isinstance(response, _Response | _RawSocket)
        try:
            with self._network.during(call):
                return next(response.pieces, b"")
        except NETWORK_ERRORS as error:
            raise asFailure(error, response.host, True) from error

    def upgrade(self, step: Upgrade, call: Call) -> _Socket:
        """
        Open a WebSocket.
        """
        url = step.url
        wasOpen = False
        dialog = WebSocketDialog(url, step.headers)
        stream: Stream | None = None
        try:
            with self._network.during(call):
                stream = self._open(url)
                wasOpen = True
                socket = _Socket(stream, dialog, url.authority)
                socket.send()
                while not dialog.status:
                    socket.more()
        except BaseException as error:
            if stream is not None:
                stream.close()
            if isinstance(error, NETWORK_ERRORS):
                raise asFailure(error, url.authority, wasOpen) from error
            raise
        return socket

    def connect(self, step: Connect, call: Call) -> _RawSocket:
        """
        Open a connection of raw TCP.
        """
        url = step.url
        stream: Stream | None = None
        wasOpen = False
        try:
            with self._network.during(call):
                stream = self._open(url)
                wasOpen = True
                stream.write(step.data)
        except BaseException as error:
            if stream is not None:
                stream.close()
            if isinstance(error, NETWORK_ERRORS):
                raise asFailure(error, url.authority, wasOpen) from error
            raise
        return _RawSocket(stream, url.authority)

    def _open(self, url: ServerURL) -> Stream:
        stream = self._network.connect_tcp(url.host, url.port)
        if not url.isSecure:
            return stream
        try:
            return stream.start_tls(self._tls, url.host)
        except BaseException:
            stream.close()
            raise

    def texts(self, step: Texts, call: Call, until: float | None) -> list[bytes]:
        """
        Wait for messages.

        @param until: When to raise L{NotYet}, if nothing has come by then.
        """
        socket = step.socket
        assert isinstance(socket, _Socket)
        texts = socket.dialog.take()
        if texts:
            return texts
        isEarly = until is not None and until < step.deadline
        try:
            with self._network.during(call):
                socket.more()
        except httpcore.TimeoutException as error:
            if isEarly:
                raise NotYet from None
            raise self._closed(socket, error) from error
        except NETWORK_ERRORS as error:
            raise self._closed(socket, error) from error
        return socket.dialog.take()

    def _closed(self, socket: _Socket, error: Exception) -> ClientError:
        socket.close()
        return asFailure(error, socket.host, True)

    def close(self) -> None:
        """
        Close all connections, from any thread.
        """
        self._network.close()
