"""
The book of all known messages: publishers and readers write into it, and the
checker reads it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from attrs import frozen

from tests.edge.envelopes import Cursor


class Stored(NamedTuple):
    """
    A message in the log, as a publisher or a reader saw it.

    @ivar key: The idempotency key of its publication.
    """

    channel: str
    cursor: Cursor
    key: str


@frozen
class Finding:
    """
    An error of the server.

    @ivar kind: The kind: C{lost}, C{twice}, C{disorder}, C{gap}, C{foreign},
        C{changed}, C{refused}, C{member}, C{wire}, C{died} or C{log}.

    @ivar where: The reader, publisher or process that saw it.

    @ivar text: Details to look into.
    """

    kind: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind.upper()} {self.where}: {self.text}"


def isNamed(name: str, channel: str) -> bool:
    """
    Whether a name, which may be a pattern, matches a channel.
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
    All messages that are known to be in the log, and the fate of each
    publication.  Its methods may be called from any thread.

    @ivar findings: The errors found so far.
    """

    def __init__(self, hear: Callable[[Finding], None] = lambda finding: None) -> None:
        """
        @param hear: Called with each finding at once.
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
        Add a finding.
        """
        finding = Finding(kind, where, text)
        with self._lock:
            self.findings.append(finding)
        self._hear(finding)

    def send(self, key: str) -> None:
        """
        Note that a publication with this key is about to be sent.
        """
        with self._lock:
            self._sent.add(key)

    def isSent(self, key: str) -> bool:
        """
        Whether a publication with this key was sent.
        """
        return key in self._sent

    def saw(self, where: str, channel: str, cursor: Cursor, key: str) -> Stored:
        """
        Note a message that was read, or answered as stored.

        @return: The message that the book has at this position.
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
        Note that a publication was answered as stored.

        @param cursors: The cursors by channel.
        """
        for channel, cursor in cursors.items():
            self.saw(where, channel, cursor, key)
            with self._lock:
                self._answers.setdefault((channel, key), []).append(cursor)

    def refused(self, where: str, key: str) -> None:
        """
        Note that each attempt of a publication was answered as not stored, and
        that its publisher has given up.
        """
        with self._lock:
            self._refused[key] = where

    @property
    def answers(self) -> int:
        """
        The number of publications that were answered as stored.
        """
        return len(self._answers)

    def log(self) -> dict[str, list[Stored]]:
        """
        Return all messages by epoch, in the order of their positions.
        """
        log: dict[str, list[Stored]] = {}
        for cursor in sorted(self._stored):
            log.setdefault(cursor.epoch, []).append(self._stored[cursor])
        return log

    def check(self) -> Iterable[Finding]:
        """
        Yield the errors that do not depend on a reader: messages that are in the
        log twice, or should not be there.
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
