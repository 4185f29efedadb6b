"""
A load that checks itself: publishers that repeat each message with its key until
it is answered, and readers that resume with their cursors, through one port.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Final

from tests.edge.clients import pathOf
from tests.edge.connections import Site, ask
from tests.edge.envelopes import readCursor
from tests.faults.book import Book, Finding
from tests.faults.breakable import READERS
from tests.faults.checker import Rules, check
from tests.faults.publishers import WAYS, Publisher
from tests.faults.readers import Reader

# How long readers may take to read the rest, in seconds.
CATCHING_UP: Final = 30.0

# The pause of a publisher between two publications, in seconds.
PAUSE: Final = 0.08


class Load:
    """
    A publisher for each way to publish; and for each transport one reader that
    stays with it and one that changes.  It is a context manager.
    """

    def __init__(self, site: Site, seed: int, without: Sequence[str] = ()) -> None:
        """
        @param without: The transports that the site does not have.
        """
        self._site = site
        self._book = Book()
        begin = readCursor(self._head())
        kinds = [kind for kind in READERS if kind not in without]
        chosen = [*kinds, *([None] * len(kinds) if not without else [])]
        ways = [way for way in WAYS if way not in without]
        self.readers = [
            Reader(number, [site], self._book, begin, seed, kind)
            for number, kind in enumerate(chosen)
        ]
        self.publishers = [
            Publisher(number, [site], self._book, seed, way, PAUSE)
            for number, way in enumerate(ways)
        ]

    def _head(self) -> str:
        return ask(self._site, "HEAD", pathOf(["load/a"])).headers["etag"].strip('"')

    def __enter__(self) -> Load:
        for thread in (*self.readers, *self.publishers):
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for publisher in self.publishers:
            publisher.finish()
        for reader in self.readers:
            reader.stop()

    @property
    def answered(self) -> int:
        """
        The number of messages that are answered as stored.
        """
        return self._book.answers

    def awaitAnswers(self, count: int, seconds: float = 30.0) -> None:
        """
        Wait until so many more messages are answered.
        """
        goal, deadline = self.answered + count, time.monotonic() + seconds
        while self.answered < goal:
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{goal - self.answered} of {count} not answered: {self.told()}"
                )
            time.sleep(0.02)

    def finish(self) -> list[Finding]:
        """
        Wait until all publishers are answered and all readers have read the
        rest.

        @return: The faults that were found.
        """
        for publisher in self.publishers:
            publisher.finish()
        for publisher in self.publishers:
            publisher.join(CATCHING_UP)
        goal = readCursor(self._head())
        for reader in self.readers:
            reader.finish(goal)
        deadline = time.monotonic() + CATCHING_UP
        for reader in self.readers:
            reader.join(max(deadline - time.monotonic(), 0))
            if reader.is_alive():
                self._book.find(
                    "lost", reader.label, f"stands at {reader.state.cursor}, not {goal}"
                )
                reader.stop()
        log = self._book.log()
        findings = [*self._book.findings, *self._book.check()]
        for reader in self.readers:
            for life in reader.lives:
                findings += check(life, log, Rules())
        return findings

    def told(self) -> str:
        """
        Sum up the work in one line.
        """
        counts = sum((one.counts for one in self.publishers), Counter[str]())
        counts = sum((one.counts for one in self.readers), counts)
        return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
