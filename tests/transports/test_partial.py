"""
Tests of L{comet.transports.partial}: commands that half come, in memory.
"""

from __future__ import annotations

from typing import Any

from comet.framing.publications import Limits
from comet.http.pace import BODY_TIME, LEAST_RATE
from comet.hub.hubsettings import Settings
from comet.limits.capacity import SMALL_PART
from comet.transports.tcp import CometFactory
from tests.framing.readers import LinesReader
from tests.transports.case import HubTestCase
from tests.transports.frames import PING, TEXT, WebSocketTestCase, close, frame, text
from tests.transports.wire import FULL, Wire

# How much of a command comes at first, in bytes: enough to be counted.
PART = 2 * SMALL_PART


class PartialTests:
    """
    What holds on each transport that carries commands.
    """

    settings = Settings(limits=Limits(maxMessage=65536))

    # What a test case of the transports has.
    hub: Any
    assertEqual: Any
    assertTrue: Any
    assertFalse: Any
    assertNothingLeft: Any
    turn: Any
    patch: Any

    def begin(self) -> Wire:
        """
        Connect a client that has a session.
        """
        raise NotImplementedError

    def parts(self, body: bytes) -> tuple[bytes, bytes]:
        """
        Return what comes before a command's body, and after it, until it is
        whole.
        """
        raise NotImplementedError

    def beginning(self, size: int) -> bytes:
        """
        Make the first bytes of a command of 300,000.
        """
        before, _ = self.parts(b"x" * 300_000)
        return before + b"x" * size

    def carriedOut(self, wire: Wire) -> list[Any]:
        """
        Return the envelopes that the client was sent.
        """
        raise NotImplementedError

    def farewell(self, wire: Wire) -> str:
        """
        Return the code with which the client was sent away, and let it go.
        """
        raise NotImplementedError

    def half(self, size: int = PART) -> Wire:
        """
        Connect a client that sends a part of a large command.
        """
        wire = self.begin()
        wire.send(self.beginning(size))
        self.turn()
        return wire

    def test_closesClientThatDoesNotGoOn(self) -> None:
        """
        A client whose command does not go on is sent away in time, and not before,
        and nothing is kept.
        """
        for size in (1, SMALL_PART, PART):
            wire = self.half(size)
            self.turn(BODY_TIME - 1)
            self.assertEqual(self.hub.partialCommands.kept, size if size == PART else 0)
            self.assertEqual([one for one in self.carriedOut(wire) if "close" in one], [])
            self.turn(1 + size / LEAST_RATE + 0.2)
            self.assertEqual(
                (self.farewell(wire), self.hub.partialCommands.kept), ("unavailable", 0)
            )
        self.assertNothingLeft()

    def test_trickleIsNoPace(self) -> None:
        """
        A byte now and then does not keep a command.
        """
        wire = self.half()
        for _ in range(8):
            self.turn(10)
            wire.send(b"x")
        self.assertEqual((self.farewell(wire), self.hub.partialCommands.kept), ("unavailable", 0))

    def test_steadyCommandMayTakeLong(self) -> None:
        """
        A command that comes at the least rate may take any time.
        """
        wire = self.begin()
        body = b'{"ping":"me"' + b" " * 200_000 + b"}"
        before, after = self.parts(body)
        wire.send(before)
        for at in range(0, len(body), 10_000):
            wire.send(body[at : at + 10_000])
            self.turn(10)
        wire.send(after)
        self.turn()
        (answer,) = (one for one in self.carriedOut(wire) if "ok" in one)
        self.assertEqual(answer, {"ok": {"pong": "me"}})
        self.assertEqual(self.hub.partialCommands.kept, 0)

    def test_eachCommandHasItsTime(self) -> None:
        """
        A client whose input always ends within a command is not late, as long as the
        commands become whole.
        """
        wire = self.begin()
        before, after = self.parts(b'{"ping":1}')
        wire.send(before)
        for _ in range(5):
            self.turn(50)
            wire.send(b'{"ping":1}' + after + before)
        wire.send(b'{"ping":1}' + after)
        self.turn(2 * BODY_TIME)
        answers = [one for one in self.carriedOut(wire) if "ok" in one]
        self.assertEqual((len(answers), wire.isOpen), (6, True))

    def test_oldestGoesWhenThereAreTooMany(self) -> None:
        """
        Beyond the limit the oldest command is given up, and the others go on.  Small
        ones are left alone.
        """
        self.hub.partialCommands.most = 3 * PART
        small, *wires = self.half(SMALL_PART), *(self.half() for _ in range(3))
        self.assertEqual(self.hub.partialCommands.kept, 3 * PART)
        newest = self.half()
        self.assertEqual(self.farewell(wires[0]), "unavailable")
        self.assertEqual(self.hub.partialCommands.kept, 3 * PART)
        self.turn(1)
        for wire in (small, *wires[1:], newest):
            self.assertTrue(wire.isOpen)
            self.assertEqual([one for one in self.carriedOut(wire) if "close" in one], [])
            wire.leave()
        self.assertEqual(self.hub.partialCommands.kept, 0)
        self.assertNothingLeft()

    def test_oneAloneMayBeLarge(self) -> None:
        """
        A command that alone is more than the limit is taken, until others come.
        Nothing more of it is kept then.
        """
        self.hub.partialCommands.most = PART
        wire = self.half(100_000)
        self.assertEqual(self.hub.partialCommands.kept, 100_000)
        self.half()
        self.assertEqual(self.hub.partialCommands.kept, PART)
        wire.send(b"x" * 100_000)
        self.assertEqual(self.hub.partialCommands.kept, PART)
        self.assertEqual(self.farewell(wire), "unavailable")
        self.assertNothingLeft()

    def test_waitsWhileServerDoesNotRead(self) -> None:
        """
        The time does not count in which the server does not read: a client may be
        behind for longer, and then go on.
        """
        wire = self.begin()
        wire.transport.isStuck = True
        ping = self.ping(b'{"ping":"' + b"x" * 30_000 + b'"}')
        before, after = self.parts(b'{"ping":1}')
        wire.send(ping * 3 + before)
        self.turn()
        self.assertTrue(len(wire.transport.unsent) > FULL)
        self.assertFalse(wire.transport.isReading)
        self.turn(BODY_TIME + 40)
        self.turn(20)
        wire.transport.isStuck = False
        self.turn()
        self.turn(BODY_TIME - 10)
        wire.send(b'{"ping":1}' + after)
        self.turn()
        answers = [one["ok"]["pong"] for one in self.carriedOut(wire) if "ok" in one]
        self.assertEqual((len(answers), answers[-1]), (4, 1))
        self.assertTrue(wire.isOpen)

    def ping(self, body: bytes) -> bytes:
        """
        Make a whole command.
        """
        before, after = self.parts(body)
        return before + body + after

    def test_endOfInput(self) -> None:
        """
        A client that closes its writing side within a command is told so, and may
        read on.
        """
        wire = self.half()
        wire.send(b"")
        wire.halfClose()
        self.turn()
        self.assertEqual(self.hub.partialCommands.kept, 0)
        (answer,) = (one for one in self.carriedOut(wire) if "error" in one)
        self.assertEqual(answer["error"]["code"], "badMessage")
        self.turn(2 * BODY_TIME)
        self.assertTrue(wire.isOpen)


class WebSocketPartialTests(PartialTests, WebSocketTestCase):
    """
    Messages of a WebSocket.
    """

    def begin(self) -> Wire:
        """
        See L{PartialTests.begin}.
        """
        return self.open()

    def parts(self, body: bytes) -> tuple[bytes, bytes]:
        """
        See L{PartialTests.parts}.
        """
        whole = frame(TEXT, body, mask=b"\0\0\0\0")
        return whole[: len(whole) - len(body)], b""

    def carriedOut(self, wire: Wire) -> list[Any]:
        """
        See L{PartialTests.carriedOut}.
        """
        return [one.json for one in self.read(wire) if one.opcode == TEXT]

    def farewell(self, wire: Wire) -> str:
        """
        See L{PartialTests.farewell}.
        """
        *_, told, closed = self.read(wire)
        self.assertEqual(closed.status, 1013)
        self.turn(11)
        self.assertFalse(wire.isOpen)
        return str(told.json["close"]["code"])

    def test_pingsDoNotKeepMessage(self) -> None:
        """
        Pings between the fragments of a message, and empty fragments, do not keep it.
        """
        wire = self.open()
        wire.send(frame(TEXT, b"x" * PART, fin=False))
        for _ in range(8):
            self.turn(10)
            wire.send(frame(PING, b"x" * 100) + frame(0, b"", fin=False))
        self.assertEqual(self.farewell(wire), "unavailable")

    def test_controlFrames(self) -> None:
        """
        A control frame has its time, too, and one that is whole is over.
        """
        ping = frame(PING, b"x" * 100)
        wire = self.open()
        wire.send(ping[:50])
        for opcode in (PING, 10, PING):
            self.turn(50)
            next = frame(opcode, b"x" * 100)
            wire.send(ping[50:] + next[:50])
            ping = next
        self.assertTrue(wire.isOpen)
        self.read(wire)
        self.turn(BODY_TIME + 0.2)
        self.assertEqual(self.farewell(wire), "unavailable")

    def test_keepsNothingAfterClose(self) -> None:
        """
        Of a message that goes on after the closing handshake has begun nothing is
        kept.
        """
        wire = self.half()
        self.hub.drain(10)
        self.turn()
        self.assertEqual(self.hub.partialCommands.kept, 0)
        wire.send(b"x" * 100_000)
        self.assertEqual(len(wire.transport.protocol.message_data), 0)
        wire.send(b"x" * (200_000 - PART) + text({"ping": 1}) + close(1001))
        self.turn()
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()


class LinePartialTests(PartialTests, HubTestCase):
    """
    Lines of raw TCP.
    """

    def begin(self) -> Wire:
        """
        See L{PartialTests.begin}.
        """
        wire = self.connect(CometFactory(self.hub))
        wire.send(b'{"subscribe":["news"]}\n')
        self.turn()
        wire.take()
        return wire

    def parts(self, body: bytes) -> tuple[bytes, bytes]:
        """
        See L{PartialTests.parts}.
        """
        return b" ", b"\n"

    def beginning(self, size: int) -> bytes:
        """
        See L{PartialTests.beginning}.
        """
        return b"x" * size

    def carriedOut(self, wire: Wire) -> list[Any]:
        """
        See L{PartialTests.carriedOut}.
        """
        lines = LinesReader(b"\n")
        lines.feed(wire.take())
        self.assertEqual(lines.rest, b"")
        return lines.values

    def farewell(self, wire: Wire) -> str:
        """
        See L{PartialTests.farewell}.
        """
        told = self.carriedOut(wire)[-1]
        self.assertFalse(wire.isOpen)
        return str(told["close"]["code"])

    def test_firstLine(self) -> None:
        """
        A first line that half comes is counted, and the client cut off where there
        is no room.
        """
        self.hub.partialCommands.most = PART
        first, second = (self.connect(CometFactory(self.hub)) for _ in range(2))
        first.send(b'{"ping":"' + b"x" * SMALL_PART)
        self.assertEqual(self.hub.partialCommands.kept, SMALL_PART + 9)
        second.send(b'{"ping":"' + b"x" * SMALL_PART)
        self.turn()
        self.assertEqual([wire.isOpen for wire in (first, second)], [False, True])
        second.send(b'"}\n')
        self.turn()
        self.assertEqual(len(self.carriedOut(second)), 1)
        self.assertEqual(self.hub.partialCommands.kept, 0)
        self.assertNothingLeft()

    def test_keepsNothingOfOverlongLine(self) -> None:
        """
        Nothing is kept of a line that is too long, and it may take any time if it
        comes at the least rate.
        """
        wire = self.begin()
        most = self.settings.limits.maxCommandBytes
        wire.send(b"x" * most)
        self.assertEqual(self.hub.partialCommands.kept, most)
        for _ in range(3):
            wire.send(b"x" * 50_000)
            self.turn(50)
            self.assertEqual(self.hub.partialCommands.kept, 0)
        wire.send(b"\n")
        self.turn(2 * BODY_TIME)
        codes = [one["error"]["code"] for one in self.carriedOut(wire) if "error" in one]
        self.assertEqual((codes, wire.isOpen), (["tooLarge"], True))

    def test_emptyLines(self) -> None:
        """
        Empty lines that are cut within their ends are whole lines.
        """
        wire = self.begin()
        wire.send(b"\r")
        for _ in range(5):
            self.turn(50)
            wire.send(b"\n\r")
        self.assertTrue(wire.isOpen)

    def test_keepsNothingAfterClose(self) -> None:
        """
        Of a client that was sent away nothing is kept.
        """
        wire = self.half()
        wire.transport.isStuck = True
        self.patch(wire.transport, "loseConnection", lambda: None)
        self.hub.drain(10)
        self.turn()
        wire.send(b"x" * 100_000)
        self.assertEqual(self.hub.partialCommands.kept, 0)
        self.assertEqual(wire.transport.protocol._decoder.held, 0)
        self.turn(11)
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()
