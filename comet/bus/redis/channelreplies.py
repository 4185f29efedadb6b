"""
Reads which channels and positions the scripts have found, and checks every part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from attrs import frozen

from comet.bus.redis.replies import (
    BadReply,
    channelOf,
    channelsOf,
    epochOf,
    fieldsOf,
    numberOf,
    rowsOf,
)
from comet.framing.stored import NotOurs
from comet.model.cursors import Cursor


class ChannelState(NamedTuple):
    """
    One channel of the log.

    @ivar end: The position of its newest message, held or not.

    @ivar floor: Its floor.

    @ivar oldest: The position of the oldest message that is held, or 0.
    """

    end: int
    floor: int
    oldest: int


@frozen
class FoundChannels:
    """
    The answer of the script C{find}.

    @ivar end: The end of the log.

    @ivar floor: The bus's own floor.

    @ivar highest: The highest floor of a channel.

    @ivar isLost: Whether the log does not know the cursor that was asked for.

    @ivar isComplete: Whether all channels that the patterns may match were
        looked at; else only those that are named were.

    @ivar channels: The channels that were found, by name.  Some may match none
        of the patterns.

    @ivar refused: What is wrong with names that no channel can have.
    """

    end: Cursor
    floor: int
    highest: int
    isLost: bool
    isComplete: bool
    channels: dict[str, ChannelState]
    refused: Sequence[NotOurs] = ()


@frozen
class OrderedChannels:
    """
    The answer of the script C{ordered}.

    @ivar end: The end of the log.

    @ivar floor: The bus's own floor.

    @ivar following: The position after which the next slice begins, or L{None}
        if there is none.

    @ivar channels: The channels, each with its position.

    @ivar refused: What is wrong with names that no channel can have.
    """

    end: Cursor
    floor: int
    following: int | None
    channels: list[tuple[str, int]]
    refused: Sequence[NotOurs] = ()


@frozen
class IndexSlice:
    """
    The answer of the script C{positions}.

    @ivar end: The end of the log.

    @ivar floor: The bus's own floor.

    @ivar highest: The highest floor of a channel.

    @ivar reached: The position up to which this is complete.

    @ivar entries: The positions of messages, in order, each with the channel.
        Messages that were dropped may be among them.

    @ivar refused: What is wrong with names that no channel can have.
    """

    end: Cursor
    floor: int
    highest: int
    reached: int
    entries: list[tuple[int, str]]
    refused: Sequence[NotOurs] = ()


def readFoundChannels(reply: Any) -> FoundChannels:
    """
    Read the answer of C{find}.
    """
    _, epoch, end, floor, highest, isLost, isComplete, *rest = fieldsOf(reply, 7)
    channels: dict[str, ChannelState] = {}
    refused = []
    for name, (_, newest, own, oldest) in zip(channelsOf(rest[::4]), rowsOf(rest, 4), strict=True):
        state = ChannelState(numberOf(newest), numberOf(own), numberOf(oldest))
        if isinstance(name, NotOurs):
            refused.append(name)
        else:
            channels[name] = state
    return FoundChannels(
        Cursor(epochOf(epoch), numberOf(end)),
        numberOf(floor),
        numberOf(highest),
        isLost == 1,
        isComplete == 1,
        channels,
        refused,
    )


def readOrdered(reply: Any) -> OrderedChannels:
    """
    Read the answer of C{ordered}.
    """
    _, epoch, end, floor, following, *rest = fieldsOf(reply, 5)
    channels: list[tuple[str, int]] = []
    refused = []
    for name, (_, position) in zip(channelsOf(rest[::2]), rowsOf(rest, 2), strict=True):
        if isinstance(name, NotOurs):
            refused.append(name)
        else:
            channels.append((name, numberOf(position)))
    return OrderedChannels(
        Cursor(epochOf(epoch), numberOf(end)),
        numberOf(floor),
        following if numberOf(following) >= 0 else None,
        channels,
        refused,
    )


def readPositions(reply: Any, after: int, last: int) -> IndexSlice:
    """
    Read the answer of C{positions}.

    @param after: The position that was asked for.

    @param last: The last position that was asked for.
    """
    _, epoch, end, floor, highest, reached, *blocks = fieldsOf(reply, 6)
    entries = []
    # The names by their bytes; None for those that no channel can have.
    names: dict[bytes, str | None] = {}
    refused = []
    for block in blocks:
        if not isinstance(block, bytes):
            raise BadReply(f"{block!r:.100} is not a block")
        for line in block.split(b"\n"):
            position, _, word = line.partition(b" ")
            if not position.isdigit() or len(position) > 19 or not after < int(position) <= last:
                continue
            if word not in names:
                names[word] = None
                try:
                    names[word] = channelOf(word)
                except NotOurs as error:
                    refused.append(error)
            name = names[word]
            if name is not None:
                entries.append((int(position), name))
    entries.sort()
    return IndexSlice(
        Cursor(epochOf(epoch), numberOf(end)),
        numberOf(floor),
        numberOf(highest),
        # A slice always goes on.
        max(min(numberOf(reached), last), after + 1),
        entries,
        refused,
    )


def readTails(reply: Any, channels: Sequence[str]) -> tuple[str, dict[str, int]]:
    """
    Read the answer of C{tails}.

    @return: The epoch; and the positions of the channels that hold a message.
    """
    _, epoch, *positions = fieldsOf(reply, 2)
    if len(positions) != len(channels):
        raise BadReply(f"{len(positions)} answers to {len(channels)} channels")
    found = zip(channels, map(numberOf, positions), strict=True)
    return epochOf(epoch), {channel: position for channel, position in found if position >= 0}
