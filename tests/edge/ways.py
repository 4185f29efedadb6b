"""
All ways to use a transport: the versions of HTTP, with persistent connections
and without, the terminators of raw TCP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

from tests.edge.clients import Client, HttpClient
from tests.edge.connections import (
    PATIENCE,
    HttpConnection,
    Response,
    Site,
    TcpConnection,
    Violation,
)
from tests.edge.h2client import OVER_HTTP2
from tests.edge.speakers import CLIENTS


class SingleConnection(HttpConnection):
    """
    HTTP with a connection for each request.
    """

    def __init__(self, connect: Callable[[], TcpConnection], host: str) -> None:
        super().__init__(connect(), host)
        self._connectAgain = connect
        self._isUsed = False

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
        if self._isUsed:
            self.tcp.close()
            self.tcp = self._connectAgain()
        self._isUsed = True
        given = dict(headers or {})
        if self.version == "1.1":
            given["Connection"] = "close"
        super().send(method, target, given, body)

    def answer(self, timeout: float = PATIENCE) -> Response:
        """
        See L{HttpConnection.answer}.  The server must close behind the response.
        """
        answer = super().answer(timeout)
        if self.tcp.receive(PATIENCE):
            raise Violation("bytes after the last answer")
        return answer


class OldConnection(SingleConnection):
    """
    HTTP/1.0.
    """

    version = "1.0"


def over(connection: type[SingleConnection], kind: type[Client]) -> type[Client]:
    """
    Make the class of a transport's client with another class of connections.
    """

    def speak(self: HttpClient) -> HttpConnection:
        return connection(lambda: self._connect(self.site.port), self.site.host)

    return type(f"{kind.__name__}Over{connection.__name__}", (kind,), {"_speak": speak})


@frozen
class Way:
    """
    One way to use a transport.

    @ivar kind: The class of its clients.

    @ivar variant: The variant of its clients.

    @ivar isSecure: Whether its clients need TLS.
    """

    kind: type[Client]
    variant: int
    isSecure: bool = False

    @property
    def name(self) -> str:
        """
        The name of the transport.
        """
        return self.kind.name

    def client(self, site: Site, **settings: int) -> Client:
        """
        Make a client.
        """
        return self.kind(site.secured if self.isSecure else site, variant=self.variant, **settings)

    def __str__(self) -> str:
        return f"{self.kind.__name__} {self.variant}"


def waysOf(name: str, kind: type[Client]) -> list[Way]:
    """
    List all ways to use one transport.
    """
    ways = [Way(kind, 0), Way(kind, 1)]
    if issubclass(kind, HttpClient):
        ways += [
            Way(over(OldConnection, kind), 2),
            Way(over(SingleConnection, kind), 3),
            Way(OVER_HTTP2[name], 4, isSecure=True),
            Way(OVER_HTTP2[name], 5, isSecure=True),
        ]
    return ways


WAYS: Final = [way for name, kind in CLIENTS.items() for way in waysOf(name, kind)]
