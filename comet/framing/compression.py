"""
Compression: which messages a reader gets compressed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from attrs import evolve, frozen

from comet.framing.deflate import MOST_WINDOW
from comet.model.channels import NAME_CACHE_SIZE, isPattern
from comet.model.messages import Message
from comet.model.patterns import matches

OFF: Final = 0


@frozen(cache_hash=True)
class Compression:
    """
    From which size on messages are compressed for readers that take it.  It belongs to
    the shape of a reader, so that each message is compressed once for all readers in
    equal shapes.

    @ivar above: How many bytes of data a message has at least that is compressed, as JSON
        in UTF-8; L{OFF} to compress none.

    @ivar tables: The channels and patterns for which another number counts, and that
        number; for a channel the first that matches it.

    @ivar window: As in L{deflate<comet.framing.deflate.deflate>}.
    """

    above: int = OFF
    tables: tuple[tuple[str, int], ...] = ()
    window: int = MOST_WINDOW

    @property
    def isOn(self) -> bool:
        """
        Whether messages of any channel may be compressed.
        """
        return self.above != OFF or any(above != OFF for _, above in self.tables)

    def within(self, window: int) -> Compression:
        """
        Return the same compression with another window.
        """
        return self if window == self.window else evolve(self, window=window)

    def concerns(self, names: Sequence[str]) -> bool:
        """
        Whether messages of these channels and patterns may be compressed.  A pattern may
        reach any channel.
        """
        return any(self.isOn if isPattern(name) else _above(self, name) != OFF for name in names)

    def takes(self, message: Message) -> bool:
        """
        Whether a message is compressed.
        """
        above = _above(self, message.channel) if self.tables else self.above
        return above != OFF and len(message.payload) >= above


@lru_cache(NAME_CACHE_SIZE)
def _above(compression: Compression, channel: str) -> int:
    for pattern, above in compression.tables:
        if matches(pattern, channel):
            return above
    return compression.above
