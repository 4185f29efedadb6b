"""
Of which readers a bus reads ahead: in one step it finds where their names begin, and what is
there.

Most readers, and nearly all polls, name a few channels and begin all of them in the same way.
In two steps, of which each waits for a thread or a network, and then for a turn of the
reactor, they would wait twice as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from comet.model.channels import isPattern
from comet.model.positions import At, Earliest, Last, StartPosition, Unreadable

# How many channels are opened in one step, and how many of their last messages are looked
# at, at most: a channel may hold a megabyte.
MOST_OPENED: Final = 32
MOST_TAILED: Final = 2000


def isOpening(names: Mapping[str, StartPosition]) -> bool:
    """
    Tell whether these names can be opened in one step: a few channels, of which either all
    begin at the same cursor, or none at a cursor.
    """
    if not 0 < len(names) <= MOST_OPENED or any(map(isPattern, names)):
        return False
    if len(set(names.values())) == 1:
        (start,) = set(names.values())
        if isinstance(start, At):
            return True
    counts = 0
    for start in names.values():
        if isinstance(start, Last):
            counts += start.count
        elif not isinstance(start, Earliest | Unreadable):
            return False
    return counts <= MOST_TAILED
