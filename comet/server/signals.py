"""
Signals that must not end the server.
"""

from __future__ import annotations

import signal
from typing import Any

from twisted.logger import Logger

_log = Logger()


def ignoreHangup(reactor: Any) -> None:
    """
    Log SIGHUP, and go on.  By default the signal ends a process at once, without
    a drain.  Call it in the main thread.

    Does nothing on a system that does not have the signal.

    @param reactor: Has to have C{callFromThread}.
    """
    number = getattr(signal, "SIGHUP", None)
    if number is not None:
        signal.signal(number, lambda *_: reactor.callFromThread(_logHangup))


def _logHangup() -> None:
    _log.info("SIGHUP is ignored: restart the server to change its options")
