"""
Ranges already delivered through names that are not read any more, so that an
overlapping name does not deliver them twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from comet.model.messages import Message
from comet.model.patterns import matches

# How many ranges are kept at most for a replaying name.  Messages of a range that
# was dropped are delivered twice.
MOST_DELIVERED: Final = 256


class DeliveredRange(NamedTuple):
    """
    The messages that a removed name delivered.

    @ivar after: The position after which they begin.

    @ivar upTo: The position with which they end.

    @ivar skips: For each channel, the position up to which it was left out.
    """

    name: str
    after: int
    upTo: int
    skips: Mapping[str, int]

    def includes(self, message: Message) -> bool:
        """
        Whether this message was delivered.
        """
        return self.after < message.position <= self.upTo and includes(
            self.name, self.skips, message
        )


def merge(delivered: Iterable[DeliveredRange]) -> list[DeliveredRange]:
    """
    Join ranges of the same name that touch.

    @return: At most L{MOST_DELIVERED} ranges.
    """
    merged: dict[str, DeliveredRange] = {}
    apart = []
    for each in delivered:
        known = merged.get(each.name)
        if known is None:
            merged[each.name] = each
        elif known.skips == each.skips and known.after <= each.upTo and each.after <= known.upTo:
            after, upTo = min(known.after, each.after), max(known.upTo, each.upTo)
            merged[each.name] = DeliveredRange(each.name, after, upTo, each.skips)
        else:
            apart.append(each)
    return [*merged.values(), *apart][-MOST_DELIVERED:]


def includes(name: str, skips: Mapping[str, int] | None, message: Message) -> bool:
    """
    Whether a name matches a message and does not skip it.

    @param skips: For each channel, the position up to which it is left out; the
        empty key stands for all channels that are not in it.
    """
    if not matches(name, message.channel):
        return False
    if not skips:
        return True
    return message.position > skips.get(message.channel, skips.get("", 0))
