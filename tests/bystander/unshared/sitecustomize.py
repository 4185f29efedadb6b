"""
Lets a test start a server that does not share its time: Python imports this module,
if its folder is in C{PYTHONPATH}, before anything else.
"""

from __future__ import annotations

import comet.reactor.turns

comet.reactor.turns.SHARE = comet.reactor.turns.TURN = 3600.0  # type: ignore[misc]
