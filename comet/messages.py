"""
The values that travel through the house: what was published, where a reader
stands, where it wants to begin, why it is sent away.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from attrs import field, frozen

from comet.errors import BadCursor

# What one message costs beside its own bytes, as measured on CPython 3.11:
# the object, its slots, its event and its place in a log.
MESSAGE_OVERHEAD: Final = 208

_CURSOR = re.compile(r"([A-Za-z0-9]{1,32})-(0|[1-9][0-9]{0,18})", re.ASCII)
_LAST = re.compile(r"-([1-9][0-9]{0,8})", re.ASCII)


class Cursor(NamedTuple):
    """
    A place in the log of the whole bus: everything up to and including this
    position, in the channels that were asked for, has arrived.

    @ivar epoch: The life of the log that the position belongs to: a word of 1
        to 32 ASCII letters and digits.

    @ivar position: 0 is before the first message; otherwise the position of a
        message that may be long gone.
    """

    epoch: str
    position: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.position}"


def parseCursor(text: str) -> Cursor:
    """
    Read a cursor as it is written on the wire.

    @raise BadCursor: If C{text} is not a cursor.
    """
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise BadCursor(
            f"{text[:64]!r} is not a cursor: an epoch of letters and digits, a "
            "hyphen, and a position without leading zeros"
        )
    return Cursor(found[1], int(found[2]))


@frozen
class Now:
    """
    Begin after the newest message there is.
    """


@frozen
class Earliest:
    """
    Begin before the oldest message that is held.
    """


@frozen
class Last:
    """
    Begin before the last messages of each channel.

    @ivar count: How many of each, at least 1.
    """

    count: int


@frozen
class At:
    """
    Begin after everything that a cursor stands for.
    """

    cursor: Cursor


@frozen
class Unreadable:
    """
    A cursor was given once, and cannot be read any more: begin as if its epoch
    were gone, which is a gap.
    """


Beginning: TypeAlias = Now | Earliest | Last | At | Unreadable


def parseBeginning(text: str) -> Beginning:
    """
    Read a place to begin at: a cursor, C{now}, C{earliest}, C{-N}, or nothing,
    which is C{now}.

    @raise BadCursor: If C{text} is none of them.
    """
    if text in ("", "now"):
        return Now()
    if text == "earliest":
        return Earliest()
    last = _LAST.fullmatch(text)
    if last is not None:
        return Last(int(last[1]))
    try:
        return At(parseCursor(text))
    except BadCursor as error:
        raise BadCursor(f"{error.detail}; or 'now', 'earliest', '-N' with N >= 1") from None


@frozen
class Since:
    """
    Where a reader of several names begins.

    @ivar general: Where each name begins that has no place of its own.

    @ivar particular: The places of single names, by the name as it was asked
        for.
    """

    general: Beginning = Now()
    particular: Mapping[str, Beginning] = field(factory=dict)

    def of(self, name: str) -> Beginning:
        """
        Where one name begins.
        """
        return self.particular.get(name, self.general)


class Message:
    """
    What was published to one channel, as the log holds it.

    @ivar channel: The name of the channel.

    @ivar epoch: The life of the log that it was stored in.

    @ivar position: Its place in that log: at least 1, greater than that of
        every message stored before it in any channel.

    @ivar time: When it was stored, in seconds since 1970.

    @ivar event: The name of the event that it is, or L{None}.

    @ivar encoding: C{"base64"} where the data stand for bytes, else L{None}.

    @ivar payload: The data as JSON in UTF-8, without a space between tokens,
        in the form that is safe in every wire shape (see
        L{comet.framing.strictjson.encode}).
    """

    __slots__ = ("channel", "encoding", "epoch", "event", "payload", "position", "time")

    def __init__(
        self,
        channel: str,
        epoch: str,
        position: int,
        time: float,
        payload: bytes,
        event: str | None = None,
        encoding: str | None = None,
    ) -> None:
        self.channel = channel
        self.epoch = epoch
        self.position = position
        self.time = time
        self.payload = payload
        self.event = event
        self.encoding = encoding

    @property
    def cursor(self) -> Cursor:
        """
        The cursor of a reader that this message was the last to reach.
        """
        return Cursor(self.epoch, self.position)

    @property
    def size(self) -> int:
        """
        How many bytes it counts for in the limits of what is held in all.
        """
        event = 0 if self.event is None else 4 * len(self.event)
        return len(self.payload) + event + MESSAGE_OVERHEAD

    def __repr__(self) -> str:
        return f"<Message {self.channel} {self.cursor} {self.payload[:40]!r}>"


@frozen
class Publication:
    """
    Something to be stored: one message for each of its channels.

    @ivar channels: The channels, at least one, none twice.

    @ivar payload: The data, as in L{Message.payload}.

    @ivar event: As in L{Message.event}.

    @ivar encoding: As in L{Message.encoding}.

    @ivar publisher: Who publishes: the same key of another publisher is
        another key.

    @ivar key: The idempotency key, 1 to 128 printable ASCII characters, or
        L{None}.
    """

    channels: tuple[str, ...]
    payload: bytes
    event: str | None = None
    encoding: str | None = None
    publisher: str = ""
    key: str | None = None


@frozen
class Published:
    """
    The answer to a publication that is stored.

    @ivar epoch: The life of the log that it is stored in.

    @ivar positions: The position of the message in each channel, in the order
        of the publication's channels.
    """

    epoch: str
    positions: Mapping[str, int]

    @property
    def cursor(self) -> Cursor:
        """
        The cursor of the last of its messages.
        """
        return Cursor(self.epoch, max(self.positions.values()))


CLOSE_CODES: Final = frozenset(
    {
        "draining",
        "expired",
        "revoked",
        "forbidden",
        "lagging",
        "tooMany",
        "unavailable",
        "internal",
    }
)


@frozen
class Close:
    """
    Why a reader is sent away, and whether it should come back.

    @ivar code: One of L{CLOSE_CODES}.

    @ivar message: The reason, for people.

    @ivar retry: In how many seconds to come back, or L{None} for never.
    """

    code: str
    message: str
    retry: float | None = None


def newEpoch() -> str:
    """
    Make up the name of a new life of the log.
    """
    # 32^6: two of the lives that a reader can remember are never called alike
    # but by one chance in a thousand million.
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(6))
