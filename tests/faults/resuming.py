"""
Where a reader stands, as a client has to keep it: what it comes back with, on
whatever transport.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

from tests.edge.connections import Violation
from tests.edge.envelopes import BareCursor, Close, Cursor, Event, Gap, Message

# What is adopted as the cursor: the ids of events, whatever they are of; that
# of a whole body; or that of every envelope that is not replayed.
BY_ID: Final = frozenset({"sse"})
BY_BODY: Final = frozenset({"poll", "longpoll", "jsonp"})


@frozen
class ToldGap:
    """
    A gap that a reader was told of.

    @ivar cursor: The cursor that came with it, or L{None} in a poll body.

    @ivar before: How far each name had come before it.

    @ivar epoch: In which epoch that was.
    """

    names: tuple[str, ...]
    cursor: Cursor | None
    before: Mapping[str, int]
    epoch: str


@frozen
class Rewound:
    """
    The reader comes back from further behind than what it has read, where the
    rules allow it: in the middle of a replay.
    """

    cursor: Cursor


class ResumeState:
    """
    Where a reader of some names stands.

    @ivar names: What it reads.

    @ivar cursor: Everything up to here has arrived, in all names that are not
        late.

    @ivar late: By name: how far the replay of a name has come that began
        behind the others.
    """

    def __init__(self, names: Sequence[str], begins: Mapping[str, Cursor]) -> None:
        """
        @param begins: By name: where it begins; all of one epoch.
        """
        self.names = tuple(names)
        self.cursor = max(begins.values())
        self.late: dict[str, int] = {}
        for name, begin in begins.items():
            if begin < self.cursor:
                self.late[name] = begin.position
        self._transport = ""
        self._isFirst = True
        self._ident = self.cursor

    @property
    def reached(self) -> dict[str, int]:
        """
        By name: the position that it has come to.
        """
        return {name: self.late.get(name, self.cursor.position) for name in self.names}

    def opened(self, transport: str) -> tuple[str, dict[str, str]]:
        """
        Open another connection.

        @return: Where to begin, and where single names begin.
        """
        self._transport = transport
        self._isFirst = True
        epoch = self.cursor.epoch
        self._ident = min([self.cursor, *(Cursor(epoch, late) for late in self.late.values())])
        late = {name: str(Cursor(epoch, position)) for name, position in self.late.items()}
        return str(self.cursor), late

    def joined(self, other: ResumeState) -> None:
        """
        Go on over the open connection of another, which reads the same names
        but some.
        """
        self._transport = other._transport
        self._isFirst = False

    def ended(self) -> Rewound | None:
        """
        The connection is over, in whatever way.

        @return: What is to be repeated.
        """
        if self._transport in BY_ID and self.late and not self._isFirst:
            return self._rewind(self._ident)
        return None

    def _rewind(self, cursor: Cursor) -> Rewound | None:
        isBack = cursor < self.cursor
        self.cursor = cursor
        self.late.clear()
        return Rewound(cursor) if isBack else None

    def took(self, event: Event) -> ToldGap | Rewound | None:
        """
        Adopt what was heard.

        @return: What has to be known of it later, beside the messages.

        @raise Violation: If this may not come now.
        """
        entry: ToldGap | Rewound | None = None
        if isinstance(event, Gap):
            entry = self._gap(event)
        elif isinstance(event, Message):
            self._message(event)
        elif isinstance(event, BareCursor):
            entry = self._bareCursor(event.cursor)
        if not isinstance(event, Close):
            self._isFirst = False
        return entry

    def _gap(self, gap: Gap) -> ToldGap:
        told = ToldGap(gap.names, gap.cursor, self.reached, self.cursor.epoch)
        if gap.cursor is not None and gap.cursor.epoch != self.cursor.epoch:
            self.late.clear()
            self.cursor = self._ident = gap.cursor
        return told

    def isReplay(self, message: Message) -> bool:
        """
        Whether this is a message that is not to be adopted, whether or not it
        says so.
        """
        if self._transport in BY_ID and self.late:
            return message.cursor <= self.cursor
        return message.replay

    def _message(self, message: Message) -> None:
        position = message.cursor.position
        if self.isReplay(message):
            self._ident = message.cursor
            if self._transport not in BY_BODY:
                for name, late in self.late.items():
                    self.late[name] = max(late, position)
        elif self._transport in BY_BODY:
            # The end of the body says where it stands.
            return
        elif self.late and self._transport not in BY_ID:
            raise Violation(f"{message.cursor} while {self.late} are behind {self.cursor}")
        else:
            self.late.clear()
            self.cursor = message.cursor

    def _bareCursor(self, cursor: Cursor) -> Rewound | None:
        if cursor.epoch != self.cursor.epoch:
            # Whether a gap was told before is for the checker to say.
            self._ident = cursor
        elif self._transport in BY_BODY:
            if self.late:
                return self._rewind(cursor)
        elif self._transport in BY_ID and self.late:
            self._ident = cursor
            if cursor < self.cursor:
                return None
        elif self._isFirst:
            # Where the names stand that are furthest.
            self.cursor = cursor
            return None
        self.late.clear()
        self.cursor = cursor
        return None
