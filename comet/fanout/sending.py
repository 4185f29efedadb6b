"""
The same bytes to many sockets, in a loop that runs in C.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from socket import SocketType, socket
from typing import Final

# The method of the C class, which Python's own socket class inherits unchanged.
_send: Final = SocketType.send


def sendAll(sockets: Sequence[socket], data: bytes) -> Sequence[tuple[int, int]]:
    """
    Send the same bytes to each of some non-blocking sockets.

    @return: For each socket that did not take all of it, its index and how many
        bytes it took: 0 if it is full or broken.
    """
    sent: list[int] = []
    left = iter(sockets)
    count, size = len(sockets), len(data)
    while len(sent) < count:
        try:
            # An error ends the loop in the middle: the results before it are
            # kept, and the iterator has passed the socket that raised it.
            sent.extend(map(_send, left, repeat(data)))
        except OSError:
            sent.append(0)
    if sent.count(size) == count:
        return ()
    return [(index, each) for index, each in enumerate(sent) if each != size]
