"""
Parts of pages: how much is read at once by a bus that checks what its store gives
back.

To check a message takes some ten microseconds, and as many for each kilobyte of it.  A
page of a thousand messages, or of a megabyte, would take ten milliseconds, for which all
others wait.  So a question for more is answered with a part of it, and its caller asks
on (L{ReadResult.isPart<comet.model.positions.ReadResult>}) when others had their turn.
"""

from __future__ import annotations

from typing import Final

# How many messages, and after how many bytes of payload, a part ends.
PART_MESSAGES: Final = 256
PART_BYTES: Final = 128 * 1024

# How many messages, and after how many bytes of payload, a bus reads ahead: of names whose
# beginning it was asked for.  A reader is given no more at first.
AHEAD_MESSAGES: Final = 64
AHEAD_BYTES: Final = 32 * 1024


def partOf(limit: int, maxBytes: int) -> tuple[int, int]:
    """
    Return how many messages, and how many bytes, are read at once where a caller asks
    for so many.
    """
    return min(limit, PART_MESSAGES), min(maxBytes, PART_BYTES)


def isPart(count: int, limit: int, maxBytes: int) -> bool:
    """
    Tell whether a page behind which there is more is only a part of what a caller has
    asked for.

    @param count: How many messages it has.

    @param limit: As the caller asked.

    @param maxBytes: As the caller asked.
    """
    if count < min(limit, PART_MESSAGES):
        # The next message was too large for it.
        return maxBytes > PART_BYTES
    return limit > PART_MESSAGES
