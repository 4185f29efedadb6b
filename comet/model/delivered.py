"""
What a name has brought to a reader that does not read it any more, so that
another name that reaches the same messages does not bring them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from comet.model.messages import Message
from comet.model.patterns import matches

# Of how many intervals that were brought by names that are gone a late name is
# spared the repetition.
MOST_DELIVERED: Final = 256


class DeliveredRange(NamedTuple):
    """
    What a name that is not read any more has brought.
    """

    name: str
    after: int
    upTo: int
    skips: Mapping[str, int]

    def includes(self, message: Message) -> bool:
        """
        Whether this message is among it.
        """
        return self.after < message.position <= self.upTo and isOf(self.name, self.skips, message)


def merge(brought: Iterable[DeliveredRange]) -> list[DeliveredRange]:
    """
    Join what the same name has brought in several intervals that touch.
    """
    merged: dict[str, DeliveredRange] = {}
    apart = []
    for each in brought:
        known = merged.get(each.name)
        if known is None:
            merged[each.name] = each
        elif known.skips == each.skips and known.after <= each.upTo and each.after <= known.upTo:
            after, upTo = min(known.after, each.after), max(known.upTo, each.upTo)
            merged[each.name] = DeliveredRange(each.name, after, upTo, each.skips)
        else:
            apart.append(each)
    return [*merged.values(), *apart][-MOST_DELIVERED:]


def isOf(name: str, skips: Mapping[str, int] | None, message: Message) -> bool:
    """
    Whether a message is one that a name reaches, and that is wanted of it.

    @param skips: For single channels, up to where nothing is wanted of them.
    """
    if not matches(name, message.channel):
        return False
    if not skips:
        return True
    return message.position > skips.get(message.channel, skips.get("", 0))
