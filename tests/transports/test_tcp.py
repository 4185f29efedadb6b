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
    Lines up, lines down.
    """

    def setUp(self) -> None:
        """
        Serve lines.
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
        Say something, and read what comes back.
        """
        wire.send(b"".join(json.dumps(value).encode() + terminator for value in values))
        self.turn()
        return self.read(wire, terminator)

    def read(self, wire: Wire, terminator: bytes = b"\n") -> list[Any]:
        """
        What has come.
        """
        lines = LinesReader(terminator)
        lines.feed(wire.take())
        self.assertEqual(lines.rest, b"")
        return lines.values

    def test_terminators(self) -> None:
        """
        The first line's terminator is used both ways from then on.
        """
        for terminator in (b"\n", b"\0"):
            wire = self.open()
            (pong,) = self.say(wire, {"id": 1, "ping": "\0\n"}, terminator=terminator)
            self.assertEqual(pong, {"id": 1, "ok": {"pong": "\0\n"}})
            self.say(wire, {"subscribe": ["news"]}, terminator=terminator)
            known = self.publish("news", "a\nb")
            (value,) = self.read(wire, terminator)
            self.assertEqual(value, {"channel": "news", "cursor": known[0], "data": "a\nb"})

    def test_nothingFirst(self) -> None:
        """
        The server says nothing before the client has: it would not know how.
        """
        wire = self.open()
        wire.send(b'{"ping":1}')
        self.assertEqual(wire.take(), b"")
        self.assertEqual(len(self.hub.fanout.readers), 0)

    def test_keepAlive(self) -> None:
        """
        The system watches for clients that are gone without a word.
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

    def test_silence(self) -> None:
        """
        Who says nothing for long is cut off; who has said something is not,
        and needs no heartbeat before it reads anything.
        """
        silent, partly, speaking = self.open(), self.open(), self.open()
        partly.send(b'{"ping"')
        self.say(speaking, {"ping": 1})
        self.turn(FIRST_LINE - 1)
        self.assertTrue(silent.isOpen)
        partly.send(b":")
        self.turn(1.2)
        self.assertEqual([wire.isOpen for wire in (silent, partly, speaking)], [False, False, True])
        self.assertEqual(speaking.take(), b"")
        self.assertNothingLeft()

    def test_overlong(self) -> None:
        """
        A line that is too long is answered, once, and the connection stays.
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
        A message of the greatest size fits into a line, however it is written.
        """
        wire = self.open()
        data = "\\u0001" * (self.settings.limits.maxMessage // 6 - 4)
        wire.send(b'{"publish":"open/a","data":"' + data.encode() + b'"}\n')
        self.turn()
        self.assertIn("ok", self.read(wire)[0])

    def test_full(self) -> None:
        """
        Where there is no room the client is told, and the connection ends.
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

    def test_refusedSlowly(self) -> None:
        """
        One that does not take that is cut off, and not heard meanwhile.
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

    def test_draining(self) -> None:
        """
        When the server goes down the client is told, and the connection ends.
        """
        wire = self.open()
        self.say(wire, {"subscribe": ["news"]})
        self.hub.drain(10)
        (value,) = self.read(wire)
        self.assertEqual((value["cursor"], value["close"]["code"]), (str(self.hub.end), "draining"))
        self.assertFalse(wire.isOpen)

    def test_leaves(self) -> None:
        """
        A client that leaves is forgotten, before its first line, too.
        """
        self.open().leave()
        wire = self.open()
        self.say(wire, {"subscribe": ["news", "a/*"]})
        wire.leave()
        self.assertNothingLeft()

    def test_otherTransports(self) -> None:
        """
        It serves on transports that are not TCP.
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

    def test_noHTTP(self) -> None:
        """
        Somebody who speaks HTTP to it does no harm.
        """
        wire = self.open()
        wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual([v["error"]["code"] for v in self.read(wire)], ["badMessage"] * 2)


class ClientTests(HubTestCase):
    """
    An application tells who a connection is from.
    """

    def serve(self, verdict: Client | CometError) -> tuple[Wire, list[Any]]:
        """
        Connect where the verdict is always the same.

        @return: The connection, and which transports were asked about.
        """
        asked: list[Any] = []

        class Mine(CometFactory):
            def client(self, transport: ITransport) -> Client:
                asked.append(transport)
                if isinstance(verdict, CometError):
                    raise verdict
                return verdict

        return self.connect(Mine(self.hub)), asked

    def test_client(self) -> None:
        """
        It is asked once, about the transport, when the client has begun to
        speak; the client then may what that one may.
        """
        wire, asked = self.serve(KEY_HOLDER)
        self.assertEqual(asked, [])
        wire.send(b'{"publish":"news","data":1}\n{"ping":0}\n')
        self.turn()
        self.assertEqual(asked, [wire.transport])
        self.assertEqual(wire.take().count(b'"ok"'), 2)
        self.assertEqual(self.hub.end.position, 1)

    def test_nobody(self) -> None:
        """
        Who is nobody is told so, and the connection ends; nothing is read for
        it, nor done.
        """
        wire, _ = self.serve(Unauthorized("not from here"))
        wire.send(b'{"publish":"open/a","data":1}\0')
        self.turn()
        (line, rest) = wire.take().split(b"\0")
        close = json.loads(line)["close"]
        self.assertEqual((close["code"], close["message"]), ("unauthorized", "not from here"))
        self.assertEqual((rest, wire.isOpen, self.hub.end.position), (b"", False, 0))
        self.assertNothingLeft()

    def test_anybody(self) -> None:
        """
        By itself nobody is known.
        """
        factory = CometFactory(self.hub)
        self.assertIs(factory.client(self.connect(factory).transport), ANONYMOUS)
