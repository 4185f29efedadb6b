"""
How fast a request has to come, and a response has to be taken: a client that sends
a byte now and then would keep its connection, and what has come of the request, for
any time, and so would one that reads a byte now and then.
"""

from __future__ import annotations

from typing import Final

# Seconds after its first byte in which a head has to be whole.
HEAD_TIME: Final = 60.0

# Seconds that a body, or the client that reads a response, may be late, and how many
# bytes have to come or to be taken in each second: at this rate they may take any
# time.
BODY_TIME: Final = 60.0
UNSENT_TIMEOUT: Final = 60.0
LEAST_RATE: Final = 1000.0

# A response of as many bytes can be taken at that rate before the client is late.
SMALL: Final = int(UNSENT_TIMEOUT * LEAST_RATE)


def extended(due: float, now: float, size: int, most: float = BODY_TIME) -> float:
    """
    Return when a body has to go on, after a part of it has come; or a response,
    after a part of it was taken.

    Each byte gives a little time, and no part gives more than C{most} from now:
    what was fast does not let the rest be slow.

    @param due: When it had to go on before, in seconds.

    @param now: The time.

    @param size: How many bytes have come, or were taken.
    """
    return min(due + size / LEAST_RATE, now + most)
