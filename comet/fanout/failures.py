"""
What went wrong, of several things that were waited for.
"""

from __future__ import annotations

from twisted.internet.defer import FirstError
from twisted.python.failure import Failure


def firstError(failure: Failure) -> Failure:
    """
    What went wrong first, where that is wrapped as
    L{gatherResults<twisted.internet.defer.gatherResults>} does.
    """
    error = failure.value
    return error.subFailure if isinstance(error, FirstError) else failure
