"""
Publishing: single messages, batches, and a thread that publishes throughout.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.edge.clients import pathOf
from tests.edge.connections import (
    PATIENCE,
    HttpConnection,
    Response,
    Site,
    TcpConnection,
    Violation,
    ask,
)
from tests.edge.envelopes import Cursor, readAnswer, readCursor
from tests.edge.speakers import TcpClient, WebSocketClient


class Published(NamedTuple):
    """
    A message, as its publisher knows it.
    """

    channel: str
    cursor: Cursor
    data: Any


def headersOf(site: Site, headers: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    Return the headers of a publication in JSON, with the publish key.
    """
    return {
        "Authorization": f"Bearer {site.key}",
        "Content-Type": "application/json",
        **(headers or {}),
    }


def readPublished(answer: Response, channels: Sequence[str]) -> dict[str, Cursor]:
    """
    Read the answer to a publication by URL.
    """
    if answer.status != 201:
        raise Violation(f"not published: {answer}")
    value = readAnswer(answer.body)
    if not isinstance(value, dict) or list(value) != ["cursor", "channels"]:
        raise Violation(f"not the answer to a publication: {value}")
    cursors = {name: readCursor(cursor) for name, cursor in value["channels"].items()}
    if set(cursors) != set(channels) or readCursor(value["cursor"]) != max(cursors.values()):
        raise Violation(f"not the cursors of {channels}: {value}")
    return cursors


def publish(
    site: Site, channel: str, data: Any, headers: Mapping[str, str] | None = None
) -> Published:
    """
    Publish one message.
    """
    body = json.dumps(data).encode()
    answer = ask(site, "POST", pathOf([channel]), headersOf(site, headers), body)
    return Published(channel, readPublished(answer, [channel])[channel], data)


def publishLines(
    connection: HttpConnection, site: Site, lines: Sequence[Mapping[str, Any]]
) -> list[Published]:
    """
    Publish several messages with one request.

    @param lines: The lines, as they are sent.
    """
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    headers = headersOf(site, {"Content-Type": "application/x-ndjson"})
    connection.send("POST", "/publish", headers, body)
    answer = connection.answer()
    if answer.status != 201:
        raise Violation(f"not published: {answer}")
    value = readAnswer(answer.body)
    if list(value) != ["cursor", "cursors"] or len(value["cursors"]) != len(lines):
        raise Violation(f"not the answer to a batch: {value}")
    cursors = [readCursor(cursor) for cursor in value["cursors"]]
    if cursors != sorted(cursors) or readCursor(value["cursor"]) != cursors[-1]:
        raise Violation(f"not the cursors of a batch, in order: {value}")
    return [
        Published(line["channel"], cursor, line["data"])
        for line, cursor in zip(lines, cursors, strict=True)
    ]


def publishBatch(
    connection: HttpConnection, site: Site, lines: Sequence[tuple[str, Any]]
) -> list[Published]:
    """
    Publish several messages, each with its channel and data, by one request.
    """
    return publishLines(connection, site, [{"channel": name, "data": data} for name, data in lines])


class Publisher(threading.Thread):
    """
    A thread that publishes until it is stopped, in every way there is, one
    message or batch after the other.

    @ivar published: The published messages, in the order of the answers.
    """

    def __init__(
        self, site: Site, channels: Sequence[str], pause: float = 0.004, seed: int = 1
    ) -> None:
        """
        @param channels: The channels, which must be open to all publishers.

        @param pause: The pause between two publications, in seconds.
        """
        super().__init__(daemon=True)
        self._site = site
        self._channels = list(channels)
        self._pause = pause
        self._random = random.Random(seed)
        self._enough = threading.Event()
        self._error: BaseException | None = None
        self._count = 0
        self._name = f"key {id(self)} {seed}"
        self.published: list[Published] = []

    def _data(self) -> Any:
        self._count += 1
        filler = 'é<\u2028\U0001f600\\"' * self._random.choice((0, 1, 1, 5, 100))
        if self._count % 5 == 0:
            return f"number {self._count}\n{filler}"
        return {"n": self._count, "text": filler}

    def run(self) -> None:
        """
        Publish until L{stop}; keep the first error.
        """
        http = HttpConnection(TcpConnection(self._site.port, self._site.tls))
        websocket = WebSocketClient(self._site)
        tcp = TcpClient(self._site)
        try:
            websocket.open([])
            tcp.open([])
            while not self._enough.wait(self._pause):
                way = self._random.choice((self._post, self._post, self._batch, None, None))
                if way is not None:
                    way(http)
                else:
                    self._command(self._random.choice((websocket, tcp)))
        except BaseException as error:
            self._error = error
        finally:
            http.tcp.close()
            websocket.close()
            tcp.close()

    def _post(self, http: HttpConnection) -> None:
        channels = self._random.sample(self._channels, self._random.choice((1, 1, 2)))
        data = self._data()
        headers = headersOf(self._site, {"Idempotency-Key": f"{self._name} {self._count}"})
        answers = []
        for _ in range(self._random.choice((1, 1, 2))):
            http.send("POST", pathOf(channels), headers, json.dumps(data).encode())
            answers.append(readPublished(http.answer(), channels))
        if answers[-1] != answers[0]:
            raise Violation(f"the same key got other cursors: {answers}")
        self.published += [
            Published(channel, cursor, data) for channel, cursor in answers[0].items()
        ]

    def _batch(self, http: HttpConnection) -> None:
        lines = [
            (self._random.choice(self._channels), self._data())
            for _ in range(self._random.choice((1, 3, 12)))
        ]
        self.published += publishBatch(http, self._site, lines)

    def _command(self, speaker: WebSocketClient | TcpClient) -> None:
        channel, data = self._random.choice(self._channels), self._data()
        ok = speaker.command(publish=channel, data=data)
        if list(ok) != ["cursor"]:
            raise Violation(f"not the answer to a publication: {ok}")
        self.published.append(Published(channel, readCursor(ok["cursor"]), data))

    def stop(self) -> list[Published]:
        """
        Stop, and return the published messages in the order of their positions.
        """
        self._enough.set()
        self.join(PATIENCE)
        if self._error is not None:
            raise self._error
        found = sorted(self.published, key=lambda one: one.cursor)
        if len({one.cursor for one in found}) != len(found):
            raise Violation("two messages have one position")
        return found
