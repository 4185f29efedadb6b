"""
Tests of L{comet.transports.tcp}.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Awaitable
from typing import Any
from weakref import ref

from comet.access.rights import Access
from comet.errors import CometError, Unauthorized
from comet.fanout.streams import LAST_WORDS
from comet.http.credentials import Credentials
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client
from comet.server.proxied import ProxiedFactory
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

    def test_freesAtOnce(self) -> None:
        """
        What served a client that has left is freed at once, without the collector.
        """
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for commands in ([], [{"subscribe": ["a"]}], [{"publish": "a", "data": 1}]):
            wire = self.open()
            self.say(wire, *commands)
            kept = ref(wire.transport.protocol)
            wire.leave()
            self.turn()
            self.assertIsNone(kept())

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
        self.say(wire, {"ping": 0})
        most = self.settings.limits.maxCommandBytes
        wire.sendIn(4000, b"x" * (most + 1) + b"\n")
        self.turn()
        (answer,) = self.read(wire)
        self.assertEqual(answer["error"]["code"], "tooLarge")
        self.assertEqual(self.say(wire, {"ping": 1}), [{"ok": {"pong": 1}}])
        wire.sendIn(4000, b'"' + b"x" * (most - 1) + b"\n")
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


# What a web page can make a browser send: the body of a C{no-cors} request has lines
# of the page's choice, and is taken for no part of a command.
PAGE = (
    b"POST / HTTP/1.1\r\nHost: localhost:8081\r\nContent-Type: text/plain\r\n\r\n"
    b'{"publish":"open/a","data":1}\n{"publish":"open/a","data":2}\n'
)


class FirstLineTests(HubTestCase):
    """
    The first line, which has to be a JSON object or the request for the policy file.
    """

    def setUp(self) -> None:
        """
        Serve raw TCP.
        """
        super().setUp()
        self.factory: Any = CometFactory(self.hub)

    def assertRefused(
        self, wire: Wire, code: str = "badMessage", terminator: bytes = b"\n"
    ) -> None:
        """
        Check that the client was told of one error and nothing else, that the
        connection is closed, and that nothing was carried out.
        """
        self.turn()
        lines = LinesReader(terminator)
        lines.feed(wire.take())
        (answer,) = lines.values
        self.assertEqual(
            (list(answer), answer["error"]["code"], lines.rest), (["error"], code, b"")
        )
        self.assertTrue(answer["error"]["message"])
        self.assertFalse(wire.isOpen)
        self.assertEqual(self.hub.end.position, 0)
        self.assertNothingLeft()

    def test_refusesRequestOfPage(self) -> None:
        """
        A request of HTTP is refused, and no line of its body is carried out, however
        TCP cuts it.
        """
        for size in range(1, len(PAGE) + 1):
            wire = self.connect(self.factory)
            wire.sendIn(size, PAGE)
            self.assertRefused(wire)

    def test_refusesAtFirstByte(self) -> None:
        """
        A connection is refused at the first byte that no JSON object and no request
        for the policy file has there.  Its line does not have to end.
        """
        for first in (b"P", b"\x16", b"[", b'"', b"7", b" n", b"\r\n \tG", b"\xef", b"<x"):
            wire = self.connect(self.factory)
            wire.sendIn(1, first[:-1])
            self.assertEqual((wire.isOpen, wire.take()), (True, b""))
            wire.send(first[-1:])
            self.assertRefused(wire)

    def test_refusesOtherThanObject(self) -> None:
        """
        A first line that only begins as an object does is refused at its end, and
        what follows it is not carried out.
        """
        command = b'{"publish":"open/a","data":1}'
        for first in (
            *(b"{", b"{]", b"{}{}", b"{} x", b"{'ping':1}", b'{"ping":NaN}', b'{"ping":"\xff"}'),
            b'{"ping":' + b"[" * 100 + b"]" * 100 + b"}",
        ):
            for terminator in (b"\n", b"\0"):
                wire = self.connect(self.factory)
                wire.send(first)
                self.assertTrue(wire.isOpen)
                wire.send(terminator + command + terminator)
                self.assertRefused(wire, terminator=terminator)

    def test_refusesLastLine(self) -> None:
        """
        A first line that ends with the client's input is judged, too.
        """
        for first in (b"{", b"<policy-file-request/>"):
            wire = self.connect(self.factory)
            wire.send(first)
            wire.halfClose()
            self.assertRefused(wire)

    def test_refusesOverlongLine(self) -> None:
        """
        A first line that is too long may be no object: it is refused.
        """
        wire = self.connect(self.factory)
        most = self.settings.limits.maxCommandBytes
        wire.sendIn(4000, b"{" + b"x" * most + b"\n" + b'{"publish":"open/a","data":1}\n')
        self.assertRefused(wire, "tooLarge")

    def test_takesWhiteSpaceBefore(self) -> None:
        """
        Empty lines and JSON's white space may stand before the object.
        """
        for first in (b" {", b"\n\r\n\n{", b"\t\r {", b"\0\0 {"):
            wire = self.connect(self.factory)
            wire.sendIn(1, first + b'"ping":1}' + first[:1].strip(b" \t") + b"\n\0")
            self.assertIn(b'{"ok":{"pong":1}}', wire.take())
            self.assertTrue(wire.isOpen)

    def test_takesUnknownCommand(self) -> None:
        """
        A first line that is an object, but no command, is answered with its error,
        and the connection stays.
        """
        wire = self.connect(self.factory)
        wire.send(b'{"id":1,"dance":1}\nrubbish\n{"ping":1}\n')
        self.turn()
        codes = [each.get("error", {}).get("code") for each in self.values(wire)]
        self.assertEqual((codes, wire.isOpen), (["badRequest", "badMessage", None], True))

    def values(self, wire: Wire) -> list[Any]:
        """
        Return what has arrived.
        """
        return [json.loads(line) for line in wire.take().splitlines()]

    def test_cutsRefusedClient(self) -> None:
        """
        A refused client that does not take its error is cut off, and what it goes on
        to send is dropped.
        """
        wire = self.connect(self.factory)
        wire.transport.isStuck = True
        self.patch(wire.transport, "loseConnection", lambda: None)
        wire.send(PAGE)
        for _ in range(3):
            wire.send(b'{"publish":"open/a","data":1}\n')
        self.turn(LAST_WORDS + 0.2)
        self.assertEqual((wire.isOpen, self.hub.end.position), (False, 0))
        self.assertEqual(wire.transport.unsent.count(b"badMessage"), 1)
        self.assertNothingLeft()

    def test_refusesBehindProxy(self) -> None:
        """
        What follows a header of the PROXY protocol is judged in the same way, however
        TCP cuts it.
        """
        header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
        for size in (1, 7, len(header), len(header) + 1, len(header) + len(PAGE)):
            wire = self.connect(ProxiedFactory(self.factory))
            wire.sendIn(size, header + PAGE)
            self.assertRefused(wire)

    def test_asksForNoClient(self) -> None:
        """
        The application is not asked about a client that is refused for its first line.
        """
        test = self

        class Mine(Access):
            def identify(self, credentials: Credentials) -> Client:
                test.fail("asked")

        self.hub.access = Mine()
        for first in (PAGE, b"{\n"):
            wire = self.connect(CometFactory(self.hub))
            wire.send(first)
            self.assertRefused(wire)


class ClientTests(HubTestCase):
    """
    An application that identifies clients by their connections.
    """

    def serve(self, verdict: Client | CometError) -> tuple[Wire, list[Any]]:
        """
        Connect to a server whose access object always gives the same answer.

        @return: The connection, and the addresses that the object was asked about.
        """
        asked: list[tuple[str, str]] = []

        class Mine(Access):
            def identify(self, credentials: Credentials) -> Client:
                asked.append((credentials.transport, credentials.address))
                if isinstance(verdict, CometError):
                    raise verdict
                return verdict

        self.hub.access = Mine()
        return self.connect(CometFactory(self.hub)), asked

    def test_asksForClientOnce(self) -> None:
        """
        The access object is asked once, at the client's first line; the client then
        has the rights of that answer.
        """
        wire, asked = self.serve(KEY_HOLDER)
        self.assertEqual(asked, [])
        wire.send(b'{"publish":"news","data":1}\n{"ping":0}\n')
        self.turn()
        self.assertEqual(asked, [("tcp", wire.transport.getPeer().host)])
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
        By default all clients are anonymous, and have no header.
        """
        seen: list[Client | Awaitable[Client]] = []

        class Mine(Access):
            def identify(self, credentials: Credentials) -> Client | Awaitable[Client]:
                seen.append(super().identify(credentials))
                assert credentials.header("Authorization") is None
                assert not (credentials.cookies or credentials.parameters)
                return seen[0]

        self.hub.access = Mine()
        self.connect(CometFactory(self.hub)).send(b'{"ping":0}\n')
        self.assertEqual(seen, [ANONYMOUS])
