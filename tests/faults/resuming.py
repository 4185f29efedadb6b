"""
The state with which a client resumes, on any transport: its cursor, and the
replays that are not complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

from tests.edge.connections import Violation
from tests.edge.envelopes import BareCursor, Close, Cursor, Event, Gap, Message

# The transports on which the client adopts the ids of all events, or the cursor
# of a whole body; on the others it adopts that of each envelope that is not
# replayed.
BY_ID: Final = frozenset({"sse"})
BY_BODY: Final = frozenset({"poll", "longpoll", "jsonp"})


@frozen
class ToldGap:
    """
    A gap that a reader got.

    @ivar cursor: The cursor that came with it, or L{None} in a poll body.

    @ivar before: The positions that the names had reached before it.

    @ivar epoch: The epoch of those positions.
    """

    names: tuple[str, ...]
    cursor: Cursor | None
    before: Mapping[str, int]
    epoch: str


@frozen
class Rewound:
    """
    The reader resumes from a lower cursor than that of the last message it has
    read, as the rules allow in the middle of a replay.
    """

    cursor: Cursor


class ResumeState:
    """
    The state with which a reader of some names resumes.

    @ivar names: The names.

    @ivar cursor: The cursor up to which all names have arrived that are not
        late.

    @ivar late: The positions that the replays of late names have reached, by
        name.
    """

    def __init__(self, names: Sequence[str], begins: Mapping[str, Cursor]) -> None:
        """
        @param begins: The start cursors by name, all of one epoch.
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
        The positions reached, by name.
        """
        return {name: self.late.get(name, self.cursor.position) for name in self.names}

    def opened(self, transport: str) -> tuple[str, dict[str, str]]:
        """
        Note that another connection is opened.

        @return: The start position, and those of single names.
        """
        self._transport = transport
        self._isFirst = True
        epoch = self.cursor.epoch
        self._ident = min([self.cursor, *(Cursor(epoch, late) for late in self.late.values())])
        late = {name: str(Cursor(epoch, position)) for name, position in self.late.items()}
        return str(self.cursor), late

    def joined(self, other: ResumeState) -> None:
        """
        Go on over the open connection of another state, whose names are a part
        of these.
        """
        self._transport = other._transport
        self._isFirst = False

    def ended(self) -> Rewound | None:
        """
        Note that the connection is over.

        @return: The range that will be repeated, if any.
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
        Adopt an event.

        @return: A gap or a rewind for the checker, if the event is one.

        @raise Violation: If the event may not come now.
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
        Whether the client must not adopt the cursor of this message, which may
        not be marked as a replay.
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
            # The end of the body has its cursor.
            return
        elif self.late and self._transport not in BY_ID:
            raise Violation(f"{message.cursor} while {self.late} are behind {self.cursor}")
        else:
            self.late.clear()
            self.cursor = message.cursor

    def _bareCursor(self, cursor: Cursor) -> Rewound | None:
        if cursor.epoch != self.cursor.epoch:
            # The checker finds out whether there was a gap before.
            self._ident = cursor
        elif self._transport in BY_BODY:
            if self.late:
                return self._rewind(cursor)
        elif self._transport in BY_ID and self.late:
            self._ident = cursor
            if cursor < self.cursor:
                return None
        elif self._isFirst:
            # The cursor of the names that are not late.
            self.cursor = cursor
            return None
        self.late.clear()
        self.cursor = cursor
        return None
