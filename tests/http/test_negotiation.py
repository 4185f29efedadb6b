"""
Tests of L{comet.http.negotiation}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadRequest
from comet.http.negotiation import TRANSPORTS, chooseTransport, isWebSocketUpgrade
from tests.http.heads import makeHead


class ParameterTests(SynchronousTestCase):
    """
    The parameter C{transport}.
    """

    def test_parameterComesFirst(self) -> None:
        """
        The parameter decides, also if headers ask for other transports.
        """
        for transport in TRANSPORTS:
            head = makeHead(
                b"transport=" + transport.encode("ascii"),
                Accept=b"text/event-stream",
                Connection=b"Upgrade",
                Upgrade=b"websocket",
            )
            self.assertEqual(chooseTransport(head), transport)

    def test_refusesUnknown(self) -> None:
        """
        An unknown transport is refused, and the error names the known ones.
        """
        for name in (b"", b"SSE", b"carrier-pigeon"):
            error = self.assertRaises(BadRequest, chooseTransport, makeHead(b"transport=" + name))
            self.assertIn(repr(name.decode("ascii")), error.detail)
            for transport in TRANSPORTS:
                self.assertIn(transport, error.detail)


class UpgradeTests(SynchronousTestCase):
    """
    Upgrades to WebSocket.
    """

    def test_choosesWebSocket(self) -> None:
        """
        C{Upgrade} asks for a WebSocket, also as one of several protocols and
        in any case, and comes before C{Accept}.
        """
        for upgrade in (b"websocket", b"WebSocket", b"h2c, websocket", [b"h2c", b"websocket"]):
            for connection in (b"Upgrade", b"keep-alive, upgrade"):
                head = makeHead(Upgrade=upgrade, Connection=connection, Accept=b"text/event-stream")
                self.assertTrue(isWebSocketUpgrade(head))
                self.assertEqual(chooseTransport(head), "websocket")

    def test_ignoresOtherProtocols(self) -> None:
        """
        An upgrade to another protocol, also one with a similar name, is
        ignored.
        """
        for upgrade in (b"", b"h2c", b"websockets", b"websocket/13", b'"websocket"'):
            head = makeHead(Upgrade=upgrade, Connection=b"Upgrade")
            self.assertFalse(isWebSocketUpgrade(head))
            self.assertEqual(chooseTransport(head), "longpoll")

    def test_upgradesOnlyHTTP11(self) -> None:
        """
        C{Upgrade} is ignored in HTTP/1.0 and HTTP/2.
        """
        for version in ((1, 0), (2, 0)):
            head = makeHead(Upgrade=b"websocket", Connection=b"Upgrade", version=version)
            self.assertFalse(isWebSocketUpgrade(head))
            self.assertEqual(chooseTransport(head), "longpoll")

    def test_incompleteIsNoUpgrade(self) -> None:
        """
        Without the header C{Connection}, or with another method, a request is
        not a valid upgrade, though it asks for a WebSocket.
        """
        for head in (
            makeHead(Upgrade=b"websocket"),
            makeHead(Upgrade=b"websocket", Connection=b"close"),
            makeHead(Upgrade=b"websocket", Connection=b"Upgrade", method=b"HEAD"),
        ):
            self.assertFalse(isWebSocketUpgrade(head))
            self.assertEqual(chooseTransport(head), "websocket")


class CallbackTests(SynchronousTestCase):
    """
    The parameter C{callback}.
    """

    def test_choosesJSONP(self) -> None:
        """
        The parameter asks for JSONP, also if it is empty, and comes before
        C{Accept}.
        """
        for query in (b"callback=cb", b"callback=", b"a=b&callback"):
            head = makeHead(query, Accept=b"text/event-stream")
            self.assertEqual(chooseTransport(head), "jsonp")

    def test_callbackComesLast(self) -> None:
        """
        The parameter C{transport} and an upgrade come before C{callback}.
        """
        for transport in ("iframe", "longpoll"):
            query = b"callback=cb&transport=" + transport.encode("ascii")
            self.assertEqual(chooseTransport(makeHead(query)), transport)
        head = makeHead(b"callback=cb", Upgrade=b"websocket", Connection=b"Upgrade")
        self.assertEqual(chooseTransport(head), "websocket")
        self.assertEqual(chooseTransport(makeHead(b"Callback=cb")), "longpoll")


class AcceptTests(SynchronousTestCase):
    """
    The header C{Accept}.
    """

    def check(self, transport: str, *accepts: bytes) -> None:
        """
        Assert that each of these values asks for a transport.
        """
        for accept in accepts:
            self.assertEqual(chooseTransport(makeHead(Accept=accept)), transport, accept)

    def test_defaultsToLongPoll(self) -> None:
        """
        Without C{Accept}, or with an empty one, the request is a long poll.
        """
        self.assertEqual(chooseTransport(makeHead()), "longpoll")
        self.check("longpoll", b"", b",", b";")

    def test_choosesByMediaType(self) -> None:
        """
        A media type asks for its transport, in any case and with any
        parameters.
        """
        self.check("sse", b"text/event-stream", b"Text/Event-Stream; charset=utf-8")
        self.check("stream", b"application/x-ndjson", b"application/x-ndjson;q=0.001")
        self.check("multipart", b"multipart/x-mixed-replace", b"Multipart/Mixed; q=0.1")
        self.check("longpoll", b"application/json", b"text/html, application/xml;q=0.9, */*;q=0.8")

    def test_highestQualityWins(self) -> None:
        """
        The type with the highest quality decides, and quality 0 excludes a
        type.
        """
        self.check(
            "stream",
            b"text/event-stream;q=0.5, application/x-ndjson;q=0.6",
            b"text/event-stream; Q = 0.5 , application/x-ndjson",
            b"text/event-stream;q=0, application/x-ndjson;q=0.1",
        )
        self.check(
            "longpoll",
            b"text/event-stream;q=0",
            b"text/event-stream;q=0.0, text/*",
            b"application/json, text/event-stream;q=0.9",
        )

    def test_firstOfEqualQualityWins(self) -> None:
        """
        Of types with the same quality, C{sse} comes first, then C{stream}, then
        C{multipart}.
        """
        self.check("sse", b"application/json, application/x-ndjson, text/event-stream")
        self.check("stream", b"application/json, multipart/mixed, application/x-ndjson")
        self.check("multipart", b"application/json, multipart/x-mixed-replace")

    def test_typeComesBeforeWildcard(self) -> None:
        """
        A type that is named comes before one that a wildcard allows.
        """
        self.check("sse", b"text/event-stream, */*", b"*/*, text/event-stream;q=0.1")
        self.check("stream", b"text/*, */*, application/x-ndjson;q=0.1")

    def test_wildcardMeansLongPoll(self) -> None:
        """
        A wildcard means a long poll, or C{sse} if it gives JSON a lower quality
        than text.
        """
        self.check("longpoll", b"*/*", b"application/*", b"image/*", b"text/*;q=0.5, */*")
        self.check("longpoll", b"multipart/*", b"multipart/form-data")
        self.check("longpoll", b"text/*, application/*", b"text/event-stream;q=0, */*")
        self.check("sse", b"text/*", b"text/*, */*;q=0.1", b"text/html, text/*;q=0.5, image/*")

    def test_ignoresMalformed(self) -> None:
        """
        An element with an invalid quality is ignored, and a comma within quotes
        does not separate elements.
        """
        self.check(
            "stream",
            b"text/event-stream;q=2, application/x-ndjson;q=0.1",
            b"text/event-stream;q=x, application/x-ndjson",
            b"text/event-stream;q=0.1234, application/x-ndjson;q=0.1",
            b'a/b;c=",text/event-stream,\\",text/event-stream", application/x-ndjson',
        )
        self.check("longpoll", b'a/b;c=",text/event-stream', b'a/b;c=",text/event-stream\\')

    def test_readsAllValues(self) -> None:
        """
        The higher quality counts if a type is there twice, and the header may
        be there twice.
        """
        self.check("sse", b"text/event-stream, text/event-stream;q=0")
        head = makeHead(Accept=[b"text/html", b"application/x-ndjson"])
        self.assertEqual(chooseTransport(head), "stream")
