"""
Tests of L{comet.web.http2.budgets}: what clients may send that carries nothing.
"""

from __future__ import annotations

from typing import Final

from h2.errors import ErrorCodes
from hyperframe.frame import SettingsFrame
from twisted.trial.unittest import SynchronousTestCase

from comet.web.http2.budgets import (
    FRAMES_PER_BYTE,
    FRAMES_PER_SECOND,
    FRAMES_PER_SENT,
    MAX_FRAMES,
    MAX_RESETS,
    MOST_EARNED,
    RESETS_PER_SECOND,
    Budget,
)
from comet.web.http2.connections import LAST_WORDS
from comet.web.http2.connectionstates import MAX_STREAMS, ConnectionStates
from comet.web.http2.frames import MOST_FRAME, Kind
from tests.web.http2.case import RawTestCase
from tests.web.http2.rawclient import RawClient, frame, request

HELD: Final = b"/channels/news?wait=300"
POLL: Final = b"/channels/news?transport=poll&since=earliest"
KEY: Final = (b"authorization", b"Bearer 0123456789abcdef")

# How many of these frames are sent in one packet.
PACKET: Final = 50


def setting(name: int) -> bytes:
    """
    Make a setting.
    """
    return name.to_bytes(2, "big") + bytes(4)


def window(ident: int, size: int) -> bytes:
    """
    Make a frame that opens a window.
    """
    return frame(Kind.WINDOW_UPDATE, ident, size.to_bytes(4, "big"))


# Frames that carry nothing.  Stream 1 reads, the body of stream 3 is not
# complete, a poll is held on stream 5, and stream 7 was reset.
EMPTY: Final = {
    "PING": frame(Kind.PING, 0, bytes(8)),
    "PING that answers none": frame(Kind.PING, 0, bytes(8), 1),
    "SETTINGS": frame(Kind.SETTINGS),
    "SETTINGS that answers none": frame(Kind.SETTINGS, 0, b"", 1),
    "SETTINGS that change back and forth": SettingsFrame(0, {4: 0}).serialize(),
    "DATA without bytes": frame(Kind.DATA, 3),
    "DATA with padding only": frame(Kind.DATA, 3, b"\x07" + bytes(7), 8),
    "PRIORITY": frame(Kind.PRIORITY, 5, bytes(5)),
    "PRIORITY of no stream yet": frame(Kind.PRIORITY, 99, bytes(5)),
    "PRIORITY_UPDATE": frame(0x10, 0, b"\0\0\0\5u=1"),
    "unknown type": frame(0x99, 5, b"x"),
    "WINDOW_UPDATE of the connection": window(0, 1),
    "WINDOW_UPDATE of a stream": window(5, 1),
    "WINDOW_UPDATE of a closed stream": window(7, 1),
    "RST_STREAM of a closed stream": frame(Kind.RST_STREAM, 7, bytes(4)),
    "DATA on a closed stream": frame(Kind.DATA, 7, b"x"),
    "end of a closed stream": frame(Kind.DATA, 7, b"x", 1),
    "long DATA on a closed stream": frame(Kind.DATA, 7, bytes(MOST_FRAME + 1)),
    "trailers of a closed stream": frame(Kind.HEADERS, 7, b"\x82", 5),
    "PRIORITY that is too long on a closed stream": frame(Kind.PRIORITY, 7, bytes(6)),
    "GOAWAY": frame(Kind.GOAWAY, 0, bytes(8)),
}


class BudgetTests(SynchronousTestCase):
    """
    L{Budget}.
    """

    def test_fillsWithTime(self) -> None:
        """
        Time adds so much in a second, up to the most; a clock that goes back
        takes nothing away.
        """
        budget = Budget(10, 2, 100)
        self.assertEqual([budget.spend(4) for _ in range(3)], [True, True, False])
        self.assertEqual(budget.left, -2)
        budget.fill(103)
        self.assertEqual(budget.left, 4)
        budget.fill(90)
        self.assertEqual(budget.left, 4)
        budget.fill(91)
        self.assertEqual(budget.left, 6)
        budget.fill(10000)
        self.assertEqual(budget.left, 10)

    def test_keepsWhatIsEarned(self) -> None:
        """
        What is earned may be more than time would add, and time takes nothing of
        it away.
        """
        budget = Budget(10, 2, 100)
        budget.earn(100)
        budget.fill(200)
        self.assertEqual(budget.left, 110)

    def test_boundsWhatIsEarned(self) -> None:
        """
        However much is earned, there is a bound.
        """
        budget = Budget(10, 2, 100)
        budget.earn(MOST_EARNED * 3)
        self.assertEqual(budget.left, MOST_EARNED)
        budget.spend(1)
        budget.earn(MOST_EARNED)
        self.assertEqual(budget.left, MOST_EARNED)


class EmptyFrameTests(RawTestCase):
    """
    Clients that send frames that carry nothing.
    """

    def begin(self) -> RawClient:
        """
        Connect, and open some streams.
        """
        raw = self.raw()
        raw.send(
            raw.headers(3, request(b"POST", b"/channels/news", KEY), False),
            raw.headers(5, request(b"GET", HELD)),
            raw.headers(7, request(b"GET", HELD)),
            frame(Kind.RST_STREAM, 7, bytes(4)),
        )
        return raw

    def flood(self, raw: RawClient, made: bytes, most: int) -> int:
        """
        Send a frame again and again until the server closes the connection.

        @param most: How many to send at most.

        @return: How many were sent.
        """
        sent = 0
        while raw.wire.isOpen and sent < most:
            raw.send(made * PACKET)
            sent += PACKET
        return sent

    def test_sendsAwayFloods(self) -> None:
        """
        A client that sends one kind of them without end is told to calm down, and
        its readers are forgotten.
        """
        for case, made in EMPTY.items():
            raw = self.begin()
            sent = self.flood(raw, made, 3 * int(MAX_FRAMES))
            self.assertFalse(raw.wire.isOpen, case)
            self.assertEqual(raw.goodbye, ErrorCodes.ENHANCE_YOUR_CALM, case)
            self.assertLessEqual(sent, MAX_FRAMES + PACKET, case)
            self.assertEqual(len(self.hub.fanout.readers), 0, case)
        self.assertNothingLeft()

    def test_allowsThemNowAndThen(self) -> None:
        """
        Each may be sent in a burst, and as often as the budget fills after that.
        """
        for case, made in EMPTY.items():
            raw = self.begin()
            burst = int(MAX_FRAMES) - PACKET
            self.assertEqual(self.flood(raw, made, burst), burst)
            for _ in range(2 * int(MAX_FRAMES) // PACKET):
                self.turn(PACKET / FRAMES_PER_SECOND)
                raw.send(made * PACKET)
            self.assertTrue(raw.wire.isOpen, case)
            self.assertIsNone(raw.goodbye, case)
            raw.wire.leave()
        self.assertNothingLeft()

    def test_chargesForSettings(self) -> None:
        """
        Each setting that is unknown, or overwritten in the same frame, costs as
        much as a frame.
        """
        for case, made in (
            ("unknown", b"".join(setting(0x100 + n) for n in range(9))),
            ("overwritten", setting(3) * 10),
        ):
            raw = self.begin()
            most = int(MAX_FRAMES) // 10
            sent = self.flood(raw, frame(Kind.SETTINGS, 0, made), 10 * most)
            self.assertLessEqual(sent, most + PACKET, case)
            self.assertEqual(raw.goodbye, ErrorCodes.ENHANCE_YOUR_CALM, case)
        self.assertNothingLeft()

    def test_chargesForContinuations(self) -> None:
        """
        Field blocks may come in a few frames each; a client that cuts all of them
        into many is sent away.
        """
        for pieces, isLegal in ((5, True), (60, False)):
            raw, count = self.raw(), 0
            while raw.wire.isOpen and count < MAX_FRAMES:
                count += 1
                block, ident = raw.encoder.encode(request()), 1 + 2 * count
                raw.send(
                    frame(Kind.HEADERS, ident, block, 1),
                    frame(Kind.CONTINUATION, ident) * pieces,
                    frame(Kind.CONTINUATION, ident, b"", 4),
                )
            self.assertEqual(raw.wire.isOpen, isLegal)
            expected = None if isLegal else ErrorCodes.ENHANCE_YOUR_CALM
            self.assertEqual(raw.goodbye, expected)
            raw.wire.leave()
        self.assertNothingLeft()

    def test_queuesLittleForSilentClient(self) -> None:
        """
        For a client that reads nothing few answers to its frames are kept, and
        it is cut off.
        """
        raw = self.begin()
        raw.wire.transport.isStuck = True
        for _ in range(3 * int(MAX_FRAMES) // PACKET):
            raw.wire.send(EMPTY["PING"] * PACKET)
        self.assertLess(len(raw.wire.transport.unsent), 20 * MAX_FRAMES)
        self.turn(LAST_WORDS + 1)
        self.assertFalse(raw.wire.isOpen)
        self.assertNothingLeft()


class EarningTests(RawTestCase):
    """
    Clients that send many such frames for a good reason.
    """

    def download(self, size: int, part: int) -> None:
        """
        Get a long response, and open both windows for each part that is read.

        @param size: The window of the stream, in bytes.

        @param part: How many bytes each frame opens the windows by.
        """
        raw = self.raw(SettingsFrame(0, {4: size}).serialize())
        raw.send(frame(Kind.RST_STREAM, 1, bytes(4)), raw.headers(3, request(b"GET", POLL)))
        self.turn()
        raw.read()
        read, frames = 0, 0
        while 3 not in raw.ended and raw.wire.isOpen:
            left = len(raw.bodies[3]) - read
            read += left
            sizes = [part] * (left // part) + ([left % part] if left % part else [])
            raw.send(*[window(ident, each) for each in sizes for ident in (3, 0)])
            frames += 2 * len(sizes)
        self.assertGreater(frames, 2 * MAX_FRAMES)
        self.assertIsNone(raw.goodbye)
        self.assertIn(3, raw.ended)
        raw.wire.leave()
        self.assertNothingLeft()

    def test_allowsWindowsForEachByte(self) -> None:
        """
        A client may have the windows open by one byte, and open both for each
        byte that it reads.
        """
        self.publish("news", *["x" * 900] * 4)
        self.download(1, 1)

    def test_allowsWindowsForEachPart(self) -> None:
        """
        A client may open both windows several times for each frame of a long
        response.
        """
        self.publish("news", *["x" * 1000] * 1000)
        self.download(65535, 512)

    def test_allowsWindowsAllAtOnce(self) -> None:
        """
        A client that was busy may open both windows for each of many messages,
        all at once.
        """
        raw = self.raw(SettingsFrame(0, {4: 2**31 - 1}).serialize())
        raw.send(window(0, 2**30))
        count = 2 * int(MAX_FRAMES)
        for n in range(count):
            self.publish("news", n)
        raw.read()
        self.assertEqual(raw.bodies[1].count(b'"data"'), count)
        raw.send(*[window(ident, 50) for _ in range(count) for ident in (0, 1)])
        self.assertGoesOn(raw, 3, "after")
        raw.wire.leave()
        self.assertNothingLeft()

    def test_earnsByWhatIsTaken(self) -> None:
        """
        A client earns by each frame that it takes, and by the bytes in it, and
        not by what waits.
        """
        raw = self.raw(SettingsFrame(0, {4: 10}).serialize())
        while not raw.bodies[1].endswith(b"\n"):
            raw.send(window(1, 1))
        self.publish("news", "x" * 900)
        budget = raw.wire.transport.protocol._receiver.budget
        for size in (1, 512, 300):
            before = budget.left
            raw.send(window(1, size))
            earned = FRAMES_PER_SENT + size * FRAMES_PER_BYTE - 1
            self.assertEqual(budget.left - before, earned)
        raw.wire.leave()
        self.assertNothingLeft()

    def test_allowsFramesWithRequests(self) -> None:
        """
        A client may send some such frames with each request.
        """
        raw = self.raw()
        for n in range(int(MAX_FRAMES)):
            ident = 3 + 2 * n
            raw.send(
                frame(Kind.PRIORITY, ident, bytes(5)),
                raw.headers(ident, request(b"HEAD")),
                window(ident, 1000),
                frame(Kind.PING, 0, bytes(8)),
            )
            self.assertEqual(raw.statuses.get(ident), 200)
        raw.wire.leave()
        self.assertNothingLeft()

    def test_allowsEmptyData(self) -> None:
        """
        A client may send a frame without bytes after each part of a body.
        """
        raw = self.raw()
        raw.send(raw.headers(3, request(b"POST", b"/channels/news", KEY), False))
        parts = [b'"', *[b"x"] * 2 * int(MAX_FRAMES), b'"']
        self.patch(self.site, "maxBody", len(parts))
        for n in range(0, len(parts), PACKET):
            piece = parts[n : n + PACKET]
            raw.send(*[raw.data(3, part, False) + frame(Kind.DATA, 3) for part in piece])
        self.assertTrue(raw.wire.isOpen)
        self.assertEqual(raw.resets, {})
        raw.wire.leave()
        self.assertNothingLeft()


class KeptTests(RawTestCase):
    """
    What is kept for as long as a connection lives.
    """

    def test_keepsNoUnknownSettings(self) -> None:
        """
        Settings that are unknown are not kept, and those that are known beside
        them have their effect.
        """
        raw = self.raw()
        states: ConnectionStates = raw.wire.transport.protocol._states
        before = len(states.remote_settings)
        for n in range(20):
            unknown = b"".join(setting(0x100 + n * 500 + m) for m in range(500))
            made = frame(Kind.SETTINGS, 0, unknown + b"\0\4\0\0\0" + bytes((n,)) + unknown[:300])
            raw.send(made)
            self.assertEqual(states.remote_settings.initial_window_size, n)
            self.turn(600 / FRAMES_PER_SECOND)
        self.assertEqual(len(states.remote_settings), before)
        self.assertTrue(raw.wire.isOpen)
        raw.wire.leave()
        self.assertNothingLeft()

    def test_forgetsClosedStreams(self) -> None:
        """
        Trailers that are late for a stream which was reset are no fault of the
        connection, as long as the client may have sent them before it knew; and
        there is a bound.
        """
        raw, most = self.raw(), ConnectionStates.MAX_CLOSED_STREAMS
        needed = MAX_RESETS + MAX_STREAMS
        self.assertTrue(needed < most < 2 * needed)
        last = 3 + 2 * most
        for ident in range(3, last + 1, 2):
            raw.send(
                raw.headers(ident, request(b"GET", HELD)), frame(Kind.RST_STREAM, ident, bytes(4))
            )
            self.turn(1 / RESETS_PER_SECOND)
        for ident in (5, last - 2 * int(MAX_RESETS), last):
            raw.send(raw.headers(ident, [(b"x-sum", b"1")]))
            self.assertEqual(raw.resets.get(ident), ErrorCodes.STREAM_CLOSED)
        self.assertGoesOn(raw, last + 2, "after")
        raw.send(raw.headers(last + 4, request()), raw.headers(last + 6, request()))
        raw.send(raw.headers(3, [(b"x-sum", b"1")]))
        self.assertFalse(raw.wire.isOpen)
        self.assertNothingLeft()

    def test_keepsNoFields(self) -> None:
        """
        The fields of a head are not kept once the request is begun.
        """
        raw = self.raw()
        value = b"a" * 10_000
        raw.send(raw.headers(3, request(b"GET", b"/health", (b"x-large", value))))
        self.assertEqual(raw.statuses.get(3), 200)
        self.assertEqual(raw.wire.transport.protocol._states.fields.take(), ())
        raw.wire.leave()
        self.assertNothingLeft()
