"""
Tests of L{comet.transports.websocket}: hostile clients, and the closing
handshake.
"""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any
from weakref import ref

from twisted.internet.defer import Deferred

from comet.fanout.streams import LAST_WORDS
from comet.model.messages import Close
from comet.transports.websocketmessages import SPARE_FRAMES
from tests.transports.frames import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    WebSocketTestCase,
    close,
    frame,
    text,
)
from tests.transports.wire import FULL, Wire


class LimitTests(WebSocketTestCase):
    """
    Limits of what a client may send.
    """

    def setUp(self) -> None:
        """
        Open a WebSocket.
        """
        super().setUp()
        self.wire = self.open()
        self.most = self.settings.limits.maxCommandBytes

    def test_takesLargestCommand(self) -> None:
        """
        A command of the largest size is taken.
        """
        body = b'{"dance":"' + b"x" * (self.most - 12) + b'"}'
        self.assertEqual(len(body), self.most)
        (answer,) = self.say(self.wire, frame(TEXT, body))
        self.assertEqual(answer.json["error"]["code"], "badRequest")

    def test_refusesLargeFrame(self) -> None:
        """
        A frame that is larger is refused when it begins.
        """
        frames = self.say(self.wire, frame(TEXT, b"x", length=self.most + 1))
        self.assertFailed(frames, 1009)

    def test_keepsNothingOfHugeFrame(self) -> None:
        """
        Nothing of a frame is kept that declares a huge length.
        """
        for length, status in ((1 << 40, 1009), ((1 << 63) - 1, 1009), (1 << 63, 1002)):
            wire = self.open()
            self.assertFailed(self.say(wire, frame(TEXT, b"", length=length)), status)
            self.assertKeepsNothing(wire)

    def assertKeepsNothing(self, wire: Wire) -> None:
        """
        Assert that what a client goes on to send takes no memory.
        """
        data = b"x" * 65536
        tracemalloc.start()
        for _ in range(50):
            wire.send(data)
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLess(kept, 200000)

    def test_refusesLargeMessage(self) -> None:
        """
        A message in frames that are too large together is refused.
        """
        half = b"x" * (self.most // 2 + 1)
        frames = [frame(TEXT, half, fin=False), frame(0, half)]
        self.assertFailed(self.say(self.wire, *frames), 1009)

    def test_refusesManyFrames(self) -> None:
        """
        A message in many empty frames is refused: they cost time, and would never
        make it too large.
        """
        empty = frame(0, b"", fin=False)
        frames = [frame(TEXT, b"", fin=False)] + [empty] * (SPARE_FRAMES - 1)
        self.assertEqual(self.say(self.wire, *frames), [])
        self.assertFailed(self.say(self.wire, *[empty] * 5000), 1008)
        self.assertTrue(self.wire.isOpen)
        self.say(self.wire, close(1008))
        self.assertFalse(self.wire.isOpen)

    def test_takesMessageOfSmallFrames(self) -> None:
        """
        A message of the largest size is taken in frames of any size, and the
        count starts anew with each message.
        """
        body = b'{"dance":"' + b"x" * (self.most - 12) + b'"}'
        self.assertGreater(len(body), 3 * SPARE_FRAMES)
        for size in (1, 2, 64, 4096):
            parts = [body[at : at + size] for at in range(0, len(body), size)]
            frames = [frame(TEXT if n == 0 else 0, part, fin=False) for n, part in enumerate(parts)]
            empty = [frame(0, b"", fin=False)] * (SPARE_FRAMES - 1)
            (answer,) = self.say(self.wire, *frames, *empty, frame(0, b""))
            self.assertEqual(answer.json["error"]["code"], "badRequest")

    def test_smallFramesTakeLittleMemory(self) -> None:
        """
        A message takes as much memory in small frames as in large ones.
        """
        # A bytes object of two bytes takes 35 bytes, and its place in a list 8.
        pieces = self.most // 2 - 1
        data = frame(TEXT, b"{", fin=False) + frame(0, b"xy", fin=False) * pieces
        for wire in (self.wire, self.open()):
            # The first time, what is allocated once is allocated.
            tracemalloc.start()
            wire.send(data)
            self.turn()
            kept, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            wire.transport.sent.clear()
        self.assertLess(kept, 3 * self.most)

    def test_closesOnViolations(self) -> None:
        """
        What RFC 6455 forbids closes the connection with the status that it
        names.
        """
        for raw, status in (
            (frame(TEXT, b"{}", mask=None), 1002),
            (frame(TEXT, b"{}", reserved=4), 1002),
            (frame(TEXT, b"{}", reserved=1), 1002),
            (frame(3, b"{}"), 1002),
            (frame(11, b"{}"), 1002),
            (frame(0, b"{}"), 1002),
            (frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), 1002),
            (frame(PING, b"x", fin=False), 1002),
            (frame(PING, b"x" * 126), 1002),
            (frame(CLOSE, b"x"), 1002),
            (frame(CLOSE, b"x" * 200), 1002),
            (close(999), 1002),
            (close(1005), 1002),
            (close(1000, b"\xff"), 1007),
            (frame(TEXT, b"\xff"), 1007),
            (frame(TEXT, b"\xed\xa0\x80"), 1007),
            (frame(TEXT, b"\xc3"), 1007),
            (b"\x81\xfe\x00\x01" + b"\0" * 4, 1002),
        ):
            wire = self.open()
            frames = self.say(wire, raw)
            self.assertFailed(frames, status)
            self.assertEqual(len(frames), 1)
            self.publish("news", "not for those")
            self.assertEqual(self.read(wire), [])

    def test_wholeFrameWithinAnother(self) -> None:
        """
        A frame that comes whole and alone is part of what half came before it.
        """
        self.say(self.wire, frame(TEXT, b"{", fin=False))
        self.assertFailed(self.say(self.wire, frame(TEXT, b"{}")), 1002)
        wire = self.open()
        self.assertEqual(self.say(wire, frame(TEXT, b"", length=100)), [])
        # Its bytes are taken as masked text, and are none.
        self.assertFailed(self.say(wire, frame(TEXT, b"{}")), 1007)

    def test_ignoresLongPing(self) -> None:
        """
        A ping that is longer than a control frame may be takes no memory, and
        is not answered.
        """
        frames = self.say(self.wire, frame(PING, b"", length=1 << 40))
        self.assertFailed(frames, 1002)
        self.assertKeepsNothing(self.wire)
        self.turn(LAST_WORDS + 0.2)
        self.assertFalse(self.wire.isOpen)

    def test_ignoresInputAfterFailure(self) -> None:
        """
        What a client sends after an error is not carried out; its close frame
        ends the connection.
        """
        self.assertFailed(self.say(self.wire, frame(TEXT, b"\xff")), 1007)
        command = text({"publish": "open/a", "data": 1})
        self.assertEqual(self.say(self.wire, command, frame(PING, b"x")), [])
        self.assertEqual(self.hub.end.position, 0)
        self.say(self.wire, close(1007))
        self.assertFalse(self.wire.isOpen)
        self.assertFalse(self.wire.transport.aborted)

    def test_boundsPongs(self) -> None:
        """
        A client that pings and does not read is not read from, so its pongs
        take bounded memory; when it reads, it gets each.
        """
        self.wire.transport.isStuck = True
        packet = frame(PING, b"x" * 125) * 50
        for _ in range(1000):
            self.wire.send(packet)
        self.assertFalse(self.wire.transport.isReading)
        self.assertLess(len(self.wire.transport.unsent), FULL + len(packet))
        self.wire.transport.isStuck = False
        pongs = 0
        for _ in range(5):
            self.turn()
            pongs += sum(f.opcode == PONG for f in self.read(self.wire))
        self.assertEqual(pongs, 50 * 1000)

    def test_resumesClosingClient(self) -> None:
        """
        A client that was not read from is read from again when it is sent away,
        so that its leaving is noticed.
        """
        self.wire.transport.isStuck = True
        for _ in range(50):
            self.wire.send(frame(PING, b"x" * 125) * 50)
        self.assertFalse(self.wire.transport.isReading)
        unread = len(self.wire.transport.coming)
        self.assertGreater(unread, 0)
        self.hub.drain(10)
        self.turn()
        self.assertTrue(self.wire.transport.isReading)
        self.wire.transport.isStuck = False
        self.wire.send(close(1001))
        self.assertEqual(self.read(self.wire)[-1].status, 1001)
        self.assertFalse(self.wire.isOpen)
        self.assertNothingLeft()


class CloseTests(WebSocketTestCase):
    """
    The closing handshake, from both sides.
    """

    def test_answersClose(self) -> None:
        """
        The client's close frame is answered with one, and TCP ends; nothing is
        written in between.
        """
        for raw in (close(1000), close(None), close(1001, b"bye"), close(4999)):
            wire = self.open()
            frames = self.say(wire, raw + text({"ping": 1}) + frame(PING, b"x"))
            self.assertEqual([f.opcode for f in frames], [CLOSE])
            self.assertEqual(frames[0].status, 1000)
            self.assertFalse(wire.isOpen)
            self.assertFalse(wire.transport.aborted)
        self.assertNothingLeft()

    def test_writesNothingAfterClose(self) -> None:
        """
        Nothing follows the answer to the client's close frame, also while
        commands are under way and messages arrive.
        """
        stored: Deferred[Any] = Deferred()
        wire = self.open()
        publish = self.bus.publish
        asked: list[Any] = []

        def slowly(publications: object) -> Deferred[Any]:
            asked.append(publications)
            return stored

        self.patch(self.bus, "publish", slowly)
        wire.transport.isStuck = True
        self.say(wire, text({"publish": "open/a", "data": 1}))
        self.say(wire, close())
        self.patch(self.bus, "publish", publish)
        publish(*asked).chainDeferred(stored)
        self.publish("news", 1)
        self.turn(1)
        wire.transport.isStuck = False
        frames = self.read(wire)
        self.assertEqual([f.opcode for f in frames], [CLOSE])
        self.assertFalse(wire.isOpen)

    def test_closesWhenDraining(self) -> None:
        """
        When the server drains, the client gets an envelope, then a close frame;
        when it has answered, TCP ends.
        """
        wire = self.open()
        self.publish("news", 1)
        done = self.hub.drain(10)
        message, told, closed = self.read(wire)
        self.assertEqual(message.json["data"], 1)
        self.assertEqual(told.json["cursor"], message.json["cursor"])
        self.assertEqual(told.json["close"]["code"], "draining")
        self.assertEqual(closed.status, 1001)
        self.assertTrue(wire.isOpen)
        self.assertNoResult(done)
        self.say(wire, text({"ping": 1}), frame(PING, b"x"))
        self.assertEqual(self.say(wire, close(1001)), [])
        self.assertFalse(wire.isOpen)
        self.assertFalse(wire.transport.aborted)
        self.successResultOf(done)
        self.assertNothingLeft()

    def test_cutsWithoutAnswer(self) -> None:
        """
        A client that does not answer the close frame is cut off.
        """
        wire, stuck = self.open(), self.open("/socket")
        stuck.transport.isStuck = True
        done = self.hub.drain(20)
        self.turn(LAST_WORDS - 0.5)
        self.assertTrue(wire.isOpen and stuck.isOpen)
        self.turn(1)
        self.assertFalse(wire.isOpen or stuck.isOpen)
        self.successResultOf(done)
        self.assertNothingLeft()

    def test_cutsClientThatDoesNotRead(self) -> None:
        """
        A client that answers the close frame, but does not take what was
        written, is cut off.
        """
        wire = self.open()
        wire.transport.isStuck = True
        self.hub.drain(20)
        self.say(wire, close(1001))
        self.turn(LAST_WORDS + 0.2)
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()

    def test_hasStatusForEachReason(self) -> None:
        """
        Each reason has its status, and is cut to the size of a close frame,
        between two characters.
        """
        for code, status in (
            ("draining", 1001),
            ("internal", 1011),
            ("unavailable", 1013),
            ("tooMany", 1013),
            ("lagging", 1008),
        ):
            for length in range(50, 75):
                wire = self.open()
                (reader,) = self.hub.fanout.readers
                reader.close(Close(code, "ü" * length + "€" * length, None))
                told, closed = self.read(wire)
                self.assertEqual(told.json["close"]["message"], "ü" * length + "€" * length)
                self.assertEqual(closed.status, status)
                self.assertLessEqual(len(closed.payload), 125)
                self.say(wire, close(status))

    def test_closesOnceWhenCrossing(self) -> None:
        """
        If both sides close at the same time, each is closed once.
        """
        wire = self.open()
        wire.transport.isStuck = True
        self.hub.drain(10)
        self.say(wire, close(1000))
        wire.transport.isStuck = False
        frames = self.read(wire)
        self.assertEqual([f.opcode for f in frames], [TEXT, CLOSE])
        self.assertFalse(wire.isOpen)

    def test_freesAtOnce(self) -> None:
        """
        What served a client that has left is freed at once, without the
        collector.
        """
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for farewell in (close(), b""):
            wire = self.open()
            self.say(wire, text({"subscribe": ["a"]}))
            kept = ref(wire.transport.protocol)
            self.say(wire, farewell)
            wire.leave()
            self.assertIsNone(kept())
