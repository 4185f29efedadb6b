"""
What readers get compressed, and what clients send compressed: alike on both edges.
"""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

from attrs import evolve

from comet.framing.budget import EACH_COMPRESSED, MOST_AT_ONCE
from comet.framing.compression import Compression
from comet.framing.publications import Limits
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.model.messages import Close
from tests.framing.readers import ChunkReader
from tests.rfc6455.echo import Connection
from tests.rfc6455.wire import CONTINUATION, PING, TEXT, closing, cut, frame
from tests.transports.case import Response, readHead, readResponse, request
from tests.transports.frames import UPGRADE

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
GZIP = "Accept-Encoding: gzip"
FRAME = "iframe&origin=http://localhost"
SMALL = "small"
LARGE = "large" * 200

ON = Settings(
    limits=Limits(maxMessage=1024),
    compression=Compression(100, (("plain/**", 0),)),
)

RSV1 = 4


def compressed(payload: bytes) -> bytes:
    """
    Compress the payload of a message (RFC 7692 7.2.1).
    """
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    flushed = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return flushed.removesuffix(b"\0\0\xff\xff")


def readMessages(data: bytes) -> list[tuple[int, bytes]]:
    """
    Read the frames of a server, whole messages.

    @return: The first byte of each, and its payload with its compression undone.
    """
    found = []
    while data:
        first, length, at = data[0], data[1], 2
        if length >= 126:
            at += {126: 2, 127: 8}[length]
            length = int.from_bytes(data[2:at], "big")
        payload, data = data[at : at + length], data[at + length :]
        if first & RSV1 << 4:
            payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
        found.append((first, payload))
    return found


class CompressedContract:
    """
    The tests.  A subclass has a hub with the settings L{ON}, and opens connections.
    """

    hub: Hub
    settings: Settings = ON
    assertEqual: Any
    assertIn: Any
    assertNotIn: Any
    assertIsNone: Any
    assertLess: Any
    assertLessEqual: Any

    def open(self, said: bytes) -> Connection:
        """
        Open a connection on which a client says something.
        """
        raise NotImplementedError

    def publish(self, *texts: str, channel: str = "news") -> None:
        """
        Publish in one turn.  The clients have what they get after the next C{take}.
        """
        for text in texts:
            self.hub.publish(channel, text)

    def stream(
        self, transport: str, *headers: str, names: str = "news", version: str = "1.1"
    ) -> tuple[Connection, Response]:
        """
        Begin a stream.
        """
        path = f"/channels/{names}?transport={transport}"
        connection = self.open(request("GET", path, *headers, version=version))
        return connection, readHead(connection.take())

    def socket(self, *headers: str, path: str = "/channels/news") -> tuple[Connection, Response]:
        """
        Open a WebSocket.
        """
        connection = self.open(request("GET", path, *UPGRADE, *headers))
        return connection, readHead(connection.take())

    def test_streams(self) -> None:
        """
        Readers of a stream that take gzip get the same bytes wherever they have joined; what
        they decode is what a reader without compression gets.
        """
        for transport in ("stream", "sse", "multipart", FRAME):
            plain, plainHead = self.stream(transport)
            early, earlyHead = self.stream(transport, GZIP)
            self.publish(SMALL, LARGE)
            first = early.take()
            late, lateHead = self.stream(transport, GZIP)
            self.publish(LARGE, SMALL)
            second = early.take()
            self.assertEqual(late.take(), second)
            self.assertEqual(plainHead.header("Content-Encoding"), None)
            for head in (earlyHead, lateHead):
                self.assertEqual(head.header("Content-Encoding"), "gzip")
                self.assertIn("Accept-Encoding", ", ".join(head.headers["vary"]))
            self.assertIn("Accept-Encoding", ", ".join(plainHead.headers["vary"]))
            chunks, plainChunks = ChunkReader(), ChunkReader()
            chunks.feed(earlyHead.body + first + second)
            plainChunks.feed(plainHead.body + plain.take())
            decoded = zlib.decompressobj(31).decompress(chunks.body)
            self.assertEqual(decoded, plainChunks.body)
            self.assertEqual(decoded.count(LARGE.encode()), 2)
            self.assertIn(SMALL.encode(), first)
            self.assertNotIn(b"largelarge", first)
            lateChunks = ChunkReader()
            lateChunks.feed(lateHead.body + second)
            self.assertIn(LARGE.encode(), zlib.decompressobj(31).decompress(lateChunks.body))

    def test_oldClient(self) -> None:
        """
        A client of HTTP/1.0 may take gzip, too; its body has no chunks.
        """
        connection, head = self.stream("stream", GZIP, version="1.0")
        self.assertEqual(head.header("Transfer-Encoding"), None)
        self.publish(LARGE)
        decoded = zlib.decompressobj(31).decompress(head.body + connection.take())
        self.assertIn(LARGE.encode(), decoded)

    def test_unconcerned(self) -> None:
        """
        A reader of channels of which nothing is compressed gets a response without a
        coding; and so does one that would rather have that.
        """
        for headers, names in (
            ([GZIP], "plain/a,plain/b"),
            (["Accept-Encoding: gzip;q=0"], "news"),
            (["Accept-Encoding: identity, gzip;q=0.5"], "news"),
        ):
            _, head = self.stream("stream", *headers, names=names)
            self.assertEqual(head.header("Content-Encoding"), None, headers)
            self.assertIn("Accept-Encoding", ", ".join(head.headers["vary"]))

    def test_end(self) -> None:
        """
        A stream that the server ends tells why; what a client decodes is whole but for a
        trailer, and so is the coding in chunks.
        """
        connection, head = self.stream("sse", GZIP)
        [reader] = self.hub.fanout.readers
        reader.close(Close("disconnected", "for a test", 2.5))
        chunks = ChunkReader()
        chunks.feed(head.body + connection.take())
        self.assertEqual((chunks.ended, connection.isOpen), (True, False))
        decoded = zlib.decompressobj(31).decompress(chunks.body)
        self.assertIn(b"event: $close", decoded)
        self.assertEqual(decoded[-2:], b"\n\n")

    def test_polls(self) -> None:
        """
        Held polls that take gzip get the same response, with a right trailer; its tag is
        taken as a cursor.
        """
        path = "/channels/news?transport=longpoll"
        polls = [self.open(request("GET", path, GZIP)) for _ in range(3)]
        plain = self.open(request("GET", path))
        # They are held before a message comes.
        self.assertEqual([each.take() for each in (*polls, plain)], [b""] * 4)
        self.publish(SMALL, LARGE)
        first, *others = [each.take() for each in polls]
        self.assertEqual(others, [first] * 2)
        response, other = readResponse(first), readResponse(plain.take())
        self.assertEqual(gzip.decompress(response.body), other.body)
        self.assertEqual(response.header("Content-Encoding"), "gzip")
        for each in (response, other):
            self.assertIn("Accept-Encoding", ", ".join(each.headers["vary"]))
        tag, otherTag = (each.header("ETag") or "" for each in (response, other))
        self.assertEqual(tag, otherTag[:-1] + '-gzip"')
        known = f"If-None-Match: {tag}"
        again = request("GET", "/channels/news?transport=poll", GZIP, known)
        polls[0].send([again])
        self.assertEqual(readResponse(polls[0].take()).status, 304)
        self.publish(SMALL)
        polls[0].send([again])
        response = readResponse(polls[0].take())
        self.assertEqual(response.header("Content-Encoding"), None)
        self.assertEqual([each["data"] for each in response.json["messages"]], [SMALL])

    def test_manyPolls(self) -> None:
        """
        Held polls in many shapes that get a burst have no more of it compressed than can be
        without a pause, all together; what is beyond is sent as it is.
        """
        path = "/channels/news?transport=longpoll&limit="
        polls = [self.open(request("GET", f"{path}{500 + more}", GZIP)) for more in range(8)]
        self.assertEqual([each.take() for each in polls], [b""] * 8)
        count = MOST_AT_ONCE // 1000 + 100
        texts = [f"{number:04d}" * 250 for number in range(count)]
        budget, codings = self.hub.fanout.encodings.budget, []
        self.publish(*texts)
        for each in polls:
            response = readResponse(each.take())
            codings.append(response.header("Content-Encoding"))
            body = gzip.decompress(response.body) if codings[-1] else response.body
            self.assertEqual([each["data"] for each in json.loads(body)["messages"]], texts)
        self.assertEqual(codings, ["gzip"] + [None] * 7)
        self.assertLessEqual(budget.before + EACH_COMPRESSED * budget.compressed, MOST_AT_ONCE)
        self.assertLess(budget.after, budget.before)
        self.assertEqual(budget.unaffordable, 8 * count - budget.compressed)

    def test_sockets(self) -> None:
        """
        WebSockets that have agreed on compression get the same frames: large messages
        compressed, small ones not.
        """
        plain, plainHead = self.socket()
        early, head = self.socket(DEFLATE)
        self.assertEqual(plainHead.header("Sec-WebSocket-Extensions"), None)
        self.assertEqual(
            head.header("Sec-WebSocket-Extensions"),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        )
        self.publish(LARGE)
        before = early.take()
        late, _ = self.socket(DEFLATE)
        bare, _ = self.socket(DEFLATE, path="/socket")
        bare.send([frame(TEXT, b'{"subscribe":["news"]}')])
        self.assertIn(b'"ok"', bare.take())
        self.publish(SMALL, LARGE)
        after = early.take()
        self.assertEqual([late.take(), bare.take()], [after, after])
        frames = readMessages(before + after)
        self.assertEqual([first for first, _ in frames], [0xC1, 0x81, 0xC1])
        self.assertEqual(
            [payload for _, payload in frames],
            [payload for _, payload in readMessages(plain.take())],
        )

    def test_burst(self) -> None:
        """
        Of what is published in one moment only so much is compressed; readers get all of
        it, and what comes later is compressed again.
        """
        socket, _ = self.socket(DEFLATE)
        stream, head = self.stream("stream", GZIP)
        texts = [f"{number:04d}" * 200 for number in range(300)]
        self.publish(*texts)
        frames = readMessages(socket.take())
        self.assertEqual([json.loads(payload)["data"] for _, payload in frames], texts)
        self.assertEqual({first for first, _ in frames}, {0xC1, 0x81})
        chunks = ChunkReader()
        chunks.feed(head.body + stream.take())
        decoded = zlib.decompressobj(31).decompress(chunks.body)
        lines = decoded.splitlines()
        self.assertEqual([json.loads(each)["data"] for each in lines[1:]], texts)
        self.publish(LARGE)
        self.assertEqual(socket.take()[0], 0xC1)

    def test_window(self) -> None:
        """
        A client that can look back less far gets frames of its own.
        """
        small = f"{DEFLATE}; server_max_window_bits=9"
        connection, head = self.socket(small)
        self.assertIn("server_max_window_bits=9", head.header("Sec-WebSocket-Extensions"))
        text = "".join(f"{number:04d}" for number in range(240))
        self.publish(text)
        data = connection.take()
        payload = zlib.decompressobj(-9).decompress(data[4:] + b"\0\0\xff\xff")
        self.assertEqual(json.loads(payload)["data"], text)

    def test_commands(self) -> None:
        """
        A client may compress what it sends, whole or in fragments, in any packets; or not.
        """
        connection, _ = self.socket(DEFLATE, path="/socket")
        said = compressed(b'{"id":1,"ping":"' + b"x" * 500 + b'"}')
        half = len(said) // 2
        whole = frame(TEXT, said, rsv=RSV1)
        parts = [
            frame(TEXT, said[:half], fin=False, rsv=RSV1),
            frame(PING, b"between"),
            frame(CONTINUATION, said[half:]),
        ]
        ends = [frame(TEXT, said, fin=False, rsv=RSV1), frame(CONTINUATION)]
        plain = frame(TEXT, b'{"id":1,"ping":"' + b"x" * 500 + b'"}')
        for sent, pongs in (
            ([whole], 1),
            (cut(whole, 1), 1),
            ([whole + whole], 2),
            (parts, 1),
            (cut(b"".join(parts), 3), 1),
            (ends, 1),
            ([plain], 1),
            ([whole, plain], 2),
        ):
            connection.send(sent)
            self.assertEqual(connection.take().count(b'"pong":"xxx'), pongs)

    def assertFailed(self, sent: list[bytes], status: int) -> None:
        """
        Assert that a connection on which a client sends something is closed with a status,
        once, and that it ends when the client has answered that.
        """
        connection, _ = self.socket(DEFLATE, path="/socket")
        connection.send(sent)
        [(first, payload)] = readMessages(connection.take())
        self.assertEqual((first, int.from_bytes(payload[:2], "big")), (0x88, status), payload)
        connection.send([closing(status)])
        self.assertEqual((connection.take(), connection.isOpen), (b"", False))

    def test_bombs(self) -> None:
        """
        A message that has more bytes than it may once its compression is undone is refused:
        whole, in packets, in fragments; and one that never ends, when it is too large.
        """
        bomb = compressed(bytes(30_000_000))
        pieces = cut(bomb, 1000)
        fragments = [
            frame(TEXT, pieces[0], fin=False, rsv=RSV1),
            *(frame(CONTINUATION, piece, fin=False) for piece in pieces[1:-1]),
            frame(CONTINUATION, pieces[-1]),
        ]
        self.assertFailed([frame(TEXT, bomb, rsv=RSV1)], 1009)
        self.assertFailed(cut(frame(TEXT, bomb, rsv=RSV1), 4096), 1009)
        self.assertFailed([b"".join(fragments)], 1009)
        self.assertFailed(fragments, 1009)
        self.assertFailed(fragments[:2], 1009)

    def test_broken(self) -> None:
        """
        What is not DEFLATE is refused, and text that is not UTF-8.
        """
        self.assertFailed([frame(TEXT, b"\xff\xff\xff", rsv=RSV1)], 1007)
        self.assertFailed([frame(TEXT, compressed(b"\xff"), rsv=RSV1)], 1007)
        self.assertFailed([frame(TEXT, compressed(b"\xc3"), rsv=RSV1)], 1007)
        self.assertFailed([frame(TEXT, b"\x03\0" * 100, rsv=RSV1)], 1007)

    def test_wrongBits(self) -> None:
        """
        RFC 7692 6.1: only the first frame of a message says that it is compressed, and no
        control frame does.
        """
        said = compressed(b'{"ping":1}')
        begun = frame(TEXT, said[:3], fin=False, rsv=RSV1)
        self.assertFailed([begun, frame(CONTINUATION, said[3:], rsv=RSV1)], 1002)
        self.assertFailed([frame(PING, b"a", rsv=RSV1)], 1002)
        for rsv in (1, 2, 3, 5, 6, 7):
            self.assertFailed([frame(TEXT, said, rsv=rsv)], 1002)

    def test_closedWithin(self) -> None:
        """
        A message whose first half had come when the server closes is dropped; its rest does
        not disturb the closing.
        """
        said = compressed("{'ping':'äöüß'}".encode())
        connection, _ = self.socket(DEFLATE)
        connection.send([frame(TEXT, said[:-3], fin=False, rsv=RSV1)])
        [reader] = self.hub.fanout.readers
        reader.close(Close("disconnected", "for a test", 2.5))
        self.assertEqual(connection.take()[-2 - len(b"for a test") :][2:], b"for a test")
        connection.send([frame(CONTINUATION, said[-3:]), frame(TEXT, said, rsv=RSV1)])
        self.assertEqual((connection.take(), connection.isOpen), (b"", True))
        connection.send([closing(1000)])
        self.assertEqual((connection.take(), connection.isOpen), (b"", False))

    def test_reloaded(self) -> None:
        """
        What changes counts for new readers; those that are there keep to what was agreed on.
        """
        connection, _ = self.socket(DEFLATE)
        self.hub.configure(evolve(ON, compression=None))
        other, head = self.socket(DEFLATE)
        _, stream = self.stream("stream", GZIP)
        self.assertEqual(head.header("Sec-WebSocket-Extensions"), None)
        self.assertEqual(stream.header("Content-Encoding"), None)
        self.assertEqual(stream.headers["vary"], ["Origin, Accept"])
        self.publish(LARGE)
        self.assertEqual(connection.take()[0], 0xC1)
        self.assertEqual(other.take()[0], 0x81)
        self.hub.configure(evolve(ON, compression=Compression(1)))
        third, _ = self.socket(DEFLATE)
        self.publish("0" * 50)
        self.assertEqual([connection.take()[0], third.take()[0]], [0x81, 0xC1])

    def takesAnything(self, payload: bytes, size: int) -> None:
        """
        Assert that bytes which a client sends as a compressed message, in packets of a size,
        are answered or close the connection, and that nothing else happens to it.
        """
        connection, _ = self.socket(DEFLATE, path="/socket")
        connection.send(cut(frame(TEXT, payload, rsv=RSV1), size))
        [(first, said)] = readMessages(connection.take())
        if first == 0x88:
            self.assertIn(int.from_bytes(said[:2], "big"), (1007, 1009))
        else:
            self.assertIn(b"badMessage", said)
        connection.send([closing(1000)])
        connection.take()
        self.assertEqual(connection.isOpen, False)
