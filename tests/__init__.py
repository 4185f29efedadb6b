"""
The tests of comet, mirrored one to one: what L{comet.framing.sse} promises is
in C{tests/framing/test_sse.py}.  Run them with C{trial tests}.
"""

from __future__ import annotations

import math

from comet.logging import clientlog

try:
    from hypothesis import HealthCheck, settings
except ModuleNotFoundError:
    # The benchmarks use a part of the tests, and need none of their packages.
    pass
else:
    # No test depends on how fast the machine is; and a contract is inherited by all that
    # keep it.
    checks = [HealthCheck.too_slow, HealthCheck.differing_executors]
    settings.register_profile(
        "comet", settings.default, deadline=None, suppress_health_check=checks
    )
    settings.load_profile("comet")

# All tests of a run share the log of one process, and some look for their own
# lines in it.
clientlog._budgets = clientlog.Budgets(burst=math.inf)
