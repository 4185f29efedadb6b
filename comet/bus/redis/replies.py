"""
Reads the parts of what Redis answers, and checks them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from comet.framing.stored import NotOurs, checkStoredChannel
from comet.model.channels import MAX_NAME_BYTES

_EPOCH: Final = re.compile(rb"[A-Za-z0-9]{1,32}")

# What usual names are of, with line breaks between them; and what makes one of them
# invalid, or is not usual.
_USUAL: Final = b"\n$-./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_UNUSUAL: Final = (b"//", b"/\n", b"\n/", b"\n\n", b"/.", b"\n.")

# A position that is written as a text.
POSITION: Final = re.compile(r"[0-9]{1,19}", re.ASCII)


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


def lenientOf(value: Any) -> str:
    """
    Read a text that may be a foreign writer's: it must not keep this node away
    from the log.
    """
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def channelOf(value: Any) -> str:
    """
    Read a part of an answer that is the name of a channel.

    @raise NotOurs: If no channel can have it.
    """
    name: str | None
    try:
        name = wordOf(value)
    except BadReply:
        name = None
    return checkStoredChannel(name)


def channelsOf(values: Sequence[Any]) -> Sequence[str | NotOurs]:
    """
    Read the names of some channels, as L{channelOf} does: of each its name, or what is
    wrong with it.

    An answer may have a thousand, while all clients wait: names of usual characters are
    checked together.
    """
    try:
        joined = b"\n%b\n" % b"\n".join(values)
    except TypeError:
        joined = b"\n\n"
    isUsual = not joined.translate(None, _USUAL) and not any(each in joined for each in _UNUSUAL)
    if isUsual and max(map(len, values)) <= MAX_NAME_BYTES:
        names = joined[1:-1].decode().split("\n")
        # One that has a line break itself is more than one here.
        if len(names) == len(values):
            return names
    return [_channelOrFault(each) for each in values]


def _channelOrFault(value: Any) -> str | NotOurs:
    try:
        return channelOf(value)
    except NotOurs as error:
        return error


def isEpoch(value: bytes) -> bool:
    """
    Whether bytes have the form of an epoch.
    """
    return _EPOCH.fullmatch(value) is not None


def epochOf(value: Any) -> str:
    """
    Read a part of an answer that is an epoch.
    """
    if not isinstance(value, bytes) or not isEpoch(value):
        raise BadReply(f"{value!r:.100} is not an epoch")
    return value.decode()
