"""
Where a subscription stands in the log, and so which messages it still needs.

Up to one cursor all messages have arrived, of all names but those with a place of their own: these
began elsewhere, and are being replayed.  So no message is lost or delivered twice, on any
connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from comet.client.received import Envelope, Message
from comet.errors import CometError
from comet.framing.strictjson import decode
from comet.model.channels import parseName
from comet.model.cursors import Cursor, parseCursor
from comet.model.patterns import matches

#: Where to begin: a cursor, C{"now"}, C{"earliest"} or C{"-10"}; or each name with one of these.
Since: TypeAlias = "str | Mapping[str, str] | None"

_NOW: Final = "now"
_EARLIEST: Final = "earliest"
_TWO_LEVELS: Final = 2


class Standing:
    """
    The place of one subscription.

    @ivar names: The channels and patterns.

    @ivar cursor: Up to where all messages have arrived, or L{None} before the server has said where
        the subscription begins.
    """

    def __init__(self, names: Sequence[str], since: Since = None) -> None:
        """
        @param since: Where to begin; C{"now"} by default.  Names that a mapping leaves out begin
            now.

        @raise BadChannel: If a name is not valid.

        @raise ValueError: If there is none, or a mapping has another name.
        """
        self.names = tuple(dict.fromkeys(names))
        if not self.names:
            raise ValueError("there are no names to subscribe to")
        for name in self.names:
            parseName(name)
        self.cursor: Cursor | None = None
        self._begin = _NOW
        # The places of names that are not at the cursor: a position, or a start that the server has
        # yet to resolve.
        self._places: dict[str, int | str] = {}
        if isinstance(since, Mapping):
            self._places.update({name: str(start) for name, start in since.items()})
            others = self._places.keys() - set(self.names)
            if others:
                raise ValueError(f"since has {sorted(others)[0]!r}, which is not subscribed to")
        elif since is not None:
            self._begin = str(since)

    @property
    def isSplit(self) -> bool:
        """
        Whether names have places of their own.
        """
        return bool(self._places)

    def parameters(self) -> dict[str, str]:
        """
        Return the parameters that ask the server for what is missing.
        """
        cursor = self.cursor
        asked = {"since": self._begin if cursor is None else str(cursor)}
        for name, place in self._places.items():
            if cursor is not None and isinstance(place, int):
                place = str(Cursor(cursor.epoch, place))
            asked[f"since.{name}"] = str(place)
        return asked

    def starts(self) -> str | dict[str, str]:
        """
        Return what L{parameters} does, for a command: one place, or that of each name.
        """
        asked = self.parameters()
        begin = asked["since"]
        if not self._places:
            return begin
        return {name: asked.get(f"since.{name}", begin) for name in self.names}

    def opened(self, envelope: Envelope) -> None:
        """
        Take the first of a connection, which says where the reader stands before any message.  A
        poll body is taken by L{reached} alone.
        """
        epoch, position = envelope.cursor
        if self.cursor is None or self.cursor.epoch != epoch:
            self._enter(epoch)
            self.cursor = envelope.cursor
        for name, place in list(self._places.items()):
            if place in (_NOW, position):
                del self._places[name]

    def reached(self, cursor: Cursor) -> None:
        """
        All names have all messages up to here: so says an envelope with nothing but a cursor, or
        the end of a poll body.
        """
        own = self._in(cursor.epoch)
        if cursor.position >= own.position:
            self.cursor = cursor
            self._places.clear()
            return
        # A body that ended in the middle of a replay.
        for name, place in self._places.items():
            if isinstance(place, str) or place < cursor.position:
                self._places[name] = cursor.position

    def isNew(self, cursor: Cursor, message: Message) -> bool:
        """
        Take a message.

        @return: Whether it is delivered: it did not arrive before.
        """
        own, position = self._in(cursor.epoch), cursor.position
        if position > own.position and not message.replay:
            # It comes after all that are replayed.
            self.cursor = cursor
            self._places.clear()
            return True
        if not self._places:
            return False
        # The bodies of polls do not say which messages are replayed.
        behind = [name for name in self._places if matches(name, message.channel)]
        isMissing = any(self._isBefore(name, position) for name in behind)
        # A replay is in order: it brings no older message to any name that is behind.
        for name, place in self._places.items():
            if name in behind or not isinstance(place, str):
                self._places[name] = position if isinstance(place, str) else max(place, position)
        return isMissing

    def _isBefore(self, name: str, position: int) -> bool:
        place = self._places[name]
        # A name that begins now is never behind.
        return place != _NOW if isinstance(place, str) else place < position

    def _in(self, epoch: str) -> Cursor:
        """
        Return the place in an epoch: the beginning of one that is new.
        """
        if self.cursor is None or self.cursor.epoch != epoch:
            self._enter(epoch)
        assert self.cursor is not None
        return self.cursor

    def _enter(self, epoch: str) -> None:
        hadNone = self.cursor is None
        self.cursor = Cursor(epoch, 0)
        for name, place in self._places.items():
            if isinstance(place, int):
                # It is of a log that is gone.
                self._places[name] = _EARLIEST
            elif hadNone:
                self._places[name] = _placeIn(epoch, place)

    def encode(self) -> str | None:
        """
        Return the place as one line of text, which L{decodeSince} reads; L{None} before there is
        one.
        """
        if self.cursor is None:
            return None
        if not self._places:
            return str(self.cursor)
        return json.dumps(self.parameters(), separators=(",", ":"))


def _placeIn(epoch: str, start: str) -> int | str:
    try:
        cursor = parseCursor(start)
    except CometError:
        return start
    return cursor.position if cursor.epoch == epoch else start


def decodeSince(text: str, names: Sequence[str]) -> Since:
    """
    Read what L{Standing.encode} wrote.

    @param names: The names that are subscribed to now.

    @return: Where they begin.  A name that was not there begins where the others are.

    @raise ValueError: If it is something else.
    """
    line = text.strip()
    try:
        if not line.startswith("{"):
            return str(parseCursor(line))
        value: Any = decode(line.encode(), _TWO_LEVELS)
        cursor = str(parseCursor(value["since"]))
        own = {
            key.removeprefix("since."): start
            for key, start in value.items()
            if key != "since" and isinstance(start, str)
        }
    except (CometError, KeyError, TypeError):
        raise ValueError(f"{line[:64]!r} is not a cursor") from None
    return {name: own.get(name, cursor) for name in names}
