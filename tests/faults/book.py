"""
What is known of all that was published: the book that readers and publishers
write in, and that the checker reads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from attrs import frozen

from tests.edge.envelopes import Cursor


class Stored(NamedTuple):
    """
    A message that is in the log, as somebody saw it.

    @ivar key: The idempotency key of its publication.
    """

    channel: str
    cursor: Cursor
    key: str


@frozen
class Finding:
    """
    Something that may not be.

    @ivar kind: What it is, in a word: C{lost}, C{twice}, C{disorder}, C{gap},
        C{foreign}, C{changed}, C{refused}, C{wire}, C{died} or C{log}.

    @ivar where: Who saw it.

    @ivar text: What is needed to look into it.
    """

    kind: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind.upper()} {self.where}: {self.text}"


def isNamed(name: str, channel: str) -> bool:
    """
    Whether a name that a reader asked for, a pattern perhaps, means a channel.
    """
    wanted, given = name.split("/"), channel.split("/")
    if wanted[-1] == "**":
        wanted = wanted[:-1]
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(
        one in ("*", other) for one, other in zip(wanted, given, strict=True)
    )


class Book:
    """
    All messages that anybody knows to be in the log, and what became of what
    was published.  Called from many threads.

    @ivar findings: What is wrong already.
    """

    def __init__(self, hear: Callable[[Finding], None] = lambda finding: None) -> None:
        """
        @param hear: Called with what is wrong, as soon as it is found.
        """
        self._hear = hear
        self._lock = threading.Lock()
        self._stored: dict[Cursor, Stored] = {}
        self._sent: set[str] = set()
        self._refused: dict[str, str] = {}
        self._answers: dict[tuple[str, str], list[Cursor]] = {}
        self.findings: list[Finding] = []

    def find(self, kind: str, where: str, text: str) -> None:
        """
        Write down something that may not be.
        """
        finding = Finding(kind, where, text)
        with self._lock:
            self.findings.append(finding)
        self._hear(finding)

    def send(self, key: str) -> None:
        """
        Something is about to be published under this key.
        """
        with self._lock:
            self._sent.add(key)

    def isSent(self, key: str) -> bool:
        """
        Whether somebody has published this.
        """
        return key in self._sent

    def saw(self, where: str, channel: str, cursor: Cursor, key: str) -> Stored:
        """
        Somebody read this message, or was told that it is stored.

        @return: What is in the book at this place.
        """
        stored = Stored(channel, cursor, key)
        known = self._stored.setdefault(cursor, stored)
        if known != stored:
            self.find("changed", where, f"{stored} is {known} for others")
        elif known is stored and not self.isSent(key):
            self.find("foreign", where, f"{stored} was never published")
        return known

    def answered(self, where: str, key: str, cursors: Mapping[str, Cursor]) -> None:
        """
        A publisher was told that this is stored.

        @param cursors: By channel.
        """
        for channel, cursor in cursors.items():
            self.saw(where, channel, cursor, key)
            with self._lock:
                self._answers.setdefault((channel, key), []).append(cursor)

    def refused(self, where: str, key: str) -> None:
        """
        A publisher was told, each time that it asked, that this is not stored,
        and has given up.
        """
        with self._lock:
            self._refused[key] = where

    @property
    def answers(self) -> int:
        """
        How many messages are known, from their publishers, to be stored.
        """
        return len(self._answers)

    def log(self) -> dict[str, list[Stored]]:
        """
        By epoch: all messages, in the order of their positions.
        """
        log: dict[str, list[Stored]] = {}
        for cursor in sorted(self._stored):
            log.setdefault(cursor.epoch, []).append(self._stored[cursor])
        return log

    def check(self) -> Iterable[Finding]:
        """
        What is wrong whoever has read it: a message is in the log twice, or
        should not be there.
        """
        found: dict[tuple[str, str, str], Stored] = {}
        for stored in map(self._stored.__getitem__, sorted(self._stored)):
            same = (stored.cursor.epoch, stored.channel, stored.key)
            if same in found:
                yield Finding("twice", "the log", f"{stored} is at {found[same].cursor} already")
            found[same] = stored
            if stored.key in self._refused:
                where = self._refused[stored.key]
                yield Finding("refused", where, f"{stored}, which was said to be not stored")
        for (channel, key), cursors in self._answers.items():
            if len({cursor for cursor in cursors}) > len({cursor.epoch for cursor in cursors}):
                places = " ".join(map(str, cursors))
                yield Finding("twice", "the answers", f"{channel} {key} was stored at {places}")
