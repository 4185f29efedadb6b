"""
Signals that must not end the server.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any


def onHangup(reactor: Any, call: Callable[[], object]) -> None:
    """
    Have a function called in the reactor's thread at each SIGHUP.  By default the
    signal ends a process at once, without a drain.  Call it in the main thread.

    Does nothing on a system that does not have the signal.

    @param reactor: Has to have C{callFromThread}.  A signal that comes before it
        runs waits for that.
    """
    _onSignal("SIGHUP", reactor, call)


def onRotated(reactor: Any, call: Callable[[], object]) -> None:
    """
    Have a function called in the reactor's thread at each SIGUSR1: files of the log were
    moved away.  As for L{onHangup}.
    """
    _onSignal("SIGUSR1", reactor, call)


def _onSignal(name: str, reactor: Any, call: Callable[[], object]) -> None:
    number = getattr(signal, name, None)
    if number is not None:
        signal.signal(number, lambda *_: reactor.callFromThread(call))
