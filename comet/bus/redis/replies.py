"""
What the scripts answer, and what they tell: every part of it is checked before
it is believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from attrs import frozen

from comet.model.cursors import Cursor
from comet.model.messages import Message, Publication, Published

_EPOCH: Final = re.compile(rb"[A-Za-z0-9]{1,32}")


class BadReply(Exception):
    """
    Redis has said what no script of ours says.
    """


class NoLog(Exception):
    """
    There is no log in Redis: one has to be begun.
    """


class Overdue(Exception):
    """
    Something has to be let go before this can be answered.
    """


class ChannelState(NamedTuple):
    """
    What is known of a channel.

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
    What the script C{find} tells.

    @ivar end: The head of the log.

    @ivar floor: The bus's own floor.

    @ivar isLost: Whether the position that was asked for is of another life.

    @ivar following: The position to go on after, or L{None} at the end.

    @ivar channels: What was found.
    """

    end: Cursor
    floor: int
    isLost: bool
    following: int | None
    channels: dict[str, ChannelState]


@frozen
class ReadReply:
    """
    What the script C{read} tells.

    @ivar after: Where the reading began.

    @ivar isLost: Whether that is not where it was asked to begin.

    @ivar reached: Up to where everything is told.

    @ivar more: Whether there is more.

    @ivar floor: The bus's own floor.

    @ivar floors: The floors of channels, where they are above C{after}; of all
        channels with a record, where that is lost.

    @ivar missing: The channels without a record.

    @ivar messages: What was read.
    """

    after: Cursor
    isLost: bool
    reached: int
    more: bool
    floor: int
    floors: dict[str, int]
    missing: frozenset[str]
    messages: list[Message]


def _fields(reply: Any, count: int) -> list[Any]:
    """
    The parts of a reply, of which there are so many at least.

    @raise NoLog: If it says that there is none.

    @raise Overdue: If it says so.
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


def _rows(items: list[Any], width: int) -> Iterator[Sequence[Any]]:
    """
    Items that belong together, so many at a time.
    """
    if len(items) % width:
        raise BadReply(f"{len(items)} items are not in rows of {width}")
    return zip(*[iter(items)] * width, strict=True)


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise BadReply(f"{value!r:.100} is not a number")
    return value


def _word(value: Any) -> str:
    if not isinstance(value, bytes):
        raise BadReply(f"{value!r:.100} is not a text")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadReply(f"{value!r:.100} is not UTF-8") from None


def _epoch(value: Any) -> str:
    if not isinstance(value, bytes) or _EPOCH.fullmatch(value) is None:
        raise BadReply(f"{value!r:.100} is not an epoch")
    return value.decode()


def readBody(channel: str, epoch: str, position: int, body: Any) -> Message:
    """
    Read a message as it is stored: the time, the event, the encoding and the
    payload, a line each.
    """
    parts = body.split(b"\n", 3) if isinstance(body, bytes) else ()
    if len(parts) != 4:
        raise BadReply(f"{body!r:.100} is not a message")
    try:
        time = float(parts[0])
    except ValueError:
        raise BadReply(f"{parts[0]!r:.100} is not a time") from None
    event, encoding = _word(parts[1]) or None, _word(parts[2]) or None
    return Message(channel, epoch, position, time, parts[3], event, encoding)


def writeBody(publication: Publication) -> bytes:
    """
    Write what is stored of a publication, after the time.
    """
    event, encoding = publication.event or "", publication.encoding or ""
    return b"%b\n%b\n%b" % (event.encode(), encoding.encode(), publication.payload)


def readPushed(channel: str, data: bytes) -> Message:
    """
    Read a message as it is pushed: the epoch, the position, and the body in
    the next line.
    """
    first, _, body = data.partition(b"\n")
    epoch, _, position = first.partition(b" ")
    if not position.isdigit() or len(position) > 19:
        raise BadReply(f"{first!r:.100} is not a cursor")
    return readBody(channel, _epoch(epoch), int(position), body)


def readHead(data: bytes) -> tuple[Cursor, int]:
    """
    Read a move of the head.

    @return: Where it is, and the position from where it came.
    """
    parts = data.split(b" ")
    if len(parts) != 3 or not all(each.isdigit() and len(each) < 20 for each in parts[1:]):
        raise BadReply(f"{data!r:.100} is not a move of the head")
    return Cursor(_epoch(parts[0]), int(parts[2])), int(parts[1])


def readCursor(reply: Any) -> Cursor:
    """
    Read where a log stands.
    """
    _, epoch, position, *_ = _fields(reply, 3)
    return Cursor(_epoch(epoch), _number(position))


def readMore(reply: Any) -> bool:
    """
    Read whether there is more to do.
    """
    return bool(_fields(reply, 2)[1] == 1)


def readFoundChannels(reply: Any) -> FoundChannels:
    """
    Read what C{find} answers.
    """
    _, epoch, end, floor, isLost, following, *rest = _fields(reply, 6)
    channels = {
        _word(name): ChannelState(_number(newest), _number(own), _number(oldest))
        for name, newest, own, oldest in _rows(rest, 4)
    }
    return FoundChannels(
        Cursor(_epoch(epoch), _number(end)),
        _number(floor),
        isLost == 1,
        following if _number(following) >= 0 else None,
        channels,
    )


def readTails(reply: Any, channels: Sequence[str]) -> tuple[str, dict[str, int]]:
    """
    Read what C{tails} answers.

    @return: The epoch; and the positions of the channels that hold anything.
    """
    _, epoch, *positions = _fields(reply, 2)
    if len(positions) != len(channels):
        raise BadReply(f"{len(positions)} answers to {len(channels)} channels")
    found = zip(channels, map(_number, positions), strict=True)
    return _epoch(epoch), {channel: position for channel, position in found if position >= 0}


def readReadReply(reply: Any, channels: Sequence[str]) -> ReadReply:
    """
    Read what C{read} answers.

    @param channels: What was asked for.
    """
    _, word, _, floor, after, isLost, reached, more, floored, missing, *rest = _fields(reply, 10)
    epoch = _epoch(word)
    start = 2 * _number(floored)
    end = start + _number(missing)
    if not 0 <= start <= end <= len(rest):
        raise BadReply(f"{floored!r} floors and {missing!r} names are not among {len(rest)} items")
    floors = {_word(name): _number(own) for name, own in _rows(rest[:start], 2)}
    messages = []
    for index, position, body in _rows(rest[end:], 3):
        if not 0 <= _number(index) < len(channels):
            raise BadReply(f"there is no channel {index}")
        messages.append(readBody(channels[index], epoch, _number(position), body))
    return ReadReply(
        Cursor(epoch, _number(after)),
        isLost == 1,
        _number(reached),
        more == 1,
        _number(floor),
        floors,
        frozenset(map(_word, rest[start:end])),
        messages,
    )


@frozen
class KeyConflict:
    """
    A key was used for another message before.

    @ivar index: Which of the publications has it.
    """

    index: int


@frozen
class Stored:
    """
    What the script C{publish} answers.

    @ivar answers: An answer for each publication.

    @ivar more: Whether there is more to let go.
    """

    answers: list[Published]
    more: bool


def readStored(reply: Any, publications: Sequence[Publication]) -> Stored | KeyConflict:
    """
    Read what C{publish} answers.
    """
    if isinstance(reply, list) and len(reply) == 2 and reply[0] == b"KEY":
        index = _number(reply[1])
        if 0 <= index < len(publications):
            return KeyConflict(index)
    _, word, more, *answers = _fields(reply, 3)
    epoch = _epoch(word)
    if len(answers) != len(publications):
        raise BadReply(f"{len(answers)} answers to {len(publications)} publications")
    return Stored(
        [
            Published(epoch, _positions(publication.channels, answer))
            for publication, answer in zip(publications, answers, strict=True)
        ],
        more == 1,
    )


def _positions(channels: Sequence[str], answer: Any) -> dict[str, int]:
    if isinstance(answer, int):
        return dict(zip(channels, range(answer, answer + len(channels)), strict=True))
    # As it was first asked for, perhaps in another order.
    first, *names = _word(answer).split("\n")
    if not first.isdigit() or len(first) > 19 or sorted(names) != sorted(channels):
        raise BadReply(f"{answer!r:.100} is not an answer to {channels!r:.100}")
    found = {name: int(first) + offset for offset, name in enumerate(names)}
    return {channel: found[channel] for channel in channels}
