"""
The interpreter of a serving process, made fit for one that has many clients.
"""

from __future__ import annotations

import gc
import sys
from typing import Final

# The garbage collector's thresholds, for its three generations.  The first two bound
# for how long it stops all clients: requests on Twisted's edge leave cycles, of which
# 50,000 objects took up to 50 ms; and of the objects of clients that have just come or
# left, the second walks two or three times as many as the first: 15,000 took up to 8 ms.
# All together are walked as seldom as readers are many.
_GC_THRESHOLDS: Final = (2_000, 2, 12_500)

# For how many seconds a thread keeps the interpreter while another one waits for it.
# The threads of the SQLite bus give it up three times for each statement, some thirty times
# for each commit, and wait as long each time while the reactor is busy: by default 5 ms,
# which is 150 ms for a publication.  Shorter still, a commit holds fewer publications, and
# each takes a tenth more of the processor.
_SWITCH_SECONDS: Final = 0.0002


def tuneInterpreter() -> None:
    """
    Have the garbage collector skip the objects that there are at the start, and run less
    often: readers are many and live long, so that walking them costs much time and frees
    little memory.  Have threads take the interpreter from each other more often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    sys.setswitchinterval(_SWITCH_SECONDS)
