"""
Tests of L{comet.framing.sse}.
"""

from __future__ import annotations

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing import Shape
from comet.framing.envelope import encodeClose, encodeCursor, encodeEnvelope, encodeGap, rawText
from comet.framing.sse import SSEShape
from comet.model.messages import Close, Message
from tests.framing.readers import (
    CLOSES,
    CURSOR,
    CUTS,
    MESSAGES,
    NAMES,
    TEXTS,
    ChunkReader,
    Event,
    EventReader,
    makeMessage,
    readAll,
)

ID = "k3f9a2-1042"


class LiteralTests(SynchronousTestCase):
    """
    The bytes of events.
    """

    shape = SSEShape(chunked=False)

    def test_prelude(self) -> None:
        """
        The stream begins with the time to wait, in milliseconds, which is a
        chunk of its own where there are chunks.
        """
        self.assertEqual(self.shape.prelude, b"retry: 2000\n\n")
        self.assertEqual(SSEShape(retry=500).prelude, b"c\r\nretry: 500\n\n\r\n")
        self.assertEqual((SSEShape().coda, self.shape.coda), (b"0\r\n\r\n", b""))

    def test_frame(self) -> None:
        """
        The events of one write are one chunk.
        """
        self.assertEqual(SSEShape().frame([b"ab", b"c"]), b"3\r\nabc\r\n")
        self.assertEqual(self.shape.frame([b"ab", b"c"]), b"abc")

    def test_standing(self) -> None:
        """
        Where the reader stands is only an id, which no listener hears.
        """
        self.assertEqual(self.shape.cursor(CURSOR), b"id: k3f9a2-1042\n\n")

    def test_string(self) -> None:
        """
        A string is its text, each of its lines a line of data.
        """
        self.assertEqual(
            self.shape.message(makeMessage("a\n\rb\r\n c\u2028<")),
            "id: k3f9a2-1042\ndata: a\ndata: \ndata: b\ndata:  c\u2028<\n\n".encode(),
        )
        self.assertEqual(self.shape.message(makeMessage("")), b"id: k3f9a2-1042\ndata: \n\n")

    def test_value(self) -> None:
        """
        Anything else is its JSON, in one line.
        """
        self.assertEqual(
            self.shape.message(makeMessage({"a": "b\n"}, event="said")),
            b'id: k3f9a2-1042\nevent: said\ndata: {"a":"b\\n"}\n\n',
        )

    def test_gap(self) -> None:
        """
        A gap is an event with the names that lost messages.
        """
        self.assertEqual(
            self.shape.gap(CURSOR, ["news", "a/*"]),
            b'id: k3f9a2-1042\nevent: $gap\ndata: ["news","a/*"]\n\n',
        )

    def test_close(self) -> None:
        """
        The end is an event with the reason, and says when to come back unless
        that is never.
        """
        end = b'id: k3f9a2-1042\nevent: $close\ndata: {"code":"draining","message":"m","retry":'
        self.assertEqual(
            self.shape.close(CURSOR, Close("draining", "m", 2.5)),
            b"retry: 2500\n" + end + b"2.5}\n\n",
        )
        self.assertEqual(self.shape.close(CURSOR, Close("draining", "m")), end + b"null}\n\n")

    def test_names(self) -> None:
        """
        An event is named by its own name, else by its channel where several
        are read, else not at all.
        """
        several = SSEShape(chunked=False, channelEvents=True)
        for shape, event, line in (
            (self.shape, None, b"\ndata"),
            (self.shape, "said", b"\nevent: said\n"),
            (several, None, b"\nevent: chat/a b\n"),
            (several, "said", b"\nevent: said\n"),
        ):
            self.assertIn(line, shape.message(makeMessage(1, "chat/a b", event))[15:])

    def test_unnamed(self) -> None:
        """
        Nothing has a name where none was wanted, so that who does not know the
        names hears all.
        """
        shape = SSEShape(channelEvents=True, envelope=True, unnamed=True)
        for event in (
            shape.message(makeMessage(1, "chat/a", "said")),
            shape.message(makeMessage(1, "chat/a")),
            shape.gap(CURSOR, ["a"]),
            shape.close(CURSOR, Close("draining", "m", 1)),
        ):
            self.assertNotIn(b"\nevent:", event)

    def test_time(self) -> None:
        """
        The time is told in envelopes where it was asked for.
        """
        message = makeMessage(1)
        self.assertIn(b'"time":', SSEShape(time=True, envelope=True).message(message))
        self.assertNotIn(b'"time":', SSEShape(envelope=True).message(message))

    def test_isValue(self) -> None:
        """
        A shape is a value: equal to another exactly where its bytes are.
        """
        shapes = [SSEShape(channelEvents=True), SSEShape(envelope=True), SSEShape(retry=1)]
        self.assertEqual(len({*shapes, SSEShape(), SSEShape(retry=2000)}), 4)
        self.assertTrue(all(shape.adoptsReplay for shape in shapes))


class StreamTests(SynchronousTestCase):
    """
    What a client hears that reads as the standard says.
    """

    def read(self, shape: Shape, pieces: list[bytes], sizes: list[int]) -> EventReader:
        """
        Read a stream of these pieces, each written on its own.
        """
        chunks, events = ChunkReader(), EventReader()
        stream = shape.prelude + b"".join(shape.frame([piece]) for piece in pieces) + shape.coda
        readAll(chunks, stream, sizes)
        self.assertTrue(chunks.ended)
        readAll(events, chunks.body, sizes)
        return events

    @settings(deadline=None)
    @given(TEXTS, st.none() | NAMES, CUTS)
    def test_text(self, text: str, event: str | None, sizes: list[int]) -> None:
        """
        Any text arrives, each of its line breaks as LF, in one event of the
        right name, however the stream is cut.
        """
        shape = SSEShape()
        heard = self.read(shape, [shape.message(makeMessage(text, event=event))], sizes)
        lines = re.sub("\r\n|\r", "\n", text)
        self.assertEqual(heard.events, [Event(event or "message", lines, ID)])

    @settings(deadline=None)
    @given(st.lists(MESSAGES, max_size=3), st.lists(NAMES), CLOSES, CUTS)
    def test_stream(
        self, messages: list[Message], names: list[str], close: Close, sizes: list[int]
    ) -> None:
        """
        All of a stream arrives in order, and the client knows where it stands
        and when to come back.
        """
        shape = SSEShape(channelEvents=True)
        pieces = [shape.cursor(CURSOR), shape.gap(CURSOR, names)]
        pieces += [shape.message(message, replay=True) for message in messages]
        heard = self.read(shape, [*pieces, shape.close(CURSOR, close)], sizes)
        first, *middle, last = heard.events
        self.assertEqual((first.type, json.loads(first.data)), ("$gap", names))
        self.assertEqual(
            [(event.type, event.data) for event in middle],
            [
                (message.event or message.channel, re.sub("\r\n|\r", "\n", rawText(message)))
                for message in messages
            ],
        )
        self.assertEqual((last.type, json.loads(last.data)["message"]), ("$close", close.message))
        self.assertEqual(heard.lastEventID, ID)
        expected = 2000 if close.retry is None else round(close.retry * 1000)
        self.assertEqual(heard.retry, expected)

    @settings(deadline=None)
    @given(MESSAGES, st.lists(NAMES), CLOSES, CUTS)
    def test_envelopes(
        self, message: Message, names: list[str], close: Close, sizes: list[int]
    ) -> None:
        """
        Where envelopes were asked for, all that is heard is one, heartbeats
        included, and events keep their names.
        """
        shape = SSEShape(envelope=True)
        pieces = [
            shape.cursor(CURSOR),
            shape.gap(CURSOR, names),
            shape.message(message, replay=True),
            shape.close(CURSOR, close),
        ]
        heard = self.read(shape, pieces, sizes)
        expected = [
            ("message", encodeCursor(CURSOR)),
            ("$gap", encodeGap(CURSOR, names)),
            (message.event or "message", encodeEnvelope(message, replay=True)),
            ("$close", encodeClose(CURSOR, close)),
        ]
        self.assertEqual(heard.events, [Event(type, data.decode(), ID) for type, data in expected])
