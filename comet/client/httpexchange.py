"""
A request over HTTP/1.1 and its response, by h11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

try:
    import h11
except ImportError:
    raise ImportError(
        "the Python clients need packages that are not installed: pip install 'comet-push[client]'"
    ) from None

from comet.client.clientsteps import Steps
from comet.client.failures import BadAnswer, Lost
from comet.client.serverurl import ServerURL
from comet.client.wire import Wire

USER_AGENT: Final = "comet-python"

# An event, or the mark that there is none yet.
_Event: TypeAlias = "h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]"

# The states of the server's side in which the response has ended.
_OVER: Final = (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)

# The most bytes of the head of a response.
_MAX_HEAD: Final = 65536


class HTTPExchange:
    """
    One connection over which requests are sent, one after the other.

    @ivar origin: The origin of its URLs.

    @ivar status: The status of the present response.
    """

    def __init__(self, wire: Wire, url: ServerURL) -> None:
        """
        @param url: One of the server that the wire leads to.
        """
        self._wire = wire
        self.origin = url.origin
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
        self._headers: dict[bytes, bytes] = {}
        self.status = 0

    def header(self, name: str) -> str | None:
        """
        Return the last value of a header of the response.

        @param name: In lower case.
        """
        value = self._headers.get(name.encode("ascii"))
        return None if value is None else value.decode("latin-1")

    def request(
        self,
        method: str,
        url: ServerURL,
        headers: Mapping[str, str],
        body: bytes,
        deadline: float,
    ) -> Steps[None]:
        """
        Send a request, and wait for the head of its response.

        @raise Lost: If the connection breaks before.

        @raise BadAnswer: If the response is not one of HTTP.
        """
        sent = {"Host": url.authority, "User-Agent": USER_AGENT, **headers}
        if body or method != "GET":
            sent["Content-Length"] = str(len(body))
        asked = h11.Request(method=method, target=url.target, headers=list(sent.items()))
        data = self._http.send(asked) or b""
        if body:
            data += self._http.send(h11.Data(data=body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        yield from self._wire.send(data, deadline)
        while True:
            event = yield from self._next(deadline)
            if isinstance(event, h11.Response):
                self.status = event.status_code
                self._headers = dict(event.headers)
                return
            if isinstance(event, (h11.ConnectionClosed, h11.EndOfMessage)):
                raise Lost("the server closed the connection", wasSent=True)

    def read(self, deadline: float) -> Steps[bytes]:
        """
        Wait for bytes of the body; none at its end.

        @raise Lost: If the connection breaks before.
        """
        pieces: list[bytes] = []
        while True:
            event = self._event()
            if isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
            elif event is h11.NEED_DATA and not pieces:
                yield from self._more(deadline)
            else:
                # The next call sees the end again.
                return b"".join(pieces)

    def body(self, most: int, deadline: float) -> Steps[bytes]:
        """
        Wait for the whole body.

        @raise BadAnswer: If it has more bytes.
        """
        pieces: list[bytes] = []
        size = 0
        while True:
            data = yield from self.read(deadline)
            if not data:
                return b"".join(pieces)
            pieces.append(data)
            size += len(data)
            if size > most:
                raise BadAnswer(f"the answer has more than {most} bytes")

    def isReusable(self) -> bool:
        """
        Whether another request can follow on this connection, and make it ready for that.
        """
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    def close(self) -> None:
        """
        Close the connection at once.
        """
        self._wire.close()

    def _next(self, deadline: float) -> Steps[_Event]:
        while True:
            event = self._event()
            if event is not h11.NEED_DATA:
                return event
            yield from self._more(deadline)

    def _more(self, deadline: float) -> Steps[None]:
        data = yield from self._wire.receive(deadline)
        self._http.receive_data(data)

    def _event(self) -> _Event:
        if self._http.their_state in _OVER:
            return h11.EndOfMessage()
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            if self._http.trailing_data[1]:
                raise Lost("the connection ended within the response", wasSent=True) from None
            raise BadAnswer(f"the server does not speak HTTP: {error}") from None
