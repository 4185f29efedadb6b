"""
How many skips a reader keeps: positions up to which the messages of a channel are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import nlargest
from typing import Final

from attrs import evolve

from comet.model.positions import ResolvedStart

# Of how many channels one reader knows up to which position their messages are
# left out.
MOST_SKIPS: Final = 1000


def bounded(
    starts: dict[str, ResolvedStart], kept: Iterable[Mapping[str, int]], end: int
) -> dict[str, ResolvedStart]:
    """
    Return starts with which a reader does not skip more channels than it may.  If there
    are too many, those that are named and those with the newest messages stay, and all
    others start at the log end.

    @param starts: The starts of more names.

    @param kept: The tables of skips that the reader has.

    @param end: The position of the log end.
    """
    tables = {id(each.skipUpTo): each.skipUpTo for each in starts.values() if each.skipUpTo}
    if not tables:
        return starts
    # Many names may share one table.
    held = {id(skips): _channels(skips) for skips in kept}
    room = MOST_SKIPS - sum(held.values())
    cut: dict[int, Mapping[str, int]] = {}
    for which, table in tables.items():
        if _channels(table) > room:
            newest = nlargest(
                max(room, 0),
                (channel for channel in table if channel),
                key=lambda channel: (channel in starts, table[channel]),
            )
            cut[which] = {**{channel: table[channel] for channel in newest}, "": end}
            room -= len(newest)
        else:
            room -= _channels(table)
    if not cut:
        return starts
    return {
        name: evolve(start, skipUpTo=cut.get(id(start.skipUpTo), start.skipUpTo))
        for name, start in starts.items()
    }


def _channels(skips: Mapping[str, int]) -> int:
    """
    How many channels a table of skips has.
    """
    return len(skips) - ("" in skips)
