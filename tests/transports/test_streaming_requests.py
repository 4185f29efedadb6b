"""
Tests of L{comet.transports.streaming.RequestSink}: streams over HTTP/2.
"""

from __future__ import annotations

from typing import Any

from twisted.web._http2 import H2Connection
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel
from zope.interface import implementer
from zope.interface.verify import verifyObject

from comet.fanout.streams import StreamReader
from comet.interfaces.sinks import ISink, ISinkOwner
from comet.metrics.traffic import Traffic
from comet.transports.exchange import Exchange
from comet.transports.sse import EventSourceResource
from comet.transports.streaming import RequestSink
from comet.web.resources import CometResource
from tests.edge.h2client import Http2Connection
from tests.framing.readers import EventReader, LinesReader
from tests.transports.case import HubTestCase, readHead
from tests.transports.wire import Wire
from tests.web.http2.case import MemoryPipe


class RequestSinkTests(HubTestCase):
    """
    A request without a connection to itself, whose response Twisted frames.
    """

    def makeRequest(self) -> Request:
        """
        Make a request on a channel that is not Twisted's.
        """
        request = Request(DummyChannel(), False, parsePOSTFormSubmission=False)
        request.site = self.site
        request.requestHeaders.setRawHeaders(b"Host", [b"localhost"])
        request.requestHeaders.setRawHeaders(b"Origin", [b"https://friend.example"])
        request.gotLength(0)
        request.prepath = []
        request.method, request.uri = b"GET", b"/a,b"
        request.clientproto = b"HTTP/2"
        return request

    def written(self, request: Request) -> bytes:
        """
        Return what was written to the request.
        """
        channel: Any = request.channel
        written: bytes = channel.transport.written.getvalue()
        return written

    def test_writesAndFinishes(self) -> None:
        """
        The reader writes to the request, and finishes it.
        """
        request = self.makeRequest()
        request.addCookie(b"a", b"b")
        request.responseHeaders.addRawHeader(b"Link", b"<x>")
        request.responseHeaders.addRawHeader(b"Link", b"<y>")
        channel: Any = request.channel
        EventSourceResource(self.hub).render(request)
        self.publish("b", "hello")
        response = readHead(self.written(request).replace(b"HTTP/2 ", b"HTTP/1.1 "))
        self.assertEqual(response.header("Content-Type"), "text/event-stream")
        self.assertEqual(response.headers["link"], ["<x>", "<y>"])
        self.assertEqual(response.headers["set-cookie"], ["a=b"])
        allow = response.header("Access-Control-Allow-Origin")
        self.assertEqual(allow, "https://friend.example")
        self.assertNotIn("transfer-encoding", response.headers)
        self.hub.drain(1)
        events = EventReader()
        written = channel.transport.written.getvalue()
        events.feed(written.partition(b"\r\n\r\n")[2])
        self.assertEqual([event.type for event in events.events], ["$at", "b", "$close"])
        self.assertNothingLeft()

    def test_endsWithRequest(self) -> None:
        """
        When the request ends, so does the reader.
        """
        request = self.makeRequest()
        EventSourceResource(self.hub).render(request)
        self.assertEqual(len(self.hub.fanout.readers), 1)
        request.connectionLost(ZeroDivisionError())
        self.assertNothingLeft()

    def test_reportsBackpressure(self) -> None:
        """
        The sink is behind while it is paused, and says once that it is ready;
        what is written after the end is dropped.
        """
        request = self.makeRequest()
        channel: Any = request.channel
        exchange = Exchange(self.hub, request)
        sink = RequestSink(exchange, ())
        verifyObject(ISink, sink)
        sink.resumeProducing()
        owner = Owner()
        sink.attach(owner)
        self.assertTrue(sink.write(b"a"))
        sink.pauseProducing()
        self.assertFalse(sink.write(b"b"))
        sink.resumeProducing()
        sink.resumeProducing()
        self.assertEqual(owner.told, ["ready"])
        sink.stopProducing()
        sink.finish()
        sink.finish()
        sink.abort()
        sink.write(b"c")
        self.assertEqual(owner.told, ["ready", "lost"])
        self.assertTrue(channel.transport.written.getvalue().endswith(b"ab"))

    def test_abortsChannel(self) -> None:
        """
        C{abort} gives up only the channel of the request, and the sink is lost.
        """
        request = self.makeRequest()
        sink, owner, lost = RequestSink(Exchange(self.hub, request), ()), Owner(), []
        self.patch(request.channel, "abortConnection", lambda: lost.append(True))
        sink.attach(owner)
        sink.abort()
        sink.abort()
        self.assertEqual(lost, [True])
        self.assertEqual(owner.told, ["lost"])

    def test_waitsForChannel(self) -> None:
        """
        If the channel says when all was sent, the client counts as connected
        until then, and may be cut off.
        """
        for isCut in (False, True):
            request = self.makeRequest()
            channel: Any = request.channel
            calls: list[Any] = []
            channel.whenGone = calls.append
            self.patch(channel, "abortConnection", lambda calls=calls: calls[0]())
            traffic, owner = Traffic(), Owner()
            sink = RequestSink(Exchange(self.hub, request), (), traffic)
            sink.attach(owner)
            sink.write(b"x")
            sink.finish()
            self.assertEqual(owner.told, [])
            self.assertEqual(traffic.open, 1)
            if isCut:
                sink.abort()
            else:
                calls[0]()
                sink.abort()
            self.assertEqual(owner.told, ["lost"])
            # The sink may be told twice that the client is gone.
            self.assertEqual(traffic.open, 0)

    def test_countsHeadAndData(self) -> None:
        """
        Head and data are counted apart.
        """
        request = self.makeRequest()
        traffic = Traffic()
        sink = RequestSink(Exchange(self.hub, request), (), traffic)
        sink.attach(Owner())
        for _ in range(2):
            sink.write(b"abc")
        head = self.written(request).index(b"\r\n\r\n") + 4
        self.assertEqual(traffic.dataOut, 6)
        self.assertLess(abs(traffic.headOut - head), 10)


@implementer(ISinkOwner)
class Owner:
    """
    Notes what it is told.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def sinkReady(self) -> None:
        """
        Note the call.
        """
        self.told.append("ready")

    def sinkLost(self) -> None:
        """
        Note the call.
        """
        self.told.append("lost")

    def inputEnded(self) -> None:
        """
        Note the call.
        """
        self.told.append("ended")


class TwistedTests(HubTestCase):
    """
    Twisted's own HTTP/2, on a site that is not comet's.
    """

    def open(self) -> tuple[Http2Connection, Any]:
        """
        Connect to a plain site.
        """
        connection: Any = H2Connection(reactor=self.clock)
        connection.site = connection.factory = self.makePlainSite(CometResource(self.hub))
        connection.requestFactory = connection.site.requestFactory
        connection.timeOut, connection.callLater = 600, self.clock.callLater
        wire = Wire(Made(connection))
        wire.transport.registerProducer(connection, True)
        self.wires.append(wire)
        return Http2Connection(MemoryPipe(wire, self.turn), "localhost"), connection

    def test_streamsOverTwistedHTTP2(self) -> None:
        """
        A reader gets messages and the end of the stream.
        """
        http2, _ = self.open()
        stream = http2.send("GET", "/channels/news?transport=stream")
        self.turns()
        self.publish("news", "hello")
        self.turns()
        self.hub.drain(1)
        self.turns()
        lines = LinesReader()
        lines.feed(stream.answer().body)
        keys = [list(value)[-1] for value in lines.values]
        self.assertEqual(keys, ["cursor", "data", "close"])
        self.assertEqual(len(self.hub.fanout.leaving.readers), 0)

    def test_forgetsClientThatLeaves(self) -> None:
        """
        A client that resets its stream, or is cut off because it takes nothing,
        is forgotten.
        """
        http2, connection = self.open()
        streams = [http2.send("GET", "/channels/news?transport=stream") for _ in range(2)]
        self.turns()
        http2.reset(streams[0])
        self.assertEqual(len(self.hub.fanout.readers), 1)
        (reader,) = self.hub.fanout.readers
        assert isinstance(reader, StreamReader)
        reader.sink.abort()
        self.assertEqual(len(self.hub.fanout.readers), 0)
        self.assertEqual(connection.streams, {})

    def turns(self) -> None:
        """
        Let Twisted send its frames, one in each turn.
        """
        for _ in range(10):
            self.turn()


class Made:
    """
    A factory for a protocol that exists already.
    """

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol

    def buildProtocol(self, addr: Any) -> Any:
        """
        Return the protocol.
        """
        return self.protocol
