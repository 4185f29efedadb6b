"""
The one thread in which the hub may be called: that of the reactor.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.python import threadable


class _Held(threading.local):
    """
    How many L{held} the present thread is within.
    """

    depth = 0


_held = _Held()


@contextmanager
def held() -> Iterator[None]:
    """
    Let the present thread call a hub that no reactor turns.  The caller holds a lock, and no
    thread calls that hub without it.
    """
    _held.depth += 1
    try:
        yield
    finally:
        _held.depth -= 1


def checkThread(name: str) -> None:
    """
    Refuse a call from another thread than that of the reactor.  It would seem to
    work, but change what the reactor uses at the same moment, and not wake it: what
    is published would wait for the next thing that happens.

    @param name: What was called.

    @raise RuntimeError: If this is another thread.
    """
    # None before the reactor runs: every thread may still become its own.
    owner: Any = threadable.ioThread
    if owner is not None and not threadable.isInIOThread() and not _held.depth:
        raise RuntimeError(
            f"{name} was called in another thread than that of the reactor: call "
            f"blockingCallFromThread(reactor, {name}, ...) of twisted.internet.threads there"
        )
