"""
Reads which messages the scripts have found, and checks every part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from comet.bus.redis.bodies import splitBody
from comet.bus.redis.replies import BadReply, epochOf, fieldsOf, numberOf, rowsOf, wordOf
from comet.framing.stored import MOST_POSITION, NotOurs, StoredMessage, checkManyStored
from comet.model.cursors import Cursor
from comet.model.messages import Message


@frozen
class LogPage:
    """
    The answer of the script C{read}.

    @ivar after: The cursor after which the reading began.

    @ivar isLost: Whether the log did not know the cursor that was asked for, so
        that the reading began at another one.

    @ivar reached: The position up to which the page is complete.

    @ivar more: Whether there are more messages.

    @ivar floor: The bus's own floor.

    @ivar highest: The highest floor of a channel.

    @ivar floors: The floors of those channels whose floor is above C{after}; if
        C{isLost}, the floors of all channels with a record.

    @ivar missing: The channels without a record.

    @ivar messages: The messages, in the order of positions.

    @ivar refused: What is wrong with the entries that are left out, because
        comet cannot have written them.
    """

    after: Cursor
    isLost: bool
    reached: int
    more: bool
    floor: int
    highest: int
    floors: dict[str, int]
    missing: frozenset[str]
    messages: list[Message]
    refused: Sequence[NotOurs] = ()


@frozen
class FoundHistory:
    """
    The answer of the script C{history}.

    @ivar isLost: Whether the log does not know the cursor that was asked for.

    @ivar floor: The floor of the channel.

    @ivar more: Whether there are more messages.

    @ivar lowest: The cursor of the oldest message that was looked at; the one that was
        asked for, or a later one, if there is none.

    @ivar messages: The messages, newest first.

    @ivar refused: What is wrong with the entries that are left out, because
        comet cannot have written them.
    """

    isLost: bool
    floor: int
    more: bool
    lowest: Cursor
    messages: list[Message]
    refused: Sequence[NotOurs]


def readLogPage(reply: Any, channels: Sequence[str]) -> LogPage:
    """
    Read the answer of C{read}.

    @param channels: The channels that were asked for, in the same order.
    """
    fields = fieldsOf(reply, 11)
    _, word, _, floor, highest, after, isLost, reached, more, floored, missing, *rest = fields
    epoch = epochOf(word)
    start = 2 * numberOf(floored)
    end = start + numberOf(missing)
    if not 0 <= start <= end <= len(rest):
        raise BadReply(f"{floored!r} floors and {missing!r} names are not among {len(rest)} items")
    floors = {wordOf(name): numberOf(own) for name, own in rowsOf(rest[:start], 2)}
    split: list[StoredMessage] = []
    formless: list[NotOurs] = []
    for index, position, body in rowsOf(rest[end:], 3):
        if not 0 <= numberOf(index) < len(channels):
            raise BadReply(f"there is no channel {index}")
        try:
            split.append(splitBody(channels[index], epoch, position, body))
        except NotOurs as error:
            formless.append(error)
    messages, refused = checkManyStored(split)
    return LogPage(
        Cursor(epoch, numberOf(after)),
        isLost == 1,
        numberOf(reached),
        more == 1,
        numberOf(floor),
        numberOf(highest),
        floors,
        frozenset(map(wordOf, rest[start:end])),
        messages,
        [*formless, *refused],
    )


def readHistory(reply: Any, channel: str, before: Cursor | None) -> FoundHistory:
    """
    Read the answer of C{history}.

    @param channel: The channel that was asked for, as for C{before}.
    """
    _, word, isLost, floor, more, *rest = fieldsOf(reply, 5)
    epoch = epochOf(word)
    lowest = MOST_POSITION + 1 if before is None else before.position
    split: list[StoredMessage] = []
    formless: list[NotOurs] = []
    for position, body in rowsOf(rest, 2):
        if numberOf(position) >= lowest:
            raise BadReply(f"{position} is not before {lowest}")
        lowest = position
        try:
            split.append(splitBody(channel, epoch, lowest, body))
        except NotOurs as error:
            formless.append(error)
    messages, refused = checkManyStored(split)
    refused = [*formless, *refused]
    return FoundHistory(
        isLost == 1, numberOf(floor), more == 1, Cursor(epoch, lowest), messages, refused
    )
