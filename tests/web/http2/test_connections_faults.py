"""
Tests of L{comet.web.http2.connections}: which faults of a client end a stream, and
which the connection.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from h2.errors import ErrorCodes
from hyperframe.frame import HeadersFrame, SettingsFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from comet.web.heads import MAX_FIELDS, MAX_FIELDS_SIZE
from comet.web.http2.budgets import MAX_RESETS, RESETS_PER_SECOND
from comet.web.http2.connectionstates import MAX_STREAMS, MAX_TABLE
from comet.web.http2.fields import MOST_IN_BLOCK
from comet.web.http2.framereceiver import MOST_FIELDS
from comet.web.http2.frames import MOST_FRAME, PREFACE, Kind
from tests.transports.wire import Wire
from tests.web.http2.case import RawTestCase, SecureTransport
from tests.web.http2.rawclient import SETTINGS, RawClient, frame, request

HELD: Final = b"/channels/news?wait=300"
KEY: Final = (b"authorization", b"Bearer 0123456789abcdef")

# Heads that are no request, RFC 9113 8.2, 8.3 and RFC 9110.
MALFORMED: Final = {
    "connection": request(b"GET", b"/health", (b"connection", b"keep-alive")),
    "proxy-connection": request(b"GET", b"/health", (b"proxy-connection", b"close")),
    "keep-alive": request(b"GET", b"/health", (b"keep-alive", b"timeout=5")),
    "transfer-encoding": request(b"GET", b"/health", (b"transfer-encoding", b"chunked")),
    "upgrade": request(b"GET", b"/health", (b"upgrade", b"websocket")),
    "te": request(b"GET", b"/health", (b"te", b"gzip")),
    "capital letter": request(b"GET", b"/health", (b"X-Test", b"ok")),
    "no name": request(b"GET", b"/health", (b"", b"ok")),
    "space in a name": request(b"GET", b"/health", (b"x test", b"ok")),
    "colon in a name": request(b"GET", b"/health", (b"x:test", b"ok")),
    "no ASCII in a name": request(b"GET", b"/health", ("ü".encode(), b"ok")),
    "LF in a value": request(b"GET", b"/health", (b"x-test", b"a\nb")),
    "CR in a value": request(b"GET", b"/health", (b"x-test", b"a\rb")),
    "NUL in a value": request(b"GET", b"/health", (b"x-test", b"a\0b")),
    "space before a value": request(b"GET", b"/health", (b"x-test", b" a")),
    "tab after a value": request(b"GET", b"/health", (b"x-test", b"a\t")),
    "unknown pseudo": [*request(), (b":test", b"ok")],
    "pseudo of responses": [*request(), (b":status", b"200")],
    "informational": [(b":status", b"100"), *request()],
    "pseudo of WebSocket": [
        (b":method", b"CONNECT"),
        (b":protocol", b"websocket"),
        *request()[1:],
    ],
    "pseudo after others": [(b"x-test", b"ok"), *request()],
    "pseudo after length": [(b"content-length", b"0"), *request()],
    "no method": request()[1:],
    "no scheme": [field for field in request() if field[0] != b":scheme"],
    "no path": [field for field in request() if field[0] != b":path"],
    "no authority": [field for field in request() if field[0] != b":authority"],
    "nothing": [],
    "two methods": [(b":method", b"GET"), *request()],
    "two schemes": [(b":scheme", b"https"), *request()],
    "two paths": [(b":path", b"/"), *request()],
    "two authorities": [(b":authority", b"localhost"), *request()],
    "empty path": request(b"GET", b""),
    "path without slash": request(b"GET", b"health"),
    "star of a GET": request(b"GET", b"*"),
    "space in a path": request(b"GET", b"/a b"),
    "fragment": request(b"GET", b"/health#a"),
    "bad method": request(b"GE T"),
    "empty scheme": [
        (b":scheme", b""),
        *[field for field in request() if field[0] != b":scheme"],
    ],
    "user in the authority": [
        (b":authority", b"me@localhost"),
        *[field for field in request() if field[0] != b":authority"],
    ],
    "two hosts": request(b"GET", b"/health", (b"host", b"localhost"), (b"host", b"localhost")),
    "another host": request(b"GET", b"/health", (b"host", b"other.example")),
    "path of CONNECT": request(b"CONNECT"),
    "length with a sign": request(b"GET", b"/health", (b"content-length", b"+1")),
    "length in words": request(b"GET", b"/health", (b"content-length", b"five")),
    "list of lengths": request(b"GET", b"/health", (b"content-length", b"0, 0")),
    "two lengths": request(
        b"GET", b"/health", (b"content-length", b"0"), (b"content-length", b"1")
    ),
    "length without a body": request(b"POST", b"/channels/news", KEY, (b"content-length", b"3")),
}

# What no proxy or browser would do, but is no fault.
ALLOWED: Final = {
    "trailers are accepted": request(b"GET", b"/health", (b"te", b"trailers")),
    "same host": request(b"GET", b"/health", (b"host", b"localhost")),
    "host in other words": request(b"GET", b"/health", (b"host", b"LOCALHOST:443")),
    "host only": [
        *[field for field in request() if field[0] != b":authority"],
        (b"host", b"localhost"),
    ],
    "length of nothing": request(b"GET", b"/health", (b"content-length", b"0")),
    "length twice": request(
        b"GET", b"/health", (b"content-length", b"0"), (b"content-length", b"00")
    ),
    "empty value": request(b"GET", b"/health", (b"x-test", b"")),
    "bytes in a value": request(b"GET", b"/health", (b"x-test", b"\xff")),
    "cookies": request(b"GET", b"/health", (b"cookie", b"a=b"), (b"cookie", b"c=d")),
}

Act = Callable[[RawClient], Iterable[bytes]]

# What ends the stream 3, on which a poll is held, and its code.
STREAM_FAULTS: Final[dict[str, tuple[ErrorCodes, Act]]] = {
    # RFC 9113 5.1
    "DATA after the end": (ErrorCodes.STREAM_CLOSED, lambda raw: [raw.data(3, b"x")]),
    "HEADERS after the end": (
        ErrorCodes.STREAM_CLOSED,
        lambda raw: [raw.headers(3, [(b"x-test", b"ok")])],
    ),
    # RFC 9113 6.9
    "WINDOW_UPDATE of 0": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [frame(Kind.WINDOW_UPDATE, 3, bytes(4))],
    ),
    # RFC 9113 6.9.1
    "window too large": (
        ErrorCodes.FLOW_CONTROL_ERROR,
        lambda raw: [frame(Kind.WINDOW_UPDATE, 3, b"\x7f\xff\xff\xff")],
    ),
    # RFC 9113 6.3
    "short PRIORITY": (
        ErrorCodes.FRAME_SIZE_ERROR,
        lambda raw: [frame(Kind.PRIORITY, 3, bytes(4))],
    ),
    # RFC 9113 4.2
    "long DATA": (
        ErrorCodes.FRAME_SIZE_ERROR,
        lambda raw: [frame(Kind.DATA, 3, bytes(MOST_FRAME + 1))],
    ),
}

# What is ignored, or has its effect without a fault.
IGNORED: Final[dict[str, Act]] = {
    # RFC 9113 5.3.2
    "PRIORITY": lambda raw: [frame(Kind.PRIORITY, 3, bytes(5))],
    "PRIORITY of itself": lambda raw: [frame(Kind.PRIORITY, 3, b"\0\0\0\3\0")],
    "PRIORITY of no stream yet": lambda raw: [frame(Kind.PRIORITY, 99, bytes(5))],
    # RFC 9113 5.5
    "unknown type": lambda raw: [frame(0x99, 3, b"x"), frame(0x99, 0), frame(0x99, 98)],
    "ALTSVC": lambda raw: [frame(0x0A, 3, b"\xff\xff"), frame(0x0A, 0)],
    "PRIORITY_UPDATE": lambda raw: [frame(0x10, 0, b"\0\0\0\3u=1")],
    "unknown flags": lambda raw: [frame(Kind.PING, 0, bytes(8), 0xFE)],
    "unknown settings": lambda raw: [frame(Kind.SETTINGS, 0, b"\x77\x77\0\0\0\1")],
    # RFC 9113 4.1 and 6.9
    "reserved bits": lambda raw: [frame(Kind.WINDOW_UPDATE, 0x80000003, b"\x80\0\0\1")],
    "PING": lambda raw: [frame(Kind.PING, 0, bytes(8)), frame(Kind.PING, 0, bytes(8), 1)],
    "late SETTINGS": lambda raw: [SETTINGS, frame(Kind.SETTINGS, 0, b"", 1)],
    "empty CONTINUATION": lambda raw: [
        HeadersFrame(5, raw.encoder.encode(request()), flags=("END_STREAM",)).serialize(),
        frame(Kind.CONTINUATION, 5),
        frame(Kind.CONTINUATION, 5, b"", 4),
    ],
    # RFC 9113 5.1: streams 5 and 7 are closed.
    "frames on closed streams": lambda raw: [
        raw.headers(5, request()),
        raw.headers(7, request(b"GET", HELD)),
        frame(Kind.RST_STREAM, 7, bytes(4)),
        *[frame(Kind.WINDOW_UPDATE, n, b"\0\0\0\1") for n in (5, 7)],
        *[frame(Kind.WINDOW_UPDATE, n, bytes(4)) for n in (5, 7)],
        *[frame(Kind.PRIORITY, n, bytes(4)) for n in (5, 7)],
        *[frame(Kind.RST_STREAM, n, bytes(4)) for n in (5, 7)],
        *[frame(Kind.DATA, n, b"x") for n in (5, 7)],
    ],
}


def single(made: bytes, raw: RawClient) -> list[bytes]:
    """
    Return the only frame of a case.
    """
    return [made]


BLOCK: Final = frame(Kind.HEADERS, 5)

# What ends the connection, and the code.
CONNECTION_FAULTS: Final[dict[str, tuple[ErrorCodes, Act]]] = {
    # RFC 9113 4.2
    "long HEADERS": (
        ErrorCodes.FRAME_SIZE_ERROR,
        lambda raw: [frame(Kind.HEADERS, 5, bytes(MOST_FRAME + 1))],
    ),
    "long SETTINGS": (
        ErrorCodes.FRAME_SIZE_ERROR,
        lambda raw: [frame(Kind.SETTINGS, 0, bytes(MOST_FRAME + 6))],
    ),
    "DATA longer than the window": (
        ErrorCodes.FLOW_CONTROL_ERROR,
        lambda raw: [frame(Kind.DATA, 3, bytes(65536))],
    ),
    # RFC 9113 4.3
    "bad compression": (
        ErrorCodes.COMPRESSION_ERROR,
        lambda raw: [frame(Kind.HEADERS, 5, b"\xff\xff\xff\xff", 5)],
    ),
    "bad compression of trailers": (
        ErrorCodes.COMPRESSION_ERROR,
        lambda raw: [frame(Kind.HEADERS, 3, b"\x80", 5)],
    ),
    "frame within a block": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [BLOCK, frame(Kind.PING, 0, bytes(8))],
    ),
    "unknown frame within a block": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [BLOCK, frame(0x99)],
    ),
    "PRIORITY within a block": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [BLOCK, frame(Kind.PRIORITY, 5, bytes(5))],
    ),
    "CONTINUATION of another stream": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [BLOCK, frame(Kind.CONTINUATION, 7, b"", 4)],
    ),
    "CONTINUATION of no block": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [frame(Kind.CONTINUATION, 3, b"", 4)],
    ),
    "CONTINUATION of a reset stream": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [frame(Kind.RST_STREAM, 3, bytes(4)), frame(Kind.CONTINUATION, 3)],
    ),
    "CONTINUATION without a stream": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [frame(Kind.CONTINUATION, 0)],
    ),
    "endless block": (
        ErrorCodes.ENHANCE_YOUR_CALM,
        lambda raw: [
            BLOCK,
            *[frame(Kind.CONTINUATION, 5, bytes(MOST_FRAME))] * (2 * MOST_FIELDS // MOST_FRAME),
        ],
    ),
    "too many fields": (
        ErrorCodes.ENHANCE_YOUR_CALM,
        lambda raw: [frame(Kind.HEADERS, 5, b"\x82" * (MOST_IN_BLOCK + 1), 5)],
    ),
    "too many bytes of fields": (
        ErrorCodes.ENHANCE_YOUR_CALM,
        lambda raw: [
            raw.headers(
                5, request(b"GET", b"/health", *[(b"a", b"b" * 3900)] * (MOST_IN_BLOCK - 9))
            )
        ],
    ),
    # RFC 9113 5.1
    "DATA on no stream yet": (ErrorCodes.PROTOCOL_ERROR, lambda raw: [raw.data(5, b"x")]),
    "RST_STREAM on no stream yet": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [frame(Kind.RST_STREAM, 5, bytes(4))],
    ),
    "WINDOW_UPDATE on no stream yet": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [frame(Kind.WINDOW_UPDATE, 5, b"\0\0\0\1")],
    ),
    "WINDOW_UPDATE of 0 on no stream yet": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [frame(Kind.WINDOW_UPDATE, 5, bytes(4))],
    ),
    # RFC 9113 5.1.1
    "even number": (ErrorCodes.PROTOCOL_ERROR, lambda raw: [raw.headers(4, request())]),
    "lower number": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [raw.headers(9, request()), raw.headers(5, request())],
    ),
    # RFC 9113 6: the streams that frames belong to
    **{
        f"{kind.name} on stream {ident}": (
            ErrorCodes.PROTOCOL_ERROR,
            partial(single, frame(kind, ident, body)),
        )
        for kind, ident, body in (
            (Kind.DATA, 0, b"x"),
            (Kind.HEADERS, 0, b"\x82"),
            (Kind.PRIORITY, 0, bytes(5)),
            (Kind.RST_STREAM, 0, bytes(4)),
            (Kind.SETTINGS, 3, b""),
            (Kind.PING, 3, bytes(8)),
            (Kind.GOAWAY, 3, bytes(8)),
        )
    },
    # RFC 9113 6: the lengths of frames
    **{
        f"{kind.name} of {size} bytes on stream {ident}": (
            ErrorCodes.FRAME_SIZE_ERROR,
            partial(single, frame(kind, ident, bytes(size))),
        )
        for kind, ident, size in (
            (Kind.RST_STREAM, 3, 3),
            (Kind.RST_STREAM, 3, 5),
            (Kind.SETTINGS, 0, 5),
            (Kind.PING, 0, 7),
            (Kind.PING, 0, 9),
            (Kind.GOAWAY, 0, 7),
            (Kind.WINDOW_UPDATE, 3, 3),
            (Kind.WINDOW_UPDATE, 3, 5),
            (Kind.WINDOW_UPDATE, 0, 5),
        )
    },
    "SETTINGS with ACK and a body": (
        ErrorCodes.FRAME_SIZE_ERROR,
        lambda raw: [frame(Kind.SETTINGS, 0, bytes(6), 1)],
    ),
    # RFC 9113 6.1 and 6.2
    "DATA with too much padding": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [frame(Kind.DATA, 3, b"\5abc", 8)],
    ),
    "HEADERS with too much padding": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [frame(Kind.HEADERS, 5, b"\5\x82", 0xD)],
    ),
    "HEADERS without the length of its padding": (
        ErrorCodes.FRAME_SIZE_ERROR,
        lambda raw: [frame(Kind.HEADERS, 5, b"", 0x2D)],
    ),
    "HEADERS with a cut priority": (
        ErrorCodes.FRAME_SIZE_ERROR,
        lambda raw: [frame(Kind.HEADERS, 5, b"\0\0", 0x25)],
    ),
    # RFC 9113 6.5.2
    "bad push setting": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [frame(Kind.SETTINGS, 0, b"\0\2\0\0\0\2")],
    ),
    "bad window setting": (
        ErrorCodes.FLOW_CONTROL_ERROR,
        lambda raw: [frame(Kind.SETTINGS, 0, b"\0\4\x80\0\0\0")],
    ),
    "bad frame setting": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [frame(Kind.SETTINGS, 0, b"\0\5\0\0\0\1")],
    ),
    # RFC 9113 6.9.1 and 6.9.2
    "WINDOW_UPDATE of 0 on the connection": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [frame(Kind.WINDOW_UPDATE, 0, bytes(4))],
    ),
    "window of the connection too large": (
        ErrorCodes.FLOW_CONTROL_ERROR,
        lambda raw: [frame(Kind.WINDOW_UPDATE, 0, b"\x7f\xff\xff\xff")],
    ),
    # RFC 9113 8.4
    "PUSH_PROMISE": (
        ErrorCodes.PROTOCOL_ERROR,
        lambda raw: [frame(Kind.PUSH_PROMISE, 3, b"\0\0\0\2\x82", 4)],
    ),
}


class StreamFaultTests(RawTestCase):
    """
    Faults that end their stream only, RFC 9113 5.4.2.
    """

    def test_resetsMalformedRequest(self) -> None:
        """
        A request that is malformed is reset with PROTOCOL_ERROR, with and
        without a body, and all other streams go on.
        """
        for case, fields in MALFORMED.items():
            for isEnd in (True, False):
                if case == "length without a body" and not isEnd:
                    continue
                raw = self.raw()
                raw.send(raw.headers(3, fields, isEnd))
                self.assertEqual(raw.resets, {3: ErrorCodes.PROTOCOL_ERROR}, case)
                self.assertNotIn(3, raw.statuses, case)
                if not isEnd:
                    raw.send(raw.data(3, b"late"))
                self.assertGoesOn(raw, 5, case)
                raw.wire.leave()
        self.assertNothingLeft()

    def test_servesUnusualRequest(self) -> None:
        """
        A request that is unusual, but not malformed, is answered.
        """
        for case, fields in ALLOWED.items():
            raw = self.raw()
            raw.send(raw.headers(3, fields))
            self.assertEqual((raw.resets, raw.statuses.get(3)), ({}, 200), case)
            raw.wire.leave()
        self.assertNothingLeft()

    def test_resetsWrongLength(self) -> None:
        """
        A body that does not have the declared length is reset with
        PROTOCOL_ERROR, and nothing of it is published.
        """
        for case, length, body in (
            ("too short", b"3", b"12"),
            ("too long", b"3", b"1234"),
            ("not empty", b"0", b"1"),
            ("empty", b"3", b""),
        ):
            for trailers in (False, True):
                raw = self.raw()
                fields = request(b"POST", b"/channels/news", KEY, (b"content-length", length))
                frames = [raw.headers(3, fields, False), raw.data(3, body, not trailers)]
                if trailers:
                    frames.append(raw.headers(3, [(b"x-test", b"ok")]))
                raw.send(*frames)
                self.assertEqual(raw.resets, {3: ErrorCodes.PROTOCOL_ERROR}, case)
                self.assertGoesOn(raw, 5, case)
                self.assertEqual(raw.bodies[1].count(b'"data"'), 1)
                raw.wire.leave()
        self.assertNothingLeft()

    def test_takesLongLength(self) -> None:
        """
        A declared length of any number of digits is refused as too large.
        """
        for digits in (18, 19, 5000):
            raw = self.raw()
            length = (b"content-length", b"9" * digits)
            raw.send(raw.headers(3, request(b"POST", b"/channels/news", KEY, length), False))
            self.assertEqual(raw.statuses.get(3), 413)
            self.assertGoesOn(raw, 5, "after")
            raw.wire.leave()
        self.assertNothingLeft()

    def test_takesTrailers(self) -> None:
        """
        Trailers end a request.
        """
        raw = self.raw()
        fields = request(b"POST", b"/channels/news", KEY)
        raw.send(
            raw.headers(3, fields, False),
            raw.data(3, b"1", False),
            raw.headers(3, [(b"x-sum", b"1")]),
        )
        self.turn()
        raw.read()
        self.assertEqual((raw.resets, raw.statuses.get(3)), ({}, 201))
        raw.wire.leave()
        self.assertNothingLeft()

    def test_resetsMalformedTrailers(self) -> None:
        """
        Trailers that are malformed, or do not end the stream, reset it with
        PROTOCOL_ERROR, and nothing is published.
        """
        for case, fields, isEnd in (
            ("no end", [(b"x-test", b"ok")], False),
            ("pseudo", [(b":path", b"/")], True),
            ("status", [(b":status", b"100")], True),
            ("capital letter", [(b"X-Test", b"ok")], True),
            ("connection", [(b"connection", b"close")], True),
        ):
            raw = self.raw()
            head = request(b"POST", b"/channels/news", KEY)
            raw.send(raw.headers(3, head, False), raw.data(3, b"1", False))
            raw.send(raw.headers(3, fields, isEnd))
            self.assertEqual(raw.resets, {3: ErrorCodes.PROTOCOL_ERROR}, case)
            raw.send(raw.data(3, b"late"))
            self.assertGoesOn(raw, 5, case)
            self.assertEqual(raw.bodies[1].count(b'"data"'), 1)
            raw.wire.leave()
        self.assertNothingLeft()

    def test_resetsStream(self) -> None:
        """
        Faults of frames on one stream reset this stream, and its poll is
        forgotten.
        """
        for case, (code, act) in STREAM_FAULTS.items():
            raw = self.raw()
            raw.send(raw.headers(3, request(b"GET", HELD)))
            self.assertEqual(len(self.hub.fanout.readers), 2)
            raw.send(*act(raw))
            self.assertEqual(raw.resets, {3: code}, case)
            self.assertEqual(len(self.hub.fanout.readers), 1)
            self.assertGoesOn(raw, 5, case)
            raw.wire.leave()
        self.assertNothingLeft()

    def test_refusesStreamTooMany(self) -> None:
        """
        A stream above the limit is refused, which tells the client that it may
        send the request again, and the limit counts open streams only.
        """
        raw = self.raw()
        last = 1 + 2 * (MAX_STREAMS - 1)
        raw.send(*[raw.headers(n, request(b"GET", HELD)) for n in range(3, last + 1, 2)])
        self.assertEqual(raw.resets, {})
        more = (last + 2, last + 4)
        raw.send(*[raw.headers(n, request()) for n in more])
        self.assertEqual(raw.resets, dict.fromkeys(more, ErrorCodes.REFUSED_STREAM))
        raw.send(frame(Kind.RST_STREAM, 3, bytes(4)))
        self.assertGoesOn(raw, last + 6, "after")
        raw.wire.leave()
        self.assertNothingLeft()

    def test_countsDataInError(self) -> None:
        """
        DATA that is in error opens the window of the connection again, so that
        it can never be used up.
        """
        raw = self.raw()
        raw.send(raw.headers(3, request(b"GET", HELD)))
        size = MOST_FRAME + 100
        for n in range(30):
            raw.send(frame(Kind.DATA, 3, bytes(size)))
            self.assertEqual(raw.opened, (n + 1) * size)
        self.assertEqual(raw.resets, {3: ErrorCodes.FRAME_SIZE_ERROR})
        self.assertGoesOn(raw, 5, "after")
        raw.wire.leave()
        self.assertNothingLeft()

    def test_sendsAwayManyFaults(self) -> None:
        """
        A client whose faults have streams reset more often than any mistake
        would is sent away; one with a fault now and then is not.
        """
        raw, ident = self.raw(), 3
        for _ in range(int(MAX_RESETS * 2)):
            raw.send(raw.headers(ident, request(b"GET", HELD)))
            raw.send(frame(Kind.WINDOW_UPDATE, ident, bytes(4)))
            self.turn(1.1 / RESETS_PER_SECOND)
            ident += 2
        self.assertGoesOn(raw, ident, "after")
        for _ in range(int(MAX_RESETS) + 1):
            if raw.wire.isOpen:
                ident += 2
                raw.send(raw.headers(ident, MALFORMED["connection"]))
        self.assertFalse(raw.wire.isOpen)
        self.assertEqual(raw.goodbye, ErrorCodes.ENHANCE_YOUR_CALM)
        self.assertNothingLeft()


class ConnectionFaultTests(RawTestCase):
    """
    What ends the connection, RFC 9113 5.4.1, and what does not.
    """

    def test_closesConnection(self) -> None:
        """
        Faults of the connection end it, with the code of their section.
        """
        for case, (code, act) in CONNECTION_FAULTS.items():
            raw = self.raw()
            raw.send(raw.headers(3, request(b"GET", HELD)))
            self.assertTrue(raw.wire.isOpen)
            raw.send(*act(raw))
            self.assertEqual((raw.goodbye, raw.wire.isOpen), (code, False), case)
            self.assertEqual(len(self.hub.fanout.readers), 0)
        self.assertNothingLeft()

    def test_ignores(self) -> None:
        """
        Frames that a server ignores have no effect on any stream.
        """
        for case, act in IGNORED.items():
            raw = self.raw()
            raw.send(raw.headers(3, request(b"GET", HELD)))
            raw.send(*act(raw))
            self.assertEqual({1, 3} & raw.resets.keys(), set(), case)
            self.assertEqual(len(self.hub.fanout.readers), 2)
            self.assertGoesOn(raw, 9, case)
            self.assertIn(3, raw.ended, case)
            raw.wire.leave()
        self.assertNothingLeft()

    def test_ignoresPriorityOfRequest(self) -> None:
        """
        A request whose stream depends on itself is served, with and without
        padding.
        """
        for start in (b"", b"\2"):
            raw = self.raw()
            body = start + b"\0\0\0\3\xff" + raw.encoder.encode(request()) + bytes(2 * len(start))
            raw.send(frame(Kind.HEADERS, 3, body, 0x2D if start else 0x25))
            self.assertEqual((raw.resets, raw.statuses.get(3)), ({}, 200))
            raw.wire.leave()
        self.assertNothingLeft()

    def test_needsPreface(self) -> None:
        """
        A client that does not begin with the preface and its settings is sent
        away, however its bytes are cut.
        """
        for start in (
            b"GET / HTTP/1.1\r\n\r\n",
            PREFACE[:-1] + b"x",
            PREFACE + frame(Kind.PING, 0, bytes(8)),
            PREFACE + frame(Kind.SETTINGS, 0, b"", 1),
            PREFACE + frame(0x99),
        ):
            for size in (1, 1000):
                wire = Wire(self.site, SecureTransport())
                self.wires.append(wire)
                wire.transport.protocol.handshakeCompleted()
                raw = RawClient(wire, b"") if start.startswith(PREFACE) else None
                wire.sendIn(size, start.removeprefix(PREFACE))
                self.assertFalse(wire.isOpen)
                if raw is not None:
                    raw.read()
                    self.assertEqual(raw.goodbye, ErrorCodes.PROTOCOL_ERROR)
        self.assertNothingLeft()

    def test_finishesAfterGoodbye(self) -> None:
        """
        A client that says that it begins no more streams gets the responses it
        waits for, then the connection is closed.  One that says that it has
        found an error is forgotten.
        """
        for code in (ErrorCodes.NO_ERROR, ErrorCodes.PROTOCOL_ERROR):
            raw = self.raw()
            raw.send(frame(Kind.RST_STREAM, 1, bytes(4)))
            raw.send(raw.headers(3, request(b"GET", HELD)))
            raw.send(frame(Kind.GOAWAY, 0, bytes(4) + code.to_bytes(4, "big") + b"more"))
            self.assertEqual(raw.wire.isOpen, code == ErrorCodes.NO_ERROR)
            self.publish("news", "x")
            self.turn()
            raw.read()
            self.assertEqual(raw.statuses.get(3), 200 if code == ErrorCodes.NO_ERROR else None)
            self.assertFalse(raw.wire.isOpen)
            self.assertEqual(raw.goodbye, ErrorCodes.NO_ERROR)
        self.assertNothingLeft()

    def test_boundsTable(self) -> None:
        """
        However large a table the client allows, and however often it changes
        its mind, the server keeps a small one, and tells the client of at most
        two sizes.
        """
        raw = self.raw()
        sizes = [2**32 - 1, 65536, 0, 4096, 100] * 50
        raw.send(*[SettingsFrame(0, {1: size}).serialize() for size in sizes])
        raw.send(SettingsFrame(0, {1: 2**32 - 1}).serialize())
        raw.decoder.max_allowed_table_size = 2**32 - 1
        before = raw.received
        raw.send(raw.headers(3, request()))
        self.assertEqual(raw.statuses.get(3), 200)
        self.assertLess(raw.received - before, 500)
        self.assertEqual(raw.decoder.header_table_size, MAX_TABLE)
        raw.wire.leave()
        self.assertNothingLeft()

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 11),
                st.sampled_from((0, 1, 2, 3, 5, 7)),
                st.binary(max_size=20) | st.sampled_from((b"\x82\x84\x87\x01\x01a", bytes(8))),
                st.integers(0, 255) | st.sampled_from((4, 5)),
            ),
            max_size=12,
        ),
        st.integers(1, 40),
    )
    def test_survivesAnyFrames(self, frames: list[tuple[int, int, bytes, int]], size: int) -> None:
        """
        A client may send any frames, cut in any way: no error is raised, and
        nothing is left when it is gone.
        """
        raw = self.raw()
        data = b"".join(frame(kind, ident, body, flags) for kind, ident, body, flags in frames)
        raw.wire.sendIn(size, data)
        raw.wire.leave()
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertNothingLeft()

    def test_allowsLongHeads(self) -> None:
        """
        A request may name as many channels as are allowed, and have headers of
        as many bytes.
        """
        name = "ж" * 60
        names = ",".join(quote(f"{name}{n}") for n in range(100))
        for path in (
            f"/channels/{names}?transport=poll".encode(),
            b"/health?x=".ljust(self.site.maxLine - len("GET  HTTP/1.1"), b"x"),
        ):
            raw = self.raw()
            raw.send(*self._cut(raw.encoder.encode(request(b"GET", path), huffman=False)))
            self.assertEqual((raw.resets, raw.statuses.get(3)), ({}, 200))
            self.assertGoesOn(raw, 5, "after")
        for count, size in ((MAX_FIELDS - 1, 20), (30, MAX_FIELDS_SIZE // 30 - 10)):
            raw = self.raw()
            fields = [(b"x%d" % n, b"a" * size) for n in range(count)]
            raw.send(*self._cut(raw.encoder.encode([*request(), *fields], huffman=False)))
            self.assertEqual((raw.resets, raw.statuses.get(3)), ({}, 200))
            self.assertGoesOn(raw, 5, "after")
        self.leaveAll()

    def test_refusesLongHeads(self) -> None:
        """
        A URL that is too long gets a 414, headers that are too many or too large
        a 431, with the headers of CORS, and all other streams go on.
        """
        origin = (b"origin", b"https://friend.example")
        many = [(b"x%d" % n, b"") for n in range(MAX_FIELDS)]
        large = [(b"x-large", b"a" * MAX_FIELDS_SIZE)]
        path = b"/channels/" + b"a," * (self.site.maxLine // 2)
        for status, fields in (
            (414, request(b"GET", path, origin)),
            (431, request(b"GET", b"/channels/news", origin, *many)),
            (431, request(b"GET", b"/channels/news", origin, *large)),
        ):
            raw = self.raw()
            raw.send(*self._cut(raw.encoder.encode(fields, huffman=False)))
            self.assertEqual((raw.resets, raw.statuses.get(3)), ({}, status))
            self.assertEqual(json.loads(raw.bodies[3])["code"], "tooLarge")
            self.assertEqual(raw.heads[3][b"access-control-allow-origin"], origin[1])
            self.assertGoesOn(raw, 5, "after")
        self.leaveAll()

    def test_keepsLittleOfLongHeads(self) -> None:
        """
        A request that is refused by its head has no more of the headers than are
        needed to tell the page.
        """
        made: list[Any] = []
        make = self.site.requestFactory

        def noting(channel: Any) -> Any:
            made.append(make(channel))
            return made[-1]

        self.patch(self.site, "requestFactory", noting)
        origin = (b"origin", b"https://friend.example")
        many = [(b"x-large", b"a" * 3000)] * 100
        raw = self.raw()
        raw.send(raw.headers(3, request(b"GET", b"/channels/news", *many, origin)))
        self.assertEqual(raw.statuses.get(3), 431)
        names = {name for name, _ in made[-1].requestHeaders.getAllRawHeaders()}
        self.assertEqual(names, {b"Host", b"Origin"})
        self.leaveAll()

    def leaveAll(self) -> None:
        """
        Leave, and check that nothing is left.
        """
        for wire in self.wires:
            wire.leave()
        self.assertNothingLeft()

    def _cut(self, block: bytes) -> list[bytes]:
        """
        Make the frames of a block for stream 3.
        """
        pieces = [block[n : n + MOST_FRAME] for n in range(0, len(block), MOST_FRAME)]
        last = len(pieces) - 1
        return [
            frame(
                Kind.CONTINUATION if n else Kind.HEADERS,
                3,
                piece,
                (0 if n else 1) | (4 if n == last else 0),
            )
            for n, piece in enumerate(pieces)
        ]
