"""
The lines of the standard input, as many as there are at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

_READ_SIZE: Final = 65536

# How many bytes a line may have: as many as a server can be told to take.
MAX_LINE: Final = 1 << 26


class LongLine(ValueError):
    """
    A line has more than L{MAX_LINE} bytes.
    """


def readLines(descriptor: int) -> Iterator[list[bytes]]:
    """
    Yield the lines that come, without their ends: those that are there, as soon as one is.  A
    program that writes a line now and then does not wait for more to come, and a file comes in
    large pieces.

    @raise LongLine: If a line is too long.  Those before it have been yielded.
    """
    rest = bytearray()
    while data := os.read(descriptor, _READ_SIZE):
        *lines, last = data.split(b"\n")
        if lines:
            lines[0] = bytes(rest) + lines[0]
            rest.clear()
            yield [line.removesuffix(b"\r") for line in lines]
        rest += last
        if len(rest) > MAX_LINE:
            raise LongLine(f"a line has more than {MAX_LINE} bytes")
    if rest:
        yield [bytes(rest).removesuffix(b"\r")]
