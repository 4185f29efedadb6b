"""
What a client of HTTP/2 may send that costs the server work and itself nothing.

A client can make the server work with frames that neither ask for anything nor
belong to a request: it pings, opens windows, changes settings, sends DATA
without bytes, or resets what it has asked for.  A L{Budget} allows as many of
them as clients have a use for.
"""

from __future__ import annotations

from typing import Final

from comet.web.http2.frames import Frame, Kind

# Frames that carry nothing, which a client may send in a burst, and in each
# second after that.  A browser sends three when it connects, and one or two
# with each request.
MAX_FRAMES: Final = 1000.0
FRAMES_PER_SECOND: Final = 100.0

# Such frames that a client may send for each frame of a response that it has
# taken, and for each byte of it.  A client that opens both windows for each frame
# of DATA sends two, and some do so for each part of it that they read.
FRAMES_PER_SENT: Final = 10.0
FRAMES_PER_BYTE: Final = 1 / 256

# Such frames that a client may send for each frame of a body with bytes in it.
FRAMES_PER_RECEIVED: Final = 1.0

# Most of what is earned in these two ways.  A client that has read nothing for a
# while opens its windows for all that waited in its socket at once.
MOST_EARNED: Final = 100_000.0

# Streams that a client may reset, or have reset by its faults, in a burst, and
# in each second after that: a client can ask and reset at no cost to itself.
MAX_RESETS: Final = 500.0
RESETS_PER_SECOND: Final = 50.0


class Budget:
    """
    What a client may still spend.  It fills with time, and by what the client
    earns.

    @ivar left: How much may be spent.
    """

    __slots__ = ("_at", "_most", "_perSecond", "left")

    def __init__(self, most: float, perSecond: float, now: float) -> None:
        """
        @param most: How much there is at first, and how far time fills it.

        @param perSecond: How much time adds in a second.

        @param now: The time, in seconds.
        """
        self.left = self._most = most
        self._perSecond = perSecond
        self._at = now

    def fill(self, now: float) -> None:
        """
        Add what has come with time.

        @param now: The time, in seconds.
        """
        if self.left < self._most:
            more = max(now - self._at, 0) * self._perSecond
            self.left = min(self.left + more, self._most)
        self._at = now

    def earn(self, more: float) -> None:
        """
        Add what the client has earned, which may be more than time would add.
        """
        self.left = min(self.left + more, max(self.left, MOST_EARNED))

    def spend(self, cost: float) -> bool:
        """
        Take something away.

        @return: Whether there was as much.
        """
        self.left -= cost
        return self.left >= 0


def costOf(frame: Frame) -> int:
    """
    Return what a frame costs the budget of a client, or 0 if it belongs to a
    request.
    """
    kind = frame.kind
    if kind == Kind.DATA:
        # An empty one that ends the request says so.
        return 0 if frame.hasData or frame.isEnd else 1
    if kind == Kind.HEADERS:
        return 0
    if kind == Kind.CONTINUATION:
        return 0 if frame.isBlockEnd else 1
    # Each setting that the server does not know was work, too.
    return 1 + frame.ignored
