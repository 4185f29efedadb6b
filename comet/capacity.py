"""
How many connections the system lets this process have, and what is kept back: some
open files stay free for publishers, health checks, and the server's own work.  And
how many bytes of bodies it takes in at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from comet.errors import Unavailable

# How many open files readers leave to everything else.
RESERVED: Final = 64

# How many of these no client gets.
SPARE: Final = 16

# How many seconds pass between two log lines about refusals.
PAUSE: Final = 60.0

# How many bytes the bodies of requests that are on their way may have together.
UPLOAD_BYTES: Final = 64 * 1024 * 1024

# After how many seconds a client may send a body again for which there was no room.
UPLOAD_RETRY: Final = 1.0

# How many idle connections are closed at once to make room.
SOME: Final = 16


def openFiles() -> tuple[int, int] | None:
    """
    Return how many files this process may open, and to how many it could raise
    that; or L{None} if the system does not say.  A negative number is no limit.
    """
    try:
        import resource
    except ImportError:
        return None
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def readersWithin(files: tuple[int, int] | None) -> int:
    """
    Return how many readers leave L{RESERVED} open files free; 0 if there is no
    limit.

    @param files: The result of L{openFiles}.
    """
    limit = 0 if files is None else files[0]
    return max(limit - RESERVED, limit // 2) if limit > 0 else 0


def fullFrom(files: tuple[int, int] | None) -> int:
    """
    Return from which descriptor on a new connection is one too many.  A system
    gives the lowest free number, so almost all lower ones are in use then.

    @param files: The result of L{openFiles}.
    """
    limit = 0 if files is None else files[0]
    return max(limit - SPARE, limit * 3 // 4) if limit > 0 else 1 << 62


class Refusals:
    """
    Counts clients that were refused since there was no room, and logs the count:
    with the first, and then at most once a minute.
    """

    _log = Logger()

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: Returns the time, in seconds.
        """
        self._seconds = seconds
        self._count = 0
        self._next = -math.inf

    def add(self, reason: str) -> None:
        """
        A client was refused.

        @param reason: What there is no room for.
        """
        self._count += 1
        now = self._seconds()
        if now >= self._next:
            count, self._count = self._count, 0
            self._next = now + PAUSE
            self._log.warn(
                "no room for clients, {count} refused since the last such line: {reason}",
                count=count,
                reason=reason,
            )


class Uploads:
    """
    Counts the bytes of the bodies that are on their way, all together, and refuses
    those for which there is no room.

    A body that arrives together with the head of its request is not counted.

    @ivar most: How many bytes there may be.

    @ivar kept: How many there are.
    """

    def __init__(self, most: int, refusals: Refusals) -> None:
        self.most = most
        self.kept = 0
        self._refusals = refusals

    def check(self, size: int) -> None:
        """
        Check that there is room for a body, before it comes.

        @raise Unavailable: If there is none.
        """
        if self.kept + size > self.most:
            self._refusals.add(f"bodies on their way have {self.kept} bytes already")
            raise Unavailable(
                f"the bodies on their way to the server would have more than {self.most} bytes, as "
                "many as --upload-total-bytes allows",
                UPLOAD_RETRY,
            )

    def take(self, size: int) -> None:
        """
        Count a part of a body that has arrived.

        @raise Unavailable: If there is no room for it.
        """
        self.check(size)
        self.kept += size

    def give(self, size: int) -> None:
        """
        Count what was taken of a body no longer: it is whole, or given up.
        """
        self.kept -= size
