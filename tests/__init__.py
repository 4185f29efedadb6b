"""
The tests of comet, mirrored one to one: what L{comet.framing.sse} promises is
in C{tests/framing/test_sse.py}.  Run them with C{trial tests}.
"""

from __future__ import annotations

import math

from comet.logging import clientlog

# All tests of a run share the log of one process, and some look for their own
# lines in it.
clientlog._budgets = clientlog.Budgets(burst=math.inf)
