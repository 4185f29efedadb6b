"""
A descriptor that is kept for when there is no other.
"""

from __future__ import annotations

import os
from types import TracebackType


class Spare:
    """
    As a context, makes room for one descriptor; at the end of it there has to
    be room for one again.
    """

    def __init__(self) -> None:
        self._fd = -1
        self._reserve()

    def _reserve(self) -> None:
        try:
            self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            # Somebody was faster: perhaps the next time.
            pass

    def close(self) -> None:
        """
        Keep it no more.  Does nothing where it is not kept.
        """
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> None:
        self.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._reserve()
