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
from comet.model.cursors import Cursor
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

    def test_cursorHasIDAndEmptyData(self) -> None:
        """
        The event of a cursor has an id, a name that keeps it from
        C{onmessage}, and an empty data line, without which some clients forget
        the id.
        """
        self.assertEqual(self.shape.cursor(CURSOR), b"id: k3f9a2-1042\nevent: $at\ndata:\n\n")

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

    def test_refusalSetsIDIfAsked(self) -> None:
        """
        The event for a refused client has an id only where the client has none;
        an envelope has the cursor in any case.
        """
        end = b'event: $close\ndata: {"code":"tooMany","message":"m","retry":1}\n\n'
        close = Close("tooMany", "m", 1)
        for shape in (self.shape, SSEShape(chunked=False, envelope=True)):
            without = shape.refusal(CURSOR, close, False)
            self.assertEqual(
                shape.refusal(CURSOR, close, True),
                without.replace(b"event:", b"id: k3f9a2-1042\nevent:"),
            )
        self.assertEqual(self.shape.refusal(CURSOR, close, False), b"retry: 1000\n" + end)
        self.assertIn(encodeClose(CURSOR, close), without)

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
        No event has a name if the shape says so, cursors, gaps and the end
        included.
        """
        shape = SSEShape(channelEvents=True, envelope=True, unnamed=True)
        for event in (
            shape.message(makeMessage(1, "chat/a", "said")),
            shape.message(makeMessage(1, "chat/a")),
            shape.cursor(CURSOR),
            shape.gap(CURSOR, ["a"]),
            shape.close(CURSOR, Close("draining", "m", 1)),
        ):
            self.assertNotIn(b"\nevent:", event)
        bare = SSEShape(chunked=False, unnamed=True).cursor(CURSOR)
        self.assertEqual(bare, b"id: k3f9a2-1042\ndata:\n\n")

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
        self.assertEqual(heard.events[0], Event("$at", "", ID))
        first, *middle, last = heard.events[1:]
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
    @given(MESSAGES, CLOSES, st.booleans(), st.booleans(), st.booleans())
    def test_anyPieceKeepsID(
        self, message: Message, close: Close, several: bool, envelope: bool, unnamed: bool
    ) -> None:
        """
        A client that forgets the id of an event without data has the cursor
        after any first piece.
        """
        shape = SSEShape(False, False, several, envelope, unnamed)
        for piece in (
            shape.cursor(CURSOR),
            shape.cursor(Cursor("k3f9a2", 2000), resume=CURSOR),
            shape.message(message),
            shape.gap(CURSOR, ["news"]),
            shape.close(CURSOR, close),
            shape.refusal(CURSOR, close, True),
        ):
            events = EventReader(isForgetful=True)
            events.feed(shape.prelude + shape.frame([piece]))
            self.assertEqual((events.lastEventID, len(events.events)), (ID, 1))

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
            ("$at", encodeCursor(CURSOR)),
            ("$gap", encodeGap(CURSOR, names)),
            (message.event or "message", encodeEnvelope(message, replay=True)),
            ("$close", encodeClose(CURSOR, close)),
        ]
        self.assertEqual(heard.events, [Event(type, data.decode(), ID) for type, data in expected])
