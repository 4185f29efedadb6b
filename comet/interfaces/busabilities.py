"""
What a bus may be able to do besides: store several requests in one step, change its bounds,
tell how much it holds, and know the other nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from twisted.internet.defer import Deferred

from comet.interfaces.messagebus import IMessageBus
from comet.model.held import Held
from comet.model.log import Retention
from comet.model.messages import Publication, Published

# What becomes of a request to publish: the answer to each of its publications, or
# why none is stored.
Outcome: TypeAlias = Sequence[Published] | Exception


class IBurstBus(IMessageBus):
    """
    Stores several requests in one step, at less than the cost of each alone: what
    has arrived in one turn of the reactor is stored so.  A bus that joins by itself
    what is published in a moment need not provide this.

    A subclass that overrides C{publish} overrides C{publishBurst}, too, or it is not
    called.
    """

    def publishBurst(requests: Sequence[Sequence[Publication]]) -> Deferred[Sequence[Outcome]]:
        """
        Store the publications of several requests.  The bus stores each request as
        by C{publish}, as a whole or not at all, and after those before it.  A request
        that fails does not stop the next.

        @return: Fires with the outcome of each request, in their order, once all are
            stored and the listeners of this bus have heard of them: the answers to its
            publications, or what C{publish} would fail with.  Fails with
            L{Unavailable<comet.errors.Unavailable>} if nothing of all was stored, and
            with L{Unknown<comet.errors.Unknown>} if the bus cannot know whether it was.
        """


class IInstantBus(IBurstBus):
    """
    Stores within the call, without an answer to wait for.

    A subclass that overrides C{publish} or C{publishBurst} overrides C{storeNow}, too, or
    it is not called.
    """

    def storeNow(requests: Sequence[Sequence[Publication]]) -> Sequence[Outcome] | None:
        """
        Store the publications of several requests, as C{publishBurst} does, before this
        returns.

        @return: The outcome of each request, as C{publishBurst} tells it; or L{None} if
            the caller is a listener that is hearing something.  Then nothing was stored,
            and C{publishBurst} answers once the listeners have heard of what it stores.

        @raise Unavailable: If nothing of all was stored.
        """


class IConfigurableBus(IMessageBus):
    """
    Takes other bounds for its log while it runs.  Without this, a server has to be
    restarted when they are to change.
    """

    def configure(
        retention: Callable[[str], Retention], totalBytes: int, settings: Mapping[str, str]
    ) -> None:
        """
        Hold messages by other bounds from now on.  Channels that have messages
        follow them from their next message on at the latest.  What is then too much
        is a gap like any other; nothing that was dropped comes back.

        It does not fail, and may be called before the bus starts.

        @param retention: Returns how much to hold of a channel, given its name.
            Called from any thread.

        @param totalBytes: How many bytes to hold in all.

        @param settings: The values of other options that all nodes with one bus
            should have in common, by name.
        """


class IMeasuredBus(IMessageBus):
    """
    Tells how much it holds, for those who watch the server.
    """

    def measure() -> Deferred[Held]:
        """
        Tell how much the bus holds, of all nodes.  It must not keep publishers and readers
        waiting: it is asked every few seconds.

        @return: Fails with a L{CometError<comet.errors.CometError>} if that is not known.
        """


class INodesBus(IMessageBus):
    """
    Carries messages between several nodes, and knows how many there are.
    """

    def countListening(channel: str) -> Deferred[int]:
        """
        Count the nodes that listen to a channel.

        @return: Fails with L{Unavailable<comet.errors.Unavailable>}.
        """
