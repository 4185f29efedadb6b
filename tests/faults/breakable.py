"""
The clients of L{tests.edge} for links that may break at any moment.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from typing import Any, Final

from websockets.exceptions import InvalidState

from tests.edge.clients import Client
from tests.edge.connections import Ended, HttpConnection, TcpConnection
from tests.edge.envelopes import Event
from tests.edge.polling import PollClient
from tests.edge.speakers import CLIENTS, Speaker

# How long a client waits for an answer before it gives up, in seconds.
PATIENCE: Final = 4.0

# How long a polling client pauses after an empty response, in seconds.
_PACE: Final = 0.2


class Line(TcpConnection):
    """
    A TCP connection that raises L{Ended} as soon as it breaks, so that an
    incomplete message is not taken for an error of the server.
    """

    def __init__(self, tcp: TcpConnection) -> None:
        self.appetite = tcp.appetite
        self.socket = tcp.socket

    def receive(self, timeout: float) -> bytes:
        """
        See L{TcpConnection.receive}.

        @raise Ended: If the connection is over.
        """
        data = super().receive(min(timeout, PATIENCE))
        if not data:
            raise Ended("the connection is over")
        return data

    def send(self, data: bytes) -> None:
        """
        See L{TcpConnection.send}.
        """
        try:
            super().send(data)
        except OSError as error:
            raise Ended(str(error)) from error


def connect(port: int) -> HttpConnection:
    """
    Open a connection for HTTP.
    """
    return HttpConnection(Line(TcpConnection(port)))


class Breakable(Client):
    """
    A reader whose connection may break.
    """

    def _connect(self, port: int, tls: ssl.SSLContext | None = None) -> TcpConnection:
        self._tcp = Line(super()._connect(port, tls))
        return self._tcp


class _Paced(Breakable, PollClient):
    """
    A reader that polls, with pauses.
    """

    def _isLoose(self, byName: Mapping[str, str] | None, parameters: Mapping[str, str]) -> bool:
        # A response may end within a replay; then its cursor is a lower one.
        return bool(byName)

    def _receive(self, timeout: float) -> None:
        if self._idle and self.name == "poll":
            time.sleep(_PACE)
            self._idle = False
        super()._receive(timeout)


class Widening(Breakable, Speaker):
    """
    A reader that may subscribe more names over the same connection.

    @ivar subscribed: The last event that was the answer to a subscription;
        L{next} returns it in its turn.
    """

    subscribed: Event | None = None

    def add(self, name: str, since: str) -> None:
        """
        Subscribe one more name, and wait for the answer.
        """
        self.command(PATIENCE, subscribe=[name], since=since)

    def say(self, text: str) -> None:
        """
        See L{Speaker.say}.

        @raise Ended: If the server has begun to close.
        """
        try:
            super().say(text)
        except InvalidState as error:
            raise Ended(str(error)) from error

    def _subscribed(self, ok: Any) -> None:
        super()._subscribed(ok)
        self.subscribed = self._events[-1]


def _breakable(kind: type[Client]) -> type[Client]:
    base = Breakable
    if issubclass(kind, PollClient):
        base = _Paced
    elif issubclass(kind, Speaker):
        base = Widening
    return type(f"Breakable{kind.__name__}", (base, kind), {})


READERS: Final[Mapping[str, type[Client]]] = {
    name: _breakable(kind) for name, kind in CLIENTS.items()
}
