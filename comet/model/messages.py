"""
Messages as they are published and stored, and why a reader is sent away.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final, TypeAlias

from attrs import frozen

from comet.model.cursors import Cursor

# What one message costs beside its own bytes, as measured on CPython 3.11:
# the object, its slots, its event and its place in a log.
MESSAGE_OVERHEAD: Final = 208

# The publisher, the channels in the order of their names, and the key.
KeyScope: TypeAlias = tuple[str, tuple[str, ...], str]


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

    @property
    def keyScope(self) -> KeyScope | None:
        """
        What two publications share if their idempotency keys are the same key,
        or L{None} without a key.  The order of the channels does not matter.
        """
        if self.key is None:
            return None
        return (self.publisher, tuple(sorted(self.channels)), self.key)

    def fingerprint(self) -> bytes:
        """
        16 bytes that stand for the message: equal for equal data, event and
        encoding, regardless of channels, publisher and key.  The order of the
        keys of a JSON object makes a difference.
        """
        digest = blake2b(digest_size=16)
        for part in (self.event, self.encoding):
            # Neither is ever empty, so that empty may stand for none.
            raw = b"" if part is None else part.encode("utf-8")
            digest.update(len(raw).to_bytes(8, "big") + raw)
        digest.update(self.payload)
        return digest.digest()


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
