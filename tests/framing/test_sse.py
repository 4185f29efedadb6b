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

    def test_preludeHasRetry(self) -> None:
        """
        The stream starts with the time to wait in milliseconds, which is a
        chunk of its own if there are chunks.
        """
        self.assertEqual(self.shape.prelude, b"retry: 2000\n\n")
        self.assertEqual(SSEShape(retry=500).prelude, b"c\r\nretry: 500\n\n\r\n")
        self.assertEqual((SSEShape().coda, self.shape.coda), (b"0\r\n\r\n", b""))

    def test_framesOneChunk(self) -> None:
        """
        The events of one write are one chunk.
        """
        self.assertEqual(SSEShape().frame([b"ab", b"c"]), b"3\r\nabc\r\n")
        self.assertEqual(self.shape.frame([b"ab", b"c"]), b"abc")

    def test_cursorIsOnlyID(self) -> None:
        """
        The event of a cursor has only an id, so that the page does not get it.
        """
        self.assertEqual(self.shape.cursor(CURSOR), b"id: k3f9a2-1042\n\n")

    def test_stringIsItsText(self) -> None:
        """
        The data of a string is its text, each line in a data field.
        """
        self.assertEqual(
            self.shape.message(makeMessage("a\n\rb\r\n c\u2028<")),
            "id: k3f9a2-1042\ndata: a\ndata: \ndata: b\ndata:  c\u2028<\n\n".encode(),
        )
        self.assertEqual(self.shape.message(makeMessage("")), b"id: k3f9a2-1042\ndata: \n\n")

    def test_otherValueIsJSON(self) -> None:
        """
        The data of any other value is its JSON, in one line.
        """
        self.assertEqual(
            self.shape.message(makeMessage({"a": "b\n"}, event="said")),
            b'id: k3f9a2-1042\nevent: said\ndata: {"a":"b\\n"}\n\n',
        )

    def test_encodesGap(self) -> None:
        """
        The event of a gap has the names that lost messages.
        """
        self.assertEqual(
            self.shape.gap(CURSOR, ["news", "a/*"]),
            b'id: k3f9a2-1042\nevent: $gap\ndata: ["news","a/*"]\n\n',
        )

    def test_encodesClose(self) -> None:
        """
        The event of the end has the reason, and the field C{retry} unless the
        client must not reconnect.
        """
        end = b'id: k3f9a2-1042\nevent: $close\ndata: {"code":"draining","message":"m","retry":'
        self.assertEqual(
            self.shape.close(CURSOR, Close("draining", "m", 2.5)),
            b"retry: 2500\n" + end + b"2.5}\n\n",
        )
        self.assertEqual(self.shape.close(CURSOR, Close("draining", "m")), end + b"null}\n\n")

    def test_namesEvents(self) -> None:
        """
        An event has the event name of its message, else the channel if several
        are read, else no name.
        """
        several = SSEShape(chunked=False, channelEvents=True)
        for shape, event, line in (
            (self.shape, None, b"\ndata"),
            (self.shape, "said", b"\nevent: said\n"),
            (several, None, b"\nevent: chat/a b\n"),
            (several, "said", b"\nevent: said\n"),
        ):
            self.assertIn(line, shape.message(makeMessage(1, "chat/a b", event))[15:])

    def test_unnamedHasNoNames(self) -> None:
        """
        No event has a name if the shape says so, gaps and the end included.
        """
        shape = SSEShape(channelEvents=True, envelope=True, unnamed=True)
        for event in (
            shape.message(makeMessage(1, "chat/a", "said")),
            shape.message(makeMessage(1, "chat/a")),
            shape.gap(CURSOR, ["a"]),
            shape.close(CURSOR, Close("draining", "m", 1)),
        ):
            self.assertNotIn(b"\nevent:", event)

    def test_hasTime(self) -> None:
        """
        Envelopes have the time if the shape says so.
        """
        message = makeMessage(1)
        self.assertIn(b'"time":', SSEShape(time=True, envelope=True).message(message))
        self.assertNotIn(b'"time":', SSEShape(envelope=True).message(message))

    def test_isValue(self) -> None:
        """
        Shapes are equal exactly if their bytes are, and then have the same
        hash.
        """
        shapes = [SSEShape(channelEvents=True), SSEShape(envelope=True), SSEShape(retry=1)]
        self.assertEqual(len({*shapes, SSEShape(), SSEShape(retry=2000)}), 4)
        self.assertTrue(all(shape.adoptsReplay for shape in shapes))


class StreamTests(SynchronousTestCase):
    """
    The events that a client gets that reads by the standard.
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
    def test_anyText(self, text: str, event: str | None, sizes: list[int]) -> None:
        """
        Any text is read in one event with its name, with each line break as LF,
        for any split of the stream.
        """
        shape = SSEShape()
        heard = self.read(shape, [shape.message(makeMessage(text, event=event))], sizes)
        lines = re.sub("\r\n|\r", "\n", text)
        self.assertEqual(heard.events, [Event(event or "message", lines, ID)])

    @settings(deadline=None)
    @given(st.lists(MESSAGES, max_size=3), st.lists(NAMES), CLOSES, CUTS)
    def test_anyStream(
        self, messages: list[Message], names: list[str], close: Close, sizes: list[int]
    ) -> None:
        """
        Everything in a stream is read in order, and the client has the last
        cursor and the time to reconnect.
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
    def test_anyStreamOfEnvelopes(
        self, message: Message, names: list[str], close: Close, sizes: list[int]
    ) -> None:
        """
        With envelopes every event has one as its data, heartbeats included, and
        events keep their names.
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
