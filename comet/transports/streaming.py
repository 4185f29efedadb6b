"""
What the transports with an HTTP response that never ends share.  Each is a
subclass that states its name, its content type and its shape.
"""

from __future__ import annotations

from twisted.web.http import datetimeToString
from twisted.web.server import Request
from zope.interface import implementer

from comet.fanout.probes import Probe
from comet.fanout.streams import StreamReader
from comet.framing import Shape
from comet.framing.gzipped import GzipShape
from comet.http.contentcoding import GZIP, chooseCoding
from comet.http.http1 import encodeHead
from comet.http.reads import ReadRequest
from comet.http.responses import ENDLESS, Headers
from comet.interfaces.sinks import ISinkOwner
from comet.metrics.traffic import Traffic
from comet.model.clients import Client
from comet.transports.detach import (
    DetachedStream,
    detach,
    isDetachable,
    sharedConnectionOf,
)
from comet.transports.exchange import Exchange
from comet.transports.resource import HubResource
from comet.transports.sinks import IConnectedSink, PushProducerSink, makeSink
from comet.transports.twistedrequest import responseHeadSize, setHeaders


class StreamingResource(HubResource):
    """
    Answers a request to read with a response that never ends.

    Once the response head is out, Twisted's request and channel are dropped,
    and only the connection is kept.

    A subclass sets C{transport} and C{contentType}, overrides C{shape}, and may
    override C{headers}; both are called once for each request, before the head
    is sent.

    @cvar transport: The name of the transport, under which it is counted.

    @cvar contentType: The value of the header C{Content-Type}.

    @cvar isCompressed: Whether the body is compressed for clients that take it, where
        the hub compresses messages.
    """

    transport: str
    contentType: bytes
    isCompressed: bool = False

    def shape(self, exchange: Exchange, readRequest: ReadRequest, chunked: bool) -> Shape:
        """
        Return the shape in which this client gets messages.

        @param chunked: Whether the body is in chunks.

        @raise CometError: If the request asks for what this transport does not
            have.
        """
        raise NotImplementedError

    def headers(self, exchange: Exchange) -> Headers:
        """
        Return the headers of the response that are particular to the transport.
        """
        return ((b"Content-Type", self.contentType),)

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Begin the response.
        """
        readRequest = exchange.parseReadRequest(self.names(exchange), self.transport)
        self.read(exchange, readRequest, self.begin, self.refuse)

    def begin(self, exchange: Exchange, readRequest: ReadRequest, client: Client) -> None:
        """
        Begin the response to a request that is parsed.

        @raise CometError: If the client may not read, or the request asks for
            what this transport does not have.
        """
        request, version = exchange.request, exchange.head.version
        take = isDetachable(request)
        # RFC 9112 6.1: a client of HTTP/1.0 does not know chunks.  HTTP/2 has
        # frames instead.
        chunked = take and version == (1, 1)
        coding = None
        if self.isCompressed:
            coding = chooseCoding(exchange.head, readRequest.names, self.hub.settings.compression)
        shape = self.shape(exchange, readRequest, chunked and coding is None)
        headers = (*self.headers(exchange), *ENDLESS)
        if coding is not None:
            shape, headers = GzipShape(shape, coding, chunked), headers + GZIP

        def makeReader() -> StreamReader:
            traffic = exchange.trafficFor(self.transport)
            exchange.countRequest(traffic)
            if not take:
                sink = RequestSink(exchange, headers, traffic)
                return StreamReader(self.hub.fanout, shape, sink)
            whole = (*headers, *exchange.ownHeaders(headers))
            opening = encodeHead(version, 200, whole, chunked, False, datetimeToString())
            transport = request.channel.transport
            protocol = DetachedStream()
            detach(request, protocol)
            direct = makeSink(transport, traffic)
            protocol.attach(direct)
            traffic.countOpening(len(opening))
            return StreamReader(self.hub.fanout, shape, direct, opening)

        names, since = readRequest.names, readRequest.since
        reader = self.hub.openStream(
            client,
            names,
            since,
            makeReader,
            peer=exchange,
            readerID=readRequest.reader,
            connection=sharedConnectionOf(request),
            transport=self.transport,
        )
        if readRequest.probe:
            Probe(reader)


@implementer(IConnectedSink)
class RequestSink(PushProducerSink):
    """
    Writes to a request of Twisted's, for a response that has no connection of
    its own: a stream of HTTP/2.
    """

    __slots__ = ("_isLost", "_isOver", "_request")

    def __init__(
        self, exchange: Exchange, headers: Headers, traffic: Traffic | None = None
    ) -> None:
        request = exchange.request
        self._request: Request | None = request
        super().__init__(request.channel, traffic)
        self._isOver = False
        self._isLost = False
        request.setResponseCode(200)
        # Twisted sends the application's headers itself.
        setHeaders(request, (*headers, *exchange.clientHeaders))
        # Comet's own channel calls back when the client has all of the
        # response; Twisted's when it was written.
        whenGone = getattr(request.channel, "whenGone", None)
        if whenGone is None:
            request.notifyFinish().addBoth(lambda _: self.connectionLost())
        else:
            whenGone(self.connectionLost)

    def attach(self, owner: ISinkOwner) -> None:
        """
        See L{ISink.attach}.
        """
        super().attach(owner)
        if self._request is not None:
            self._request.registerProducer(self, True)

    def write(self, data: bytes) -> bool:
        """
        See L{ISink.write}.
        """
        request = self._request
        if not self._isOver and request is not None:
            isFirst = not request.startedWriting
            request.write(data)
            self.traffic.dataOut += len(data)
            if isFirst:
                self.traffic.headOut += responseHeadSize(request)
        return not self._isBehind

    def finish(self) -> None:
        """
        See L{ISink.finish}.
        """
        request = self._request
        if not self._isOver and request is not None:
            self._isOver = True
            request.unregisterProducer()
            request.finish()

    def abort(self) -> None:
        """
        See L{ISink.abort}.
        """
        self._isOver = True
        channel, self.transport = self.transport, None
        if channel is not None:
            # An ordinary end would wait for a client that takes nothing.
            channel.abortConnection()
            # Twisted's channel does not call back after this.
            self.connectionLost()

    def connectionLost(self) -> None:
        """
        The response is over: the client has all of it, or will never have it.
        Both Twisted and L{abort} may say so.
        """
        if not self._isLost:
            self._isOver = self._isLost = True
            self.transport = None
            # It may have this as its producer still: both would be left to the collector.
            self._request = None
            super().connectionLost()
