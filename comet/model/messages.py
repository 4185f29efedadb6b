"""
Messages, as they are published and as they are stored; and the reason with
which a reader is closed.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from attrs import define, frozen

from comet.model.cursors import Cursor

# What one message costs in memory beside its own bytes, as measured on CPython
# 3.11: the object, its slots, its event and its place in a log.
MESSAGE_OVERHEAD: Final = 208

# The publisher, the channels in the order of their names, and the key.
KeyScope: TypeAlias = tuple[str, tuple[str, ...], str]


class Message:
    """
    A message of one channel, as the log holds it.

    @ivar channel: The name of the channel.

    @ivar epoch: The epoch in which it was stored.

    @ivar position: Its position: at least 1, and greater than that of every
        message stored before it in any channel.

    @ivar time: When it was stored, in seconds since 1970.

    @ivar event: The name of its event, or L{None}.

    @ivar encoding: C{"base64"} if the data stand for bytes, else L{None}.

    @ivar payload: The data as JSON in UTF-8, without a space between tokens,
        escaped so that every wire format can carry it (see
        L{comet.framing.strictjson.encode}).

    @ivar exclude: The id of the readers that are spared the message, or L{None}: see
        L{comet.fanout.spared}.
    """

    # Few messages have one, and the others are no larger for it.
    exclude: str | None = None

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
    def data(self) -> Any:
        """
        What was published: a value of JSON, or L{bytes}.

        It is parsed each time, and belongs to the caller: a message is shared by all
        its readers and stays in the log, where a parsed value would take many times
        the memory of its bytes.  Keep it where you need it twice.
        """
        return _parse(self.payload, self.encoding)

    @property
    def cursor(self) -> Cursor:
        """
        The cursor of a reader that has just received this message.
        """
        return Cursor(self.epoch, self.position)

    @property
    def size(self) -> int:
        """
        How many bytes the message counts for in the limit of what a bus holds.
        """
        event = 0 if self.event is None else 4 * len(self.event)
        return len(self.payload) + event + MESSAGE_OVERHEAD

    def __repr__(self) -> str:
        return f"<Message {self.channel} {self.cursor} {self.payload[:40]!r}>"


class ExcludingMessage(Message):
    """
    A message that some readers are spared.
    """

    __slots__ = ("exclude",)

    def __init__(
        self,
        channel: str,
        epoch: str,
        position: int,
        time: float,
        payload: bytes,
        event: str | None,
        encoding: str | None,
        exclude: str,
    ) -> None:
        super().__init__(channel, epoch, position, time, payload, event, encoding)
        self.exclude = exclude


def _parse(payload: bytes, encoding: str | None) -> Any:
    value = json.loads(payload)
    return value if encoding is None else b64decode(value)


# Not frozen, since one is made for each message, and what is frozen takes five times as
# long to make.
@define(unsafe_hash=True)
class Publication:
    """
    A payload to be stored: one message for each of its channels.  It is never changed
    once it is made.

    @ivar channels: The channels; at least one, each once.

    @ivar payload: The data, as in L{Message.payload}.

    @ivar event: As in L{Message.event}.

    @ivar encoding: As in L{Message.encoding}.

    @ivar publisher: Who publishes: C{"server"} for the application, or a client's
        L{publisher<comet.model.clients.Client.publisher>}.  Equal keys of two
        publishers are two keys.

    @ivar key: The idempotency key, 1 to 128 printable ASCII characters, or
        L{None}.

    @ivar exclude: As in L{Message.exclude}.

    @ivar mark: The fingerprint of the message as it came from its publisher, if it
        was rewritten since; else L{None}.
    """

    channels: tuple[str, ...]
    payload: bytes
    event: str | None = None
    encoding: str | None = None
    publisher: str = ""
    key: str | None = None
    exclude: str | None = None
    mark: bytes | None = None

    @property
    def data(self) -> Any:
        """
        What is published: a value of JSON, or L{bytes}.  It is parsed each time.
        """
        return _parse(self.payload, self.encoding)

    def stored(self, channel: str, epoch: str, position: int, time: float) -> Message:
        """
        Return the message of this publication that is stored in one of its channels.

        @param time: When it is stored, in seconds since 1970.
        """
        payload, event, encoding = self.payload, self.event, self.encoding
        if self.exclude is None:
            return Message(channel, epoch, position, time, payload, event, encoding)
        return ExcludingMessage(
            channel, epoch, position, time, payload, event, encoding, self.exclude
        )

    @property
    def keyScope(self) -> KeyScope | None:
        """
        What makes two idempotency keys the same key: the publisher, the
        channels in any order, and the key itself.  L{None} without a key.
        """
        if self.key is None:
            return None
        return (self.publisher, tuple(sorted(self.channels)), self.key)

    def fingerprint(self) -> bytes:
        """
        16 bytes that stand for the message: equal for equal data, event and
        encoding, regardless of channels, publisher and key.  The order of the
        keys of a JSON object makes a difference.  What was rewritten has that of
        the message as it came.
        """
        if self.mark is not None:
            return self.mark
        digest = blake2b(digest_size=16)
        for part in (self.event, self.encoding):
            # Neither is ever empty, so an empty text stands for none.
            raw = b"" if part is None else part.encode("utf-8")
            digest.update(len(raw).to_bytes(8, "big") + raw)
        digest.update(self.payload)
        return digest.digest()


@define(unsafe_hash=True)
class Published:
    """
    The answer to a publication that was stored.  It is never changed once it is made.

    @ivar epoch: The epoch in which it was stored.

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


@frozen
class Gap:
    """
    A place at which messages are lost to a reader.

    @ivar cursor: The cursor after which they are lost.

    @ivar names: The names that lost them.  The messages that are still held follow.
    """

    cursor: Cursor
    names: tuple[str, ...]


CLOSE_CODES: Final = frozenset(
    {
        "draining",
        "disconnected",
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
    Why the server closes a reader, and when the client may come back.

    @ivar code: One of L{CLOSE_CODES}.

    @ivar message: The reason in words, which no program should parse.

    @ivar retry: After how many seconds to come back, or L{None} for never.
    """

    code: str
    message: str
    retry: float | None = None
