"""
Tests of L{comet.transports.websocket}: the handshake and the messages.
"""

from __future__ import annotations

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from comet.transports.websocket import SocketResource
from comet.transports.websocketprotocol import CometWebSocketProtocol
from tests.transports.case import get, readHead, readResponse
from tests.transports.frames import (
    ACCEPT,
    KEY,
    PING,
    PONG,
    TEXT,
    UPGRADE,
    WebSocketTestCase,
    close,
    frame,
    readFrames,
    text,
)


def without(name: str, *more: str) -> tuple[str, ...]:
    """
    Return the headers of a handshake without one of them.
    """
    return (*(line for line in UPGRADE if not line.startswith(name)), *more)


class HandshakeTests(WebSocketTestCase):
    """
    Which requests open a WebSocket.
    """

    def test_acceptsHandshake(self) -> None:
        """
        The response proves that the server has read the key.
        """
        wire = self.connect()
        wire.send(get("/channels/news", *UPGRADE))
        response = readHead(wire.take())
        self.assertEqual(response.status, 101)
        self.assertEqual(response.header("Sec-WebSocket-Accept"), ACCEPT)
        self.assertEqual((response.header("Upgrade") or "").lower(), "websocket")
        self.assertEqual((response.header("Connection") or "").lower(), "upgrade")
        self.assertIsNone(response.header("Sec-WebSocket-Extensions"))
        self.assertIsNone(response.header("Sec-WebSocket-Protocol"))
        self.assertIsNone(response.header("Server"))
        (begun,) = readFrames(response.body)
        self.assertEqual(begun.json, {"cursor": str(self.hub.end)})

    def test_anySplit(self) -> None:
        """
        The response does not depend on how TCP cuts the request, nor on frames
        in the same packet.
        """
        request = get("/channels/news", *UPGRADE) + text({"ping": 1}) + frame(PING, b"x")
        answers = set()
        for size in (*range(1, 50), len(request)):
            wire = self.connect()
            wire.sendIn(size, request)
            self.turn()
            answers.add(wire.take())
        self.assertEqual(len(answers), 1)
        _, _, frames = answers.pop().partition(b"\r\n\r\n")
        self.assertEqual([f.opcode for f in readFrames(frames)], [TEXT, TEXT, PONG])

    def test_acceptsSubprotocol(self) -> None:
        """
        The subprotocol C{comet.v1} is accepted if it is offered, and no other.
        """
        for offer, chosen in (
            ("comet.v1", "comet.v1"),
            ("soap, comet.v1", "comet.v1"),
            ("soap", None),
            ("gr\xfc\xdfe", None),
            (",,", None),
        ):
            wire = self.connect()
            wire.send(get("/channels/news", *UPGRADE, f"Sec-WebSocket-Protocol: {offer}"))
            response = readHead(wire.take())
            self.assertEqual(response.status, 101)
            self.assertEqual(response.header("Sec-WebSocket-Protocol"), chosen)

    def test_acceptsNoExtension(self) -> None:
        """
        No extension is accepted.
        """
        offers = (
            "permessage-deflate; client_max_window_bits",
            "x;y=;;=,,",
            "permessage-deflate; a=b",
        )
        for offer in offers:
            wire = self.connect()
            wire.send(get("/channels/news", *UPGRADE, f"Sec-WebSocket-Extensions: {offer}"))
            response = readHead(wire.take())
            self.assertEqual(response.status, 101)
            self.assertIsNone(response.header("Sec-WebSocket-Extensions"))

    def test_refusesOtherVersion(self) -> None:
        """
        Another version is refused, and the response names the right one.
        """
        for version in ("8", "14", "", "13, 13", "013"):
            lines = without("Sec-WebSocket-Version", f"Sec-WebSocket-Version: {version}")
            response = self.ask(get("/channels/news", *lines))
            self.assertProblem(response, 400, "badRequest")
            self.assertEqual(response.header("Sec-WebSocket-Version"), "13")
        self.assertEqual(self.ask(get("/socket", *without("Sec-WebSocket-Version"))).status, 400)

    def test_refusesBadKey(self) -> None:
        """
        A key that is not 16 bytes in base64 is refused.
        """
        for key in ("", "x", KEY[:-2], KEY + "=", "!" * 24, "\xff" * 24, f"{KEY}, {KEY}", "A" * 24):
            lines = without("Sec-WebSocket-Key", f"Sec-WebSocket-Key: {key}")
            self.assertProblem(self.ask(get("/channels/news", *lines)), 400, "badRequest")
        response = self.ask(get("/channels/news", *UPGRADE, f"Sec-WebSocket-Key: {KEY}"))
        self.assertProblem(response, 400, "badRequest")

    def test_refusesPlainRequest(self) -> None:
        """
        A request that is no handshake is told what would be one, and the
        connection serves on.
        """
        wire = self.connect()
        for raw in (
            get("/socket"),
            get("/channels/news?transport=websocket"),
            get("/socket", *without("Upgrade")),
            get("/socket", *without("Upgrade", "Upgrade: h2c")),
            get("/channels/news", *without("Connection")),
            get("/channels/news", *without("Connection", "Connection: close-not")),
        ):
            wire.send(raw)
            self.assertProblem(readResponse(wire.take()), 400, "badRequest")
        response = self.ask(get("/socket", *UPGRADE, version="1.0"))
        self.assertProblem(response, 400, "badRequest")
        response = self.ask(get("/socket", *UPGRADE, method="POST"))
        self.assertProblem(response, 405, "methodNotAllowed")

    def test_neverRedirects(self) -> None:
        """
        No parameter makes the server redirect a client.
        """
        for query in ("redirect=https%3A%2F%2Fevil.example%2F", "redirect=//evil.example&after=1"):
            response = self.ask(get(f"/socket?{query}"))
            self.assertProblem(response, 400, "badRequest")
            self.assertIsNone(response.header("Location"))
            self.assertNotIn(b"evil", response.body)
            self.open(f"/socket?{query}")

    def test_checksOrigin(self) -> None:
        """
        A page whose origin is not allowed is refused; the server's own and
        allowed pages are not, and clients without an origin are not.
        """
        for origin in ("https://stranger.example", "null", "http://localhost:81", "rubbish"):
            for path in ("/channels/news", "/socket"):
                response = self.ask(get(path, *UPGRADE, f"Origin: {origin}"))
                self.assertProblem(response, 403, "forbidden")
        for origin in ("https://friend.example", "http://localhost", "http://push.example"):
            self.open("/channels/news", f"Origin: {origin}")
        self.open()

    def test_refusesLineEndsInHeaders(self) -> None:
        """
        Bytes that some parsers take for the end of a line are refused in all
        headers, so that no part of a value is read as a header.
        """
        for byte in (0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x85):
            smuggled = f"X-A: foo{chr(byte)}X-Forwarded-For: 6.6.6.6"
            response = self.ask(get("/channels/news", *UPGRADE, smuggled))
            self.assertProblem(response, 400, "badRequest")

    def test_refusesBeforeUpgrade(self) -> None:
        """
        What other transports refuse is refused before the upgrade.
        """
        for path, headers, status, code in (
            ("/channels/a//b", [], 400, "badChannel"),
            ("/channels/a?since=x", [], 400, "badCursor"),
            ("/channels/a", ["Authorization: Bearer x"], 401, "unauthorized"),
            ("/socket/a", [], 404, "notFound"),
        ):
            self.assertProblem(self.ask(get(path, *UPGRADE, *headers)), status, code)
        self.hub.drain(10)
        self.assertProblem(self.ask(get("/socket", *UPGRADE)), 503, "unavailable")

    def test_refusesWhenFull(self) -> None:
        """
        When there are as many readers as allowed, the upgrade is refused.
        """
        object.__setattr__(self.hub.settings, "maxConnections", 1)
        self.addCleanup(object.__setattr__, self.hub.settings, "maxConnections", 0)
        self.open("/socket")
        self.assertProblem(self.ask(get("/socket", *UPGRADE)), 429, "tooMany")

    def test_forgetsHandshake(self) -> None:
        """
        Nothing of the handshake is kept.
        """
        wire = self.open("/channels/news", "X-Secret: a-secret", "Origin: http://localhost")
        protocol = wire.transport.protocol
        self.assertIsInstance(protocol, CometWebSocketProtocol)
        kept = str(vars(protocol))
        for piece in ("a-secret", "HTTP/1.1", KEY, ACCEPT, "Upgrade"):
            self.assertNotIn(piece, kept)

    def test_servesBelowAnyPath(self) -> None:
        """
        The resource serves alone, below any path.
        """
        wire = self.connect(self.makePlainSite(SocketResource(self.hub)))
        wire.send(get("/", *UPGRADE))
        self.assertEqual(readResponse(wire.take()).status, 404)
        self.assertTrue(wire.isOpen)


class MessageTests(WebSocketTestCase):
    """
    Messages on a WebSocket.
    """

    def test_writesEnvelopes(self) -> None:
        """
        Held messages come first, then new ones, an envelope a message.
        """
        held = self.publish("news", 1, "x" * 200, "y" * 1000)
        wire = self.connect()
        wire.send(get("/channels/news?since=earliest&time=1", *UPGRADE))
        self.turn()
        frames = readFrames(readHead(wire.take()).body)
        self.assertEqual([f.json["cursor"] for f in frames[1:]], held)
        self.assertEqual(frames[1].json["time"], 1000)
        live = self.publish("news", 2, 3)
        self.assertEqual([f.json["cursor"] for f in self.read(wire)], live)

    def test_carriesOutCommands(self) -> None:
        """
        Commands are carried out, also on a WebSocket that began with names.
        """
        for path in ("/socket", "/channels/news"):
            wire = self.open(path)
            start = str(self.hub.end)
            (answer,) = self.say(wire, text({"id": 1, "subscribe": ["open/a"]}))
            self.assertEqual(answer.json, {"id": 1, "ok": {"cursor": start}})
            message, answer = self.say(wire, text({"id": 2, "publish": "open/a", "data": "hello"}))
            self.assertEqual(message.json["data"], "hello")
            self.assertEqual(answer.json["ok"]["cursor"], message.json["cursor"])
            (answer,) = self.say(wire, text({"id": 3, "unsubscribe": ["open/a"]}))
            self.assertEqual(answer.json, {"id": 3, "ok": {}})

    def test_refusesMalformedCommand(self) -> None:
        """
        A malformed command is answered with an error, and the connection stays.
        """
        wire = self.open("/socket")
        for raw in (frame(2, b'{"ping":1}'), text([]), frame(TEXT, b"{"), frame(TEXT, b"")):
            (answer,) = self.say(wire, raw)
            self.assertEqual(answer.json["error"]["code"], "badMessage")
        (answer,) = self.say(wire, text({"id": 5, "dance": 1}))
        self.assertEqual((answer.json["id"], answer.json["error"]["code"]), (5, "badRequest"))
        (answer,) = self.say(wire, text({"ping": 1}))
        self.assertEqual(answer.json, {"ok": {"pong": 1}})

    def test_hasRightsOfHandshake(self) -> None:
        """
        A client with the key in its handshake may publish to any channel.
        """
        wire = self.open("/socket", "Authorization: Bearer 0123456789abcdef")
        (answer,) = self.say(wire, text({"publish": "news", "data": 1}))
        self.assertIn("ok", answer.json)

    def test_takesFragments(self) -> None:
        """
        A message may come in fragments, with control frames between them.
        """
        wire = self.open("/socket")
        body = '{"ping":"größe"}'.encode()
        frames = [frame(TEXT, body[:1], fin=False)]
        for n in range(1, len(body) - 1):
            frames += [frame(PING, b"%d" % n), frame(0, body[n : n + 1], fin=False)]
        frames += [frame(PONG, b"unasked"), frame(0, body[-1:])]
        *pongs, answer = self.say(wire, *frames)
        self.assertEqual(answer.json, {"ok": {"pong": "größe"}})
        self.assertEqual([p.payload for p in pongs], [b"%d" % n for n in range(1, len(body) - 1)])

    def test_answersPingsInOrder(self) -> None:
        """
        Each ping is answered with its payload, in order with all other answers.
        """
        wire = self.open("/socket")
        frames = self.say(wire, frame(PING), text({"ping": 1}), frame(PING, b"x" * 125))
        self.assertEqual([f.opcode for f in frames], [PONG, TEXT, PONG])
        self.assertEqual((frames[0].payload, frames[2].payload), (b"", b"x" * 125))

    def test_answersManyInOrder(self) -> None:
        """
        Ten thousand commands at once are all answered, in order.
        """
        wire = self.open("/socket")
        count = 10000
        data = b"".join(text({"id": n, "ping": 0}) for n in range(count))
        wire.sendIn(65536, data)
        self.turn()
        ids = [f.json["id"] for f in self.read(wire)]
        self.assertEqual(ids, list(range(count)))

    def test_anyMixtureInAnyPieces(self) -> None:
        """
        Commands between pings and fragments are answered in order, however they are cut.
        """
        stream = b"".join(
            (
                *(text({"id": 0, "ping": 0}), text({"id": 1, "ping": "x" * 200})),
                *(frame(PING, b"a"), text({"id": 2, "ping": 0}), frame(TEXT, b'{"i', fin=False)),
                *(frame(PING, b"b"), frame(0, b'd":3,"ping":0}'), text({"id": 4, "ping": 0})),
                *(frame(2, b"bytes"), text({"id": 5, "ping": 0})),
            )
        )
        for size in (1, 2, 3, 7, 40, 200, len(stream)):
            wire = self.open("/socket")
            wire.sendIn(size, stream)
            self.turn()
            said = [
                f.payload if f.opcode == PONG else f.json.get("id", "refused")
                for f in self.read(wire)
            ]
            self.assertEqual(said, [0, 1, b"a", 2, b"b", 3, 4, "refused", 5], size)

    def test_writesHeartbeat(self) -> None:
        """
        A heartbeat with the reader's cursor is sent after some seconds of
        silence, also to a client without names.
        """
        for path in ("/channels/news", "/socket"):
            wire = self.open(path)
            self.turn(25.2)
            (beat,) = self.read(wire)
            self.assertEqual(beat.json, {"cursor": str(self.hub.end)})

    def test_forgetsClientThatLeaves(self) -> None:
        """
        A client that leaves without a close frame is forgotten.
        """
        for path in ("/socket", "/channels/a,b,c/**"):
            self.open(path).leave()
        wire = self.open("/socket")
        self.say(wire, text({"subscribe": ["a"]}), frame(TEXT, b'{"pi', fin=False))
        wire.leave()
        self.assertNothingLeft()

    def test_doesNotLogErrorsOfClients(self) -> None:
        """
        Errors of clients are not logged.
        """
        events: list[LogEvent] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            events.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        wire = self.open()
        self.say(wire, frame(TEXT, b"\xff"))
        self.say(wire, close())
        wire.leave()
        self.assertEqual(events, [])
        CometWebSocketProtocol.log.error("a fault of {whose}", whose="ours")
        self.assertEqual([event["whose"] for event in events], ["ours"])
