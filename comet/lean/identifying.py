"""
An HTTP connection that finds out who sends its requests, and whether they may read.
"""

from __future__ import annotations

import math

from comet.errors import CometError, Unauthorized
from comet.hooks.subscribehook import ReadLookup
from comet.interfaces.sockets import ClientSocket
from comet.lean.httpedge import HTTPEdge
from comet.lean.plans import ParsedRequest
from comet.lean.responding import RespondingConnection
from comet.lean.shown import Identified, identify
from comet.model.clients import Client


class IdentifyingConnection(RespondingConnection):
    """
    A connection whose request waits while the access object or a hook is asked.

    @ivar forwarded: The client's IP address, if a trusted proxy has told it with the
        last request.
    """

    __slots__ = ("_identified", "_peerAddress", "forwarded")

    def __init__(self, edge: HTTPEdge, socket: ClientSocket, fd: int) -> None:
        super().__init__(edge, socket, fd)
        self.forwarded: str | None = None
        self._peerAddress: str | None = None
        # What is found out of the client of the request that begins.
        self._identified: Identified | None = None

    @property
    def peerAddress(self) -> str:
        """
        The IP address of the other end of the connection: the client's, or that of a
        proxy.  Empty if the client had left before it was asked for.
        """
        if self._peerAddress is None:
            self._peerAddress = self.getPeer().host
        return self._peerAddress

    @property
    def address(self) -> str:
        """
        See L{Peer.address<comet.limits.clientlimits.Peer.address>}.
        """
        return self.forwarded or self.peerAddress

    def _findClient(self, request: ParsedRequest, head: bytes) -> Client | None:
        """
        Find out which client sends the request under way, where the access object
        needs more than its credential.  It is asked once for a request.

        @param head: The head of the request.

        @return: L{None} if it is not known yet.  The request is begun again when it
            is.

        @raise CometError: If the request is refused.
        """
        identified = self._identified
        if identified is not None and identified.isOf(head):
            return identified.client()
        if request.plan.needsKey:
            raise Unauthorized("Twisted's edge is to look at the key")
        self._identified = identified = identify(self.edge.hub, request, head, lambda: self.address)
        if identified.isPending:
            # The lookup has a time of its own.
            self.due = math.inf
            identified.then(self._clientKnown)
        return identified.client()

    def _askToRead(
        self, request: ParsedRequest, client: Client, head: bytes
    ) -> ParsedRequest | None:
        """
        Find out whether the client may read the names of the request under way, where
        that has to be asked.  It is asked once for a request.

        @return: The request, with what was told of where it begins; L{None} if that is not
            known yet.  The request is begun again when it is.

        @raise CometError: If the request is refused.
        """
        identified = self._identified
        known = identified.of(head) if identified is not None else None
        if isinstance(known, ReadLookup):
            starts = known.starts
            known.result()
        else:
            hub = self.edge.hub
            try:
                asked = hub.askToRead(client, request.plan.names, peer=self)
            except CometError as error:
                # Twisted's edge tells it.
                self._identified = Identified(head, error)
                raise
            if isinstance(asked, ReadLookup):
                self._identified = waits = Identified(head, asked)
                self.due = math.inf
                waits.then(self._clientKnown)
                return None
            starts = asked
        return request._replace(since=request.since.completed(starts)) if starts else request

    def _clientKnown(self, result: object) -> None:
        """
        It is known which client sends the request under way, or that it may read: begin it
        again.
        """
        self.plan = None
        if not self._hasAnswers:
            self._wait(self.edge.idleTimeout)
        self._waitForTurn()
