"""
Tests of L{comet.transports.tcp}.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.interfaces import ITransport

from comet.errors import CometError, Unauthorized
from comet.fanout.streams import LAST_WORDS
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client
from comet.transports.tcp import FIRST_LINE, CometFactory
from tests.framing.readers import LinesReader
from tests.transports.case import HubTestCase
from tests.transports.wire import Wire


class TCPTests(HubTestCase):
    """
    Raw TCP, an object a line.
    """

    def setUp(self) -> None:
        """
        Serve raw TCP.
        """
        super().setUp()
        self.factory = CometFactory(self.hub)

    def open(self) -> Wire:
        """
        Connect.
        """
        return self.connect(self.factory)

    def say(self, wire: Wire, *values: Any, terminator: bytes = b"\n") -> list[Any]:
        """
        Send, and return the answers.
        """
        wire.send(b"".join(json.dumps(value).encode() + terminator for value in values))
        self.turn()
        return self.read(wire, terminator)

    def read(self, wire: Wire, terminator: bytes = b"\n") -> list[Any]:
        """
        Return what has arrived.
        """
        lines = LinesReader(terminator)
        lines.feed(wire.take())
        self.assertEqual(lines.rest, b"")
        return lines.values

    def test_usesTerminatorOfFirstLine(self) -> None:
        """
        The terminator of the first line is used in both directions from then
        on.
        """
        for terminator in (b"\n", b"\0"):
            wire = self.open()
            (pong,) = self.say(wire, {"id": 1, "ping": "\0\n"}, terminator=terminator)
            self.assertEqual(pong, {"id": 1, "ok": {"pong": "\0\n"}})
            self.say(wire, {"subscribe": ["news"]}, terminator=terminator)
            known = self.publish("news", "a\nb")
            (value,) = self.read(wire, terminator)
            self.assertEqual(value, {"channel": "news", "cursor": known[0], "data": "a\nb"})

    def test_sendsNothingFirst(self) -> None:
        """
        The server sends nothing before the client: it does not know the
        terminator yet.
        """
        wire = self.open()
        wire.send(b'{"ping":1}')
        self.assertEqual(wire.take(), b"")
        self.assertEqual(len(self.hub.fanout.readers), 0)

    def test_keepAlive(self) -> None:
        """
        Keepalive is on, to find clients that have vanished.
        """
        self.assertTrue(self.open().transport.keepsAlive)

    def test_anySplit(self) -> None:
        """
        The answers do not depend on how TCP cuts the lines.
        """
        self.publish("news", 1)
        raw = b'{"id":1,"ping":1}\r\n\n\n{"id":2,"subscribe":["news"],"since":"-1"}\nrubbish\n'
        answers = set()
        for size in range(1, len(raw) + 1):
            wire = self.open()
            wire.sendIn(size, raw)
            self.turn()
            answers.add(wire.take())
        self.assertEqual(len(answers), 1)
        self.assertEqual(answers.pop().count(b"\n"), 4)

    def test_cutsSilentClient(self) -> None:
        """
        A client that sends nothing for long is cut off; one that has sent a
        line is not.
        """
        silent, partly, speaking = self.open(), self.open(), self.open()
        partly.send(b'{"ping"')
        self.say(speaking, {"ping": 1})
        self.turn(FIRST_LINE - 1)
        self.assertTrue(silent.isOpen)
        partly.send(b":")
        self.turn(1.2)
        self.assertEqual([wire.isOpen for wire in (silent, partly, speaking)], [False, False, True])
        self.assertNothingLeft()

    def test_writesHeartbeat(self) -> None:
        """
        A client that reads no channel gets heartbeats with the cursor of now, from
        its first line on.
        """
        silent, speaking = self.open(), self.open()
        self.say(speaking, {"ping": 1})
        self.turn(24)
        (known,) = self.publish("news", 1)
        self.assertEqual(self.read(speaking), [])
        self.turn(1.2)
        self.assertEqual(self.read(speaking), [{"cursor": known}])
        self.turn(25.2)
        self.assertEqual(self.read(speaking), [{"cursor": known}])
        self.assertEqual(silent.take(), b"")

    def test_refusesOverlongLine(self) -> None:
        """
        A line that is too long is answered with one error, and the connection
        stays.
        """
        wire = self.open()
        most = self.settings.limits.maxCommandBytes
        wire.sendIn(4000, b"x" * (most + 1) + b"\n")
        self.turn()
        (answer,) = self.read(wire)
        self.assertEqual(answer["error"]["code"], "tooLarge")
        self.assertEqual(self.say(wire, {"ping": 1}), [{"ok": {"pong": 1}}])
        wire.sendIn(4000, b"x" * most + b"\n")
        self.turn()
        (answer,) = self.read(wire)
        self.assertEqual(answer["error"]["code"], "badMessage")

    def test_largestMessage(self) -> None:
        """
        A message of the largest size fits into a line, in each way of escaping
        it.
        """
        wire = self.open()
        data = "\\u0001" * (self.settings.limits.maxMessage // 6 - 4)
        wire.send(b'{"publish":"open/a","data":"' + data.encode() + b'"}\n')
        self.turn()
        self.assertIn("ok", self.read(wire)[0])

    def test_refusesWhenFull(self) -> None:
        """
        When there are as many readers as allowed, the client is told, and the
        connection ends.
        """
        object.__setattr__(self.hub.settings, "maxConnections", 1)
        self.addCleanup(object.__setattr__, self.hub.settings, "maxConnections", 0)
        self.say(self.open(), {"ping": 1})
        wire = self.open()
        wire.send(b'{"ping":1}\0{"ping":2}\0')
        (value,) = self.read(wire, b"\0")
        self.assertEqual(value["close"]["code"], "tooMany")
        self.assertEqual(value["close"]["retry"], 5)
        self.assertFalse(wire.isOpen)

    def test_cutsRefusedClient(self) -> None:
        """
        A refused client that does not take the last words is cut off, and its
        commands are not carried out.
        """
        self.hub.drain(10)
        wire = self.open()
        wire.transport.isStuck = True
        self.patch(wire.transport, "loseConnection", lambda: None)
        for _ in range(3):
            wire.send(b'{"ping":1}\n')
        self.turn(LAST_WORDS + 0.2)
        self.assertFalse(wire.isOpen)
        self.assertEqual(wire.transport.unsent.count(b"draining"), 1)
        self.assertNothingLeft()

    def test_tellsOfDraining(self) -> None:
        """
        When the server drains, the client is told, and the connection ends.
        """
        wire = self.open()
        self.say(wire, {"subscribe": ["news"]})
        self.hub.drain(10)
        (value,) = self.read(wire)
        self.assertEqual((value["cursor"], value["close"]["code"]), (str(self.hub.end), "draining"))
        self.assertFalse(wire.isOpen)

    def test_forgetsClientThatLeaves(self) -> None:
        """
        A client that leaves is forgotten, also before its first line.
        """
        self.open().leave()
        wire = self.open()
        self.say(wire, {"subscribe": ["news", "a/*"]})
        wire.leave()
        self.assertNothingLeft()

    def test_otherTransports(self) -> None:
        """
        Raw TCP works on transports that are not TCP.
        """

        class Transport:
            def __init__(self) -> None:
                self.written = b""

            def write(self, data: bytes) -> None:
                self.written += data

            def registerProducer(self, producer: object, streaming: bool) -> None:
                pass

        protocol: Any = self.factory.buildProtocol(None)
        transport = Transport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b'{"ping":1}\n')
        self.assertEqual(transport.written, b'{"ok":{"pong":1}}\n')

    def test_survivesHTTP(self) -> None:
        """
        A client that speaks HTTP does no harm.
        """
        wire = self.open()
        wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual([v["error"]["code"] for v in self.read(wire)], ["badMessage"] * 2)


class ClientTests(HubTestCase):
    """
    An application that identifies clients by their connections.
    """

    def serve(self, verdict: Client | CometError) -> tuple[Wire, list[Any]]:
        """
        Connect to a factory that always gives the same answer.

        @return: The connection, and the transports that the factory was asked
            about.
        """
        asked: list[Any] = []

        class Mine(CometFactory):
            def client(self, transport: ITransport) -> Client:
                asked.append(transport)
                if isinstance(verdict, CometError):
                    raise verdict
                return verdict

        return self.connect(Mine(self.hub)), asked

    def test_asksForClientOnce(self) -> None:
        """
        The factory is asked once, about the transport, at the client's first
        line; the client then has the rights of that answer.
        """
        wire, asked = self.serve(KEY_HOLDER)
        self.assertEqual(asked, [])
        wire.send(b'{"publish":"news","data":1}\n{"ping":0}\n')
        self.turn()
        self.assertEqual(asked, [wire.transport])
        self.assertEqual(wire.take().count(b'"ok"'), 2)
        self.assertEqual(self.hub.end.position, 1)

    def test_refusesUnidentifiedClient(self) -> None:
        """
        An unidentified client is told so, and the connection ends; its commands
        are not carried out.
        """
        wire, _ = self.serve(Unauthorized("not from here"))
        wire.send(b'{"publish":"open/a","data":1}\0')
        self.turn()
        (line, rest) = wire.take().split(b"\0")
        close = json.loads(line)["close"]
        self.assertEqual((close["code"], close["message"]), ("unauthorized", "not from here"))
        self.assertEqual((rest, wire.isOpen, self.hub.end.position), (b"", False, 0))
        self.assertNothingLeft()

    def test_clientIsAnonymous(self) -> None:
        """
        By default all clients are anonymous.
        """
        factory = CometFactory(self.hub)
        self.assertIs(factory.client(self.connect(factory).transport), ANONYMOUS)
