"""
Which transport an HTTP request is understood to ask for.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadRequest
from comet.http.negotiation import TRANSPORTS, chooseTransport, isWebSocketUpgrade
from tests.http.heads import makeHead


class ParameterTests(SynchronousTestCase):
    """
    The transport that is named.
    """

    def test_named(self) -> None:
        """
        The parameter comes before everything else.
        """
        for transport in TRANSPORTS:
            head = makeHead(
                b"transport=" + transport.encode("ascii"),
                Accept=b"text/event-stream",
                Connection=b"Upgrade",
                Upgrade=b"websocket",
            )
            self.assertEqual(chooseTransport(head), transport)

    def test_unknown(self) -> None:
        """
        A name that is not known is refused, and those that are are told.
        """
        for name in (b"", b"SSE", b"carrier-pigeon"):
            error = self.assertRaises(BadRequest, chooseTransport, makeHead(b"transport=" + name))
            self.assertIn(repr(name.decode("ascii")), error.detail)
            for transport in TRANSPORTS:
                self.assertIn(transport, error.detail)


class UpgradeTests(SynchronousTestCase):
    """
    Requests to become a WebSocket.
    """

    def test_upgrade(self) -> None:
        """
        A WebSocket may be one of several protocols, in any case, and comes
        before what is accepted.
        """
        for upgrade in (b"websocket", b"WebSocket", b"h2c, websocket", [b"h2c", b"websocket"]):
            for connection in (b"Upgrade", b"keep-alive, upgrade"):
                head = makeHead(Upgrade=upgrade, Connection=connection, Accept=b"text/event-stream")
                self.assertTrue(isWebSocketUpgrade(head))
                self.assertEqual(chooseTransport(head), "websocket")

    def test_otherProtocol(self) -> None:
        """
        What only looks like it is another protocol.
        """
        for upgrade in (b"", b"h2c", b"websockets", b"websocket/13", b'"websocket"'):
            head = makeHead(Upgrade=upgrade, Connection=b"Upgrade")
            self.assertFalse(isWebSocketUpgrade(head))
            self.assertEqual(chooseTransport(head), "longpoll")

    def test_version(self) -> None:
        """
        Only in HTTP/1.1 is there an upgrade.
        """
        for version in ((1, 0), (2, 0)):
            head = makeHead(Upgrade=b"websocket", Connection=b"Upgrade", version=version)
            self.assertFalse(isWebSocketUpgrade(head))
            self.assertEqual(chooseTransport(head), "longpoll")

    def test_incomplete(self) -> None:
        """
        Without the header C{Connection}, or with another method, it is no
        handshake, though a WebSocket is asked for.
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
    Requests of a C{script} element.
    """

    def test_callback(self) -> None:
        """
        A callback comes before what is accepted, also one that is none.
        """
        for query in (b"callback=cb", b"callback=", b"a=b&callback"):
            head = makeHead(query, Accept=b"text/event-stream")
            self.assertEqual(chooseTransport(head), "jsonp")

    def test_other(self) -> None:
        """
        It does not come before what is named, or a WebSocket.
        """
        for transport in ("iframe", "longpoll"):
            query = b"callback=cb&transport=" + transport.encode("ascii")
            self.assertEqual(chooseTransport(makeHead(query)), transport)
        head = makeHead(b"callback=cb", Upgrade=b"websocket", Connection=b"Upgrade")
        self.assertEqual(chooseTransport(head), "websocket")
        self.assertEqual(chooseTransport(makeHead(b"Callback=cb")), "longpoll")


class AcceptTests(SynchronousTestCase):
    """
    The transport that is best accepted.
    """

    def check(self, transport: str, *accepts: bytes) -> None:
        """
        Each of these asks for a transport.
        """
        for accept in accepts:
            self.assertEqual(chooseTransport(makeHead(Accept=accept)), transport, accept)

    def test_absent(self) -> None:
        """
        Where nothing is said, it is a long poll.
        """
        self.assertEqual(chooseTransport(makeHead()), "longpoll")
        self.check("longpoll", b"", b",", b";")

    def test_named(self) -> None:
        """
        The type of a body names its transport, in any case and with any
        parameters.
        """
        self.check("sse", b"text/event-stream", b"Text/Event-Stream; charset=utf-8")
        self.check("stream", b"application/x-ndjson", b"application/x-ndjson;q=0.001")
        self.check("multipart", b"multipart/x-mixed-replace", b"Multipart/Mixed; q=0.1")
        self.check("longpoll", b"application/json", b"text/html, application/xml;q=0.9, */*;q=0.8")

    def test_quality(self) -> None:
        """
        The highest quality wins, and none means never.
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

    def test_equal(self) -> None:
        """
        Of equals, events come first, then the stream, then parts.
        """
        self.check("sse", b"application/json, application/x-ndjson, text/event-stream")
        self.check("stream", b"application/json, multipart/mixed, application/x-ndjson")
        self.check("multipart", b"application/json, multipart/x-mixed-replace")

    def test_specific(self) -> None:
        """
        What is named comes before what a wildcard allows.
        """
        self.check("sse", b"text/event-stream, */*", b"*/*, text/event-stream;q=0.1")
        self.check("stream", b"text/*, */*, application/x-ndjson;q=0.1")

    def test_wildcard(self) -> None:
        """
        A wildcard that allows JSON is a long poll; where it allows less of
        that than of text, it is events.
        """
        self.check("longpoll", b"*/*", b"application/*", b"image/*", b"text/*;q=0.5, */*")
        self.check("longpoll", b"multipart/*", b"multipart/form-data")
        self.check("longpoll", b"text/*, application/*", b"text/event-stream;q=0, */*")
        self.check("sse", b"text/*", b"text/*, */*;q=0.1", b"text/html, text/*;q=0.5, image/*")

    def test_malformed(self) -> None:
        """
        An element whose quality is none is ignored, and what is within quotes
        is no element.
        """
        self.check(
            "stream",
            b"text/event-stream;q=2, application/x-ndjson;q=0.1",
            b"text/event-stream;q=x, application/x-ndjson",
            b"text/event-stream;q=0.1234, application/x-ndjson;q=0.1",
            b'a/b;c=",text/event-stream,\\",text/event-stream", application/x-ndjson',
        )
        self.check("longpoll", b'a/b;c=",text/event-stream', b'a/b;c=",text/event-stream\\')

    def test_twice(self) -> None:
        """
        Of a type that is named twice the higher quality counts, and a header
        may come twice.
        """
        self.check("sse", b"text/event-stream, text/event-stream;q=0")
        head = makeHead(Accept=[b"text/html", b"application/x-ndjson"])
        self.assertEqual(chooseTransport(head), "stream")
