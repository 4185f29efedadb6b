"""
Telling systemd what the server does, as sd_notify(3) describes: that it serves, that
it reads its configuration again, that it stops, and that it is alive.

Without systemd, or in a service of another type, nothing is told.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

# systemd waits for at most so many seconds longer than the server says that it takes to stop.
_MARGIN: Final = 5.0

# What systemd allows for an interval, in microseconds; more is a mistake of who set it.
_LONGEST: Final = 10**12


class Notifier:
    """
    Sends datagrams to the socket that systemd has named.

    All methods may be called at any time and in any order.  None of them fails or
    waits: what cannot be sent is logged, once.
    """

    _log = Logger()

    def __init__(self, environment: Mapping[str, str], clock: IReactorTime) -> None:
        """
        @param environment: C{NOTIFY_SOCKET} names the socket: an absolute path, or
            with C{"@"} an abstract one.  C{WATCHDOG_USEC} says how soon systemd
            takes a silent server for a dead one, in microseconds, and
            C{WATCHDOG_PID} which process that is about.
        """
        name = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self._isTold = name[:1] in ("/", "@") and len(name) > 1
        self._watchdog = LoopingCall(self._tell, "WATCHDOG=1")
        self._watchdog.clock = clock
        self._isServing = False
        self._interval = environment.get("WATCHDOG_USEC", "")
        self._watched = environment.get("WATCHDOG_PID")

    def serving(self) -> None:
        """
        The server serves, for the first time or again.  From now on systemd is told
        twice an interval that it is alive.
        """
        self._isServing = True
        self._tell("READY=1", "STATUS=Serving")
        digits = self._interval
        if self._watchdog.running or not self._isTold or not digits.isdecimal():
            return
        # The process may have become another one since it began.
        if self._watched in (None, str(os.getpid())) and 0 < int(digits) < _LONGEST:
            # By the reactor, since what systemd wants to know is whether its turns go on.
            self._watchdog.start(int(digits) / 2e6)

    def reload(self, reload: Callable[[], object]) -> None:
        """
        Have the configuration read again, and tell when that begins and ends.  Before
        L{serving} it is no news.
        """
        if not self._isServing:
            reload()
            return
        # By this time systemd tells the answer to its signal from an earlier one.
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now}", "STATUS=Reading the configuration")
        reload()
        self.serving()

    def stopping(self, seconds: float) -> None:
        """
        The server stops.

        @param seconds: How long that takes at most.  systemd waits for that, even if
            its own time is shorter.
        """
        self._isServing = False
        most = math.ceil((seconds + _MARGIN) * 1e6)
        self._tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={most}", "STATUS=Sending clients away")

    def stopped(self) -> None:
        """
        The server has stopped: no timer is left.
        """
        if self._watchdog.running:
            self._watchdog.stop()

    def _tell(self, *lines: str) -> None:
        if not self._isTold:
            return
        flags = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            with socket.socket(socket.AF_UNIX, flags) as sender:
                sender.sendto("\n".join(lines).encode("ascii"), self._address)
        except BlockingIOError:
            # systemd is behind.  It must not hold up the server.
            pass
        except OSError as error:
            self._isTold = False
            self._log.warn(
                "systemd cannot be told what the server does: {reason}", reason=error.strerror
            )
