"""
Lets a test count what there is in a program: with this folder in C{PYTHONPATH},
SIGUSR1 has it write C{counts.json} in its working directory.  Python imports this
module before anything else.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import weakref
from typing import Any

from comet.reactor.timers import TimerWheel

# The classes of which there may be no more than before once all clients are gone,
# by their modules: connections, requests, readers, timers and what waits for them.
COUNTED = {
    "twisted.internet.defer": {"Deferred"},
    "twisted.internet.base": {"DelayedCall"},
    "twisted.internet.tcp": {"Server"},
    "twisted.web.http": None,
    "twisted.protocols.tls": None,
    "h2.connection": None,
}


# The wheels of timers.  The collector does not know those that were there when the
# server froze what it had.
_wheels: weakref.WeakSet[TimerWheel] = weakref.WeakSet()
_begin = TimerWheel.__init__


def _note(self: TimerWheel, *given: Any, **named: Any) -> None:
    _begin(self, *given, **named)
    _wheels.add(self)


TimerWheel.__init__ = _note  # type: ignore[method-assign]


def _write(number: int, frame: object) -> None:
    gc.collect()
    counts = {"comet.reactor.timers.TimerWheel.waiting": sum(map(len, _wheels))}
    for each in gc.get_objects():
        kind = type(each)
        module = str(kind.__module__)
        names = COUNTED.get(module, ()) if not module.startswith("comet.") else None
        if names is None or kind.__name__ in names:
            name = f"{module}.{kind.__name__}"
            if kind.__name__ == "DelayedCall":
                # A call that is cancelled has lost its function.
                function = getattr(each, "func", None)
                if function is None:
                    continue
                name = f"{getattr(function, '__qualname__', type(function))}: DelayedCall"
            counts[name] = counts.get(name, 0) + 1
    with open("counts.part", "w") as file:
        json.dump(counts, file)
    # A reader sees all of it or nothing.
    os.replace("counts.part", "counts.json")


signal.signal(signal.SIGUSR1, _write)
