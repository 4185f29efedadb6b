"""
A subscription over WebSocket, by the protocol of C{websockets}, which does no I/O.
"""

from __future__ import annotations

from typing import Final

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from comet.client.clientsteps import Steps
from comet.client.failures import BadAnswer, Lost, readProblem
from comet.client.httpexchange import USER_AGENT
from comet.client.received import Envelope, EnvelopeReader
from comet.client.requester import Requester, redirected
from comet.client.serverurl import ServerURL, namesPath
from comet.client.splitting import MAX_BYTES
from comet.client.standing import Standing
from comet.client.wire import Wire, connect

_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class WebSocketLink:
    """
    One WebSocket connection.
    """

    def __init__(self, requester: Requester, standing: Standing) -> None:
        self._requester = requester
        self._standing = standing
        self._wire: Wire | None = None
        self._protocol: ClientProtocol | None = None
        self._reader = EnvelopeReader()
        # What has come of a message that has not ended.  The protocol bounds its size, but not the
        # number of its frames.
        self._text = bytearray()

    def open(self, deadline: float) -> Steps[None]:
        """
        See L{Link.open<comet.client.links.Link.open>}.
        """
        credential = self._requester.credential
        shown = yield from credential.headers()
        url = self._requester.resource(
            f"channels/{namesPath(self._standing.names)}",
            {"transport": "websocket", "time": "1", **self._standing.parameters()},
        )
        for _ in range(_MOST_REDIRECTS + 1):
            own = shown if url.origin == self._requester.url.origin else {}
            location = yield from self._shake(url, own, deadline)
            if location is None:
                if own:
                    credential.taken()
                return
            self.close()
            url = redirected(url, location)
        raise BadAnswer(f"the server redirects more than {_MOST_REDIRECTS} times")

    def _shake(self, url: ServerURL, headers: dict[str, str], deadline: float) -> Steps[str | None]:
        """
        Make the handshake.

        @return: The URL to which the server redirects, or L{None} if the connection is open.
        """
        scheme = "wss" if url.isSecure else "ws"
        protocol = ClientProtocol(
            parse_uri(f"{scheme}://{url.authority}{url.target}"),
            subprotocols=[Subprotocol("comet.v1")],
            max_size=MAX_BYTES,
        )
        request = protocol.connect()
        request.headers["User-Agent"] = USER_AGENT
        request.headers.update(headers)
        protocol.send_request(request)
        wire = self._wire = yield from connect(url, deadline)
        self._protocol = protocol
        yield from wire.send(b"".join(protocol.data_to_send()), deadline)
        while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
            yield from self._more(wire, protocol, deadline)
        failure = protocol.handshake_exc
        if failure is None:
            return None
        if not isinstance(failure, InvalidStatus):
            raise BadAnswer(f"there is no WebSocket: {failure}")
        response = failure.response
        location = response.headers.get("Location")
        if response.status_code in _REDIRECTS and location is not None:
            return str(location)
        retryAfter = response.headers.get("Retry-After")
        raise readProblem(response.status_code, bytes(response.body or b""), retryAfter)

    def receive(self, deadline: float) -> Steps[list[Envelope]]:
        """
        See L{Link.receive<comet.client.links.Link.receive>}.
        """
        wire, protocol = self._wire, self._protocol
        assert wire is not None and protocol is not None, "the link is not open"
        self._reader.check()
        texts = self._texts(protocol)
        if not texts:
            if protocol.state is not State.OPEN:
                raise Lost(f"the connection has ended: {protocol.close_exc}")
            yield from self._more(wire, protocol, deadline)
            texts = self._texts(protocol)
        return self._reader.read(texts)

    def _more(self, wire: Wire, protocol: ClientProtocol, deadline: float) -> Steps[None]:
        data = yield from wire.receive(deadline)
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        # Pongs, and the answer to a close frame.
        answer = b"".join(protocol.data_to_send())
        if answer:
            yield from wire.send(answer, deadline)

    def _texts(self, protocol: ClientProtocol) -> list[bytes]:
        texts: list[bytes] = []
        for event in protocol.events_received():
            if not isinstance(event, Frame):
                continue
            if event.opcode is Opcode.BINARY:
                raise BadAnswer("the server sends what is not text")
            if event.opcode in (Opcode.TEXT, Opcode.CONT):
                self._text += event.data
                if event.fin:
                    texts.append(bytes(self._text))
                    self._text.clear()
        return texts

    def close(self) -> None:
        """
        See L{Link.close<comet.client.links.Link.close>}.
        """
        if self._wire is not None:
            self._wire.close()
