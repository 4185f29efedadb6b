"""
Readers that may be ahead of their group.

A reader that joins has read the log by itself, perhaps beyond what the fan-out has heard.
So it has a position of its own, and of the messages of a flush it is given those that come
after that.  Once a flush shows that the group has passed it, it stands where the others do.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Final

from comet.fanout.delivery import Member
from comet.model.cursors import Cursor
from comet.model.messages import Message

_POSITION: Final = itemgetter(0)


def takeAligned(ahead: dict[Member, None], first: Message, end: Cursor) -> list[Member]:
    """
    Take those readers that can be written to with the direct ones: they are direct, and have
    read no message of a flush.

    @param ahead: The readers that may be ahead.

    @param first: The first message of the flush.

    @param end: Up to where its messages are all that there are.
    """
    position, epoch = first.position, end.epoch
    aligned = []
    for reader in ahead:
        stands = reader.progress.cursor
        if reader.direct is not None and stands.epoch == epoch and stands.position < position:
            aligned.append(reader)
    for reader in aligned:
        del ahead[reader]
    return aligned


def takePassed(ahead: dict[Member, None], end: Cursor) -> list[tuple[int, Member]]:
    """
    Take those readers that a flush passes.

    @param ahead: The readers that may be ahead.

    @param end: Up to where the messages of the flush are all that there are.

    @return: The readers, each behind the position at which it stands, in the order of these.
        One that has read beyond C{end}, or of a new epoch that the fan-out has not heard of,
        is not among them.
    """
    passed = []
    for reader in ahead:
        stands = reader.progress.cursor
        if stands.epoch == end.epoch and stands.position <= end.position:
            passed.append((stands.position, reader))
    for _, reader in passed:
        del ahead[reader]
    passed.sort(key=_POSITION)
    return passed
