"""
What clients publish and delete, within their rights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, maybeDeferred

from comet.errors import CometError
from comet.framing.publications import fromValue
from comet.hub.hooked import Hooked
from comet.limits.clientlimits import NOWHERE, Peer
from comet.model.clients import Client
from comet.model.messages import Publication, Published
from comet.reactor.deferreds import gather


class Publishers(Hooked):
    """
    Publishes for clients, and deletes messages for them.
    """

    @property
    def filter(self) -> Callable[[Publication], Publication] | None:
        """
        Called with each publication before it is stored, on every transport: with
        those of clients once their right is checked, and with those of the
        application, whose publisher is C{"server"}.  It returns what is stored in its
        place: the publication itself, or what L{withData} makes of it; or it raises a
        L{CometError}, which refuses the request as a whole.  It must not take long.

        A publication that is repeated with its key is compared as it is stored.
        """
        return self.bursts.filter

    @filter.setter
    def filter(self, filter: Callable[[Publication], Publication] | None) -> None:
        self.bursts.filter = filter

    def withData(self, publication: Publication, data: Any) -> Publication:
        """
        Return a publication with other data, for L{filter}.

        @raise CometError: If the data are not allowed.
        """
        limits, own = self.settings.limits, publication
        made = fromValue(own.channels, data, limits, own.event, own.key, own.publisher)
        return made if own.exclude is None else evolve(made, exclude=own.exclude)

    def store(
        self,
        client: Client,
        publications: Sequence[Publication],
        isAwaited: bool = False,
        peer: Peer = NOWHERE,
        publisher: object | None = None,
    ) -> Deferred[Sequence[Published]]:
        """
        Publish for a client: all publications or none.  A caller that has called
        L{checkPublish<comet.hub.gate.Gate.checkPublish>} and L{limitPublish} may add them to
        L{bursts} instead, through the C{publishHook} if there is one.

        @param isAwaited: Whether the client can publish nothing more in this turn
            before this is answered: then it is stored at once, behind what was
            published before.

        @param peer: Where the client is.

        @param publisher: As for L{Bursts.add}.

        @return: Fires with what became of each publication, in their order,
            once all are stored and were written to the readers.  Fails with a
            L{CometError}.
        """
        try:
            self.checkKnown(client)
            for publication in publications:
                self.checkPublish(client, publication.channels)
            if self.clientLimits.isLimitingPublishers:
                self.limitPublish(client, publications, peer)
        except CometError:
            return _failed()
        answered: Deferred[Sequence[Published]] = Deferred()
        store = self.bursts.publish if isAwaited else self.bursts.add
        if publisher is not None:
            store = partial(store, publisher=publisher)
        done, failed = answered.callback, answered.errback
        if self.publishHook is None:
            store(publications, done, failed)
        else:
            who = answered if peer is NOWHERE else peer
            self.publishHook.publish(client, who, publications, store, done, failed)
        return answered

    def limitPublish(self, client: Client, publications: Sequence[Publication], peer: Peer) -> None:
        """
        Count what a client publishes, which it has the right to.

        @raise TooMany: If that is too much at this time.  Nothing is counted then.
        """
        count = sum(len(publication.channels) for publication in publications)
        self.clientLimits.publish(client, peer, count)

    def forget(self, client: Client, channels: Sequence[str]) -> Deferred[None]:
        """
        Delete the messages of some channels, for a client.

        @return: Fires once they are deleted.  Fails with a L{CometError}.
        """

        def forget() -> Deferred[Any]:
            self.checkStanding(client)
            self.bursts.store()
            for channel in channels:
                self.access.checkDelete(client, channel)
            forgotten = [self.bus.forget(channel) for channel in channels]
            return gather(forgotten)

        def isForgotten(_: object) -> None:
            self.fanout.catchUps.clear()

        return maybeDeferred(forget).addCallback(isForgotten)


def _failed() -> Deferred[Any]:
    """
    @return: A Deferred that has failed with the error being handled.
    """
    failed: Deferred[Any] = Deferred()
    failed.errback()
    return failed
