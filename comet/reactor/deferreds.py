"""
Waiting for several Deferreds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.python.failure import Failure

T = TypeVar("T")


def gather(deferreds: Sequence[Deferred[T]]) -> Deferred[list[T]]:
    """
    Wait for all of some Deferreds.

    @return: Fires with their results, in their order.  Fails with the first
        failure as it is, where L{gatherResults} wraps it in a L{FirstError};
        later failures are dropped.
    """
    return gatherResults(deferreds, consumeErrors=True).addErrback(_unwrap)


def _unwrap(failure: Failure) -> Failure:
    error = failure.value
    return error.subFailure if isinstance(error, FirstError) else failure
