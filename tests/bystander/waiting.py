"""
The bystander: what it asks for, and how long it waits.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.bystander.speaking import http1, poll, publication
from tests.edge.connections import Ended, TcpConnection

# How long it waits for one answer before it gives up, in seconds.
PATIENCE: Final = 60.0

# How long it waits between two requests, in seconds.
_PAUSE: Final = 0.002

# How much sooner than others the bystander runs, as C{nice} counts.
_PROMPT: Final = -15

_REQUESTS: Final = (http1(poll("open/quiet", "&since=-1")), http1(publication("open/quiet", b"1")))


@frozen
class Wait:
    """
    How long one answer took.

    @ivar seconds: By the clock of the wall.

    @ivar processor: Processor time that the server used meanwhile, in seconds.
    """

    seconds: float
    processor: float

    @property
    def caused(self) -> float:
        """
        What of it the server has caused, in seconds: other programs that run on the
        machine add to the clock of the wall only, and two processes of the server that
        work side by side to the processor time only.
        """
        return min(self.seconds, self.processor)


def quantile(values: Sequence[float], part: float) -> float:
    """
    Return the smallest value that this part of all values does not exceed.
    """
    return sorted(values)[max(math.ceil(part * len(values)) - 1, 0)]


@contextmanager
def promptly() -> Iterator[None]:
    """
    Let the system run this thread before others, where the user may: what a bystander
    takes to see its answer on a busy machine, the server seems to use for others.
    """
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, min(before, _PROMPT))
    try:
        yield
    finally:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, before)


class ProcessorClock:
    """
    The processor time that processes have used, finer than C{/proc/PID/stat}.
    """

    def __init__(self, *processes: int) -> None:
        # Each thread of SQLite counts: its work is what publications wait for.
        self._files = [
            os.open(path, os.O_RDONLY)
            for process in processes
            for path in Path(f"/proc/{process}/task").glob("*/schedstat")
        ]

    def seconds(self) -> float:
        """
        Return the sum, in seconds.
        """
        return sum(int(os.pread(each, 64, 0).split()[0]) for each in self._files) / 1e9

    def close(self) -> None:
        """
        Close its files.
        """
        for each in self._files:
            os.close(each)


class Bystander:
    """
    A client of HTTP/1.1 that polls and publishes by turns, on one connection.
    """

    def __init__(self, port: int, clock: ProcessorClock) -> None:
        self._connection = TcpConnection(port)
        self._clock = clock

    def watch(self, seconds: float) -> list[Wait]:
        """
        Ask for so many seconds, and at least twice.
        """
        until = time.monotonic() + seconds
        found: list[Wait] = []
        with promptly():
            while len(found) < len(_REQUESTS) or time.monotonic() < until:
                found.append(self._ask(_REQUESTS[len(found) % len(_REQUESTS)]))
                time.sleep(_PAUSE)
        return found

    def _ask(self, request: bytes) -> Wait:
        clock, connection = self._clock, self._connection
        used, begun = clock.seconds(), time.monotonic()
        connection.send(request)
        came = b""
        while not _isWhole(came):
            piece = connection.receive(PATIENCE)
            if not piece:
                raise Ended("the bystander was sent away")
            came += piece
        return Wait(time.monotonic() - begun, clock.seconds() - used)

    def close(self) -> None:
        """
        Leave.
        """
        self._connection.close()


def _isWhole(came: bytes) -> bool:
    head, end, body = came.partition(b"\r\n\r\n")
    if not end:
        return False
    if not head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 201 ")):
        raise AssertionError(f"the bystander was refused: {came[:500]!r}")
    _, _, length = head.lower().partition(b"content-length:")
    return len(body) >= int(length.split(b"\r\n")[0])
