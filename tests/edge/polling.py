"""
The clients that poll.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar, Final

from tests.edge.clients import HttpClient
from tests.edge.connections import Ended, Response, ResponseHead, Site, Violation
from tests.edge.envelopes import BareCursor, readPollBody

# How long a polling client pauses after an empty response, in seconds.
PACE: Final = 0.004


class PollClient(HttpClient):
    """
    AJAX polling.
    """

    name = "poll"
    endless = False
    # What a browser says of the page.
    pageHeaders: ClassVar[Mapping[str, str]] = {}

    def __init__(self, site: Site, **settings: int) -> None:
        super().__init__(site, **settings)
        self._asked = False
        self._idle = False
        self._byTag = False
        self._since: str | None = None
        self._particular: Mapping[str, str] = {}
        self._parameters: Mapping[str, str] = {}

    def _open(
        self, since: str | None, byName: Mapping[str, str], parameters: Mapping[str, str]
    ) -> None:
        self._since, self._particular = since, byName
        self._parameters = parameters
        self._idle = False
        self.http = self._speak()
        self.ask()

    def ask(self) -> None:
        """
        Send a request with the reader's cursor.
        """
        since, headers = self.cursor or self._since, dict(self.pageHeaders)
        self._byTag = bool(self.variant % 2) and self.cursor is not None
        if self._byTag:
            headers["If-None-Match"] = f'"{since}"'
            since = None
        self.http.send("GET", self._target(since, self._particular, self._parameters), headers)
        self._asked = True

    def _receive(self, timeout: float) -> None:
        if self._idle:
            time.sleep(PACE)
        if not self._asked:
            self.ask()
        answer = self.http.answer(timeout)
        self._asked = False
        self._particular = {}
        if answer.status == 304:
            self._unchanged(answer)
        elif answer.status == 200:
            self._changed(answer)
        else:
            self._refuse(answer)

    def _unchanged(self, answer: Response) -> None:
        tag = f'"{self.cursor}"'
        if not self._byTag or answer.headers.get("etag") != tag or answer.body:
            raise Violation(f"304 for {tag}: {answer}")
        assert self.follower.cursor is not None
        self._idle = True
        self._heard(BareCursor(self.follower.cursor))

    def _changed(self, answer: Response) -> None:
        self._checkHead(ResponseHead(answer.status, answer.headers), "application/json")
        body = readPollBody(answer.body)
        if answer.headers.get("etag") != f'"{body.cursor}"':
            raise Violation(f"{answer.headers.get('etag')} is the ETag of {body.cursor}")
        empty = len(body.events) == 1
        if empty and self._byTag and str(body.cursor) == self.cursor:
            raise Violation("200 without messages where 304 was to come")
        if body.more and empty:
            raise Violation("more, but nothing here")
        self._idle = empty
        for event in body.events:
            self._heard(event)

    def cut(self) -> None:
        """
        Cut the connection with a reset, every second time while a request is
        unanswered.
        """
        if self.variant % 2 and not self._asked and self._tcp is not None:
            try:
                self.ask()
            except Ended:
                pass
        super().cut()


class LongpollClient(PollClient):
    """
    Long-polling.
    """

    name = "longpoll"
