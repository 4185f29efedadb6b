"""
The same bytes to many sockets, in a loop that runs in C.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from socket import SocketType, socket
from typing import Final

# Of the class below Python's own, which overrides nothing of it.
_send: Final = SocketType.send


def sendAll(sockets: Sequence[socket], data: bytes) -> Sequence[tuple[int, int]]:
    """
    Send to each of some sockets that do not block.

    @return: Of those that did not take all of it, the index and how many bytes
        they took: none, if they are full or broken.
    """
    sent: list[int] = []
    left = iter(sockets)
    count, size = len(sockets), len(data)
    while len(sent) < count:
        try:
            # An error ends it in the middle: what came before is kept, and
            # who it was is taken from the iterator already.
            sent.extend(map(_send, left, repeat(data)))
        except OSError:
            sent.append(0)
    if sent.count(size) == count:
        return ()
    return [(index, each) for index, each in enumerate(sent) if each != size]
