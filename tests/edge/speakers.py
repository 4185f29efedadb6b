"""
The clients that give commands: WebSocket, on the state machine of
C{websockets}, and raw TCP.
"""

from __future__ import annotations

import itertools
import json
import ssl
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response as Handshake
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from tests.edge.browsing import IframeClient, JsonpClient, MultipartClient
from tests.edge.clients import (
    Client,
    Refused,
    SseClient,
    StreamClient,
    pathOf,
    queryOf,
)
from tests.edge.connections import PATIENCE, Ended, Silence, Site, TcpConnection, Violation
from tests.edge.envelopes import (
    CODES,
    BareCursor,
    Gap,
    eventOf,
    problemOf,
    readCursor,
    readJson,
    readNames,
)
from tests.edge.polling import LongpollClient, PollClient

ERRORS = CODES | frozenset(
    "badChannel badCursor badMessage badRequest unauthorized notFound methodNotAllowed "
    "tooLarge keyReused unknown".split()
)


class CommandFailed(Exception):
    """
    The server answered a command with an error.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Speaker(Client):
    """
    A reader that can give commands.
    """

    def __init__(self, site: Site, **settings: int) -> None:
        super().__init__(site, **settings)
        self._ids = itertools.count(1)
        self._subscribing: set[Any] = set()
        self._answers: list[dict[str, Any]] = []

    def _connect(self, port: int, tls: ssl.SSLContext | None = None) -> TcpConnection:
        self._answers.clear()
        self._subscribing.clear()
        return super()._connect(port, tls)

    def say(self, text: str) -> None:
        """
        Send one line or text message.
        """
        raise NotImplementedError

    def command(self, timeout: float = PATIENCE, **fields: Any) -> dict[str, Any]:
        """
        Send a command, and wait for its answer.  Events before it are kept for
        L{next}.

        @return: The value of C{ok}.

        @raise CommandFailed: If the answer is an error.
        """
        ident = next(self._ids)
        if "subscribe" in fields:
            self._subscribing.add(ident)
        self.say(json.dumps({"id": ident, **fields}))
        answer = self.answer(timeout)
        if answer["id"] != ident:
            raise Violation(f"an answer with another id than {ident}: {answer}")
        if "error" in answer:
            raise CommandFailed(answer["error"]["code"], answer["error"]["message"])
        found: dict[str, Any] = answer["ok"]
        return found

    def answer(self, timeout: float = PATIENCE) -> dict[str, Any]:
        """
        Wait for an answer to a command.
        """
        deadline = time.monotonic() + timeout
        while not self._answers:
            self._receive(deadline - time.monotonic())
        return self._answers.pop(0)

    def errorOf(self, text: str) -> str:
        """
        Send a wrong command, and wait for the code of the error.
        """
        self.say(text)
        answer = self.answer()
        if "error" not in answer:
            raise Violation(f"{text[:100]} is answered with {answer}")
        code: str = answer["error"]["code"]
        return code

    def isOpen(self) -> bool:
        """
        Whether the server answers on this connection.
        """
        return self.command(ping=[1, "x"]) == {"pong": [1, "x"]}

    def _hear(self, text: str) -> None:
        value = readJson(text)
        if not isinstance(value, dict) or not {"ok", "error"} & set(value):
            self._heard(eventOf(value))
            return
        keys = [key for key in value if key != "id"]
        if len(keys) != 1 or list(value)[-1] != keys[0]:
            raise Violation(f"not an answer: {value}")
        if "error" in value:
            if set(value["error"]) != {"code", "message"} or value["error"]["code"] not in ERRORS:
                raise Violation(f"not an error: {value}")
        elif value.get("id") in self._subscribing:
            self._subscribed(value["ok"])
        self._answers.append({"id": value.get("id"), **value})

    def _subscribed(self, ok: Any) -> None:
        if not isinstance(ok, dict) or not {"cursor"} <= set(ok) <= {"cursor", "gap"}:
            raise Violation(f"not an answer to subscribe: {ok}")
        cursor = readCursor(ok["cursor"])
        if "gap" in ok:
            self._heard(Gap(cursor, readNames(ok["gap"])))
        else:
            self._heard(BareCursor(cursor))

    @staticmethod
    def _sinceOf(names: tuple[str, ...], since: str | None, byName: Mapping[str, str]) -> Any:
        if not byName:
            return since
        return {name: byName.get(name, since or "now") for name in names}


class WebSocketClient(Speaker):
    """
    WebSocket: at the URL of its names, or at C{/socket} without names.

    @ivar subprotocol: The negotiated subprotocol.

    @ivar closeCode: The code of the server's close frame, or L{None}.
    """

    name = "websocket"

    def __init__(self, site: Site, **settings: int) -> None:
        super().__init__(site, **settings)
        self.subprotocol: str | None = None
        self.closeCode: int | None = None
        self._pieces: list[bytes] = []

    def _open(
        self, since: str | None, byName: Mapping[str, str], parameters: Mapping[str, str]
    ) -> None:
        query = dict(parameters)
        origin = query.pop("origin", None)
        if since is not None:
            query["since"] = since
        query.update({f"since.{name}": value for name, value in byName.items()})
        scheme = "ws" if self.site.tls is None else "wss"
        path = pathOf(self.names) if self.names else "/socket"
        host = self.site.host or f"127.0.0.1:{self.site.port}"
        uri = f"{scheme}://{host}{path}{queryOf(query)}"
        self.closeCode = None
        self._pieces = []
        self._protocol = ClientProtocol(
            parse_uri(uri),
            origin=None if origin is None else Origin(origin),
            subprotocols=None if self.variant % 2 else [Subprotocol("comet.v1")],
            max_size=2**26,
        )
        self._connect(self.site.port)
        self._protocol.send_request(self._protocol.connect())
        self._flush()
        self._shakeHands()

    def _shakeHands(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            data = self.tcp.receive(deadline - time.monotonic())
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
            found = self._protocol.events_received()
            if found and isinstance(found[0], Handshake):
                self._checkHandshake()
                # The first frames may have come together with the handshake.
                self._take(found[1:])
                return
            error = self._protocol.handshake_exc
            if isinstance(error, InvalidStatus):
                self._refused(error.response)
            if error is not None:
                raise Violation(f"not a handshake: {error!r}")
            if not data:
                raise Ended("closed in the handshake")

    def _checkHandshake(self) -> None:
        error = self._protocol.handshake_exc
        if isinstance(error, InvalidStatus):
            self._refused(error.response)
        if error is not None:
            raise Violation(f"not a handshake: {error!r}")
        self.subprotocol = self._protocol.subprotocol
        if not self.variant % 2 and self.subprotocol != "comet.v1":
            raise Violation(f"the subprotocol is {self.subprotocol!r}")

    def _refused(self, response: Handshake) -> None:
        headers = {name.lower(): value for name, value in response.headers.raw_items()}
        body = bytes(response.body or b"")
        raise Refused(response.status_code, problemOf(response.status_code, headers, body), headers)

    def say(self, text: str) -> None:
        """
        Send one text message.
        """
        self._protocol.send_text(text.encode())
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.tcp.send(data)

    def _receive(self, timeout: float) -> None:
        data = self.tcp.receive(timeout)
        if not data:
            if self._pieces:
                raise Violation("the connection ends in a message")
            raise Ended(f"closed, code {self.closeCode}")
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        if self._protocol.parser_exc is not None:
            raise Violation(f"not a frame: {self._protocol.parser_exc!r}")
        self._take(events)
        try:
            self._flush()
        except Ended:
            # The server has left, so it needs no answer.
            pass

    def _take(self, events: list[Any]) -> None:
        for frame in events:
            if not isinstance(frame, Frame):
                raise Violation(f"a second handshake: {frame!r}")
            if frame.opcode is Opcode.CLOSE:
                self.closeCode = int.from_bytes(frame.data[:2], "big") if frame.data else 1005
            elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
                self._pieces.append(bytes(frame.data))
                if frame.fin:
                    text, self._pieces = b"".join(self._pieces).decode(), []
                    self._hear(text)
            elif frame.opcode is Opcode.BINARY:
                raise Violation("a binary message")


class TcpClient(Speaker):
    """
    Raw TCP; with an odd C{variant} its lines end with NUL.
    """

    name = "tcp"

    def __init__(self, site: Site, **settings: int) -> None:
        super().__init__(site, **settings)
        self.terminator = b"\0" if self.variant % 2 else b"\n"
        self._pending = b""

    def _open(
        self, since: str | None, byName: Mapping[str, str], parameters: Mapping[str, str]
    ) -> None:
        assert not parameters, "raw TCP has no query"
        self._pending = b""
        self._connect(self.site.tcpPort)
        if not self.names:
            return
        fields: dict[str, Any] = {"subscribe": list(self.names)}
        found = self._sinceOf(self.names, since, byName)
        if found is not None:
            fields["since"] = found
        try:
            self.command(**fields)
        except CommandFailed as error:
            raise Refused(0, error.code, {}) from error
        except Ended:
            # If the server sent its reason first, L{next} returns that.
            if not self._events:
                raise

    def say(self, text: str) -> None:
        """
        Send one line.
        """
        self.tcp.send(text.encode() + self.terminator)

    def _receive(self, timeout: float) -> None:
        data = self.tcp.receive(timeout)
        if not data:
            if self._pending:
                raise Violation(f"the connection ends in a line: {self._pending[:100]!r}")
            raise Ended("closed")
        *lines, self._pending = (self._pending + data).split(self.terminator)
        for line in lines:
            if not line:
                raise Violation("an empty line")
            self._hear(line.decode())


CLIENTS: dict[str, type[Client]] = {
    kind.name: kind
    for kind in (
        PollClient,
        LongpollClient,
        StreamClient,
        SseClient,
        MultipartClient,
        IframeClient,
        JsonpClient,
        WebSocketClient,
        TcpClient,
    )
}
SPEAKERS: dict[str, type[Speaker]] = {kind.name: kind for kind in (WebSocketClient, TcpClient)}


class Reading:
    """
    Drains a client.
    """

    quiet: ClassVar[float] = 0.3

    @classmethod
    def rest(cls, client: Client) -> list[Any]:
        """
        Return all events until a moment of silence, without L{BareCursor}.  Only
        for events that must not come: the silence may be too short.
        """
        found = []
        deadline = time.monotonic() + cls.quiet
        while time.monotonic() < deadline:
            try:
                event = client.next(deadline - time.monotonic())
            except (Silence, Ended):
                break
            if not isinstance(event, BareCursor):
                found.append(event)
        return found
