"""
How the messages of a tick reach streams.

Each message is encoded once for all streams in one shape, and all that a tick brings is
framed together, in parts that are not too large.  The same bytes go to all sockets of a
group in one loop.  If that would take long they go to some at a time, and the clock is
looked at in between.  A socket that takes only the first of the bytes makes its reader
fall behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from comet.fanout.busygroups import DIRECT_COST, Parts
from comet.fanout.delivery import DirectParts, DirectReaders
from comet.fanout.encodingcache import EncodingCache
from comet.fanout.logquestions import READ_BYTES
from comet.fanout.sending import sendAll
from comet.fanout.unsent import sharedRest
from comet.framing import Shape
from comet.interfaces.sockets import DirectSocket
from comet.metrics.tally import Tally
from comet.model.cursors import Cursor
from comet.model.messages import Message

# What is written at once: the bytes, the position of the last message in them, and how
# many messages they have.  No class of its own: each costs a call.
Part: TypeAlias = tuple[bytes, int, int]

# How often the clock is looked at while as much is written as a tick may write at once.
_LOOKS: Final = 4


class StreamDelivery:
    """
    Delivers messages to streams in one shape: each message is encoded once, and
    all that is given in a tick is framed together.
    """

    __slots__ = ("__weakref__", "_encodings", "_parts", "_shape", "_tally")

    def __init__(self, encodings: EncodingCache, shape: Shape, tally: Tally, parts: Parts) -> None:
        """
        @param tally: Counts what is delivered.

        @param parts: Tells how much may be written at once.
        """
        self._encodings = encodings
        self._shape = shape
        self._tally = tally
        self._parts = parts

    def prepare(self, messages: Sequence[Message], end: Cursor) -> list[Part]:
        """
        See L{Delivery.prepare<comet.fanout.delivery.Delivery.prepare>}.

        @return: What to write, cut into parts, so that a client that takes nothing
            makes the server keep no more than one part for it.
        """
        pieces = self._encodings.pieces(self._shape, messages)
        if len(messages) == 1:
            return [(self._shape.frame(pieces), messages[0].position, 1)]
        parts: list[Part] = []
        part: list[bytes] = []
        size, last = 0, 0
        for message, piece in zip(messages, pieces, strict=True):
            if part and size + len(piece) > READ_BYTES:
                parts.append((self._shape.frame(part), last, len(part)))
                part, size = [], 0
            part.append(piece)
            size += len(piece)
            last = message.position
        parts.append((self._shape.frame(part), last, len(part)))
        return parts

    def deliver(self, group: DirectReaders, prepared: list[Part]) -> bool | DirectParts:
        """
        See L{Delivery.deliver<comet.fanout.delivery.Delivery.deliver>}.
        """
        if len(prepared) > 1:
            # A reader that does not take one part must not be given the next.
            return False
        data, last, count = prepared[0]
        direct = group.direct
        if not group.isPart:
            parts, each = self._parts, len(data) + DIRECT_COST
            if len(direct) * each > parts.left:
                return StreamParts(self, prepared, max(parts.most // _LOOKS // each, 1))
            parts.left -= len(direct) * each
        self._tally.delivered += len(direct) * count
        short = sendAll(list(direct.values()), data)
        # All direct sinks of a shape are counted in the same place.
        next(iter(direct)).sink.sent(len(direct) * len(data))
        if short:
            readers = list(direct)
            for index, sent in short:
                readers[index].tookPart(sharedRest(data, sent), last, group.wroteAt)
        return True


class StreamParts:
    """
    Delivers messages to streams in one shape, to some readers at a time.
    """

    __slots__ = ("_delivery", "_prepared", "atOnce")

    def __init__(self, delivery: StreamDelivery, prepared: list[Part], atOnce: int) -> None:
        self._delivery = delivery
        self._prepared = prepared
        self.atOnce = atOnce

    def write(self, direct: dict[Any, DirectSocket], wroteAt: float) -> None:
        """
        See L{DirectParts.write<comet.fanout.delivery.DirectParts.write>}.
        """
        self._delivery.deliver(_Some(direct, wroteAt), self._prepared)


class _Some(NamedTuple):
    """
    Some direct readers of a group.
    """

    direct: dict[Any, DirectSocket]
    wroteAt: float
    isPart: bool = True
