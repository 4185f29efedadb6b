"""
What all clients have in common, and those that read one HTTP response.  Those
that poll are in L{tests.edge.polling}, those that also speak in
L{tests.edge.speakers}.
"""

from __future__ import annotations

import json
import ssl
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import quote

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
from tests.edge.envelopes import (
    Close,
    Event,
    EventStream,
    Follower,
    Gap,
    Message,
    Standing,
    eventOf,
    problemOf,
    readClose,
    readCursor,
    readJson,
    readNames,
)


class Refused(Exception):
    """
    The server did not open: it answered with an error.

    @ivar code: The word that names the error.
    """

    def __init__(self, status: int, code: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.headers = headers


def pathOf(names: Sequence[str]) -> str:
    """
    The path under which these names are read.
    """
    return "/channels/" + ",".join(quote(name, safe="/*$") for name in names)


def queryOf(parameters: Mapping[str, str]) -> str:
    """
    A query, with its question mark, or nothing.
    """
    pairs = [f"{quote(key, safe='$*/')}={quote(value)}" for key, value in parameters.items()]
    return "?" + "&".join(pairs) if pairs else ""


class Client:
    """
    A reader over one transport.

    @cvar name: The transport.

    @cvar endless: Whether one answer goes on and on.

    @ivar unreadable: What to give as C{Last-Event-ID} where nothing better is
        known, or nothing.

    @ivar variant: Of several ways to do the same, for instance to give the
        cursor, which one is taken: any integer.
    """

    name: ClassVar[str] = ""
    endless: ClassVar[bool] = True

    def __init__(
        self, site: Site, *, variant: int = 0, appetite: int = 262144, receiveBuffer: int = 0
    ) -> None:
        self.site = site
        self.variant = variant
        self._appetite = appetite
        self._receiveBuffer = receiveBuffer
        self._events: deque[Event] = deque()
        self.follower = Follower(None)
        self.names: tuple[str, ...] = ()
        self.unreadable = ""
        self._tcp: TcpConnection | None = None
        self._begun = False

    @property
    def label(self) -> str:
        """
        What is no other client's that a test has made of all ways.
        """
        return f"{self.name}{self.variant}"

    @property
    def tcp(self) -> TcpConnection:
        """
        The connection that is open.
        """
        assert self._tcp is not None
        return self._tcp

    @property
    def cursor(self) -> str | None:
        """
        The cursor to come back with: of what L{next} gave, not of what has
        arrived.
        """
        return None if self.follower.standing is None else str(self.follower.standing)

    def open(
        self,
        names: Sequence[str],
        since: str | None = None,
        byName: Mapping[str, str] | None = None,
        **parameters: str,
    ) -> None:
        """
        Begin to read.

        @param since: Where to begin.

        @param byName: Where single names begin.

        @param parameters: More for the query.

        @raise Refused: If the server answers with an error.
        """
        self.names = tuple(names)
        self.follower = Follower(since, self._isLoose(byName, parameters))
        self._events.clear()
        self._begun = False
        self._open(since, byName or {}, parameters)

    def _isLoose(self, byName: Mapping[str, str] | None, parameters: Mapping[str, str]) -> bool:
        return False

    def _connect(self, port: int, tls: ssl.SSLContext | None = None) -> TcpConnection:
        self._tcp = TcpConnection(port, tls or self.site.tls, self._receiveBuffer, self._appetite)
        return self._tcp

    def _open(
        self, since: str | None, byName: Mapping[str, str], parameters: Mapping[str, str]
    ) -> None:
        raise NotImplementedError

    def _receive(self, timeout: float) -> None:
        raise NotImplementedError

    def _heard(self, event: Event) -> None:
        if self.endless and not self._begun and isinstance(event, Message):
            raise Violation(f"{self.name} begins with a message: {event}")
        self._begun = True
        self._events.append(event)

    def next(self, timeout: float = PATIENCE) -> Event:
        """
        Wait for the next event.

        @raise Silence: If there is none in C{timeout} seconds.

        @raise Ended: If the server has closed.
        """
        deadline = time.monotonic() + timeout
        while not self._events:
            self._receive(deadline - time.monotonic())
        event = self._events.popleft()
        self.follower.take(event)
        return event

    def messages(self, count: int, timeout: float = PATIENCE) -> list[Message]:
        """
        Wait for so many messages; nothing but standing cursors may come in
        between.
        """
        found: list[Message] = []
        deadline = time.monotonic() + timeout
        while len(found) < count:
            event = self.next(deadline - time.monotonic())
            if isinstance(event, Message):
                found.append(event)
            elif not isinstance(event, Standing):
                raise Violation(f"{self.name}: {event} instead of a message")
        return found

    def untilClose(self, timeout: float = PATIENCE) -> Close:
        """
        Wait until the server sends this reader away; whatever comes before is
        dropped.
        """
        deadline = time.monotonic() + timeout
        while True:
            event = self.next(deadline - time.monotonic())
            if isinstance(event, Close):
                return event

    def untilEnd(self, timeout: float = PATIENCE) -> None:
        """
        Wait until the server closes, which it must without another event.
        """
        try:
            event = self.next(timeout)
        except Ended:
            return
        raise Violation(f"{self.name}: {event} instead of the end")

    def cut(self) -> None:
        """
        Leave without a word.
        """
        if self._tcp is not None:
            self._tcp.cut()
            self._tcp = None

    def close(self) -> None:
        """
        Leave in the ordinary way.
        """
        if self._tcp is not None:
            self._tcp.close()
            self._tcp = None


class HttpClient(Client):
    """
    A reader over HTTP.
    """

    http: HttpConnection

    def _speak(self) -> HttpConnection:
        return HttpConnection(self._connect(self.site.port), self.site.host)

    def _target(
        self, since: str | None, byName: Mapping[str, str], parameters: Mapping[str, str]
    ) -> str:
        query = {"transport": self.name, **parameters}
        if since is not None:
            query["since"] = since
        query.update({f"since.{name}": value for name, value in byName.items()})
        return pathOf(self.names) + queryOf(query)

    def _checkHead(self, head: ResponseHead, contentType: str) -> None:
        expected = {
            "cache-control": "no-store, no-transform",
            "vary": "Origin, Accept",
            "x-content-type-options": "nosniff",
            "content-type": contentType,
        }
        # nginx obeys it, and does not pass it on.
        if self.endless and "content-length" not in head.headers and not self.site.host:
            expected["x-accel-buffering"] = "no"
        for name, value in expected.items():
            if head.headers.get(name) != value:
                raise Violation(f"{self.name}: {name} is {head.headers.get(name)!r}, not {value!r}")

    def _refuse(self, answer: Response) -> None:
        code = problemOf(answer.status, answer.headers, answer.body)
        raise Refused(answer.status, code, answer.headers)


class EndlessClient(HttpClient):
    """
    A reader of one response that goes on.

    @cvar contentType: What it has to say that it is.

    @cvar accept: What a client may ask for instead of the transport, or
        nothing.
    """

    contentType: ClassVar[str] = ""
    accept: ClassVar[str] = ""

    def _open(
        self, since: str | None, byName: Mapping[str, str], parameters: Mapping[str, str]
    ) -> None:
        headers = {"Last-Event-ID": self.unreadable} if self.unreadable else {}
        standing = Follower(since).standing
        # Names of their own beginnings are for the first time, the header for
        # every other.
        if self.variant % 2 and since and standing is not None and not byName:
            headers["Last-Event-ID"] = since
            since = None
        target = self._target(since, byName, parameters)
        if self.accept and self.variant % 3 == 1:
            target = target.replace(f"transport={self.name}&", "").replace(
                f"?transport={self.name}", ""
            )
            headers["Accept"] = self.accept
        self.http = self._speak()
        self.http.send("GET", target, headers)
        head = self.http.head()
        if head.status != 200:
            pieces = []
            while piece := self.http.piece():
                pieces.append(piece)
            self._refuse(Response(head.status, head.headers, b"".join(pieces)))
        self._checkHead(head, self.contentType)

    def _receive(self, timeout: float) -> None:
        piece = self.http.piece(timeout)
        if not piece:
            self._finished()
            raise Ended("the response is complete")
        self._feed(piece)

    def _feed(self, piece: bytes) -> None:
        raise NotImplementedError

    def _finished(self) -> None:
        raise NotImplementedError


class StreamClient(EndlessClient):
    """
    HTTP streaming.
    """

    name = "stream"
    contentType = "application/x-ndjson"
    accept = "application/x-ndjson"

    def __init__(self, site: Site, **settings: int) -> None:
        super().__init__(site, **settings)
        self._pending = b""

    def _open(
        self, since: str | None, byName: Mapping[str, str], parameters: Mapping[str, str]
    ) -> None:
        self._pending = b""
        super()._open(since, byName, parameters)

    def _feed(self, piece: bytes) -> None:
        *lines, self._pending = (self._pending + piece).split(b"\n")
        for line in lines:
            self._heard(eventOf(readJson(line)))

    def _finished(self) -> None:
        if self._pending:
            raise Violation(f"the response ends in a line: {self._pending[:100]!r}")


class SseClient(EndlessClient):
    """
    Server-Sent Events.

    @ivar retries: The values of C{retry} that came, in milliseconds.
    """

    name = "sse"
    contentType = "text/event-stream"
    accept = "text/event-stream"

    def __init__(self, site: Site, **settings: int) -> None:
        super().__init__(site, **settings)
        self._stream = EventStream()
        self._inEnvelopes = False
        self.retries: list[int] = []

    def _isLoose(self, byName: Mapping[str, str] | None, parameters: Mapping[str, str]) -> bool:
        return bool(byName) and "envelope" not in parameters

    def _open(
        self, since: str | None, byName: Mapping[str, str], parameters: Mapping[str, str]
    ) -> None:
        self._stream = EventStream()
        self._inEnvelopes = parameters.get("envelope") == "1"
        self.retries = []
        super()._open(since, byName, parameters)

    def _feed(self, piece: bytes) -> None:
        for block in self._stream.feed(piece):
            if block.retry is not None:
                self.retries.append(block.retry)
            if block.event == "$gap":
                self._heard(self._gap(block.ident, block.data or ""))
            elif block.event == "$close":
                self._heard(self._closed(block.data or ""))
            elif block.data is not None and self._inEnvelopes:
                self._heard(self._enveloped(block.ident, block.data))
            elif block.data is not None:
                self._heard(self._message(block.event, block.ident, block.data))
            elif block.event:
                raise Violation(f"an event without data: {block!r}")
            elif block.ident:
                self._heard(Standing(readCursor(block.ident)))

    def _value(self, data: str) -> object:
        value = readJson(data)
        if self._inEnvelopes and isinstance(value, dict):
            return value.get("gap", value.get("close", value))
        return value

    def _gap(self, ident: str, data: str) -> Event:
        return Gap(readCursor(ident), readNames(self._value(data)))

    def _closed(self, data: str) -> Event:
        return Close(None, *readClose(self._value(data)))

    def _enveloped(self, ident: str, data: str) -> Event:
        event = eventOf(readJson(data))
        found = readCursor(ident)
        # Before the end of a replay the reader stands further than an
        # EventSource may come back with.
        behind = isinstance(event, Standing) and event.cursor is not None and found < event.cursor
        if found != event.cursor and not behind:
            raise Violation(f"id {ident} of {event}")
        return event

    def _message(self, event: str, ident: str, data: str) -> Event:
        several = len(self.names) > 1 or "*" in self.names[0]
        if several and not event:
            raise Violation("a message of one of several channels says not which")
        try:
            value = json.loads(data)
        except ValueError:
            value = data
        channel = event if several else self.names[0]
        return Message(channel, readCursor(ident), value, event=event or None)

    def _finished(self) -> None:
        if not self.retries:
            raise Violation("retry never came")
