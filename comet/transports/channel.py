"""
The resources below C{/channels/} and at C{/publish}: publish to a channel, read
it by any transport, delete what it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

from twisted.internet.defer import Deferred

from comet.errors import BadChannel, CometError
from comet.framing.batchreader import BatchReader
from comet.framing.publications import readBody
from comet.http.negotiation import chooseTransport
from comet.http.polls import entityTag
from comet.http.reads import ReadRequest
from comet.http.responses import COMMON, JSON, Response, batchResponse, publishedResponse
from comet.hub.hub import Hub
from comet.model.channels import isPattern
from comet.model.clients import Client
from comet.model.messages import Publication, Published
from comet.transports.clientrequest import OTHER
from comet.transports.detach import connectionOf, hasInputBehind
from comet.transports.exchange import Exchange
from comet.transports.iframe import IFrameResource
from comet.transports.jsonp import JSONPResource
from comet.transports.latebatch import LateBatch
from comet.transports.longpoll import LongPollResource
from comet.transports.multipart import MultipartResource
from comet.transports.poll import PollResource
from comet.transports.resource import HubResource
from comet.transports.sse import EventSourceResource
from comet.transports.stream import StreamResource
from comet.transports.websocket import WebSocketResource


class Transport(Protocol):
    """
    A resource that can answer a request to read.  L{ChannelResource} gives it
    the requests whose client asked for its transport.
    """

    def begin(self, exchange: Exchange, readRequest: ReadRequest, client: Client) -> None:
        """
        Answer a request to read.

        @raise CometError: If the client may not read, or the request asks for
            what this transport does not have.
        """

    def refuse(self, exchange: Exchange, error: CometError) -> None:
        """
        Answer with an error, in the form that clients of this transport
        understand.
        """


# One resource for each of L{comet.http.negotiation.TRANSPORTS}.  A new transport
# is one module, a line here and a line there; a test compares the two.
RESOURCES: Final = (
    PollResource,
    LongPollResource,
    JSONPResource,
    StreamResource,
    MultipartResource,
    EventSourceResource,
    IFrameResource,
    WebSocketResource,
)


class ChannelResource(HubResource):
    """
    The resource at C{/channels/}: channels and patterns follow in the path.

    An application may put transports of its own into C{transports}, replace some and
    take some out.  A client asks for one by its name in the parameter C{transport}.
    A subclass may override what L{HubResource} says.

    @ivar transports: The resource for each transport, by its name.
    """

    methods = ("GET", "HEAD", "POST", "PUT", "DELETE")

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self.transports: dict[str, Transport] = {
            resource.transport: resource(hub) for resource in RESOURCES
        }

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Let the resource of the transport that the client asked for answer.
        """
        transport = exchange.transport
        readRequest = exchange.parseReadRequest(self.names(exchange), transport)
        resource = self.transports[transport]
        self.read(exchange, readRequest, resource.begin, resource.refuse)

    def transportOf(self, exchange: Exchange) -> str:
        """
        See L{HubResource.transportOf}.
        """
        head = exchange.head
        if head.method == b"GET":
            return chooseTransport(head, self.transports)
        return "publish" if head.method in (b"POST", b"PUT") else OTHER

    def refuseClient(self, exchange: Exchange, error: CometError) -> None:
        """
        Respond with an error in the form of the transport that was asked for.
        """
        resource = self.transports.get(exchange.transport, self)
        resource.refuse(exchange, error)

    def answer_HEAD(self, exchange: Exchange) -> None:
        """
        Tell the cursor of the log end, in the header C{ETag}.
        """
        self.hub.check(exchange.client, self.names(exchange))
        exchange.respond(Response(200, (entityTag(self.hub.end), *JSON), b""))

    def answer_POST(self, exchange: Exchange) -> None:
        """
        Publish the body as one message to each channel in the path.  The
        response says the cursor; it is sent when the bus has stored the
        message.
        """
        head = exchange.head
        exchange.countAs("publish")
        names, client = self._checkPublish(exchange)
        limits = self.hub.settings.limits
        publication = readBody(
            names,
            head.header("Content-Type"),
            exchange.body(limits.maxMessage),
            limits,
            head.header("Comet-Event"),
            head.header("Idempotency-Key"),
            client.publisher,
            head.header("Comet-Exclude"),
        )
        isAwaited = hasInputBehind(exchange.request)
        publisher = connectionOf(exchange.request)
        stored = self.hub.store(client, [publication], isAwaited, exchange, publisher)
        exchange.respondWhen(stored, lambda answers: publishedResponse(answers[0]))

    answer_PUT = answer_POST

    def admit_POST(self, exchange: Exchange) -> None:
        """
        Refuse a client that may not publish to the channels in the path, or not now.
        """
        _, client = self._checkPublish(exchange)
        self.hub.clientLimits.checkPublish(client, exchange)

    admit_PUT = admit_POST

    def _checkPublish(self, exchange: Exchange) -> tuple[Sequence[str], Client]:
        """
        @return: The channels in the path, and the client, who may publish to them.
        """
        names, client = self.names(exchange), exchange.client
        checkNoPatterns(names)
        self.hub.checkPublish(client, names)
        return names, client

    def answer_DELETE(self, exchange: Exchange) -> None:
        """
        Delete what the channels in the path hold.
        """
        names, client = self.names(exchange), exchange.client
        checkNoPatterns(names)
        forgotten = self.hub.forget(client, names)
        exchange.respondWhen(forgotten, lambda _: Response(204, COMMON, b""))


def checkNoPatterns(names: Sequence[str]) -> None:
    """
    Refuse patterns where only channels are allowed.

    @raise BadChannel: If one of the names is a pattern.
    """
    for name in names:
        if isPattern(name):
            raise BadChannel(f"{name[:64]!r} is a pattern; only channels are allowed here")


class PublishResource(HubResource):
    """
    The resource at C{/publish}: many messages in one request, of which the bus
    stores all or none.
    """

    transport = "publish"
    methods = ("POST",)
    hasPath = False

    def answer_POST(self, exchange: Exchange) -> None:
        """
        Publish each line of the body.
        """
        exchange.countAs("publish")
        client = exchange.client
        self.hub.checkPublisher(client)
        isAwaited = hasInputBehind(exchange.request)
        publisher = connectionOf(exchange.request)

        def store(publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
            # To read them may have taken a while.
            self.hub.checkKnown(client)
            return self.hub.store(client, publications, isAwaited, exchange, publisher)

        reader = exchange.bodyReader
        if isinstance(reader, BatchReader):
            stored = self.hub.store(client, reader.finish(), isAwaited, exchange, publisher)
        else:
            late = LateBatch(
                self._reader(exchange, client),
                exchange.bodyParts(),
                self.hub.turns,
                lambda: exchange.isGone,
                self.hub.uploads.begin(client),
            )
            stored = late.done.addCallback(store)
        exchange.respondWhen(stored, batchResponse)

    def admit_POST(self, exchange: Exchange) -> BatchReader | None:
        """
        Refuse a client that may publish nowhere, or not now.

        @return: What reads the lines as they arrive, and checks the channel of
            each; L{None} for a body that is compressed.
        """
        client = exchange.client
        self.hub.checkPublisher(client)
        self.hub.clientLimits.checkPublish(client, exchange)
        if exchange.head.header("Content-Encoding") is not None:
            return None
        return self._reader(exchange, client)

    def _reader(self, exchange: Exchange, client: Client) -> BatchReader:
        head = exchange.head
        return BatchReader(
            head.header("Content-Type"),
            self.hub.settings.limits,
            client.publisher,
            partial(self.hub.checkPublish, client),
        )
