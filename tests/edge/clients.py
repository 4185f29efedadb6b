"""
The base class of all clients, and the clients that read one HTTP response.
Clients that poll are in L{tests.edge.polling}, clients that give commands in
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
    BareCursor,
    Close,
    Event,
    EventStream,
    Follower,
    Gap,
    Message,
    eventOf,
    problemOf,
    readClose,
    readCursor,
    readJson,
    readNames,
)


class Refused(Exception):
    """
    The server answered with an error instead of opening.

    @ivar code: The code of the error.
    """

    def __init__(self, status: int, code: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.headers = headers


def pathOf(names: Sequence[str]) -> str:
    """
    Return the path of a channel or pattern, or of several.
    """
    return "/channels/" + ",".join(quote(name, safe="/*$") for name in names)


def queryOf(parameters: Mapping[str, str]) -> str:
    """
    Write a query with its question mark, or an empty string.
    """
    pairs = [f"{quote(key, safe='$*/')}={quote(value)}" for key, value in parameters.items()]
    return "?" + "&".join(pairs) if pairs else ""


class Client:
    """
    A reader over one transport.

    @cvar name: The transport.

    @cvar endless: Whether one response carries many messages.

    @ivar unreadable: A C{Last-Event-ID} that is no cursor, to be sent while
        there is none; or an empty string.

    @ivar variant: An integer that chooses among equal ways to do something, for
        instance to send the cursor.
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
        A name that no other client of L{EdgeTestCase.each} has.
        """
        return f"{self.name}{self.variant}"

    @property
    def tcp(self) -> TcpConnection:
        """
        The open connection.
        """
        assert self._tcp is not None
        return self._tcp

    @property
    def cursor(self) -> str | None:
        """
        The cursor with which to resume: that of the last event that L{next}
        returned, not of the last one received.
        """
        return None if self.follower.cursor is None else str(self.follower.cursor)

    def open(
        self,
        names: Sequence[str],
        since: str | None = None,
        byName: Mapping[str, str] | None = None,
        **parameters: str,
    ) -> None:
        """
        Begin to read.

        @param since: The start position.

        @param byName: The start positions of single names.

        @param parameters: More parameters of the query.

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
        Wait for so many messages; only L{BareCursor} events may come in between.
        """
        found: list[Message] = []
        deadline = time.monotonic() + timeout
        while len(found) < count:
            event = self.next(deadline - time.monotonic())
            if isinstance(event, Message):
                found.append(event)
            elif not isinstance(event, BareCursor):
                raise Violation(f"{self.name}: {event} instead of a message")
        return found

    def untilClose(self, timeout: float = PATIENCE) -> Close:
        """
        Wait until the server sends a close; drop the events before it.
        """
        deadline = time.monotonic() + timeout
        while True:
            event = self.next(deadline - time.monotonic())
            if isinstance(event, Close):
                return event

    def untilEnd(self, timeout: float = PATIENCE) -> None:
        """
        Wait until the server closes the connection; it must not send another
        event.
        """
        try:
            event = self.next(timeout)
        except Ended:
            return
        raise Violation(f"{self.name}: {event} instead of the end")

    def cut(self) -> None:
        """
        Cut the connection with a reset.
        """
        if self._tcp is not None:
            self._tcp.cut()
            self._tcp = None

    def close(self) -> None:
        """
        Close the connection in the ordinary way.
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
        # nginx obeys this header, and does not pass it on.
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
    A reader of one endless response.

    @cvar contentType: The C{Content-Type} that the response must have.

    @cvar accept: The C{Accept} header that can stand for the transport's name,
        or an empty string.
    """

    contentType: ClassVar[str] = ""
    accept: ClassVar[str] = ""

    def _open(
        self, since: str | None, byName: Mapping[str, str], parameters: Mapping[str, str]
    ) -> None:
        headers = {"Last-Event-ID": self.unreadable} if self.unreadable else {}
        cursor = Follower(since).cursor
        # Start positions by name hold for the first request only; when the
        # client resumes, the header has the cursor.
        if self.variant % 2 and since and cursor is not None and not byName:
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

    @ivar retries: The values of C{retry} that were received, in milliseconds.
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
            if block.event == "$at":
                self._heard(self._standing(block.ident, block.data))
            elif block.event == "$gap":
                self._heard(self._gap(block.ident, block.data or ""))
            elif block.event == "$close":
                self._heard(self._closed(block.data or ""))
            elif block.data is not None and self._inEnvelopes:
                self._heard(self._enveloped(block.ident, block.data))
            elif block.data is not None:
                self._heard(self._message(block.event, block.ident, block.data))
            elif block.event or block.ident:
                # Some clients forget the id of such an event.
                raise Violation(f"an event without data: {block!r}")

    def _value(self, data: str) -> object:
        value = readJson(data)
        if self._inEnvelopes and isinstance(value, dict):
            return value.get("gap", value.get("close", value))
        return value

    def _standing(self, ident: str, data: str | None) -> Event:
        if self._inEnvelopes and data:
            return self._enveloped(ident, data)
        if data != "":
            raise Violation(f"an event $at with the data {data!r}")
        return BareCursor(readCursor(ident))

    def _gap(self, ident: str, data: str) -> Event:
        return Gap(readCursor(ident), readNames(self._value(data)))

    def _closed(self, data: str) -> Event:
        return Close(None, *readClose(self._value(data)))

    def _enveloped(self, ident: str, data: str) -> Event:
        event = eventOf(readJson(data))
        found = readCursor(ident)
        # During a replay the id is the cursor with which an EventSource must
        # resume, which is lower than the cursor in the envelope.
        behind = isinstance(event, BareCursor) and event.cursor is not None and found < event.cursor
        if found != event.cursor and not behind:
            raise Violation(f"id {ident} of {event}")
        return event

    def _message(self, event: str, ident: str, data: str) -> Event:
        several = len(self.names) > 1 or "*" in self.names[0]
        if several and not event:
            raise Violation("a message of one of several channels does not name its channel")
        try:
            value = json.loads(data)
        except ValueError:
            value = data
        channel = event if several else self.names[0]
        return Message(channel, readCursor(ident), value, event=event or None)

    def _finished(self) -> None:
        if not self.retries:
            raise Violation("retry never came")
