"""
The loads of all workers, in memory that they share: each writes its own, and reads those
of the others.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from struct import Struct
from typing import Final

_NUMBER: Final = Struct("=Q")

# The load of a worker that does not serve.
_ABSENT: Final = (1 << 64) - 1


def makeMemory(count: int) -> int:
    """
    Make the memory for so many workers, none of which serves yet.

    @return: A descriptor, which the caller closes.
    """
    if hasattr(os, "memfd_create"):
        fileno = os.memfd_create("comet-loads")
    else:
        with tempfile.TemporaryFile() as file:
            fileno = os.dup(file.fileno())
    os.write(fileno, _NUMBER.pack(_ABSENT) * count)
    return fileno


class Loads:
    """
    The loads of the workers, by number from 1.  A worker may read one that another worker
    is just writing: what it makes of that holds for a moment only.
    """

    def __init__(self, fileno: int) -> None:
        """
        @param fileno: As L{makeMemory} returns it.  It may be closed afterwards.
        """
        size = os.fstat(fileno).st_size
        self._memory = mmap.mmap(fileno, size)
        self._all = Struct(f"={size // _NUMBER.size}Q")

    def write(self, number: int, load: int) -> None:
        """
        Tell the load of a worker.
        """
        _NUMBER.pack_into(self._memory, (number - 1) * _NUMBER.size, load)

    def forget(self, number: int) -> None:
        """
        A worker serves no longer.
        """
        self.write(number, _ABSENT)

    def least(self, number: int) -> int | None:
        """
        Return the least load of the other workers, or L{None} if none of them serves.

        @param number: The number of the worker that asks.
        """
        loads = self._all.unpack_from(self._memory)
        least = min((*loads[: number - 1], *loads[number:]), default=_ABSENT)
        return None if least == _ABSENT else least

    def close(self) -> None:
        """
        Release the memory.
        """
        self._memory.close()
