"""
Signals that must not end the server, and those that end it, which may come twice.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.logger import Logger

_log = Logger()

Handler = Callable[[int, FrameType | None], object]


def stopOnce(reactor: Any) -> None:
    """
    Have the reactor stop at the first SIGINT or SIGTERM only.  Twisted's handler stops it
    again at each further one, as when a user presses Ctrl-C twice during a drain, and logs
    a traceback, since a reactor that stops cannot be stopped.

    Call it in the main thread.  Does nothing where the reactor handles no signals.
    """
    reactor.callWhenRunning(_replaceHandlers, reactor)


def _replaceHandlers(reactor: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        usual = signal.getsignal(number)
        if callable(usual):
            signal.signal(number, firstOnly(reactor, usual))


def firstOnly(reactor: Any, usual: Handler) -> Handler:
    """
    Make a handler of signals that calls another one, which stops the reactor, unless the
    reactor stops already.
    """
    isStopping = False

    def begun() -> None:
        nonlocal isStopping
        isStopping = True

    def handle(number: int, frame: FrameType | None) -> None:
        if isStopping:
            _log.info(
                "{signal} came again: the server ends once its clients are sent away; "
                "SIGKILL ends it at once",
                signal=signal.Signals(number).name,
            )
        else:
            # The reactor stops in its next turn, and another signal may come before.
            begun()
            usual(number, frame)

    reactor.addSystemEventTrigger("before", "shutdown", begun)
    return handle


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
