"""
One HTTP request, between Twisted and the hub: what it may not get wrong, and whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import SEEK_END
from typing import TYPE_CHECKING, Any, Final

from twisted.python.failure import Failure
from twisted.web.server import Request

from comet.access.lookups import Lookup, hasPublishKey
from comet.errors import CometError, Forbidden, TooLarge, WrongHost
from comet.fanout.polls import HALF_CLOSED
from comet.framing.codings import undoneParts
from comet.http.credentials import Credentials, cookiesCount, headCredential
from comet.http.origins import CORS
from comet.http.reads import ReadRequest, parseReadRequest, readAccount
from comet.http.request import checkHeaderValues
from comet.hub.hub import Hub
from comet.model.channels import parsePath
from comet.model.clients import Client
from comet.transports.clientaddress import hostOf, readForwarded
from comet.transports.detach import HeldRequest, deliverHeld, isDetachable
from comet.transports.peers import certificateOf
from comet.transports.twistedrequest import makeRequestHead

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


# The transport under which requests are counted that belong to none.
OTHER: Final = "other"


class ClientRequest:
    """
    A request between Twisted and the hub: checked, and known whose it is.

    @ivar hub: The hub.

    @ivar request: Twisted's request.

    @ivar head: The request head.

    @ivar forwarded: The client's IP address, if a trusted proxy has told it.

    @ivar host: The value of the header C{Host} if it is this server's, else
        L{None}; known after L{check}.

    @ivar cors: What the page that sent the request may see; known after
        L{check}.

    @ivar accountName: The name under which the request is counted besides its
        transport's, or L{None}.

    @ivar transport: The name under which the request is counted; known once the
        client is.

    @ivar isGone: Whether the client has left.

    @ivar whenGone: Called without arguments when the client leaves.

    @ivar whenInputEnds: Called without arguments when the client closes its
        writing side.
    """

    __slots__ = (
        "_isInputOver",
        "accountName",
        "cors",
        "forwarded",
        "head",
        "host",
        "hub",
        "isGone",
        "request",
        "transport",
        "whenGone",
        "whenInputEnds",
    )

    def __init__(self, hub: Hub, request: Request) -> None:
        self.hub = hub
        self.request = request
        self.forwarded, isSecure = readForwarded(hub.proxies, request)
        self.head = makeRequestHead(request, isSecure)
        self.host: str | None = None
        self.cors = CORS(None, False, True)
        self.accountName: str | None = None
        self.transport = OTHER
        self.isGone = False
        self._isInputOver = False
        self.whenGone: Callable[[], None] | None = None
        self.whenInputEnds: Callable[[], None] | None = None
        request.notifyFinish().addErrback(self._clientLeft)
        # Any: only comet's channel has this.
        channel: Any = request.channel
        if hasattr(channel, "exchange"):
            channel.exchange = self

    def _clientLeft(self, reason: Failure) -> None:
        self.isGone = True
        if self.whenGone is not None:
            self.whenGone()

    def inputEnded(self) -> None:
        """
        The client has closed its writing side, and waits for the response or has
        left.
        """
        self._isInputOver = True
        if self.whenInputEnds is not None:
            self.whenInputEnds()

    def check(self, needsHost: bool = True) -> None:
        """
        Check what no request may get wrong: header values, host, origin,
        account.

        @param needsHost: Whether the host has to be one of this server's, unless
            the request has a key.

        @raise CometError: If the request cannot be answered.
        """
        head, origins = self.head, self.hub.origins
        origin = head.header("Origin")
        try:
            checkHeaderValues(self.rawHeaders())
            self.host = self._ownHost(needsHost)
        except CometError:
            # A page may read this error, too.  The host may be another's, so no
            # origin counts as this server's own.
            self.cors = origins.verdict(origin, None, head.isSecure)
            raise
        self.cors = origins.verdict(origin, self.host, head.isSecure)
        self.accountName = readAccount(head)

    def _ownHost(self, isNeeded: bool) -> str | None:
        """
        Return the host of the request if it is one of this server's.

        @raise CometError: If it is another's, and the request needs one of this
            server's.
        """
        head, origins = self.head, self.hub.origins
        host = head.header("Host")
        try:
            origins.checkHost(host, head.version)
        except WrongHost:
            if origins.isHost(host) and (self._hasKey() or not isNeeded):
                return None
            raise
        return host

    def _hasKey(self) -> bool:
        """
        Whether the header C{Authorization} has a key to publish anywhere, which no
        page has that lets a name point to this server.
        """
        head = self.head
        if head.header("Authorization") is None:
            return False
        try:
            return hasPublishKey(self.hub.access, headCredential(head))
        except CometError:
            return False

    def rawHeaders(self) -> list[tuple[bytes, bytes]]:
        """
        Return all headers of the request, as the client sent them.
        """
        headers = self.request.requestHeaders.getAllRawHeaders()
        return [(name, value) for name, values in headers for value in values]

    def checkOrigin(self) -> None:
        """
        Refuse a request from a page whose origin is not allowed.

        @raise Forbidden: If the origin is not allowed.
        """
        if not self.cors.isAllowed:
            raise originForbidden(self.head.header("Origin") or "")

    def identify(
        self, transport: str, getNames: Callable[[], Sequence[str]] | None = tuple
    ) -> Client | Lookup:
        """
        Find out which client sends the request.  The access object is asked once a
        request, however often this is called.

        @param transport: The name under which the request is counted.

        @param getNames: Returns the names that the request is for; L{None} if its URL does
            not tell.

        @return: The client, or a lookup that is not over.

        @raise CometError: If the request is refused.
        """
        self.transport = transport
        # Any: what was found when the head had come is kept with the request.
        request: Any = self.request
        known: Client | Lookup | CometError | None = getattr(request, "identified", None)
        if known is None:
            try:
                known = self.hub.identify(self._credentials(getNames))
            except CometError as error:
                known = error
            request.identified = known
        if isinstance(known, Lookup):
            client = known.result()
            if client is None:
                return known
            request.identified = known = client
        if isinstance(known, CometError):
            raise known
        return known

    def _credentials(self, getNames: Callable[[], Sequence[str]] | None) -> Credentials:
        head, transport = self.head, self.transport
        takesCookies = cookiesCount(head, self.cors, transport)
        return Credentials(
            transport,
            head,
            lambda: self.address,
            takesCookies,
            head.isSecure,
            getCertificate=self._certificate,
            getNames=getNames,
        )

    @property
    def address(self) -> str:
        """
        See L{Peer.address<comet.limits.clientlimits.Peer.address>}.
        """
        return self.forwarded or hostOf(self.request)

    def _certificate(self) -> Certificate | None:
        """
        Return the certificate that the client has shown.
        """
        # Any: a stream of HTTP/2 has no transport, and is asked itself; a request that
        # is over has no channel.
        channel: Any = getattr(self.request, "channel", None)
        return certificateOf(getattr(channel, "transport", None) or channel)

    def wait(
        self,
        lookup: Lookup,
        found: Callable[[], object],
        failed: Callable[[CometError], object],
    ) -> None:
        """
        Wait until it is known which client sends the request.  The lookup ends when
        the client leaves.

        @param found: Called then.

        @param failed: Called with an error if the request is refused.
        """
        # Any: the request may lose its channel.
        request: Any = self.request
        channel = request.channel
        hold = HeldRequest(request, _nothing) if isDetachable(request) else None
        self.whenGone = lookup.abandon
        self.whenInputEnds = partial(lookup.hurry, HALF_CLOSED)

        def goOn(call: Callable[[], object]) -> None:
            self.whenGone = self.whenInputEnds = None
            if hold is None:
                call()
                return
            hold.release()
            call()
            if channel.transport is None:
                deliverHeld(channel, self._isInputOver)
            elif self._isInputOver:
                self.inputEnded()

        lookup.then(lambda _: goOn(found), lambda error: goOn(partial(failed, error)))

    @property
    def client(self) -> Client:
        """
        The client that sends the request.

        @raise RuntimeError: If it is not known yet: see
            L{HubResource.identifies<comet.transports.resource.HubResource>}.
        """
        known: Any = getattr(self.request, "identified", None)
        if isinstance(known, Lookup):
            known = known.client
        if not isinstance(known, Client):
            raise RuntimeError("the client is not known: the resource does not identify clients")
        return known

    @property
    def names(self) -> tuple[str, ...]:
        """
        The channels and patterns in the path.

        @raise BadChannel: If there is none, or one is malformed.
        """
        return parsePath(self.head.segments, self.hub.settings.limits.maxChannels)

    def parseReadRequest(self, names: Sequence[str], transport: str | None = None) -> ReadRequest:
        """
        Parse a request to read.

        @param names: The channels and patterns.

        @param transport: The transport that answers, or L{None} to choose it by
            the request.

        @raise CometError: If the request is malformed.
        """
        return parseReadRequest(self.head, names, self.hub.end.epoch, transport)

    def body(self, most: int | None = None) -> bytes:
        """
        Return the body of the request, with its content coding undone.

        @param most: How many bytes it may have; as many as the largest batch if
            it is L{None}.

        @raise TooLarge: If the body was larger than the server takes, or has
            more bytes once its coding is undone.

        @raise Unsupported: If the server does not know the coding.

        @raise BadMessage: If the body is not in its coding.
        """
        return b"".join(self.bodyParts(most))

    def bodyParts(self, most: int | None = None) -> Iterator[bytes]:
        """
        Read the body of the request as L{body} does, a part at a time.  A small body may
        become a large one by its coding.
        """
        whole = self.hub.settings.limits.maxBatchBytes
        content = self.request.content
        assert content is not None, "Twisted sets it before a request is rendered"
        if getattr(self.request, "isTooLarge", False) or content.seek(0, SEEK_END) > whole:
            raise bodyTooLarge(getattr(self.request, "most", whole))
        content.seek(0)
        body: bytes = content.read()
        coding = self.head.header("Content-Encoding")
        return iter((body,)) if coding is None else undoneParts(coding, body, most or whole)

    @property
    def bodyReader(self) -> object:
        """
        What has read the body while it arrived, or L{None}: then L{body} has it.

        @raise TooLarge: If the body was larger than the server takes.
        """
        reader: object = getattr(self.request, "bodyReader", None)
        if reader is not None and getattr(self.request, "isTooLarge", False):
            raise bodyTooLarge(getattr(self.request, "most", 0))
        return reader


def _nothing() -> None:
    """
    Do nothing.
    """


def originForbidden(origin: str) -> Forbidden:
    """
    Return the error for a request from, or for, a page whose origin is not
    allowed.
    """
    return Forbidden(
        f"the origin {origin[:64]!r} is not allowed: allowed are the server's own, those of "
        "--public-url and those of --allow-origin"
    )


def bodyTooLarge(most: int) -> TooLarge:
    """
    Return the error for a request with a body that is too large.

    @param most: How many bytes the body may have.
    """
    return TooLarge(f"the body has more than {most} bytes, the most that the server takes")
