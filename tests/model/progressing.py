"""
A log in a list, for the tests of where a reader stands in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.model.patterns import matches
from comet.model.positions import ReadResult, ResolvedStart, ResolvedStarts
from comet.model.progress import Progress, Step, Wanted

EPOCH = "first"


def at(position: int, epoch: str = EPOCH) -> Cursor:
    """
    A cursor.
    """
    return Cursor(epoch, position)


def start(
    position: int,
    floor: int = 0,
    isGap: bool = False,
    isRelative: bool = False,
    skipUpTo: Mapping[str, int] | None = None,
) -> ResolvedStart:
    """
    A resolved start.
    """
    return ResolvedStart(position, floor, isGap, isRelative, skipUpTo or {})


class Log:
    """
    Messages, the first of which has position 1.

    @ivar channels: The channel of each.

    @ivar floors: What is not held any more, by channel.
    """

    def __init__(self, *channels: str, epoch: str = EPOCH) -> None:
        self.channels = list(channels)
        self.epoch = epoch
        self.floors: dict[str, int] = {}

    @property
    def end(self) -> Cursor:
        """
        The position of the newest message.
        """
        return at(len(self.channels), self.epoch)

    def resolved(self, **starts: ResolvedStart) -> ResolvedStarts:
        """
        Where names start; C{all} and C{c_all} stand for patterns.
        """
        spelled = {"all": "**", "c_all": "c/*", "c_x": "c/x", "c_y": "c/y"}
        return ResolvedStarts(self.end, {spelled.get(n, n): p for n, p in starts.items()})

    def read(self, wanted: Wanted, limit: int = 1000) -> ReadResult:
        """
        Read what is wanted.
        """
        after, gaps = wanted.after, {}
        isLost = after.epoch != self.epoch
        if isLost:
            after = at(0, self.epoch)
        for name in wanted.names:
            floor = max((f for c, f in self.floors.items() if matches(name, c)), default=0)
            if isLost or floor > after.position:
                gaps[name] = floor
        end = len(self.channels) if wanted.upTo is None else wanted.upTo
        found = [
            Message(channel, self.epoch, position, 0.0, b"1")
            for position, channel in enumerate(self.channels, 1)
            if after.position < position <= end
            and position > self.floors.get(channel, 0)
            and any(matches(name, channel) for name in wanted.names)
        ]
        more = len(found) > limit
        reached = found[limit - 1].position if more else end
        return ReadResult(after, found[:limit], at(reached, self.epoch), gaps, more)

    def step(self, progress: Progress, limit: int = 1000) -> Step:
        """
        Read once for a reader, and let it accept the result.
        """
        wanted = progress.wanted()
        return progress.accept(wanted, self.read(wanted, limit))


def begin(resolved: ResolvedStarts) -> Progress:
    """
    Make a reader with these resolved starts.
    """
    progress = Progress(resolved.end)
    progress.add(resolved)
    return progress


def positions(step: Step) -> list[int]:
    """
    The positions of the messages of a step.
    """
    return [message.position for message in step.messages]
