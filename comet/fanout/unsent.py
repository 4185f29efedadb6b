"""
What clients have not taken of what was sent to them.

Bytes that many clients get are kept once: what one of them has not taken is a view
of them.  All responses together that wait for their clients are counted, and while
they are too many the responses to polls are short.
"""

from __future__ import annotations

from typing import Any, Final

# How many bytes of payload the response to a poll has at most.
POLL_BYTES: Final = 1048576

# How many bytes of responses may wait for clients that do not read, before the
# responses to polls are cut.
UNSENT_BYTES: Final = 64 * 1024 * 1024

# How many bytes of payload such a response has, if it has more than one message.
# It fits into what the system buffers of a connection.
CUT_BYTES: Final = 8192

# A view takes about 200 bytes.  To copy what is not much larger is as good.
_COPIED: Final = 4096


def sharedRest(data: bytes | memoryview, sent: int) -> bytes | memoryview:
    """
    Return what is left of bytes that many clients get: a view of them, unless it
    is small.

    @param sent: How many of them were sent.
    """
    if len(data) - sent <= _COPIED:
        return bytes(data[sent:])
    return memoryview(data)[sent:]


def ownRest(data: bytes | memoryview, sent: int) -> bytes | memoryview:
    """
    Return what is left of bytes that perhaps one client alone gets: a view of them
    while it is half of them at least, since a view keeps all of them.

    @param sent: How many of them were sent.
    """
    # Any: what a view is of.
    base: Any = data.obj if isinstance(data, memoryview) else data
    if 2 * (len(data) - sent) < len(base):
        return bytes(data[sent:])
    return sharedRest(data, sent)


class Unsent:
    """
    Counts the bytes of responses that wait for their clients.

    @ivar kept: How many there are.

    @ivar most: How many there may be before responses are cut.

    @ivar pollBytes: How many bytes of payload the response to a poll may have
        now.
    """

    __slots__ = ("_counts", "kept", "most", "pollBytes")

    def __init__(self, most: int = UNSENT_BYTES) -> None:
        self.kept = 0
        self.most = most
        self.pollBytes = POLL_BYTES
        # By the identity of bytes that wait: these, and for how many clients.
        self._counts: dict[int, tuple[bytes, int]] = {}

    def keep(self, data: bytes) -> None:
        """
        All or a part of some bytes waits for a client.  The same object may wait for
        many clients, and is counted once.
        """
        _, count = self._counts.get(id(data), (data, 0))
        self._counts[id(data)] = data, count + 1
        if not count:
            self.add(len(data))

    def drop(self, data: bytes) -> None:
        """
        Bytes that were L{kept<keep>} for a client wait for it no longer.
        """
        _, count = self._counts.pop(id(data))
        if count > 1:
            self._counts[id(data)] = data, count - 1
        else:
            self.add(-len(data))

    def add(self, size: int) -> None:
        """
        Some bytes wait for a client; or, if C{size} is negative, they no longer
        do.
        """
        self.kept += size
        hasRoom = self.kept + POLL_BYTES <= self.most
        self.pollBytes = POLL_BYTES if hasRoom else CUT_BYTES
