"""
How fast a request has to come: a client that sends a byte now and then would keep
its connection, and what has come of the request, for any time.
"""

from __future__ import annotations

from typing import Final

# Seconds after its first byte in which a head has to be whole.
HEAD_TIME: Final = 60.0

# Seconds that a body may be late, and how many bytes of it have to come in each
# second: a body that comes at this rate may take any time.
BODY_TIME: Final = 60.0
LEAST_RATE: Final = 1000.0


def extended(due: float, now: float, size: int, most: float = BODY_TIME) -> float:
    """
    Return when a body has to go on, after a part of it has come.

    Each byte gives a little time, and no part gives more than C{most} from now:
    what has come fast does not let the rest come slowly.

    @param due: When it had to go on before, in seconds.

    @param now: The time.

    @param size: How many bytes have come.
    """
    return min(due + size / LEAST_RATE, now + most)
