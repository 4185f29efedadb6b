"""
Tests of the shares of time on connections of HTTP/2.
"""

from __future__ import annotations

import collections
from typing import Any

from h2.events import DataReceived
from hpack import Encoder
from hyperframe.frame import HeadersFrame, SettingsFrame, WindowUpdateFrame
from hypothesis import given
from hypothesis.strategies import integers
from twisted.trial.unittest import SynchronousTestCase

from comet.framing.batchreader import BatchReader
from comet.reactor.clientpace import QUICK
from comet.reactor.returning import RETURNING
from comet.reactor.turns import LEAST, SHARE, TURN
from comet.web.http2.budgets import Budget
from comet.web.http2.framereceiver import BODY_PIECE, FrameReceiver
from comet.web.http2.frames import PREFACE
from comet.web.http2.framesender import FrameSender
from comet.web.http2.http2stream import HTTP2Stream
from comet.web.http2.openstreams import OpenStreams
from comet.web.http2.pendinginput import PendingInput
from tests.reactor.test_turns import assertFair
from tests.slowpolls import COST, IN_SHARE, slowPolls
from tests.transports.wire import Wire
from tests.web.http2.case import Http2TestCase, SecureTransport
from tests.web.http2.rawclient import SETTINGS, RawClient, frame, request

PRIORITY, RESET, PING = 2, 3, 6


class TurnsTests(Http2TestCase):
    """
    Clients with many streams.
    """

    def setUp(self) -> None:
        """
        Let each poll take some milliseconds of the clock, and note its name.
        """
        super().setUp()
        self.begun = slowPolls(self, self.hub, self.clock)

    def client(self) -> RawClient:
        """
        Connect a client.
        """
        wire = Wire(self.site, SecureTransport())
        self.wires.append(wire)
        wire.transport.protocol.handshakeCompleted()
        return RawClient(wire)

    def polls(self, client: RawClient, *names: str, first: int = 1) -> bytes:
        """
        Make the frames of a poll for each name.

        @param first: The number of the first stream.
        """
        paths = [f"/channels/{name}?transport=poll".encode() for name in names]
        idents = range(first, first + 2 * len(names), 2)
        return b"".join(
            client.headers(ident, request(b"GET", path))
            for ident, path in zip(idents, paths, strict=True)
        )

    def test_inPieces(self) -> None:
        """
        A client that sends single bytes of a frame, or small parts of a field block, is
        behind others until that is whole.
        """
        client = self.client()
        client.send(self.polls(client, "a"))
        self.begun.clear()
        data = self.polls(client, "a", first=3)
        self.assertFalse(RETURNING.isSet(client.wire.transport))
        for at in range(len(data) - 1):
            client.wire.send(data[at : at + 1])
            self.assertTrue(RETURNING.isSet(client.wire.transport), data[:at])
        client.wire.send(data[-1:])
        self.assertFalse(RETURNING.isSet(client.wire.transport))
        self.assertEqual(self.begun, ["a"])

    def test_newIsBehind(self) -> None:
        """
        A client is behind others until a request of it is answered, also later than it was
        asked.
        """
        for kind in ("poll", "longpoll"):
            client = self.client()
            client.send(frame(PING, 0, bytes(8)))
            self.assertTrue(RETURNING.isSet(client.wire.transport))
            path = f"/channels/later?transport={kind}".encode()
            client.send(client.headers(1, request(b"GET", path)))
            self.assertEqual(RETURNING.isSet(client.wire.transport), kind == "longpoll")
            self.publish("later", "said")
            self.turn()
            client.read()
            self.assertEqual(client.statuses, {1: 200})
            self.assertFalse(RETURNING.isSet(client.wire.transport))

    def test_littleFirst(self) -> None:
        """
        While others wait, a client waits before those that have work left if it was answered
        before, what it said last was quick, and it has sent little; else behind them.
        """
        client, turns = self.client(), self.hub.turns
        first = 1
        for before, count, isFirst in (
            (0, 1, False),
            (1, 1, True),
            (1, 90, False),
            (2, 1, False),
            (1, 1, True),
        ):
            names = ["before"] * before
            client.send(self.polls(client, *names, first=first))
            self.turn()
            first += 2 * before
            self.begun.clear()
            begun = self.clock.seconds()
            self.clock.rightNow += 2 * TURN
            turns.spend(begun)
            seen: list[int] = []

            def look(seen: list[int] = seen) -> None:
                seen.append(len(self.begun))

            turns.later(look)
            client.send(self.polls(client, *["now"] * count, first=first))
            first += 2 * count
            self.assertEqual((self.begun, client.wire.transport.isReading), ([], False))
            self.turn()
            self.assertEqual((seen[0] > 0, len(self.begun)), (isFirst, count))

    def test_piecesAreCounted(self) -> None:
        """
        A client that sends a frame in pieces asks for little only while all of them are quick
        together.
        """
        client, turns = self.client(), self.hub.turns
        client.send(self.polls(client, "a"))
        read = PendingInput.read

        def slowly(pending: PendingInput, happened: Any, over: float) -> None:
            if pending.data:
                self.clock.rightNow += 0.55 * QUICK
            read(pending, happened, over)

        self.patch(PendingInput, "read", slowly)
        for number, isFirst in ((1, True), (2, True), (3, False)):
            self.begun.clear()
            data = self.polls(client, "a", first=1 + 2 * number)
            for at in range(number - 1):
                client.wire.send(data[at : at + 1])
            begun = self.clock.seconds()
            self.clock.rightNow += 2 * TURN
            turns.spend(begun)
            client.wire.send(data[number - 1 :])
            self.assertEqual((len(turns), len(turns._light) > 0), (1, isFirst))
            self.turn()
            self.assertEqual(self.begun, ["a"])
            # What it says next counts anew.
            client.wire.send(frame(PING, 0, bytes(8)))
            self.turn()

    def test_littleGoesOn(self) -> None:
        """
        Where a share is shorter than one request takes, a client that asks for little waits
        among such clients for the rest of it, too.
        """
        client, turns = self.client(), self.hub.turns
        client.send(self.polls(client, "a"))
        self.begun.clear()
        happened = client.wire.transport.protocol._happened

        def slowly(event: Any) -> None:
            self.clock.rightNow += 1.1 * LEAST
            happened(event)

        self.patch(client.wire.transport.protocol, "_happened", slowly)
        seen: list[int] = []

        def work() -> None:
            self.clock.rightNow += SHARE
            seen.append(len(self.begun))

        for _ in range(20):
            turns.later(work)
        client.send(self.polls(client, "a", first=3))
        self.assertEqual((self.begun, client.wire.transport.isReading), ([], False))
        self.turn()
        self.assertEqual((self.begun, len(seen)), (["a"], 20))
        self.assertLess(seen.index(1), 10)

    def test_othersAreServedBetween(self) -> None:
        """
        A client with a hundred streams makes another one wait for a share of them.
        In the end all are answered, in order.
        """
        busy, other = self.client(), self.client()
        names = [f"a{number}" for number in range(100)]
        busy.send(self.polls(busy, *names))
        self.assertEqual(self.begun, names[:IN_SHARE])
        self.assertFalse(busy.wire.transport.isReading)
        other.send(self.polls(other, "b"))
        self.assertEqual(self.begun[IN_SHARE:], ["b"])
        other.read()
        self.assertEqual(other.statuses, {1: 200})
        self.turn()
        busy.read()
        self.assertEqual([name for name in self.begun if name != "b"], names)
        self.assertEqual({*busy.statuses.values()}, {200})
        self.assertEqual(len(busy.ended), 100)
        self.assertTrue(busy.wire.transport.isReading)

    def test_muchWaits(self) -> None:
        """
        While a client waits, another one that sends much at once waits, too; one that
        asks for one thing does not.
        """
        clients = [self.client() for _ in range(3)]
        for client, name, count in zip(clients, "abc", (90, 90, 1), strict=True):
            client.send(self.polls(client, *[name] * count))
        self.assertEqual(self.begun, ["a"] * IN_SHARE + ["c"])
        self.turn()
        for client, count in zip(clients, (90, 90, 1), strict=True):
            client.read()
            self.assertEqual(len(client.ended), count)

    def test_roundRobin(self) -> None:
        """
        Clients that have much to ask have their shares in turn.
        """
        for name, client in [(name, self.client()) for name in "abc"]:
            client.send(self.polls(client, *[name] * (4 * IN_SHARE)))
        self.turn()
        self.assertEqual(len(self.begun), 12 * IN_SHARE)
        # The time of the first turn is spent when the third one comes.
        assertFair(self, self.begun, most=3)

    def test_framesTakeTime(self) -> None:
        """
        Frames are read until the share is over, and none of their events is lost.
        No request is begun before the frames behind it are read, since one of them
        may reset its stream.
        """
        busy, other = self.client(), self.client()
        protocol = busy.wire.transport.protocol
        happened = protocol._happened
        events: list[Any] = []

        def slowly(event: Any) -> None:
            events.append(event)
            self.clock.rightNow += COST
            happened(event)

        self.patch(protocol, "_happened", slowly)
        streams = range(1, 41, 2)
        resets = b"".join(frame(RESET, ident, bytes(4)) for ident in streams[1:])
        busy.send(self.polls(busy, *["a"] * 20) + resets)
        self.assertEqual((len(events), self.begun), (IN_SHARE, []))
        other.send(self.polls(other, "b"))
        self.assertEqual(self.begun, ["b"])
        self.turn()
        # The head and the end of each request, and 19 resets.
        self.assertEqual((len(events), self.begun), (59, ["b", "a"]))
        busy.read()
        self.assertEqual(busy.statuses, {1: 200})

    def test_bodiesTakeTime(self) -> None:
        """
        The lines of a batch are read until the share is over, also where hundreds of them
        came in one frame.
        """
        busy, other = self.client(), self.client()
        received = BatchReader.received
        sizes: list[int] = []

        def slowly(reader: BatchReader, data: bytes) -> None:
            sizes.append(len(data))
            self.clock.rightNow += COST
            received(reader, data)

        self.patch(BatchReader, "received", slowly)
        body = b"\n".join([b'{"channel":"open/a","data":1}'] * 500)
        kind = (b"content-type", b"application/x-ndjson")
        busy.send(
            busy.headers(1, request(b"POST", b"/publish", kind), isEnd=False), busy.data(1, body)
        )
        self.assertEqual(sizes, [BODY_PIECE] * IN_SHARE)
        other.send(self.polls(other, "b"))
        self.assertEqual(self.begun, ["b"])
        self.turn()
        busy.read()
        self.assertEqual(busy.statuses, {1: 201})
        self.assertEqual(sum(sizes), len(body))

    def test_sendingTakesTime(self) -> None:
        """
        A client that takes all it is sent makes others wait for a share of it, and is not
        read meanwhile.
        """
        busy, other = self.client(), self.client()
        idents = range(1, 21, 2)
        busy.send(SettingsFrame(settings={SettingsFrame.INITIAL_WINDOW_SIZE: 0}).serialize())
        busy.send(self.polls(busy, *["a"] * len(idents)))
        self.turn()
        busy.read()
        self.assertEqual((len(busy.statuses), busy.ended), (len(idents), set()))
        sendOne = FrameSender._sendOne

        def slowly(sender: FrameSender) -> HTTP2Stream | None:
            self.clock.rightNow += COST
            return sendOne(sender)

        self.patch(FrameSender, "_sendOne", slowly)
        busy.send(*[WindowUpdateFrame(each, window_increment=999).serialize() for each in idents])
        ended = len(busy.ended)
        self.assertLessEqual(ended, IN_SHARE + 1)
        self.assertFalse(busy.wire.transport.isReading)
        other.send(self.polls(other, "b"))
        self.assertEqual((other.statuses, len(busy.ended)), ({1: 200}, ended))
        self.turn()
        busy.read()
        self.assertEqual(busy.ended, set(idents))
        self.assertTrue(busy.wire.transport.isReading)

    def test_refusesBeforeTheEndIsDealtWith(self) -> None:
        """
        A response may be complete before the end of its request, or its reset, is
        dealt with, although the frame that tells it has come.
        """
        client = self.client()
        happened = client.wire.transport.protocol._happened

        def slowly(event: Any) -> None:
            self.clock.rightNow += SHARE
            happened(event)

        self.patch(client.wire.transport.protocol, "_happened", slowly)
        kind = (b"content-type", b"application/x-ndjson")
        fields = request(b"POST", b"/publish", kind)
        line = b'{"channel":"a","data":1}\n'
        ends = [
            (client.data(1, line),),
            (client.data(3, line, isEnd=False), frame(RESET, 3, bytes(4))),
            (client.data(5, line, isEnd=False), client.data(5, line)),
        ]
        for ident, end in zip((1, 3, 5), ends, strict=True):
            client.send(client.headers(ident, fields, isEnd=False), *end)
            self.turn()
            client.read()
            self.assertEqual(client.statuses.get(ident), 401)
        self.assertIsNone(client.goodbye)
        self.assertTrue(client.wire.isOpen)

    def test_emptyFramesTakeTime(self) -> None:
        """
        Frames that carry nothing take time of the share, too.
        """
        spent: list[float] = []
        spend = Budget.spend

        def slowly(budget: Budget, cost: float) -> bool:
            spent.append(cost)
            self.clock.rightNow += COST
            return spend(budget, cost)

        for made in (
            frame(PING, 0, bytes(8)),
            frame(PRIORITY, 1, bytes(5)),
            frame(0x99),
            frame(RESET, 1, bytes(4)),
        ):
            busy, other = self.client(), self.client()
            busy.send(self.polls(busy, "a", "a"))
            self.turn()
            self.patch(Budget, "spend", slowly)
            spent.clear()
            self.begun.clear()
            busy.send(made * 20)
            self.assertEqual(len(spent), IN_SHARE)
            other.send(self.polls(other, "b"))
            self.assertEqual((len(spent), self.begun), (IN_SHARE, ["b"]))
            self.turn()
            self.assertEqual(len(spent), 20)

    def test_piecesOfTLS(self) -> None:
        """
        TLS gives what it has decrypted piece after piece, also to a connection that
        is paused: all of it is dealt with, in order.
        """
        client = self.client()
        names = [f"a{number}" for number in range(40)]
        said = self.polls(client, *names) + frame(PING, 0, b"12345678")
        for start in range(0, len(said), 100):
            client.wire.transport.protocol.dataReceived(said[start : start + 100])
        self.assertLess(len(self.begun), 40)
        self.turn()
        client.read()
        self.assertEqual((self.begun, len(client.ended)), (names, 40))

    def test_dropsWorkOfClientThatLeft(self) -> None:
        """
        Nothing more is begun for a client that has left.
        """
        client = self.client()
        client.send(self.polls(client, *["a"] * 90))
        client.wire.transport.lose(ZeroDivisionError())
        self.turn()
        self.assertEqual((len(self.begun), len(self.hub.turns)), (IN_SHARE, 0))
        self.assertNothingLeft()

    def test_drains(self) -> None:
        """
        A server that drains answers requests that had to wait before it closes the
        connection.
        """
        client = self.client()
        client.send(self.polls(client, *["a"] * 20))
        drained = self.site.drain()
        self.assertNoResult(drained)
        self.turn()
        client.read()
        self.successResultOf(drained)
        self.assertEqual(len(client.ended), 20)

    def test_failureCutsConnection(self) -> None:
        """
        A connection that fails after it has waited is cut.
        """
        client = self.client()
        client.send(self.polls(client, *["a"] * 20))
        self.patch(OpenStreams, "serveNext", lambda streams: 1 // 0)
        self.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(client.wire.transport.aborted)


class PiecesTests(SynchronousTestCase):
    """
    Large frames of a body.
    """

    @given(integers(0, 16384), integers(0, 255))
    def test_nothingIsLost(self, size: int, padding: int) -> None:
        """
        The pieces of a frame have all its data, each little of it, and count for all that the
        frame takes of the window, its padding with it (RFC 9113 6.9.1).
        """
        receiver = FrameReceiver(8192, {1}, 0.0)
        receiver.states.begin()
        encoded = Encoder().encode(request(b"POST", b"/publish"))
        head = HeadersFrame(1, encoded, flags=("END_HEADERS",)).serialize()
        collections.deque(receiver.feed(PREFACE + SETTINGS + head, 0.0), 0)
        padding = min(padding, 16384 - 1 - size) if size < 16384 else 0
        body = bytes(each % 251 for each in range(size))
        isPadded = size < 16384
        payload = bytes([padding]) + body + bytes(padding) if isPadded else body
        events = receiver.feed(frame(0, 1, payload, 8 if isPadded else 0), 0.0)
        pieces = [each for each in events if isinstance(each, DataReceived)]
        self.assertEqual(b"".join([each.data for each in pieces]), body)
        self.assertLessEqual(max(len(each.data) for each in pieces), BODY_PIECE)
        self.assertEqual(sum(each.flow_controlled_length for each in pieces), len(payload))
