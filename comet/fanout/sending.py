"""
The same bytes to many sockets, in a loop that runs in C.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from operator import methodcaller
from socket import SocketType
from typing import Any, Final

from comet.interfaces.sockets import DirectSocket

# The method of the C class, which Python's own socket class inherits unchanged.  Any:
# what it is called with may be of another class, which it says then.
_send: Final[Any] = SocketType.send


def sendAll(sockets: Sequence[DirectSocket], data: bytes) -> Sequence[tuple[int, int]]:
    """
    Send the same bytes to each of some non-blocking sockets.

    @return: For each socket that did not take all of it, its index and how many
        bytes it took: 0 if it is full or broken.
    """
    sent: list[int] = []
    count, size = len(sockets), len(data)
    sending: Iterator[int] = map(_send, sockets, repeat(data))
    isPlain = True
    while len(sent) < count:
        try:
            # An error ends the loop in the middle: the results before it are
            # kept, and the iterator has passed the socket that raised it.
            sent.extend(sending)
        except OSError:
            sent.append(0)
        except TypeError:
            if not isPlain:
                raise
            # This one encrypts, and most of those behind it may.  To look the method up
            # takes a while, which others are spared.
            isPlain = False
            sending = map(methodcaller("send", data), sockets[len(sent) :])
    if sent.count(size) == count:
        return ()
    return [(index, each) for index, each in enumerate(sent) if each != size]
