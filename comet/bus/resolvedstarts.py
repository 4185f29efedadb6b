"""
Finds where names begin, for a bus that can list the positions of what it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from comet.bus.starts import LastFew, lastFew, resolve
from comet.model.cursors import Cursor
from comet.model.patterns import NameSet, matches
from comet.model.positions import ResolvedStarts, StartPosition


def resolveStarts(
    names: Mapping[str, StartPosition],
    end: Cursor,
    held: Mapping[str, Sequence[int]],
    floors: Mapping[str, int],
    floor: int = 0,
) -> ResolvedStarts:
    """
    Find where each of some names begins, as
    L{IMessageBus.resolve<comet.interfaces.messagebus.IMessageBus.resolve>} promises.  It looks at
    each channel that it is given, for each name.

    @param names: The start position of each channel or pattern.

    @param end: The cursor of the newest message.

    @param held: The positions of the messages that are held of each channel, oldest
        first.  Channels that no name reaches may be left out.

    @param floors: The floor of each channel that has one: the position of its newest
        message that is no longer held.

    @param floor: The floor of the channels that are in neither mapping, of which the
        bus no longer knows what they lost.
    """
    return resolve(names, _Held(end, held, floors, floor))


@frozen
class _Channel:
    """
    A channel with messages.

    @ivar positions: Those of its messages, oldest first; at least one.
    """

    name: str
    positions: Sequence[int]


@frozen
class _Held:
    """
    What a bus holds: see L{Snapshot<comet.bus.starts.Snapshot>}.
    """

    end: Cursor
    _held: Mapping[str, Sequence[int]]
    _floors: Mapping[str, int]
    _floor: int

    def floors(self, names: Sequence[str], after: int) -> Mapping[str, int]:
        """
        See L{Snapshot.floors<comet.bus.starts.Snapshot.floors>}.
        """
        found = {}
        for name in names:
            if name in self._floors or name in self._held:
                found[name] = self._floors.get(name, 0)
            else:
                reached = (each for each in self._floors if matches(name, each))
                found[name] = max(map(self._floors.__getitem__, reached), default=0)
                found[name] = max(found[name], self._floor)
        return found

    def oldest(self, names: Sequence[str]) -> Mapping[str, int]:
        """
        See L{Snapshot.oldest<comet.bus.starts.Snapshot.oldest>}.
        """
        firsts = [(channel, positions[0]) for channel, positions in self._held.items() if positions]
        found = {}
        for name in names:
            reached = [first for channel, first in firsts if matches(name, channel)]
            if reached:
                found[name] = min(reached)
        return found

    def lastFew(self, counts: Mapping[str, int]) -> Mapping[str, LastFew]:
        """
        See L{Snapshot.lastFew<comet.bus.starts.Snapshot.lastFew>}.
        """
        names = NameSet(counts)
        channels = [_Channel(name, each) for name, each in self._held.items() if each]
        # Those that are named come first, then those with the newest messages.
        channels.sort(key=lambda each: (each.name in counts, each.positions[-1]), reverse=True)

        def newest(wanted: int) -> Iterator[tuple[_Channel, int]]:
            for channel in channels:
                bits = names.matching(channel.name) & wanted
                if bits:
                    yield channel, bits

        return lastFew(counts, names, newest, _beforeLast, self.end)


def _beforeLast(channel: _Channel, count: int) -> int:
    """
    The position just before the last few messages of a channel.
    """
    return channel.positions[-count:][0] - 1
