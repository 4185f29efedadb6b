"""
One request to read, over each version of HTTP and by commands, and all that the server
sends for it: whatever the transport, what is let in and what is refused is told alike.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from attrs import frozen

from tests.edge.connections import (
    Ended,
    HttpConnection,
    ResponseHead,
    Site,
    TcpConnection,
)
from tests.edge.envelopes import problemOf
from tests.edge.h2client import Http2Connection
from tests.transports.frames import text

# How long a test waits for what a channel holds, in seconds.
PATIENCE: Final = 30.0

HTTP_TRANSPORTS: Final = ("poll", "longpoll", "stream", "sse", "multipart", "iframe", "jsonp")

UPGRADE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}

_ANSWER = re.compile(rb'\{"id":([12]),"(ok|error)":(?:\{"code":"(\w+)")?')


@frozen
class Asked:
    """
    A request to read all that a channel holds.

    @ivar method: That of the request; commands always read.

    @ivar credential: A key or token, or L{None}.

    @ivar place: Where it stands: C{header}, C{query}, C{cookie}, or C{subprotocol}.

    @ivar headers: What is sent beside.
    """

    name: str
    credential: str | None = None
    place: str = "header"
    headers: Mapping[str, str] = {}
    method: str = "GET"

    def target(self, transport: str) -> str:
        """
        Return the target of the request.
        """
        query = f"since=earliest&wait=0&transport={transport}"
        if transport == "jsonp":
            query += "&callback=f"
        if self.credential is not None and self.place == "query":
            query += f"&token={self.credential}"
        return f"/channels/{quote(self.name, safe='/*$,')}?{query}"

    def allHeaders(self, transport: str) -> dict[str, str]:
        """
        Return the headers of the request.
        """
        headers = dict(UPGRADE) if transport == "websocket" else {}
        if transport == "jsonp":
            headers["Sec-Fetch-Site"] = "same-origin"
        if self.credential is not None:
            if self.place == "header":
                headers["Authorization"] = f"Bearer {self.credential}"
            elif self.place == "cookie":
                headers["Cookie"] = f"comet_token={self.credential}"
            elif self.place == "subprotocol":
                headers["Sec-WebSocket-Protocol"] = f"comet.v1, comet.token.{self.credential}"
        return {**headers, **self.headers}


@frozen
class Heard:
    """
    What the server said.

    @ivar status: The status of the response; 0 for commands.

    @ivar code: The code of the error; empty if the client was let in.

    @ivar challenge: The header C{WWW-Authenticate}, or L{None}.

    @ivar raw: All bytes that came, the head included.
    """

    status: int
    code: str
    challenge: str | None
    raw: bytes


def _refused(head: ResponseHead, body: bytes, method: str) -> Heard:
    # The response to HEAD has no body.
    code = "" if method == "HEAD" else problemOf(head.status, head.headers, body)
    raw = repr(dict(head.headers)).encode() + body
    return Heard(head.status, code, head.headers.get("www-authenticate"), raw)


def _letIn(
    head: ResponseHead, piece: Callable[[float], bytes], mark: bytes, raw: bytes = b""
) -> Heard:
    """
    Read until what the channel holds has come.

    @param piece: Waits for more for so many seconds.

    @param raw: What has come already.
    """
    deadline = time.monotonic() + PATIENCE
    while mark not in raw:
        more = piece(deadline - time.monotonic())
        if not more:
            break
        raw += more
    return Heard(head.status, "", head.headers.get("www-authenticate"), raw)


class Asker:
    """
    Asks over HTTP/1, perhaps over TLS.

    @ivar transports: Those that it can use.
    """

    transports: tuple[str, ...] = (*HTTP_TRANSPORTS, "websocket")

    def __init__(self, site: Site, mark: bytes) -> None:
        """
        @param mark: What is in each response that lets the client in.
        """
        self.site = site
        self.mark = mark
        self._http: HttpConnection | None = None

    def ask(self, transport: str, asked: Asked) -> Heard:
        """
        Ask, and return what the server says.
        """
        http = self._http or HttpConnection(TcpConnection(self.site.port, self.site.tls))
        self._http = None
        body = b"x" if asked.method == "POST" else None
        headers = asked.allHeaders(transport)
        http.send(asked.method, asked.target(transport), headers, body)
        head = http.head()
        if head.status >= 400:
            pieces = []
            while piece := http.piece():
                pieces.append(piece)
            if head.headers.get("connection") == "close":
                http.tcp.close()
            else:
                self._http = http
            return _refused(head, b"".join(pieces), asked.method)
        try:
            if head.status == 101:
                return _letIn(head, http.tcp.receive, self.mark, http.upgraded())
            return _letIn(head, http.piece, self.mark)
        finally:
            http.tcp.close()

    def close(self) -> None:
        """
        Close its connections.
        """
        if self._http is not None:
            self._http.tcp.close()
            self._http = None


class Http2Asker(Asker):
    """
    Asks over HTTP/2.
    """

    transports = HTTP_TRANSPORTS
    _http2: Http2Connection | None = None

    def ask(self, transport: str, asked: Asked) -> Heard:
        """
        See L{Asker.ask}.
        """
        if self._http2 is None:
            self._http2 = Http2Connection.to(self.site)
        body = b"x" if asked.method == "POST" else None
        headers = asked.allHeaders(transport)
        stream = self._http2.send(asked.method, asked.target(transport), headers, body)
        head = stream.head()
        if head.status >= 400:
            return _refused(head, stream.answer().body, asked.method)
        heard = _letIn(head, stream.piece, self.mark)
        if not stream.isEnded:
            self._http2.reset(stream)
        return heard

    def close(self) -> None:
        """
        See L{Asker.close}.
        """
        if self._http2 is not None:
            self._http2.close()


class CommandAsker(Asker):
    """
    Asks by commands: C{tcp} on raw TCP, C{socket} on a WebSocket without names.
    """

    transports = ("tcp", "socket")

    def ask(self, transport: str, asked: Asked) -> Heard:
        """
        See L{Asker.ask}.
        """
        commands: list[dict[str, Any]] = []
        if asked.credential is not None:
            commands.append({"id": 1, "token": asked.credential})
        names = asked.name.split(",")
        commands.append({"id": 2, "subscribe": names, "since": "earliest"})
        commands.append({"id": 3, "ping": 1})
        if transport == "tcp":
            tcp = TcpConnection(self.site.tcpPort, self.site.tls)
            said = b"".join(json.dumps(each).encode() + b"\n" for each in commands)
        else:
            tcp = TcpConnection(self.site.port, self.site.tls)
            http = HttpConnection(tcp)
            http.send("GET", "/socket", {**UPGRADE, **asked.headers})
            if http.head().status != 101:
                raise AssertionError("no socket")
            said = b"".join(map(text, commands))
        try:
            tcp.send(said)
            return self._heard(tcp, asked.credential is not None)
        finally:
            tcp.close()

    def _heard(self, tcp: TcpConnection, hasToken: bool) -> Heard:
        raw, deadline = b"", time.monotonic() + PATIENCE
        answers: dict[bytes, str] = {}
        while b'{"id":3,"ok"' not in raw or (answers[b"2"] == "" and self.mark not in raw):
            piece = tcp.receive(deadline - time.monotonic())
            if not piece:
                raise Ended(f"closed after {raw!r}")
            raw += piece
            answers = {found[1]: (found[3] or b"").decode() for found in _ANSWER.finditer(raw)}
        if hasToken and answers[b"1"] and answers[b"2"] != answers[b"1"]:
            raise AssertionError(f"a bad token, and then another answer: {answers}")
        return Heard(0, answers[b"2"], None, raw)
