"""
Readers that are spared what their own clients publish.

A client gives its readers an id, and its messages the same.  Such readers are in the
same groups as all others; in a tick with such a message, those that have its id are
written to by themselves, before their group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from comet.fanout.groups import Group
from comet.fanout.reader import Reader
from comet.fanout.states import State
from comet.model.cursors import Cursor
from comet.model.messages import Message


class SparedReaders:
    """
    Knows the readers by the ids that their clients have given them.
    """

    def __init__(self) -> None:
        self._byID: dict[str, dict[Reader, None]] = {}

    def __len__(self) -> int:
        """
        How many ids there are.
        """
        return len(self._byID)

    def add(self, reader: Reader, id: str) -> None:
        """
        Give a reader an id, in the place of the one that it may have.
        """
        self.remove(reader)
        reader.readerID = id
        self._byID.setdefault(id, {})[reader] = None

    def remove(self, reader: Reader) -> None:
        """
        A reader is closed, or gets another id.
        """
        id = reader.readerID
        if id is None:
            return
        reader.readerID = None
        readers = self._byID.get(id)
        if readers is not None:
            readers.pop(reader, None)
            if not readers:
                del self._byID[id]

    def spare(
        self, messages: Iterable[Message], touched: Mapping[Group, Sequence[Message]], end: Cursor
    ) -> None:
        """
        Give the live readers that are spared one of these messages all others of them.
        Called before their groups are given these messages.

        @param touched: The messages that each group is given, up to C{end}.
        """
        if not self._byID:
            return
        spared: dict[Any, None] = {}
        for message in messages:
            if message.exclude is not None:
                spared.update(self._byID.get(message.exclude, {}))
        for reader in spared:
            group = reader.group
            # A write to one reader may have closed another one.
            if reader.state is State.LIVE and group is not None and group in touched:
                group.giveOwn(reader, touched[group], end)
