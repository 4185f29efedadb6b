"""
Stopping between two pieces of work, and not in the middle of one.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from comet.command.codes import TERMINATED


class Stopping:
    """
    A context in which SIGINT and SIGTERM wait until a piece of work is done.  The second
    does not wait: the work may never end, as where nothing reads what is printed.

    The first raises L{KeyboardInterrupt}, the other L{SystemExit}.
    """

    def __init__(self) -> None:
        self._isBusy = False
        self._asked: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """
        Do a piece of work.

        @raise KeyboardInterrupt: Afterwards, if it was asked for.

        @raise SystemExit: Likewise.
        """
        self._isBusy = True
        try:
            yield
        finally:
            self._isBusy = False
        if self._asked is not None:
            self._raise(self._asked)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._isBusy and self._asked is None:
            self._asked = number
        else:
            self._raise(number)

    def _raise(self, number: int) -> None:
        if number == signal.SIGTERM:
            raise SystemExit(TERMINATED)
        raise KeyboardInterrupt
