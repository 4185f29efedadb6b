"""
Batches of publications whose bodies arrive in pieces, for the tests of each edge.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from comet.framing.publications import Limits

# One line of a batch.
LINE: Final = b'{"channel":"open/a","data":1}\n'


def refusedLines(limits: Limits) -> Iterator[tuple[bytes, int, str]]:
    """
    Yield lines that end a batch as soon as they have arrived, each with the status
    and code of the error: one for a channel that is not the client's, one that is
    not valid, and one that is too long.
    """
    yield b'{"channel":"shut","data":1}\n', 401, "unauthorized"
    yield b"{\n", 400, "badMessage"
    yield b"[" * (limits.maxCommandBytes + 1), 413, "tooLarge"
