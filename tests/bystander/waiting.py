"""
The bystander: what it asks for, and how long it waits.
"""

from __future__ import annotations

import math
import os
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import frozen
from hpack import Decoder

from tests.bystander.speaking import (
    CONTINUATION,
    END_STREAM,
    HEADERS,
    Request,
    frames,
    http1,
    http2,
    poll,
    preface,
    publication,
    streams,
)
from tests.bystander.trust import trusting
from tests.edge.connections import Ended, TcpConnection

# How long it waits for one answer before it gives up, in seconds.
PATIENCE: Final = 60.0

# How long it waits between two requests, in seconds.
_PAUSE: Final = 0.002

# How much sooner than others the bystander runs, as C{nice} counts.
_PROMPT: Final = -15

_REQUESTS: Final = (poll("open/quiet", "&since=-1"), publication("open/quiet", b"1"))

_GOOD: Final = (200, 201)


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

    def __init__(self, port: int, clock: ProcessorClock, tls: ssl.SSLContext | None = None) -> None:
        self._connection = TcpConnection(port, tls)
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

    def _ask(self, request: Request) -> Wait:
        clock, connection = self._clock, self._connection
        said = self._write(request)
        used, begun = clock.seconds(), time.monotonic()
        connection.send(said)
        came = b""
        while not self._isWhole(came):
            piece = connection.receive(PATIENCE)
            if not piece:
                raise Ended("the bystander was sent away")
            came += piece
        return Wait(time.monotonic() - begun, clock.seconds() - used)

    def _write(self, request: Request) -> bytes:
        return http1(request)

    def _isWhole(self, came: bytes) -> bool:
        """
        Tell whether an answer has come, all of it.
        """
        head, end, body = came.partition(b"\r\n\r\n")
        if not end:
            return False
        self._check(int(head.split(b" ")[1]), came)
        _, _, length = head.lower().partition(b"content-length:")
        return len(body) >= int(length.split(b"\r\n")[0])

    def _check(self, status: int, came: bytes) -> None:
        if status not in _GOOD:
            raise AssertionError(f"the bystander was refused: {status}, {came[:500]!r}")

    def close(self) -> None:
        """
        Leave.
        """
        self._connection.close()


class HTTP2Bystander(Bystander):
    """
    A client of HTTP/2 over TLS that polls and publishes by turns: one stream after
    another.
    """

    def __init__(self, port: int, clock: ProcessorClock) -> None:
        super().__init__(port, clock, trusting(isHTTP2=True))
        self._streams = streams()
        self._stream = 0
        self._decoder = Decoder()
        self._connection.send(preface())

    def _write(self, request: Request) -> bytes:
        self._stream = next(self._streams)
        return http2(request, self._stream)

    def _isWhole(self, came: bytes) -> bool:
        found = frames(came)
        if not any(flags & END_STREAM and ident == self._stream for _, flags, ident, _ in found):
            return False
        # Each head once: it changes the decoder.
        block = b"".join(load for kind, _, _, load in found if kind in (HEADERS, CONTINUATION))
        fields = {str(name): str(value) for name, value in self._decoder.decode(block)}
        self._check(int(fields[":status"]), came)
        return True
