"""
What a worker knows of the other workers of its server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any, Protocol

from twisted.internet.defer import Deferred


class Siblings(Protocol):
    """
    The other workers of a server, as one of them sees them.

    @ivar number: The number of this worker, from 1.
    """

    number: int

    def watch(self, held: Sized) -> None:
        """
        Count what is in a container for the load of this worker.
        """

    def room(self) -> int:
        """
        Return how many clients this worker may accept before it has more than its share;
        0 or less if it has.
        """

    def figures(self) -> Deferred[Mapping[int, Any]]:
        """
        Ask the others for their figures.

        @return: Fires with what each has answered, by its number, after a second at the
            latest.  A worker that has not answered by then is left out.  It never fails.
            See L{fromRows<comet.web.metrics.workerfigures.fromRows>}.
        """
