"""
The one thread in which the hub may be called: that of the reactor.
"""

from __future__ import annotations

from typing import Any

from twisted.python import threadable


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
    if owner is not None and not threadable.isInIOThread():
        raise RuntimeError(
            f"{name} was called in another thread than that of the reactor: call "
            f"blockingCallFromThread(reactor, {name}, ...) of twisted.internet.threads there"
        )
