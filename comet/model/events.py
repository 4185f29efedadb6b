"""
What the server tells of channels after the fact.
"""

from __future__ import annotations

from typing import Final

from comet.model.presence import PREFIX, presenceChannel

# The channel on which it is told.
CHANNEL: Final = "$events"

# What the names of channels begin with that tell of leases, and of how far their holders
# have come.
HOLDERS: Final = "$lease/"
CURSORS: Final = "$cursor/"

# What is told.
OCCUPIED: Final = "occupied"
VACATED: Final = "vacated"
CLOSED: Final = "closed"

# All readers of a channel together are one member of the channel whose name begins so.
READERS: Final = "$readers/"
MEMBER: Final = "readers"


def readersChannel(channel: str) -> str:
    """
    Return the channel of which all readers of another one are the only member; empty if its
    name would be too long.
    """
    name = READERS + channel
    return name if presenceChannel(name) else ""


def readersOf(told: str) -> str | None:
    """
    Return the channel whose readers another channel tells of, or L{None} if it tells of no
    channel's readers.
    """
    channel = told.removeprefix(PREFIX + READERS)
    return None if channel == told else channel
