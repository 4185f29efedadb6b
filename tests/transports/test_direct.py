"""
Tests of the transports over Twisted's plain TCP, where they write straight to
the socket.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server
from twisted.python.failure import Failure

from comet.transports.tcp import CometFactory
from tests.framing.readers import ChunkReader, LinesReader
from tests.transports.case import HubTestCase, cursors, get, readHead, readResponse
from tests.transports.frames import UPGRADE, readFrames, text
from tests.transports.sockets import Descriptors, ScriptedSocket, makeServer
from tests.transports.wire import Serving


class Line:
    """
    A connection over a socket whose part the test plays.
    """

    def __init__(self, factory: Serving) -> None:
        self.reactor = Descriptors()
        self.socket = ScriptedSocket()
        protocol: Any = factory.buildProtocol(None)
        self.transport = makeServer(Server, self.socket, protocol, self.reactor)
        protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """
        Send as the client.
        """
        self.transport.protocol.dataReceived(data)

    def take(self) -> bytes:
        """
        Return what the socket has taken since the last call.
        """
        taken = bytes(self.socket.taken)
        self.socket.taken.clear()
        return taken

    def turn(self) -> None:
        """
        Let the reactor write what waits.
        """
        self.socket.room = 1 << 30
        for _ in range(5):
            for writer in list(self.reactor.writers):
                if writer.doWrite():
                    writer.connectionLost(Failure(ConnectionDone()))


class DirectTests(HubTestCase):
    """
    What reaches the socket within the tick, and what is left for later.
    """

    def line(self, raw: bytes, factory: Serving | None = None) -> Line:
        """
        Connect, and send a request.
        """
        line = Line(self.site if factory is None else factory)
        line.send(raw)
        return line

    def test_answersLongPollInTick(self) -> None:
        """
        A response is sent within the tick that it waited for, without the
        reactor; then the next request is served.
        """
        line = self.line(get("/channels/news"))
        for _ in range(2):
            known = self.publish("news", 1)
            response = readResponse(line.take())
            self.assertEqual(cursors(response.json["messages"]), known)
            self.assertEqual(line.reactor.writers, set())
            line.send(get("/channels/news"))
            self.assertEqual(line.take(), b"")

    def test_sendsRestOfLongPoll(self) -> None:
        """
        If the socket takes only a part of a response, the rest follows, and
        then the response to the next request.
        """
        for room in range(0, 300, 7):
            line = self.line(get("/channels/news") + get("/health"))
            line.socket.room = room
            known = self.publish("news", 1)
            self.assertLessEqual(len(line.socket.taken), room)
            line.turn()
            first = readResponse(line.take())
            self.assertEqual(cursors(first.json["messages"]), known)
            second = readResponse(first.rest)
            self.assertEqual((second.json, second.rest), ({"ready": True}, b""))

    def test_streamsWithoutReactor(self) -> None:
        """
        A stream begins and goes on without the reactor.
        """
        line = self.line(get("/channels/news?transport=stream"))
        self.assertEqual(readHead(line.take()).status, 200)
        self.publish("news", 1)
        self.assertIn(b'"data":1', line.take())
        self.assertEqual(line.reactor.writers, set())
        self.assertIsNone(line.transport.producer)

    def test_sendsRestOfStream(self) -> None:
        """
        If the socket takes only a part of what is written, all of it arrives
        once, in order.
        """
        for room in range(0, 500, 11):
            line = self.line(get("/channels/news?transport=stream"))
            raw = line.take()
            line.socket.room = room
            known = []
            for n in range(10):
                known += self.publish("news", n)
            line.turn()
            self.turn()
            line.turn()
            known += self.publish("news", "direct again")
            raw += line.take()
            chunks, lines = ChunkReader(), LinesReader()
            chunks.feed(readHead(raw).body)
            lines.feed(chunks.body)
            self.assertEqual(cursors(lines.values[1:]), known)
            line.transport.connectionLost(Failure(ConnectionDone()))
        self.assertNothingLeft()

    def test_answersWebSocketInOrder(self) -> None:
        """
        The first answers on a WebSocket come in order with the handshake, and
        straight to the socket after it.
        """
        line = self.line(get("/channels/news", *UPGRADE) + text({"id": 1, "ping": 1}))
        line.turn()
        response = readHead(line.take())
        self.assertEqual(response.status, 101)
        begun, pong = readFrames(response.body)
        self.assertEqual((list(begun.json), pong.json["id"]), (["cursor"], 1))
        known = self.publish("news", 1)
        (message,) = readFrames(line.take())
        self.assertEqual(message.json["cursor"], known[0])
        self.assertEqual(line.reactor.writers, set())

    def test_answersLineAtOnce(self) -> None:
        """
        A line is answered within the call that has received it.
        """
        line = self.line(b'{"ping":1}\n', CometFactory(self.hub))
        self.assertEqual(line.take(), b'{"ok":{"pong":1}}\n')

    def test_sendsLastWords(self) -> None:
        """
        The last words arrive, also if the socket was full, and then the
        connection is closed.
        """
        for room in (0, 10, 1 << 30):
            self.setUp()
            line = self.line(get("/channels/news?transport=stream"))
            line.take()
            line.socket.room = room
            done = self.hub.drain(10)
            line.turn()
            chunks = ChunkReader()
            chunks.feed(line.take())
            self.assertTrue(chunks.ended)
            self.assertIn(b"draining", chunks.body)
            self.assertFalse(line.transport.connected)
            self.successResultOf(done)

    def test_neverBypassesTLS(self) -> None:
        """
        Nothing is sent past a transport that speaks TLS.
        """

        class Encrypting(Protocol):
            def write(self, data: bytes) -> None:
                """
                Count a call that would encrypt.
                """

            def writeSequence(self, data: object) -> None:
                """
                Count a call that would encrypt.
                """

            def registerProducer(self, producer: object, streaming: bool) -> None:
                """
                Ignore the producer.
                """

            def unregisterProducer(self) -> None:
                """
                Ignore the producer.
                """

        line = Line(self.site)
        application = line.transport.protocol
        encrypting: Any = Encrypting()
        encrypting.wrappedProtocol = application
        line.transport.protocol = encrypting
        line.transport.TLS = True
        for raw in (get("/channels/news"), get("/channels/news?transport=sse")):
            encrypting.wrappedProtocol.dataReceived(raw)
            self.publish("news", "a secret")
        self.assertEqual(line.take(), b"")
        self.assertIs(line.transport.protocol, encrypting)
        self.assertIsNot(encrypting.wrappedProtocol, application)
