"""
How many connections the system lets this process have, and what is kept back: some
open files stay free for publishers, health checks, and the server's own work.  And
how many bytes of bodies and commands it takes in at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

from twisted.logger import Logger

from comet.errors import Unavailable
from comet.model.clients import Client

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

# How many bytes of a command that has half come are too few to be counted.
SMALL_PART: Final = 4096

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

    @ivar total: How many there were.
    """

    _log = Logger()

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: Returns the time, in seconds.
        """
        self._seconds = seconds
        self._count = self.total = 0
        self._next = -math.inf

    def add(self, reason: str) -> None:
        """
        A client was refused.

        @param reason: What there is no room for.
        """
        self._count += 1
        self.total += 1
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

    Clients that may not publish to every channel have three quarters of the room, and
    those of one name a half of it: so no stranger keeps out a holder of the publish
    key, and no clients of one name those of all others.

    A body that arrives together with the head of its request is not counted.

    @ivar most: How many bytes there may be.

    @ivar kept: How many there are.
    """

    def __init__(self, most: int, refusals: Refusals) -> None:
        self.most = most
        self.kept = 0
        self._refusals = refusals
        # Those of clients that may not publish to every channel.
        self._shared = 0
        self._byName: dict[str, int] = {}

    def begin(self, client: Client) -> BodyCount:
        """
        Begin to count a body.

        @param client: The client that sends it, as far as the head tells.
        """
        return BodyCount(self, client)

    def room(self, client: Client, own: int) -> int:
        """
        Return how many bytes more a body may have for now.

        @param own: How many of it have come.
        """
        free = self.most - self.kept
        # A single large body has to pass where the total is small.
        if client.mayPublishAll or self._shared == own:
            return free
        shared = self.most * 3 // 4 - self._shared
        named = self.most // 2 - self._byName.get(client.name, 0)
        return min(free, shared, named)

    def refuse(self) -> Unavailable:
        """
        Return the error for a body for which there is no room.
        """
        self._refusals.add(f"bodies on their way have {self.kept} bytes already")
        return Unavailable(
            f"too many bodies are on their way to the server: no room is left for this one in the "
            f"part of --upload-total-bytes ({self.most}) for this client; send it again",
            UPLOAD_RETRY,
        )

    def add(self, client: Client, size: int) -> None:
        """
        Count bytes, or with a negative size count them no longer.
        """
        self.kept += size
        if client.mayPublishAll:
            return
        self._shared += size
        own = self._byName.get(client.name, 0) + size
        if own:
            self._byName[client.name] = own
        else:
            self._byName.pop(client.name, None)


class BodyCount:
    """
    Counts the bytes of one body that is on its way.
    """

    __slots__ = ("_client", "_counted", "_uploads")

    def __init__(self, uploads: Uploads, client: Client) -> None:
        self._uploads = uploads
        self._client = client
        self._counted = 0

    def check(self, size: int) -> None:
        """
        Check that there is room for more bytes, before they come.

        @raise Unavailable: If there is none.
        """
        if size > self._uploads.room(self._client, self._counted):
            raise self._uploads.refuse()

    def take(self, size: int) -> None:
        """
        Count a part of the body that has arrived.

        @raise Unavailable: If there is no room for it.
        """
        self.check(size)
        self._uploads.add(self._client, size)
        self._counted += size

    def end(self) -> None:
        """
        The body is whole, or given up: count it no longer.
        """
        self._uploads.add(self._client, -self._counted)
        self._counted = 0


class Partial(Protocol):
    """
    A command of which a part has come.
    """

    def crowdedOut(self) -> None:
        """
        There is no room for the command: give it up.
        """


class PartialCommands:
    """
    Counts the bytes of the commands that have half come, all together.  When there
    are too many, it gives up the oldest.  So clients that leave commands
    incomplete keep no other client from sending one.  One that is alone may be of any
    size.  A command of which no more than L{SMALL_PART} bytes are kept is neither counted
    nor given up.

    @ivar most: How many bytes there may be.

    @ivar kept: How many there are.
    """

    def __init__(self, most: int, refusals: Refusals) -> None:
        self.most = most
        self.kept = 0
        self._refusals = refusals
        # In the order in which they became large enough to be counted.
        self._sizes: dict[Partial, int] = {}

    def keep(self, command: Partial, size: int) -> None:
        """
        Count what is kept of a command, in place of what was counted of it before.
        """
        if size <= SMALL_PART:
            # To give it up would free next to nothing.
            self.forget(command)
            return
        self.kept += size - self._sizes.get(command, 0)
        self._sizes[command] = size
        while self.kept > self.most and len(self._sizes) > 1:
            self._refusals.add(f"commands that have half come have {self.kept} bytes")
            oldest = next(iter(self._sizes))
            self.forget(oldest)
            oldest.crowdedOut()

    def forget(self, command: Partial) -> None:
        """
        Count a command no longer: it is whole, or given up.
        """
        self.kept -= self._sizes.pop(command, 0)
