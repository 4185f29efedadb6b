"""
Requests to publish, from when they come until they are answered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from twisted.python.failure import Failure

from comet.model.messages import Publication, Published

# How many bytes of data cost as much as a message, and how many messages a key.
_BYTES_A_MESSAGE: Final = 2048
_MESSAGES_A_KEY: Final = 3

# What a message takes while it waits, beside its data, in bytes.
_OVERHEAD: Final = 1024

Done: TypeAlias = Callable[[Sequence[Published]], object]
Failed: TypeAlias = Callable[[Failure], object]


class PublishRequest:
    """
    A request to publish.  Each kind of publisher has a subclass that answers it: one
    object for what waits and for its answer, since one is made for each message.

    @ivar publications: All of these are stored, or none.

    @ivar publisher: Which connection it came by, which may have to wait for others;
        L{None} if the application itself publishes, which waits for no client.

    @ivar begun: When it came, in seconds of the fan-out's clock.
    """

    __slots__ = ("begun", "publications", "publisher")

    publications: Sequence[Publication]
    publisher: object | None
    begun: float

    def stored(self, results: Sequence[Published]) -> None:
        """
        Answer that all is stored and was written to the readers.  It must not raise.

        @param results: The answer to each publication, in their order.
        """
        raise NotImplementedError

    def notStored(self, failure: Failure) -> None:
        """
        Answer that none is stored, or that this cannot be known.  It must not raise.

        @param failure: That of a L{CometError<comet.errors.CometError>}.
        """
        raise NotImplementedError


class CalledRequest(PublishRequest):
    """
    A request to publish that is answered by calling functions.
    """

    __slots__ = ("_done", "_failed")

    def __init__(
        self,
        publications: Sequence[Publication],
        done: Done,
        failed: Failed,
        publisher: object | None,
    ) -> None:
        """
        @param done: Called as L{stored}.

        @param failed: Called as L{notStored}.
        """
        self.publications = publications
        self.publisher = publisher
        self._done = done
        self._failed = failed

    def stored(self, results: Sequence[Published]) -> None:
        """
        See L{PublishRequest.stored}.
        """
        self._done(results)

    def notStored(self, failure: Failure) -> None:
        """
        See L{PublishRequest.notStored}.
        """
        self._failed(failure)


def costOf(publications: Sequence[Publication]) -> int:
    """
    Estimate how long a bus takes to store some publications, in messages.
    """
    cost = 0
    for each in publications:
        cost += len(each.channels) * (1 + len(each.payload) // _BYTES_A_MESSAGE)
        if each.key is not None:
            cost += _MESSAGES_A_KEY
    return cost


def sizeOf(publications: Sequence[Publication]) -> int:
    """
    Return how many bytes some publications take while they wait.
    """
    return sum([len(each.payload) + _OVERHEAD * len(each.channels) for each in publications])
