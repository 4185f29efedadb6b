"""
One URL a channel: publishing to it, reading it by any transport, forgetting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from comet.errors import BadChannel, CometError
from comet.framing.publications import readBatch, readBody
from comet.http.polls import entityTag
from comet.http.reads import ReadRequest
from comet.http.responses import COMMON, JSON, Response, batchResponse, publishedResponse
from comet.hub import Hub
from comet.model.channels import isPattern
from comet.model.clients import Client
from comet.transports.exchange import Exchange
from comet.transports.iframe import IFrameResource
from comet.transports.jsonp import JSONPResource
from comet.transports.longpoll import LongPollResource
from comet.transports.multipart import MultipartResource
from comet.transports.poll import PollResource
from comet.transports.resource import HubResource
from comet.transports.sse import EventSourceResource
from comet.transports.stream import StreamResource
from comet.transports.websocket import WebSocketResource


class Transport(Protocol):
    """
    A resource that can answer a request to read.
    """

    def begin(self, exchange: Exchange, readRequest: ReadRequest, client: Client) -> None:
        """
        Begin to answer what was asked for.

        @raise CometError: If it may not be had.
        """

    def refuse(self, exchange: Exchange, error: CometError) -> None:
        """
        Answer with an error.
        """


# The resources of L{comet.http.negotiation.TRANSPORTS}.
RESOURCES: Final = (
    *(PollResource, LongPollResource, JSONPResource),
    *(StreamResource, MultipartResource, EventSourceResource, IFrameResource),
    WebSocketResource,
)


class ChannelResource(HubResource):
    """
    What C{/channels/} is: the names follow in the path.

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
        Read, by the transport that is asked for.
        """
        readRequest = exchange.parseReadRequest(self.names(exchange))
        transport = self.transports[readRequest.transport]
        try:
            transport.begin(exchange, readRequest, self.client(exchange))
        except CometError as error:
            transport.refuse(exchange, error)

    def answer_HEAD(self, exchange: Exchange) -> None:
        """
        Tell the cursor of now.
        """
        self.hub.check(self.client(exchange), self.names(exchange))
        exchange.respond(Response(200, (entityTag(self.hub.end), *JSON), b""))

    def answer_POST(self, exchange: Exchange) -> None:
        """
        Publish the body.
        """
        head = exchange.head
        exchange.countAs("publish")
        names, client = self.names(exchange), self.client(exchange)
        checkNoPatterns(names)
        self.hub.checkPublish(client, names)
        publication = readBody(
            names,
            head.header("Content-Type"),
            exchange.body(),
            self.hub.settings.limits,
            head.header("Comet-Event"),
            head.header("Idempotency-Key"),
            client.name,
        )
        stored = self.hub.store(client, [publication])
        exchange.respondWhen(stored, lambda answers: publishedResponse(answers[0]))

    answer_PUT = answer_POST

    def answer_DELETE(self, exchange: Exchange) -> None:
        """
        Forget what is held.
        """
        names, client = self.names(exchange), self.client(exchange)
        checkNoPatterns(names)
        forgotten = self.hub.forget(client, names)
        exchange.respondWhen(forgotten, lambda _: Response(204, COMMON, b""))


def checkNoPatterns(names: Sequence[str]) -> None:
    """
    Refuse patterns where channels are meant.

    @raise BadChannel: If there is one.
    """
    for name in names:
        if isPattern(name):
            raise BadChannel(f"{name[:64]!r} is a pattern, where a single channel is meant")


class PublishResource(HubResource):
    """
    What C{/publish} is: many messages in one request, all or none.
    """

    methods = ("POST",)
    hasPath = False

    def answer_POST(self, exchange: Exchange) -> None:
        """
        Publish each line of the body.
        """
        exchange.countAs("publish")
        client = self.client(exchange)
        publications = readBatch(
            exchange.head.header("Content-Type"),
            exchange.body(),
            self.hub.settings.limits,
            client.name,
        )
        exchange.respondWhen(self.hub.store(client, publications), batchResponse)
