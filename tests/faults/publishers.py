"""
Publishers, which repeat each publication with its key until it is answered.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from tests.edge.clients import Refused, pathOf
from tests.edge.connections import Ended, HttpConnection, Response, Silence, Site, Violation
from tests.edge.envelopes import Cursor, problemOf, readAnswer, readCursor
from tests.edge.publisher import readPublished
from tests.edge.speakers import CommandFailed, Speaker
from tests.faults.book import Book
from tests.faults.breakable import READERS, connect
from tests.faults.readers import CHANNELS

# The ways to publish.
WAYS: Final = ("post", "batch", "websocket", "tcp")

# How long a publisher repeats a publication after L{Publisher.finish}, in seconds.
_INSISTENCE: Final = 30.0

_BROKEN: Final = (Ended, Silence, OSError)


@frozen
class Publication:
    """
    A publication with its key.

    @ivar data: The data, which contains the key.
    """

    key: str
    channels: tuple[str, ...]
    data: Mapping[str, Any]
    event: str | None

    @property
    def line(self) -> dict[str, Any]:
        """
        Return the publication as a line of a batch, or as a command.
        """
        fields = {"data": self.data, "key": self.key}
        return fields if self.event is None else {**fields, "event": self.event}


class NotPublished(Exception):
    """
    The server answered with an error.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Connections:
    """
    The connections of a publisher to one node.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._http: HttpConnection | None = None
        self._speakers: dict[str, Speaker] = {}

    def post(self, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """
        Send a request over a persistent connection.
        """
        if self._http is None:
            self._http = connect(self._site.port)
        self._http.send("POST", target, headers, body)
        answer = self._http.answer()
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    def speaker(self, transport: str) -> Speaker:
        """
        Return the connection for commands on a transport.
        """
        speaker = self._speakers.get(transport)
        if speaker is None:
            made = READERS[transport](self._site)
            assert isinstance(made, Speaker)
            made.open([])
            speaker = self._speakers[transport] = made
        return speaker

    def close(self) -> None:
        """
        Close all connections, since one of them is broken.
        """
        if self._http is not None:
            self._http.tcp.close()
            self._http = None
        for speaker in self._speakers.values():
            speaker.close()
        self._speakers.clear()


class Publisher(threading.Thread):
    """
    One publisher, which publishes one message or batch after the other.

    @ivar counts: The numbers of C{published}, C{answered}, C{repeated},
        C{abandoned} and C{again}, and those of the codes of answers.
    """

    def __init__(
        self,
        number: int,
        sites: Sequence[Site],
        book: Book,
        seed: int,
        way: str | None = None,
        pause: float = 0.06,
    ) -> None:
        """
        @param way: Its way to publish, or L{None} if it changes.

        @param pause: The pause between two publications, in seconds.
        """
        super().__init__(daemon=True)
        self.label = f"publisher {number} ({way or 'any'})"
        self.counts: Counter[str] = Counter()
        self._number = number
        self._sites = [Connections(site) for site in sites]
        self._book = book
        self._chance = random.Random(f"publisher {number} {seed}")
        self._way = way
        self._pause = pause
        self._made = 0
        self._last: Cursor | None = None
        self._lately: deque[Publication] = deque(maxlen=20)
        self._enough = threading.Event()
        self._deadline = float("inf")
        self._connections = self._chance.choice(self._sites)

    def finish(self) -> None:
        """
        Publish no more, and repeat the last publication until it is answered.
        """
        self._deadline = time.monotonic() + _INSISTENCE
        self._enough.set()

    def run(self) -> None:
        """
        Publish until L{finish}.
        """
        try:
            while not self._enough.wait(self._chance.uniform(0.5, 1.5) * self._pause):
                if self._lately and self._chance.random() < 0.05:
                    self.counts["again"] += 1
                    self._insist([self._chance.choice(self._lately)], isFirst=False)
                else:
                    self._insist(self._new())
        except BaseException as error:
            self._book.find("harness", self.label, repr(error))
            raise
        finally:
            for connections in self._sites:
                connections.close()

    def _new(self) -> list[Publication]:
        many = (1, 2, 5, 12) if self._way == "batch" else (1, 1, 1, 1, 1, 3)
        count = self._chance.choice(many)
        self.counts["published"] += count
        isDouble = count == 1 and self._way in (None, "post") and self._chance.random() < 0.2
        return [self._make(isDouble) for _ in range(count)]

    def _make(self, isDouble: bool) -> Publication:
        self._made += 1
        key = f"{self._number}-{self._made}"
        channels = tuple(self._chance.sample(CHANNELS, 2 if isDouble else 1))
        data: dict[str, Any] = {"key": key, "text": "é<\u2028" * self._chance.choice((0, 0, 1, 40))}
        event = None
        if not isDouble and self._chance.random() < 0.1:
            event = "happening"
            data |= {"event": event, "channel": channels[0]}
        self._book.send(key)
        return Publication(key, channels, data, event)

    def _insist(self, publications: Sequence[Publication], isFirst: bool = True) -> None:
        """
        Repeat publications until they are answered, or given up.
        """
        isRefused = isFirst
        keys = ", ".join(one.key for one in publications)
        while time.monotonic() < self._deadline:
            try:
                self._answered(self._attempt(publications), publications, isFirst)
                return
            except NotPublished as error:
                self.counts[error.code] += 1
                isRefused = isRefused and error.code == "unavailable"
                if error.code not in ("unavailable", "unknown"):
                    self._book.find("wire", self.label, f"{keys} is answered with {error.code}")
                    return
            except _BROKEN:
                self.counts["broken"] += 1
                isRefused = False
            except Violation as error:
                self._book.find("wire", self.label, f"{keys}: {error}")
                isRefused = False
            self._connections.close()
            if isFirst and self._chance.random() < (0.2 if isRefused else 0.02):
                break
            self.counts["repeated"] += len(publications)
            time.sleep(self._chance.uniform(0.05, 0.4))
            self._connections = self._chance.choice(self._sites)
        self.counts["abandoned"] += len(publications) if isFirst else 0
        if isRefused:
            for publication in publications:
                self._book.refused(self.label, publication.key)

    def _answered(
        self,
        cursors: Sequence[Mapping[str, Cursor]],
        publications: Sequence[Publication],
        isFirst: bool,
    ) -> None:
        for publication, found in zip(publications, cursors, strict=True):
            self._book.answered(self.label, publication.key, found)
            if not isFirst:
                continue
            self.counts["answered"] += 1
            self._lately.append(publication)
            last = self._last
            if last is not None and last.epoch == min(found.values()).epoch:
                if min(found.values()) <= last:
                    text = f"{publication.key} at {found}, after what was answered at {last}"
                    self._book.find("disorder", self.label, text)
            self._last = max(found.values())

    def _attempt(self, publications: Sequence[Publication]) -> list[Mapping[str, Cursor]]:
        """
        Publish once, in the publisher's way or a random one.

        @return: For each publication, its cursors by channel.
        """
        if self._chance.random() < 0.05:
            self._connections = self._chance.choice(self._sites)
        way = self._way or self._chance.choice(WAYS)
        first = publications[0]
        if len(first.channels) > 1:
            return [self._post(first)]
        if len(publications) > 1 or way == "batch":
            return self._batch(publications)
        return [self._post(first) if way == "post" else self._command(way, first)]

    def _post(self, publication: Publication) -> Mapping[str, Cursor]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": publication.key}
        if publication.event is not None:
            headers["Comet-Event"] = publication.event
        body = json.dumps(publication.data).encode()
        answer = self._ask(pathOf(publication.channels), headers, body)
        return readPublished(answer, publication.channels)

    def _batch(self, publications: Sequence[Publication]) -> list[Mapping[str, Cursor]]:
        lines = [{"channel": one.channels[0], **one.line} for one in publications]
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        answer = self._ask("/publish", {"Content-Type": "application/x-ndjson"}, body)
        if answer.status != 201:
            raise Violation(f"not the answer to a batch: {answer}")
        cursors = [readCursor(each) for each in readAnswer(answer.body)["cursors"]]
        return [
            {one.channels[0]: cursor} for one, cursor in zip(publications, cursors, strict=True)
        ]

    def _ask(self, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        answer = self._connections.post(target, headers, body)
        if answer.status >= 400:
            raise NotPublished(problemOf(answer.status, answer.headers, answer.body))
        return answer

    def _command(self, way: str, publication: Publication) -> Mapping[str, Cursor]:
        (channel,) = publication.channels
        try:
            speaker = self._connections.speaker(way)
            ok = speaker.command(publish=channel, **publication.line)
        except (CommandFailed, Refused) as error:
            raise NotPublished(error.code) from error
        return {channel: readCursor(ok["cursor"])}
