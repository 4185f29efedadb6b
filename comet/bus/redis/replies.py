"""
Reads what the scripts answer and push, and checks every part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from attrs import frozen

from comet.bus.redis.settings import OtherSettings
from comet.framing.stored import (
    MOST_POSITION,
    NotOurs,
    StoredMessage,
    checkManyStored,
    checkStored,
    checkStoredChannel,
    joinMarks,
)
from comet.model.cursors import Cursor
from comet.model.messages import Message, Publication, Published

_EPOCH: Final = re.compile(rb"[A-Za-z0-9]{1,32}")
_POSITION: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_TIME: Final = re.compile(r"[0-9]{1,12}\.[0-9]{6}", re.ASCII)


class BadReply(Exception):
    """
    Redis sent what no script of comet's sends.
    """


class NoLog(Exception):
    """
    There is no log in Redis: one has to be begun.
    """


class Overdue(Exception):
    """
    Overdue messages have to be dropped before this can be answered.
    """


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


def fieldsOf(reply: Any, count: int) -> list[Any]:
    """
    Return the parts of an answer, which has at least C{count} of them.

    @raise NoLog: If the script answered that there is no log.

    @raise Overdue: If the script answered that messages are overdue.
    """
    if not isinstance(reply, list) or not reply:
        raise BadReply(f"a script answered {reply!r:.100}")
    if reply[0] == b"NONE":
        raise NoLog
    if reply[0] == b"OVERDUE":
        raise Overdue
    if reply[0] != b"OK" or len(reply) < count:
        raise BadReply(f"a script answered {reply!r:.100}")
    return reply


def rowsOf(items: list[Any], width: int) -> Iterator[Sequence[Any]]:
    """
    Group items that belong together, C{width} at a time.
    """
    if len(items) % width:
        raise BadReply(f"{len(items)} items are not in rows of {width}")
    return zip(*[iter(items)] * width, strict=True)


def numberOf(value: Any) -> int:
    """
    Check that a part of an answer is a number.
    """
    if not isinstance(value, int):
        raise BadReply(f"{value!r:.100} is not a number")
    return value


def wordOf(value: Any) -> str:
    """
    Read a part of an answer that is a text.
    """
    if not isinstance(value, bytes):
        raise BadReply(f"{value!r:.100} is not a text")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadReply(f"{value!r:.100} is not UTF-8") from None


def _lenient(value: Any) -> str:
    """
    Read a text that may be a foreign writer's: it must not keep this node away
    from the log.
    """
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _decoded(value: Any) -> str | None:
    """
    Return a text, or L{None} for what is not one.
    """
    try:
        return wordOf(value)
    except BadReply:
        return None


def epochOf(value: Any) -> str:
    """
    Read a part of an answer that is an epoch.
    """
    if not isinstance(value, bytes) or _EPOCH.fullmatch(value) is None:
        raise BadReply(f"{value!r:.100} is not an epoch")
    return value.decode()


def readBody(channel: str, epoch: str, position: int, body: Any) -> Message:
    """
    Read a stored message.

    @raise NotOurs: If comet cannot have stored it.
    """
    return checkStored(*_splitBody(channel, epoch, position, body))


def _splitBody(channel: str, epoch: str, position: Any, body: Any) -> StoredMessage:
    """
    Split a stored message: the time, the event, the encoding and the payload, a line
    each.

    @raise NotOurs: If it has not the form of what comet stores.
    """
    parts = body.split(b"\n", 3) if isinstance(body, bytes) else ()
    if len(parts) != 4:
        raise NotOurs("body", f"{body!r:.100} does not have four lines")
    try:
        time = float(parts[0])
        event, encoding = parts[1].decode() or None, parts[2].decode() or None
    except ValueError:
        raise NotOurs("body", f"{body!r:.100} has a time, event or encoding of no form") from None
    return StoredMessage(channel, epoch, position, time, parts[3], event, encoding)


def writeBody(publication: Publication) -> bytes:
    """
    Write what is stored of a publication; the script adds the time before it.
    """
    event, marks = publication.event or "", publication.encoding or ""
    if publication.exclude is not None:
        marks = joinMarks(publication.encoding, publication.exclude) or ""
    return b"%b\n%b\n%b" % (event.encode(), marks.encode(), publication.payload)


def writeOrder(channels: Sequence[str]) -> str:
    """
    Write in which order a publication names its channels: the index of each, in
    the order of their names; empty if they are in this order already.
    """
    order = sorted(range(len(channels)), key=channels.__getitem__)
    return "" if order == list(range(len(channels))) else ",".join(map(str, order))


def readPushed(topic: bytes, data: bytes) -> Message:
    """
    Read a pushed message: the epoch and the position, and the body from the
    next line on.

    @param topic: The name of the channel, in UTF-8.

    @raise NotOurs: If no script of comet's can have pushed it.
    """
    first, _, body = data.partition(b"\n")
    epoch, _, position = first.partition(b" ")
    if _EPOCH.fullmatch(epoch) is None or not position.isdigit() or len(position) > 19:
        raise NotOurs("cursor", f"{first!r:.100} is not a cursor")
    try:
        channel = topic.decode()
    except UnicodeDecodeError:
        raise NotOurs("channel", f"{topic!r:.100} is not UTF-8") from None
    return readBody(channel, epoch.decode(), int(position), body)


def readEndMoved(data: bytes) -> tuple[Cursor, int]:
    """
    Read the push that tells where the log end has moved.

    @return: The end of the log, and the position from which it moved.
    """
    parts = data.split(b" ")
    if len(parts) == 3:
        epoch, before, end = parts
        if before.isdigit() and end.isdigit() and len(before) < 20 and len(end) < 20:
            return Cursor(epochOf(epoch), int(end)), int(before)
    raise BadReply(f"{data!r:.100} is not a move of the log end")


@frozen
class Attached:
    """
    The answer of the script C{attach}.

    @ivar end: The end of the log.

    @ivar why: Why a new epoch begins: C{new}, C{restart} or C{behind}; empty if
        none begins.

    @ivar others: What other nodes are configured with.
    """

    end: Cursor
    why: str
    others: list[OtherSettings]


def readAttached(reply: Any) -> Attached:
    """
    Read the answer of C{attach}.
    """
    _, epoch, position, why, *rest = fieldsOf(reply, 4)
    others = [OtherSettings(*map(_lenient, row)) for row in rowsOf(rest, 3)]
    return Attached(Cursor(epochOf(epoch), numberOf(position)), wordOf(why), others)


def readStateChange(reply: Any) -> tuple[Cursor, float] | None:
    """
    Read the answer of C{keep}.

    @return: The cursor of the message that tells of the change, and its time; L{None} if
        nothing was changed.
    """
    if reply in ([b"FULL"], [b"ABSENT"]):
        return None
    _, epoch, position, stamp, *_ = fieldsOf(reply, 4)
    word, time = wordOf(position), wordOf(stamp)
    if not _POSITION.fullmatch(word) or not _TIME.fullmatch(time):
        raise BadReply(f"a change of state was answered {reply!r:.100}")
    return Cursor(epochOf(epoch), int(word)), float(time)


def readKept(reply: Any) -> tuple[Cursor, str | None, Iterator[Sequence[Any]]]:
    """
    Read the answer of C{kept}.

    @return: The log end, the key after which to read on or L{None}, and each key with
        what is kept under it.
    """
    _, epoch, end, rest, *kept = fieldsOf(reply, 4)
    cursor = Cursor(epochOf(epoch), numberOf(end))
    return cursor, wordOf(rest) or None, rowsOf(kept, 2)


def readMore(reply: Any) -> bool:
    """
    Read the answer of C{sweep}: whether there is more to drop.
    """
    return bool(fieldsOf(reply, 2)[1] == 1)


def readFoundChannels(reply: Any) -> FoundChannels:
    """
    Read the answer of C{find}.
    """
    _, epoch, end, floor, highest, isLost, isComplete, *rest = fieldsOf(reply, 7)
    channels: dict[str, ChannelState] = {}
    refused = []
    for name, newest, own, oldest in rowsOf(rest, 4):
        state = ChannelState(numberOf(newest), numberOf(own), numberOf(oldest))
        try:
            channels[checkStoredChannel(_decoded(name))] = state
        except NotOurs as error:
            refused.append(error)
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
    for name, position in rowsOf(rest, 2):
        try:
            channels.append((checkStoredChannel(_decoded(name)), numberOf(position)))
        except NotOurs as error:
            refused.append(error)
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
                    names[word] = checkStoredChannel(_decoded(word))
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
            split.append(_splitBody(channels[index], epoch, position, body))
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
            split.append(_splitBody(channel, epoch, lowest, body))
        except NotOurs as error:
            formless.append(error)
    messages, refused = checkManyStored(split)
    refused = [*formless, *refused]
    return FoundHistory(
        isLost == 1, numberOf(floor), more == 1, Cursor(epoch, lowest), messages, refused
    )


@frozen
class KeyConflict:
    """
    A key came before with another message.

    @ivar index: The index of the publication with the key.
    """

    index: int


@frozen
class Stored:
    """
    The answer of the script C{publish}.

    @ivar outcomes: The outcome of each request: the answer to each of its
        publications, or why none is stored.

    @ivar more: Whether there is more to drop.
    """

    outcomes: list[list[Published] | KeyConflict]
    more: bool


def readStored(reply: Any, requests: Sequence[Sequence[Publication]]) -> Stored:
    """
    Read the answer of C{publish}.
    """
    _, word, more, *outcomes = fieldsOf(reply, 3)
    epoch = epochOf(word)
    if len(outcomes) != len(requests):
        raise BadReply(f"{len(outcomes)} answers to {len(requests)} requests")
    return Stored(
        [_outcome(epoch, *each) for each in zip(outcomes, requests, strict=True)], more == 1
    )


def _outcome(
    epoch: str, answers: Any, publications: Sequence[Publication]
) -> list[Published] | KeyConflict:
    if not isinstance(answers, list):
        raise BadReply(f"a request was answered {answers!r:.100}")
    if len(answers) == 2 and answers[0] == b"KEY":
        index = numberOf(answers[1])
        if 0 <= index < len(publications):
            return KeyConflict(index)
    if len(answers) != len(publications):
        raise BadReply(f"{len(answers)} answers to {len(publications)} publications")
    return [
        Published(epoch, _positions(publication.channels, answer))
        for publication, answer in zip(publications, answers, strict=True)
    ]


def _positions(channels: Sequence[str], answer: Any) -> dict[str, int]:
    if isinstance(answer, int):
        return dict(zip(channels, range(answer, answer + len(channels)), strict=True))
    # This is the answer of the first publication with the same key, perhaps
    # with the channels in another order.
    first, _, written = wordOf(answer).partition(" ")
    usual = [str(index) for index in range(len(channels))]
    order = written.split(",") if written else usual
    if not _POSITION.fullmatch(first) or sorted(order) != sorted(usual):
        raise BadReply(f"{answer!r:.100} is not an answer to {channels!r:.100}")
    offsets = zip(sorted(channels), map(int, order), strict=True)
    found = {name: int(first) + offset for name, offset in offsets}
    return {channel: found[channel] for channel in channels}
