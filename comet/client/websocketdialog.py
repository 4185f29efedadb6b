"""
A WebSocket without I/O, by the protocol of C{websockets}: what the shells for asyncio and for
threads have in common.

C{websockets} has ready clients, too.  That for threads has a thread for each connection, none of
them gives all messages that have come at once, and none bounds the number of frames of a message.
"""

from __future__ import annotations

from collections.abc import Mapping

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from comet.client.clientsteps import MAX_HEAD
from comet.client.failures import BadAnswer, Lost
from comet.client.serverurl import ServerURL
from comet.client.splitting import MAX_BYTES

_SWITCHED = 101


class WebSocketDialog:
    """
    What is said over one connection.

    @ivar status: That of the end of the handshake: 101, or that of the refusal; 0 before.

    @ivar body: What came of the body of a refusal.
    """

    def __init__(self, url: ServerURL, headers: Mapping[str, str]) -> None:
        scheme = "wss" if url.isSecure else "ws"
        self._protocol = ClientProtocol(
            parse_uri(f"{scheme}://{url.authority}{url.target}"),
            subprotocols=[Subprotocol("comet.v1")],
            max_size=MAX_BYTES,
        )
        request = self._protocol.connect()
        for name, value in headers.items():
            # The library sets a name of its own.
            request.headers.pop(name, None)
            request.headers[name] = value
        self._protocol.send_request(request)
        self._headers: Mapping[str, str] = {}
        self.status = 0
        self.body = b""
        # What has come of a message that has not ended.  The protocol bounds its size, but not the
        # number of its frames.
        self._text = bytearray()
        self._isBad = False

    def header(self, name: str) -> str | None:
        """
        Return the value of a header of a refusal.

        @param name: In lower case.
        """
        return self._headers.get(name)

    def unsent(self) -> bytes:
        """
        Return the bytes that are to be sent now, perhaps none.
        """
        return b"".join(self._protocol.data_to_send())

    def received(self, data: bytes) -> None:
        """
        Take bytes; none once the server sends no more.

        @raise BadAnswer: If they end the handshake, and are not an answer to it.
        """
        protocol = self._protocol
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        if self.status:
            return
        failure = protocol.handshake_exc
        if isinstance(failure, InvalidStatus):
            response = failure.response
            names = {name.lower(): value for name, value in response.headers.raw_items()}
            self._headers, self.body = names, bytes(response.body or b"")[:MAX_HEAD]
            self.status = response.status_code
        elif not data:
            raise Lost("the connection ended within the handshake", wasSent=True)
        elif failure is not None:
            raise BadAnswer(f"there is no WebSocket: {failure}")
        elif protocol.state is not State.CONNECTING:
            self.status = _SWITCHED

    def take(self) -> list[bytes]:
        """
        Return the messages that have come since the last call.

        @raise BadAnswer: If there are none, and something that is no text has come.

        @raise Lost: If there are none, and the connection has ended.
        """
        texts: list[bytes] = []
        if self._isBad:
            raise BadAnswer("the server sends what is not text")
        for event in self._protocol.events_received():
            if not isinstance(event, Frame):
                continue
            if event.opcode is Opcode.BINARY:
                self._isBad = True
                break
            if event.opcode in (Opcode.TEXT, Opcode.CONT):
                self._text += event.data
                if event.fin:
                    texts.append(bytes(self._text))
                    self._text.clear()
        if self._isBad and not texts:
            return self.take()
        if not texts and self._protocol.state is not State.OPEN:
            said = self._protocol.close_rcvd
            raise Lost(f"the connection has ended: {'without a word' if said is None else said}")
        return texts


class DialogSocket:
    """
    What a socket tells of the end of its handshake, which its dialog knows.
    """

    dialog: WebSocketDialog

    @property
    def status(self) -> int:
        """
        See L{Socket<comet.client.clientsteps.Socket>}.
        """
        return self.dialog.status

    @property
    def body(self) -> bytes:
        """
        See L{Socket<comet.client.clientsteps.Socket>}.
        """
        return self.dialog.body

    def header(self, name: str) -> str | None:
        """
        See L{Socket<comet.client.clientsteps.Socket>}.
        """
        return self.dialog.header(name)
