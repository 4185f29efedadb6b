"""
Lets a test set the clock of a program: with this folder in C{PYTHONPATH}, SIGUSR1
sets C{time.time} back by an hour, and SIGUSR2 sets it forward by two.  Python
imports this module before anything else.
"""

from __future__ import annotations

import signal
import time

STEPS = {signal.SIGUSR1: -3600.0, signal.SIGUSR2: 7200.0}

_real = time.time
_ahead = 0.0


def _now() -> float:
    return _real() + _ahead


def _step(number: int, frame: object) -> None:
    global _ahead
    _ahead += STEPS[signal.Signals(number)]


time.time = _now
for _number in STEPS:
    signal.signal(_number, _step)
