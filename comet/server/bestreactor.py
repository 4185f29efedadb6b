"""
The reactor that can serve the most clients on this system.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

from comet.reactor.clocks import keepSteadyTime

# The modules of reactors, the best first, and of that for the lean edge.
_REACTORS: Final = (
    "comet.reactor.crowdreactor",
    "twisted.internet.kqreactor",
    "twisted.internet.pollreactor",
)


_LEAN: Final = "comet.lean.epollreactor"


def installReactor(isLean: bool = False) -> Any:
    """
    Install the reactor that can serve the most clients, unless twistd has
    installed one.

    @param isLean: Whether it is for the lean edge.

    @return: The installed reactor, which keeps steady time.
    """
    if "twisted.internet.reactor" not in sys.modules:
        for name in (_LEAN, *_REACTORS) if isLean else _REACTORS:
            try:
                module = import_module(name)
            except ImportError:
                # This system does not have it.
                continue
            module.install()
            break
    from twisted.internet import reactor

    # twistd comet owns the process.
    keepSteadyTime(reactor)
    return reactor
