"""
How much is compressed in one moment, and what came of it.
"""

from __future__ import annotations

from typing import Final

from comet.framing.deflate import MOST_COMPRESSED, MOST_WINDOW, deflateIfShorter

# How many bytes are compressed in one moment, in all shapes together: these take some
# 6 ms, in which the server does nothing else.  Each piece counts for some more: to
# compress one takes time even if it is very short.
MOST_AT_ONCE: Final = 320 * 1024
EACH_COMPRESSED: Final = 512


class CompressionBudget:
    """
    Compresses pieces for as long as there is budget for them, and counts what came of it.
    A piece for which there is none goes to the readers as it is: to hold it back until
    there is would cost them the time that compression saves.

    @ivar left: How many bytes may still be compressed.

    @ivar isFresh: Whether nothing of the budget is spent: then a piece of any size may be
        compressed.

    @ivar isSpent: Whether it had no room for a piece since it was renewed.

    @ivar compressed: How many pieces were made shorter.

    @ivar longer: How many pieces did not become shorter.

    @ivar unaffordable: How many pieces the budget had no room for.

    @ivar before: How many bytes the pieces had that were made shorter.

    @ivar after: How many they have since.
    """

    __slots__ = (
        "after",
        "before",
        "compressed",
        "isFresh",
        "isSpent",
        "left",
        "longer",
        "unaffordable",
    )

    def __init__(self, left: int = MOST_AT_ONCE) -> None:
        self.renew(left)
        self.compressed = self.longer = self.unaffordable = 0
        self.before = self.after = 0

    def renew(self, left: int = MOST_AT_ONCE) -> None:
        """
        Allow so many bytes from now on: another moment has begun.
        """
        self.left = left
        self.isFresh = True
        self.isSpent = False

    def deflate(self, data: bytes, window: int = MOST_WINDOW) -> bytes | None:
        """
        Compress a piece, as L{deflateIfShorter} does.

        @return: L{None} if that does not make it shorter, if it is too large, or if there
            is no budget left for it.
        """
        size = len(data)
        if size > MOST_COMPRESSED:
            return None
        cost = EACH_COMPRESSED + size
        if cost > self.left and not self.isFresh:
            self.unaffordable += 1
            self.isSpent = True
            return None
        self.left -= cost
        self.isFresh = False
        blocks = deflateIfShorter(data, window)
        if blocks is None:
            self.longer += 1
        else:
            self.compressed += 1
            self.before += size
            self.after += len(blocks)
        return blocks
